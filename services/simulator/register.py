"""
A cumulative register, and a simple energy meter with only one.

A cumulative register, counted exactly.

The rate is a whole number of thousandths of the base unit an hour (mW for Wh,
uL/h for mL, mm/h for m).  Between two samples the rate is a straight line, so a
step is the trapezoid.  Steps are integers and their remainder is carried on, so
the same samples give the same register however they are cut into blocks.

Energy meter of a works: base load, two shifts, a quiet weekend.
"""

import numpy as np

from services.simulator.model import Block, Day, Device, Ints, bump, stream

# thousandths x milliseconds x two halves of the trapezoid, in one base unit
_PER_BASE_UNIT = 2 * 1_000 * 3_600_000


class Register:
    """
    A meter's register, which only increases.

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


class EnergyMeter:
    """A revenue meter whose maximum demand is `rated_power_w`."""

    def __init__(self, device: Device, seed: int) -> None:
        chance = stream(seed, device.id, "build")
        self._device = device
        self._import = Register(int(chance.integers(1_000_000, 60_000_000)))
        self._export = Register(0)

    def readings(self, day: Day, number: np.ndarray) -> Block:
        """Return readings of a day: the load, and a slightly lower voltage under load."""
        work = np.minimum(bump(day.hour, 10.0, 3.0) + 0.9 * bump(day.hour, 15.5, 3.0), 1.0)
        load = 0.2 + (0.15 if day.weekend else 0.6) * work
        share = np.clip(load * (1.0 + 0.06 * day.wander("load", 900.0)), 0.02, 1.0)
        power_mw = np.rint(share * self._device.rated_power_w * 1_000).astype(np.int64)
        voltage = 231.0 - 4.0 * share + 0.8 * day.wander("voltage", 300.0)
        return Block(
            time_ms=day.time_ms,
            number=number,
            registers={
                "energy_import_kwh": self._import.advance(day.time_ms, power_mw),
                "energy_export_kwh": self._export.advance(day.time_ms, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                "voltage_v": np.round(voltage, 1),
                "frequency_hz": np.round(50.0 + 0.02 * day.wander("frequency", 120.0), 3),
            },
        )
