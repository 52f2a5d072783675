"""
Energy between readings of a cumulative register (metering, version 2).

No evidence, no energy: a step counts where readings carry it, and the smaller of two
stories holds until readings decide.  What each case is worth stands in `WORTH`; what an
unknown step costs depends on the side of the account, and mrv/accounting/coverage knows it.

A register stands on a line: its mark.  Readings that leave it make another line, which
waits (`Other`, count other than 0): its time is unknown until it is confirmed, and a return
takes it back.  The line that was left is remembered (count 0): a return to it outranks the
settlement, and takes back what was counted meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ingest.model import INTERVAL_US, LOOK_BACK_US, NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ingest.model import Int64, Replacement

HOUR_US = 3_600_000_000
# a rise is believed at once up to what the device makes in this time
AT_ONCE_US = HOUR_US
# readings farther apart than this are no run that could settle a new line
LINE_GAP_US = 2 * HOUR_US
# a catch-up is spread over the standstill, but over a day at the most
SPREAD_US = 86_400_000_000
# how long the line that was left is remembered after the new one settled
RETIRED_US = 31 * 86_400_000_000
CONFIRM_RISE, CONFIRM_LINE = 3, 4
# the count of a line that no number of readings settles: a fall to neither zero nor the past
LOST = -99
# added to the count of a line that began below one that was left: no large rise from it is
# explained by the time that passed
ASTRAY = -10
# inverters may run at 110 % of their rated power; a class's own highest rate has 20 % of room
MARGIN_RATED, MARGIN = 1.1, 1.2

INF = float("inf")
KNOWN, UNKNOWN = 0, 1
# what a register may do besides rising
EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")
JITTER, CATCH_UP, ROLLOVER, GLITCH, RESET, IMPOSSIBLE, REPLACEMENT = EVENTS

# what a step is worth, and why; the tests hold the reader to each line
WORTH = (
    ("rise within an hour's most", "the rise", "later readings that contradict it revoke it"),
    ("fall within the tolerance", "0", "jitter; the highest value stays the mark"),
    (
        "larger rise that the time since the last rise allows",
        "unknown, then the rise",
        "a single high reading looks the same until two more agree",
    ),
    (
        "fall to where it stood within the week before",
        "what it rose by since then",
        "the readings above were too high, and nobody can say by whose fault",
    ),
    ("wrap at the model's own modulus, within the limit", "the step across", "its data sheet"),
    (
        "wrap at a candidate modulus",
        "unknown",
        "a reset near it looks the same; a person enters the replacement",
    ),
    (
        "fall to about zero",
        "unknown; what comes after it once it rose over four readings without a gap",
        "a dead meter shows zeros too, and they do not rise",
    ),
    (
        "fall to any other value",
        "unknown until it is back, or the replacement is entered",
        "no reset ends there, and what was counted once is not counted again",
    ),
    (
        "rise beyond the limit",
        "unknown; what comes after it once it rose over four readings without a gap",
        "another unit or another meter",
    ),
    (
        "return to a line that was left",
        "what it rose by since it was left",
        "it outranks what was settled meanwhile",
    ),
    ("meter swap in the registry", "old one to its last value, new one from its first", "a person"),
    ("any step of a device without its rated power", "unknown", "nothing bounds it"),
)


class Step(NamedTuple):
    """A step of `value` base units over [from_us, to_us); 0 where `kind` is UNKNOWN."""

    from_us: int
    to_us: int
    value: int
    kind: int


@dataclass(frozen=True, slots=True)
class Meter:
    """
    What bounds one register.

    Attributes
    ----------
    rate : float
        Highest plausible base units a microsecond, margin included; inf where
        no bound is known.
    tolerance : int
        A step back this small is jitter. [base units]
    moduli : tuple of int
        Values at which the register may wrap to zero, ascending.
    exact : bool
        The first modulus is this model's own, not a candidate.
    replacements : tuple of Replacement
        Meter swaps, in time order.
    lit_us : callable, optional
        Time with light between two times, where the sun makes what is counted. [us]
    """

    rate: float = INF
    tolerance: int = 0
    moduli: tuple[int, ...] = ()
    exact: bool = False
    replacements: tuple[Replacement, ...] = ()
    lit_us: Callable[[int, int], int] | None = None

    def allowance(self, elapsed_us: int) -> float:
        """Largest step that the meter could make in a time. [base units]"""
        if self.rate == INF:
            return INF
        return self.tolerance + self.rate * elapsed_us

    def most(self, from_us: int, to_us: int) -> float:
        """Largest step that the meter could make between two times. [base units]"""
        lit_us = to_us - from_us if self.lit_us is None else self.lit_us(from_us, to_us)
        return self.allowance(lit_us)

    def at_once(self, elapsed_us: int) -> float:
        """Largest step that is believed without another reading. [base units]"""
        return self.allowance(min(elapsed_us, AT_ONCE_US))


@dataclass(slots=True)
class Mark:
    """Where a register stands: its highest value, when last read, when last risen."""

    value: int
    read_us: int
    changed_us: int

    def copy(self) -> Mark:
        """Return one that may be changed by itself."""
        return Mark(self.value, self.read_us, self.changed_us)


class Trail(NamedTuple):
    """Where the register stood before a rise: the steps up to there, and those spread since."""

    value: int
    read_us: int
    changed_us: int
    steps: int
    replaced: tuple[Step, ...] = ()


@dataclass(slots=True)
class Other:
    """
    A line beside the mark's: one that waits for readings, or the one that was left.

    Attributes
    ----------
    value, read_us : int
        Where it stands, and when that was read.
    count : int
        Readings that agree: above 0 for a rise that the time explains, below 0 for a
        line that nothing explains; 0 for the line that was left.
    first : int
        Its first value; of a line that was left, when it was settled that it was. [us]
    steps_at : int
        Steps there were before it; NULL where it was remembered from before.
    line : list of Step
        Steps on it; of a line that was left, those taken back when it was.
    mark : Mark or None
        The mark of the line that was left, or where the waiting line began and stands.
    ceiling : int
        Where a line stood that waited before; up to there this one's rise is no rise.
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


@dataclass(slots=True)
class Reader:
    """
    Reads one register in time order; the exact, one-at-a-time form.

    `rewrites_us` tells from when steps before the first mark would change: what else
    is found then is void.  `spread_from_us` is the earliest moment at which a step was
    taken back or spread.
    """

    meter: Meter
    mark: Mark | None = None
    other: Other | None = None
    steps: list[Step] = field(default_factory=list)
    marks: list[tuple[int, ...]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    rewrites_us: int | None = None
    spread_from_us: int | None = None
    next_swap: int = 0
    trail: list[Trail] = field(default_factory=list)
    begin_us: int | None = None
    behind: Other | None = None

    def __post_init__(self) -> None:
        """Remember from where on it is known what came before."""
        self.begin_us = None if self.mark is None else self.mark.read_us

    def read(self, time_us: int, value: int) -> None:
        """Take one reading, later than all before, and note where the register stands."""
        self._swap_before(time_us)
        if self.mark is None:
            self.mark = Mark(value, time_us, time_us)
        elif self.other is not None and self.other.count != 0:
            self._challenged(self.mark, self.other, time_us, value)
        else:
            self._on_line(self.mark, time_us, value)
        mark, other = self.mark, self.other
        beside = (
            (NULL, NULL, NULL, NULL)
            if other is None
            else (other.value, other.read_us, other.count, other.first)
        )
        self.marks.append((mark.value, mark.read_us, mark.changed_us, *beside))

    def _on_line(self, mark: Mark, time_us: int, value: int) -> None:
        left = self.other
        if left is not None and time_us - left.first > RETIRED_US:
            left = self.other = None
        if left is not None and self._is_back(mark, left, time_us, value):
            self._return(left, time_us, value)
        elif not self._follow(mark, time_us, value):
            if value < mark.value - self.meter.tolerance:
                self._fall(mark, time_us, value)
            else:
                self._challenge(mark, time_us, value)

    def _rises(self, mark: Mark, time_us: int, value: int) -> bool:
        """Take a rise that its own time explains, or jitter."""
        rise = value - mark.value
        if not -self.meter.tolerance <= rise <= self.meter.at_once(time_us - mark.read_us):
            return False
        if rise < 0:
            self.events.append(JITTER)
        self._step(mark, mark.read_us, time_us, max(rise, 0), max(value, mark.value))
        return True

    def _follow(self, mark: Mark, time_us: int, value: int) -> bool:
        """Take a reading that needs no other one to be believed."""
        if self._rises(mark, time_us, value):
            return True
        rise = value - mark.value
        if 0 < rise <= self.meter.at_once(time_us - mark.changed_us):
            self._catch_up(mark, time_us, value, rise)
            return True
        return False

    def _step(self, mark: Mark, from_us: int, time_us: int, rise: int, value: int) -> None:
        if value != mark.value:
            self.trail.append(Trail(mark.value, mark.read_us, mark.changed_us, len(self.steps)))
            mark.value, mark.changed_us = value, time_us
        self.steps.append(Step(from_us, time_us, rise, KNOWN))
        mark.read_us = time_us

    def _catch_up(self, mark: Mark, time_us: int, value: int, rise: int) -> list[Step]:
        """Spread a rise over the standstill in which it was made; return the steps it replaces."""
        self.events.append(CATCH_UP)
        earliest = max(mark.changed_us, time_us - SPREAD_US)
        kept = len(self.steps)
        while kept > 0 and self.steps[kept - 1].from_us >= earliest:
            kept -= 1
        from_us = self.steps[kept].from_us if kept < len(self.steps) else mark.read_us
        if kept == 0 and from_us > earliest and not _one_interval(earliest, time_us):
            self._rewrite(earliest)
        replaced = self.steps[kept:]
        del self.steps[kept:]
        stood = Trail(mark.value, mark.read_us, mark.changed_us, kept, tuple(replaced))
        self.trail.append(stood)
        self._keep_left(kept, replaced)
        self._change(from_us)
        mark.value, mark.read_us, mark.changed_us = value, time_us, time_us
        self.steps.append(Step(from_us, time_us, rise, KNOWN))
        return replaced

    def _keep_left(self, kept: int, replaced: list[Step]) -> None:
        """A return to the line that was left brings back what of it was spread since."""
        for left in (self.other, self.behind):
            if left is not None and left.count == 0 and left.steps_at > kept:
                left.line = replaced[: left.steps_at - kept] + left.line
                left.steps_at = kept

    def _change(self, from_us: int) -> None:
        """Note from when steps are other than they were."""
        self.spread_from_us = min(from_us, self.spread_from_us or from_us)

    def _take_back(self, kept: int) -> list[Step]:
        """Take steps back and return them."""
        taken = self.steps[kept:]
        if taken:
            self._change(taken[0].from_us)
            del self.steps[kept:]
        return taken

    def _rewrite(self, from_us: int) -> None:
        self.rewrites_us = from_us if self.rewrites_us is None else min(from_us, self.rewrites_us)

    def _fall(self, mark: Mark, time_us: int, value: int) -> None:
        """A fall that is no jitter: a wrap, readings before it that were too high, or a reset."""
        wrapped = wrap(self.meter, mark.value, value, time_us - mark.changed_us)
        if wrapped is not None:
            self.events.append(ROLLOVER)
            self._leave(mark.copy(), time_us, [])
            self._step(mark, mark.read_us, time_us, wrapped, value)
            self.trail.clear()
            return
        before = self._stood_before(mark, time_us, value)
        if before is None:
            self._challenge(mark, time_us, value)
            return
        self.events.append(GLITCH)
        high = mark.copy()
        taken = self._take_back(before.steps)
        self.trail = [t for t in self.trail if t.steps < before.steps]
        left = self.other
        if left is None or left.value <= high.value or before.steps < left.steps_at:
            self._leave(high, time_us, taken)
        self.steps += before.replaced
        self.mark = Mark(before.value, before.read_us, before.changed_us)
        if not self._follow(self.mark, time_us, value):
            # it could have risen so far, and nothing confirms it yet
            self._challenge(self.mark, time_us, value)

    def _stood_before(self, mark: Mark, time_us: int, value: int) -> Trail | None:
        """Latest place of the week before the mark from which the register could be here."""
        since = mark.read_us - LOOK_BACK_US
        for at in reversed(self.trail):
            if at.read_us < since:
                return None
            rise = value - at.value
            if -self.meter.tolerance <= rise <= self.meter.allowance(time_us - at.changed_us):
                return at
        if self.begin_us is not None and self.begin_us >= since:
            self._rewrite(since)
        return None

    def _leave(self, mark: Mark, time_us: int, taken: list[Step]) -> None:
        """Remember the line that is left, and the steps that a return to it brings back."""
        self.other = Other(mark.value, mark.read_us, 0, time_us, len(self.steps), taken, mark)

    def _is_back(self, mark: Mark, left: Other, time_us: int, value: int) -> bool:
        rise, tolerance = value - left.value, self.meter.tolerance
        if not -tolerance <= rise <= self.meter.allowance(time_us - left.read_us):
            return False
        if left.value > mark.value:
            return True
        return value < mark.value - tolerance

    def _return(self, left: Other, time_us: int, value: int) -> None:
        self.events.append(GLITCH)
        self.other = None
        if left.mark is None:
            self._rewrite(left.read_us - LOOK_BACK_US)
            self.mark = Mark(left.value, left.read_us, left.read_us)
        else:
            self._take_back(left.steps_at)
            self.steps += left.line
            self.mark = left.mark
        self.trail = [t for t in self.trail if t.steps < left.steps_at]
        if not self._follow(self.mark, time_us, value):
            # what it made meanwhile is as likely another meter's
            self._challenge(self.mark, time_us, value, explicable=False)

    def _challenge(self, mark: Mark, time_us: int, value: int, *, explicable: bool = True) -> None:
        """Begin a line that waits: its time is unknown until readings confirm it."""
        rise = value - mark.value
        explained = 0 < rise <= self.meter.most(mark.changed_us, time_us)
        astray = self._astray(mark)
        explained &= explicable and not astray
        if not explained:
            self.events.append(IMPOSSIBLE if rise > 0 else RESET)
        reset = value <= self.meter.allowance(time_us - self._seen_us())
        count = 1 if explained else -1 if rise > 0 or reset else LOST
        if astray and count == -1:
            count += ASTRAY
        at = len(self.steps)
        self.steps.append(Step(mark.read_us, time_us, 0, UNKNOWN))
        stands = Mark(value, time_us, time_us)
        if self.other is not None and self.other.count == 0:
            self.behind = self.other
        self.other = Other(value, time_us, count, value, at, [], stands, time_us)

    def _astray(self, mark: Mark) -> bool:
        """Below a line that was left, or on one that leads nowhere: no large rise is explained."""
        other = self.other
        if other is None:
            return False
        return other.count < ASTRAY or (other.count == 0 and other.value > mark.value)

    def _challenged(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """Take a reading while another line waits."""
        rise = value - mark.value
        if -self.meter.tolerance <= rise <= self.meter.at_once(time_us - mark.changed_us):
            self.events.append(GLITCH)
            self._drop(mark, line)
            self._follow(mark, time_us, value)
        elif self._agrees(line, time_us, value):
            self._agree(mark, line, time_us, value)
        elif value < mark.value - self.meter.tolerance and (
            line.first > mark.value or value > line.value
        ):
            # the line that waited was none, and the register is lower than its own
            self._drop(mark, line)
            self._on_line(mark, time_us, value)
        else:
            self._again(mark, line, time_us, value)

    def _drop(self, mark: Mark, line: Other) -> None:
        """Take a waiting line back; its time is the old line's again."""
        if line.steps_at == NULL:
            self._rewrite(mark.read_us)
        else:
            self._take_back(line.steps_at)
        self.other, self.behind = self.behind, None

    def _agrees(self, line: Other, time_us: int, value: int) -> bool:
        elapsed = time_us - line.read_us
        most = self.meter.allowance(elapsed) if line.count > 0 else self.meter.at_once(elapsed)
        return -self.meter.tolerance <= value - line.value <= most

    def _agree(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        risen = max(value - line.value, 0)
        self.steps.append(Step(line.read_us, time_us, 0, UNKNOWN))
        if risen and line.mark is not None:
            stood = Trail(line.value, line.read_us, line.mark.changed_us, len(line.line))
            line.trail.append(stood)
        counted = min(risen, max(line.value + risen - line.ceiling, 0))
        line.line.append(Step(line.read_us, time_us, counted, KNOWN))
        if line.count > 0:
            line.count += 1
        elif line.count != LOST:
            near = time_us - line.read_us <= LINE_GAP_US
            base = ASTRAY if line.count < ASTRAY else 0
            line.count = max(line.count - 1, base - CONFIRM_LINE) if near else base - 1
        line.read_us = time_us
        if risen:
            line.value += risen
            if line.mark is not None:
                line.mark.changed_us = time_us
        if line.count >= CONFIRM_RISE or (
            line.count in (-CONFIRM_LINE, ASTRAY - CONFIRM_LINE)
            and line.value - line.first > self.meter.tolerance
        ):
            self._settle(mark, line, time_us)

    def _settle(self, mark: Mark, line: Other, time_us: int) -> None:
        """Enough readings agree: the waiting line is the register's, and its steps count."""
        if line.steps_at == NULL or line.mark is None:
            self._rewrite(mark.read_us)
            self.mark, self.other = Mark(line.value, line.read_us, line.read_us), None
            return
        old = mark.copy()
        self._take_back(line.steps_at)
        at, replaced = line.steps_at, []
        if line.count > 0:
            replaced = self._catch_up(mark, line.begin_us, line.first, line.first - mark.value)
            at = len(self.steps) - 1
        else:
            self.steps.append(Step(mark.read_us, line.begin_us, 0, UNKNOWN))
        base = len(self.steps)
        self.trail += [t._replace(steps=t.steps + base) for t in line.trail]
        self.steps += line.line
        self.mark = Mark(line.value, time_us, line.mark.changed_us)
        behind, self.behind = self.behind, None
        self.other = Other(old.value, old.read_us, 0, time_us, at, replaced, old)
        if behind is not None and behind.value > old.value:
            self.other = behind

    def _again(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """Neither line: a third one waits instead."""
        at = line.steps_at
        read_us = line.read_us
        # what rises faster than it can from reading to reading did not stand still meanwhile
        races = mark.value < line.value < value
        self._challenge(mark, time_us, value, explicable=not races)
        del self.steps[-1]
        self.steps.append(Step(read_us, time_us, 0, UNKNOWN))
        assert self.other is not None  # noqa: S101 (_challenge set it)
        self.other.steps_at = at
        if self.other.count < 0 and value < line.value:
            self.other.ceiling = max(line.value, line.ceiling)

    def _swap_before(self, time_us: int) -> None:
        """Close the old meter and open the new one, for each swap up to this reading."""
        swaps = self.meter.replacements
        while self.next_swap < len(swaps) and swaps[self.next_swap].at_us <= time_us:
            swap = swaps[self.next_swap]
            self.next_swap += 1
            if self.mark is None or swap.at_us <= self._seen_us():
                continue
            mark, line = self.mark, self.other
            rise = swap.last - mark.value
            known = 0 <= rise <= self.meter.allowance(swap.at_us - mark.changed_us)
            from_us = mark.read_us
            if line is not None and line.count != 0:
                if known:
                    self._drop(mark, line)
                else:
                    from_us = line.read_us
            self.steps.append(
                Step(from_us, swap.at_us, rise if known else 0, KNOWN if known else UNKNOWN)
            )
            self.events.append(REPLACEMENT)
            self.other = self.behind = None
            self.trail.clear()
            self.mark = Mark(swap.first, swap.at_us, swap.at_us)

    def _seen_us(self) -> int:
        """Time of the last reading, on whichever line."""
        assert self.mark is not None  # noqa: S101 (callers ask after the first reading)
        if self.other is not None and self.other.count != 0:
            return max(self.mark.read_us, self.other.read_us)
        return self.mark.read_us


def _one_interval(from_us: int, to_us: int) -> bool:
    """
    Whether a standstill and the rise that ends it lie in one interval.

    Then it is all one how the rise is spread: the interval's sum and what was measured of
    it are the same, and nothing that is stored has to be made again.  Meters that count
    whole kilowatt-hours and are read every few seconds catch up with each of them.
    """
    return from_us // INTERVAL_US == (to_us - 1) // INTERVAL_US


def wrap(meter: Meter, before: int, after: int, elapsed_us: int) -> int | None:
    """
    Step across a wrap to zero, or None where it is not certain that there was one.

    Only a model's own modulus tells, and a step that the rated power allows; a
    candidate modulus is as near to a reset as to a wrap.
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
    Mark steps that need no judgement: a rise within what is believed at once.

    Same comparison as `Reader` makes for a register without jitter, on columns.

    Parameters
    ----------
    rate : float64 array, n
        Highest plausible base units a microsecond, margin included.
    tolerance : int
    elapsed_us, rise : int64 array, n
    """
    with np.errstate(invalid="ignore", over="ignore"):
        allowance = tolerance + rate * np.minimum(elapsed_us, AT_ONCE_US)
    return (rise >= 0) & (rise <= allowance)


def rates(limits: Sequence[float | None], margin: float) -> np.ndarray:
    """
    Highest plausible base units a microsecond, margin included, from limits an hour.

    The margin leaves room for devices that may run above their rating for a while;
    an impossible step is far outside it.
    """
    hourly = np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)
    return hourly * margin / 3.6e9
