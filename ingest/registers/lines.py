"""
Register sequences: the current reference value, and alternative sequences.

A sequence is a series of readings that one register can have produced.  Readings that do not
continue the register's sequence (its mark) start a waiting one (`Other`, `count` not 0).  Its time
is unknown until it is confirmed; if the register returns to the old sequence, it is withdrawn.
Each former sequence is stored (`count` 0).  A return to it withdraws the quantity counted
meanwhile, whose time becomes unknown.  After a day, a rise past the former value is treated as
another register.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ingest.model import HOUR_US, LOOK_BACK_US, NULL, Int64, Replacement

# a rise of at most the device's maximum in this time needs no further reading
AT_ONCE_US = HOUR_US
# margin on a rated power, as inverters may run at 110 %; margin on a class's own highest rate
MARGIN_RATED, MARGIN = 1.1, 1.2
INF = float("inf")
# coarse resolution of some readings of a register, such as a display's: 1 kWh, 1 kg, 1 L
WHOLE = 1000
KNOWN, UNKNOWN = 0, 1
# events of a register other than a rise
EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")
JITTER, CATCH_UP, ROLLOVER, GLITCH, RESET, IMPOSSIBLE, REPLACEMENT = EVENTS


class Step(NamedTuple):
    """
    Step of `value` base units over [from_us, to_us).

    If `kind` is UNKNOWN, `value` is the certain part.
    """

    from_us: int
    to_us: int
    value: int
    kind: int


@dataclass(frozen=True, slots=True)
class Meter:
    """
    Limits of one register.

    `rate`: highest plausible base units per microsecond, including a margin; inf if unknown.
    `tolerance`: a step back this small is jitter. [base units]
    `moduli`: possible rollover values, ascending.
    `exact`: whether the first modulus is that of this model, not a candidate.
    `replacements`: meter replacements, in time order.
    `lit_us`: returns the time with light between two times, for solar energy. [us]
    """

    rate: float = INF
    tolerance: int = 0
    moduli: tuple[int, ...] = ()
    exact: bool = False
    replacements: tuple[Replacement, ...] = ()
    lit_us: Callable[[int, int], int] | None = None

    def allowance(self, elapsed_us: int) -> float:
        """Return the largest step that the meter can make in a time of operation. [base units]"""
        if self.rate == INF:
            return INF
        return self.tolerance + self.rate * elapsed_us

    def largest_step(self, from_us: int, to_us: int) -> float:
        """Return the largest step that the meter can make between two times. [base units]"""
        return self.allowance(self.runs_us(from_us, to_us))

    def runs_us(self, from_us: int, to_us: int) -> int:
        """Return the time between two times in which the meter can count. [us]"""
        return to_us - from_us if self.lit_us is None else self.lit_us(from_us, to_us)

    def at_once(self, elapsed_us: int) -> float:
        """Return the largest step that is accepted without a confirming reading. [base units]"""
        return self.allowance(min(elapsed_us, AT_ONCE_US))

    def takes_us(self, amount: float) -> float:
        """Return the time in which an amount is counted at rated power, without margin. [us]"""
        return INF if self.rate == INF else amount * MARGIN / self.rate


def fell(tolerance: int, before: Any, after: Any) -> Any:
    """
    Return whether a register fell by more than its jitter.

    A fall is ignored if the lower value is the higher one, truncated or rounded to a coarser
    resolution.  The values may be numbers or int64 arrays.
    """
    fall = before - after
    apart = (before % WHOLE != 0) & (after % WHOLE != 0)
    return (fall > tolerance) & ((fall >= WHOLE) | (after < WHOLE) | apart)


def wrap(meter: Meter, before: int, after: int, elapsed_us: int) -> int | None:
    """
    Return the step across a rollover to zero [base units]; None if a rollover is not certain.

    A rollover is certain only at a model's own modulus, with a step within the rated power; a fall
    at a candidate modulus may as well be a reset.
    """
    if after >= before or not meter.exact:
        return None
    for modulus in meter.moduli:
        if modulus > before:
            step = modulus - before + after
            return step if step <= min(meter.allowance(elapsed_us), modulus / 2) else None
    return None


def clean(rate: np.ndarray, tolerance: int, elapsed_us: Int64, rise: Int64) -> np.ndarray:
    """
    Return a mask of rises that are accepted without a confirming reading.

    The same comparison as in `Reader` for a register without jitter, in columns.

    Parameters
    ----------
    rate : float64 array, n
        Highest plausible base units per microsecond, including a margin.
    tolerance : int
        Largest step back that is jitter. [base units]
    elapsed_us, rise : int64 array, n
        Time [us] and step [base units] between successive readings.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        allowance = tolerance + rate * np.minimum(elapsed_us, AT_ONCE_US)
    return (rise >= 0) & (rise <= allowance)


def rates(limits: Sequence[float | None], margin: float) -> np.ndarray:
    """
    Return the highest plausible base units per microsecond, with margin, from hourly limits.

    The margin allows for devices that run above their rated power for a while; an impossible step
    is far above it.
    """
    hourly = np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)
    return hourly * margin / 3.6e9


# maximum time between readings that confirm a new sequence; the longer one, for meters that are
# read daily, applies if the readings cannot belong to the old sequence
LINE_GAP_US, SPARSE_GAP_US = 2 * HOUR_US, 26 * HOUR_US
# age from which a sequence is kept, even if a reading continues the former one as well: usually;
# after a fall to the value from which the register had risen in many steps; for the second such
# fall at the same time of day (daily counter)
STANDS_US, RESET_US, DAILY_US = 24 * HOUR_US, 6 * HOUR_US, 0
DAY_US, SAME_TIME_US = 24 * HOUR_US, HOUR_US
# maximum time between buffered readings that a gateway without a clock stamped when sending them
SENT_US = 60_000_000
# a catch-up is distributed over the last weeks of the standstill that can hold it
SPREAD_US = LOOK_BACK_US
# time for which a former sequence stays stored after the new one was confirmed
RETIRED_US = 31 * 86_400_000_000
# maximum number of former sequences that the register has passed
FORMER = 4
CONFIRM_LINE = 4
# `count` of a sequence that begins with a fall to neither zero nor an earlier value; number of
# further readings, and time, that confirm it
LOST, CONFIRM_LOST, LOST_US = -99, 8, 24 * HOUR_US
# minimum number of readings for which a sequence that ends again may be genuine
FEW = 3
# A fall is no reading error if the register had at least this number of rises, and falls below this
# fraction (1/20) of its value.
CLIMB, FOOT = 8, 20
# added to `count` of a sequence that began below a former one: elapsed time does not make a large
# rise of it plausible
ASTRAY = -10


@dataclass(slots=True)
class Mark:
    """State of a register: its highest value, times of the last reading and of the last rise."""

    value: int
    read_us: int
    changed_us: int

    def copy(self) -> Mark:
        """Return a copy that can change independently."""
        return Mark(self.value, self.read_us, self.changed_us)


class Trail(NamedTuple):
    """
    State of a register before a rise; `steps`: number of steps until then.

    `replaced`: steps that the rise replaced; they apply again if it is not confirmed.
    """

    value: int
    read_us: int
    changed_us: int
    steps: int
    replaced: tuple[Step, ...] = ()


@dataclass(slots=True)
class Other:
    """
    Another sequence of the register: one that awaits confirmation, or a former one.

    `value`, `read_us`: its last value, and the time of that reading.
    `count`: 1 for a plausible rise, which the next reading confirms; below 0 for an implausible
    sequence, the number of readings that agree; 0 for a former one.
    `first`: its first value; for a former sequence the time of its end [us], negative if there are
    further former ones.
    `more`: for a former sequence, whether there were others, which are unknown.
    `steps_at`: number of steps before it; NULL for a former sequence.
    `line`: its steps; for a former sequence, those withdrawn at its end.
    `mark`: mark of the former sequence, or start and last value of the waiting one.
    `ceiling`: last value of an earlier waiting sequence; a rise up to it is not counted.
    `stray`: whether it ended by a return, possibly by a stray reading of the previous sequence.
    `stands_us`: time after its confirmation from which a former sequence no longer replaces it.
    """

    value: int
    read_us: int
    count: int
    first: int
    steps_at: int = NULL
    line: list[Step] = field(default_factory=list)
    mark: Mark | None = None
    begin_us: int = 0
    ceiling: int = NULL
    trail: list[Trail] = field(default_factory=list)
    stray: bool = False
    stands_us: int = STANDS_US
    more: bool = False
