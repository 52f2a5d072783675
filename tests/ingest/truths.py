"""
Meters with known truth, and faulty readings of them.

A history is the true production of a known device, read about every 15 minutes or, written down by
hand, daily to weekly, with faults in its readings only. Whatever the faults are, credited energy
must not exceed the truth by more than the meter's class error, and charged consumption must not be
below it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ingest.model import NULL
from tests.ingest.metering import T0_US

Ints = np.ndarray
Fault = Callable[["History", np.random.Generator], None]

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
# two faults of a meter that is read rarely end within the month in which a return is detected
FALSE_DAYS, ANY_DAYS = 15, 9_999
RATED_W = 100_000
# what a meter of this kind may be off by, whatever it made: its register's own tolerance
CLASS_WH = 100
CLASS_SHARE = 0.01
PLACE = (20.95, 107.07)


@dataclass
class History:
    """Readings of one meter in the order of their times, and its true quantity."""

    time_us: Ints
    register_wh: Ints
    truth_wh: int
    event_us: int = 0

    def span(self, rng: np.random.Generator, longest: int, days: int = FALSE_DAYS) -> slice:
        """Return some consecutive readings within the days, none of the last six."""
        every_us = int(np.median(np.diff(self.time_us)))
        longest = max(1, min(longest, days * DAY_US // every_us))
        length = int(rng.integers(1, longest + 1))
        begin = int(rng.integers(1, max(2, len(self.time_us) - length - 6)))
        event = int(np.searchsorted(self.time_us, self.event_us))
        if begin <= event <= begin + length + 6:
            begin = event + 8
        if begin > len(self.time_us) - 7:
            length = min(length, max(event - 8, 1))
            begin = max(1, event - length - 7)
        return slice(begin, min(begin + length, len(self.time_us) - 6))

    def at(self, rng: np.random.Generator) -> int:
        """Return the position of one reading, none of the last six."""
        return self.span(rng, 1).start

    def happened(self, k: int) -> None:
        """
        Record an event at the meter after which readings before it are not false.

        It happens once: of two consecutive events the second could stand just above the first.
        """
        self.event_us = int(self.time_us[k])

    def keep(self, kept: np.ndarray) -> None:
        """Lose readings."""
        self.time_us, self.register_wh = self.time_us[kept], self.register_wh[kept]


def honest(rng: np.random.Generator, days: int = 4, minutes: int = 15) -> History:
    """
    Return a solar plant at Ha Long: nothing at night, clouds in daytime, its register in Wh.

    It ends at noon, since the last six readings settle a rise that is still open.
    """
    n = (days * 1440 + 720) // minutes
    at = T0_US + 17 * 3_600_000_000 + np.arange(n, dtype=np.int64) * minutes * MINUTE_US
    hour = (at // 3_600_000_000 + 7) % 24 + (at % 3_600_000_000) / 3.6e9
    sun = np.clip(np.sin((hour - 6.75) / 10.75 * np.pi), 0, None) * ((hour > 6.75) & (hour < 17.5))
    watts = RATED_W * sun * rng.uniform(0.2, 1.0, n)
    start = int(rng.choice([0, 200_000, 6_200_000, 99_990_000, 10**9]) + rng.integers(0, 10_000))
    steps = np.floor(watts * minutes / 60).astype(np.int64)
    register = start + np.concatenate([[0], np.cumsum(steps[1:])])
    return History(at, register, int(register[-1] - register[0]))


def single_zero(h: History, rng: np.random.Generator) -> None:
    h.register_wh[h.at(rng)] = 0


def single_high(h: History, rng: np.random.Generator) -> None:
    h.register_wh[h.at(rng)] += int(rng.choice([150, 5_000, 20_000, 90_000, 900_000, 50_000_000]))


def low_glitch(h: History, rng: np.random.Generator) -> None:
    k = h.at(rng)
    h.register_wh[k] = max(0, h.register_wh[k] - int(rng.choice([150, 5_000, 90_000, 5_000_000])))


def zero_run(h: History, rng: np.random.Generator) -> None:
    h.register_wh[h.span(rng, 150)] = 0


def high_run(h: History, rng: np.random.Generator) -> None:
    h.register_wh[h.span(rng, 60)] += int(rng.choice([5_000, 90_000, 900_000, 50_000_000]))


def hidden(h: History, k: int, begin: int) -> bool:
    """
    Return whether a register that begins at a value has passed the former one when it is next read,
    by more than an hour's production: readings do not show it.
    """
    before, after = h.register_wh[k - 1 : k + 1].tolist()
    return after - before > 2 * RATED_W and begin <= before < begin + after - before


def reset(h: History, rng: np.random.Generator) -> None:
    """
    Set the register to zero.

    If it is above its former value again at the next reading, readings do not show it.
    """
    if h.event_us:
        return
    k = h.at(rng)
    if not hidden(h, k, 0):
        h.happened(k)
        h.register_wh[k:] -= h.register_wh[k - 1]


def swap(h: History, rng: np.random.Generator) -> None:
    """
    Replace the meter with a used one, without an entry.

    A used meter that stands just above the old one, or passes it before the next reading, cannot be
    detected from readings: it looks as if the plant had worked meanwhile. Serial numbers and
    entered replacements are for this case.
    """
    if h.event_us:
        return
    k = h.at(rng)
    before = int(h.register_wh[k - 1])
    # more than the plant can make in the time that faults of the readings may hide
    days = max(8, int(h.time_us[-1] - h.time_us[0]) * 6 // 5 // DAY_US)
    above = before + days * 24 * RATED_W
    begin = int(rng.integers(above, above + 10_000_000))
    if before > 1_000_000 and rng.random() < 0.5:
        begin = int(rng.integers(0, before))
    if not hidden(h, k, begin):
        h.happened(k)
        h.register_wh[k:] += begin - before


def stand_in(h: History, rng: np.random.Generator) -> None:
    """
    Use a spare meter from zero, then the old one again, which did not advance meanwhile.

    If the spare one ends within an hour's production below the old one, readings do not show it.
    """
    of = h.span(rng, 200)
    before = int(h.register_wh[of.start - 1])
    made = int(h.register_wh[of.stop - 1]) - before
    if h.event_us or 0 <= before - made < 2 * RATED_W:
        return
    h.happened(of.start)
    h.register_wh[of] -= before
    h.register_wh[of.stop :] -= made
    h.event_us = int(h.time_us[of.stop])


def daily(h: History, rng: np.random.Generator) -> None:
    """
    Send a daily counter as the register: from zero at each midnight.

    Read once or twice a day, it does not show what the plant makes in the evening.
    """
    if h.event_us or np.diff(h.time_us).max() >= DAY_US // 2:
        return
    h.happened(0)
    day = (h.time_us + 7 * 3_600_000_000) // 86_400_000_000
    first = np.searchsorted(day, day)
    h.register_wh -= h.register_wh[np.maximum(first - 1, 0)]
    if rng.random() < 0.5:  # and silent by night
        hour = (h.time_us // 3_600_000_000 + 7) % 24
        h.keep((hour >= 5) & (hour < 19))


def candidate_modulus(h: History, rng: np.random.Generator) -> None:
    """Reset the register near a hundred megawatt-hours, as a rollover would."""
    if h.event_us:
        return
    k = h.at(rng)
    h.register_wh[:k] += 99_999_999 - int(rng.integers(0, 13_000_000)) - h.register_wh[k - 1]
    h.register_wh[:k] = np.maximum(h.register_wh[:k], 0)
    h.happened(k)
    h.register_wh[k:] -= h.register_wh[k]


def wrap(h: History, rng: np.random.Generator) -> None:
    if h.event_us:
        return
    value = h.register_wh[h.at(rng)]
    h.happened(int(np.searchsorted(h.register_wh, value)))  # by night it stood there before
    h.register_wh += 100_000_000 - value
    h.register_wh %= 100_000_000


def outage(h: History, rng: np.random.Generator) -> None:
    gone = np.ones(len(h.time_us), dtype=np.bool_)
    gone[h.span(rng, 290, ANY_DAYS)] = False
    h.keep(gone)


def standstill(h: History, rng: np.random.Generator) -> None:
    """Stop the register, and let it catch up."""
    of = h.span(rng, 200, ANY_DAYS)
    h.register_wh[of] = h.register_wh[of.start - 1]


def hang(h: History, rng: np.random.Generator) -> None:
    """Stop the register without ever counting the missing energy."""
    if h.event_us:
        return
    of = h.span(rng, 100)
    h.happened(of.stop)
    lost = h.register_wh[of.stop - 1] - h.register_wh[of.start - 1]
    h.register_wh[of] = h.register_wh[of.start - 1]
    h.register_wh[of.stop :] -= lost


def unit_wrong(h: History, rng: np.random.Generator) -> None:
    of = h.span(rng, 96)
    part = h.register_wh[of]
    h.register_wh[of] = part * 1_000 if rng.random() < 0.5 else part // 1_000


def replayed(h: History, rng: np.random.Generator) -> None:
    """Send earlier readings again with new times."""
    of = h.span(rng, 120)
    back = int(rng.integers(1, 200))
    source = np.maximum(np.arange(of.start, of.stop) - back, 0)
    h.register_wh[of] = h.register_wh[source]


def other_meter(h: History, rng: np.random.Generator) -> None:
    """Send a neighbour's readings with this meter's id."""
    h.register_wh[h.span(rng, 150)] += int(rng.integers(-5_000_000, 5_000_000))
    h.register_wh = np.maximum(h.register_wh, 0)


def clock_off(h: History, rng: np.random.Generator) -> None:
    of = h.span(rng, 60)
    h.time_us[of] += int(rng.choice([-7, -1, 1, 7])) * 3_600_000_000 + 7_000_000


def disorder(h: History, rng: np.random.Generator) -> None:
    """Exchange values between their times."""
    of = h.span(rng, 6)
    h.register_wh[of] = rng.permutation(h.register_wh[of])


def jitter(h: History, rng: np.random.Generator) -> None:
    n = len(h.register_wh) - 6
    h.register_wh[:n] -= np.where(rng.random(n) < 0.1, rng.integers(0, 100, n), 0)
    h.register_wh = np.maximum(h.register_wh, 0)


def over_rating(h: History, rng: np.random.Generator) -> None:
    """Let the register rise at 119 % of the rating, day and night, then return to its value."""
    of = h.span(rng, 96)
    hours = np.maximum(h.time_us[of] - h.time_us[of.start - 1], 0) / 3.6e9
    false = np.floor(hours * RATED_W * 1.19).astype(np.int64)
    h.register_wh[of] = h.register_wh[of.start - 1] + false


def night_generation(h: History, rng: np.random.Generator) -> None:
    """Let the register rise at night within the rating, then return to its value."""
    hour = (h.time_us // 3_600_000_000 + 7) % 24
    night = np.flatnonzero((hour >= 20) | (hour < 4))
    event = int(np.searchsorted(h.time_us, h.event_us))
    night = night[(night < len(hour) - 8) & ((night > event + 6) | (night < event - 24))]
    if not len(night):
        return
    begin = int(rng.choice(night))
    of = slice(begin, min(begin + int(rng.integers(1, 16)), len(hour) - 6))
    h.register_wh[of] += np.arange(1, of.stop - of.start + 1) * int(rng.integers(100, 27_000))


FAULTS: dict[str, Fault] = {
    f.__name__: f
    for f in (
        single_zero, single_high, low_glitch, zero_run, high_run, reset, swap, stand_in, daily,
        candidate_modulus, wrap, outage, standstill, hang, unit_wrong, replayed, other_meter,
        clock_off, disorder, jitter, over_rating, night_generation,
    )
}  # fmt: skip


# what happens to the meter itself; everything else happens to what is read of it, and ends.
# Where a reset hides that a reading was false, nothing tells it from one that was true.
EVENTS = ("reset", "swap", "stand_in", "daily", "candidate_modulus", "wrap", "hang")

# a register that never counts what was made leaves no trace of it; what lasts for hours may hide
# a change of meters, or another fault that lasts: then nothing tells what was made meanwhile
UNTOLD = ("hang",)
LASTING = (
    *EVENTS, "zero_run", "high_run", "outage", "standstill", "unit_wrong", "replayed",
    "other_meter", "clock_off", "over_rating", "night_generation",
)  # fmt: skip
# meters that change more than once hide what was false before, and what was true in an outage
ALONE = ("stand_in", "daily")


def written_down(rng: np.random.Generator) -> History:
    """Return a plant whose register is read by hand, every half day to every week."""
    minutes = int(rng.choice([720, 1440, 2880, 4320, 10_080]))
    made, every = honest(rng, max(40, 30 * minutes // 1440)), minutes // 15
    made.keep(np.arange(len(made.time_us)) % every == rng.integers(0, every))
    made.truth_wh = int(made.register_wh[-1] - made.register_wh[0])
    return made


def history(seed: int, faults: tuple[str, ...], *, rarely: bool = False) -> History:
    """Return the same history for the same seed and faults; `rarely`: read by hand."""
    rng = np.random.default_rng(seed)
    minutes = int(rng.choice([15, 15, 15, 5, 30, 60]))
    days = int(rng.integers(2, 7))
    made = written_down(rng) if rarely else honest(rng, days, minutes)
    made.time_us, made.register_wh = made.time_us.copy(), made.register_wh.copy()
    begin = made.time_us[0]
    for name in sorted(faults, key=lambda name: name not in EVENTS):
        if len(made.time_us) > 20:
            FAULTS[name](made, rng)
    # what is false comes after the first reading and before the last six, whatever its clock says
    last = made.time_us[-6:].min()
    kept = (made.time_us < last) & (np.arange(len(made.time_us)) < len(made.time_us) - 6)
    kept &= made.time_us > begin
    kept[0] = kept[-6:] = True
    made.keep(kept)
    order = np.argsort(made.time_us, kind="stable")
    time_us, first = np.unique(made.time_us[order], return_index=True)
    made.time_us, made.register_wh = time_us, made.register_wh[order][first]
    return made


def allowed(truth_wh: int) -> int:
    """Return the most that may be credited."""
    return int(truth_wh * (1 + CLASS_SHARE)) + CLASS_WH


def owed(truth_wh: int) -> int:
    """Return the least that must be charged."""
    return int(truth_wh * (1 - CLASS_SHARE)) - CLASS_WH


def shows_use(faults: tuple[str, ...]) -> bool:
    """Return whether readings with these faults show the consumption in any way."""
    return not {*faults} & {*UNTOLD} and sum(name in LASTING for name in faults) <= 1


assert NULL < 0
