"""
A cumulative register, counted exactly.

The rate is a whole number of thousandths of the base unit an hour (mW for Wh,
uL/h for mL, mm/h for m).  Between two samples the rate is a straight line, so a
step is the trapezoid.  Steps are integers and their remainder is carried on, so
the same samples give the same register however they are cut into blocks.
"""

import numpy as np

from services.simulator.model import Ints

# thousandths x milliseconds x two halves of the trapezoid, in one base unit
_PER_BASE_UNIT = 2 * 1_000 * 3_600_000


class Register:
    """
    A meter's register, which only ever counts up.

    Parameters
    ----------
    start : int
        Reading before the first sample. [Wh, mL or m]
    """

    def __init__(self, start: int) -> None:
        self._reading = start
        self._remainder = 0
        self._last: tuple[int, int] | None = None

    def advance(self, time_ms: Ints, rate: Ints) -> Ints:
        """
        Register readings at the given times.

        Parameters
        ----------
        time_ms : int64 array, n >= 1
            Times, later than those of the call before. [ms]
        rate : int64 array, n
            Rate at these times; what is negative does not count. [base unit / 1000 h]

        Returns
        -------
        int64 array, n
            Readings, rounded down to the whole base unit as a display does.
        """
        counted = np.maximum(rate, 0)
        before_ms, before_rate = self._last or (int(time_ms[0]), int(counted[0]))
        elapsed = np.diff(time_ms, prepend=before_ms)
        doubled_mean = counted + np.concatenate(([before_rate], counted[:-1]))
        # in two parts: the litres of a waterworks times the milliseconds of an hour would not fit
        units, part = np.divmod(doubled_mean, _PER_BASE_UNIT)
        whole, rest = np.divmod(elapsed * part, _PER_BASE_UNIT)
        whole += elapsed * units
        rest_sum = self._remainder + np.cumsum(rest)
        readings = self._reading + np.cumsum(whole) + rest_sum // _PER_BASE_UNIT
        self._reading += int(whole.sum()) + int(rest_sum[-1]) // _PER_BASE_UNIT
        self._remainder = int(rest_sum[-1]) % _PER_BASE_UNIT
        self._last = int(time_ms[-1]), int(counted[-1])
        return np.asarray(readings, dtype=np.int64)
