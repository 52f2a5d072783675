"""Second sequence of a register's readings: started, confirmed by further ones, or discarded."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.model import LOOK_BACK_US, NULL
from ingest.registers.lines import (
    ASTRAY,
    AT_ONCE_US,
    CONFIRM_LINE,
    CONFIRM_LOST,
    DAILY_US,
    FEW,
    IMPOSSIBLE,
    INF,
    KNOWN,
    LINE_GAP_US,
    LOST,
    LOST_US,
    RESET,
    RETIRED_US,
    SENT_US,
    SPARSE_GAP_US,
    STANDS_US,
    UNKNOWN,
    Mark,
    Other,
    Step,
    Trail,
    fell,
)
from ingest.registers.steps import Steps


@dataclass(slots=True)
class Waiting(Steps):
    """Register with a second sequence that may await confirmation."""

    def _challenge(self, mark: Mark, time_us: int, value: int, *, explicable: bool = True) -> None:
        """Start a waiting sequence; its time is unknown until further readings confirm it."""
        rise = value - mark.value
        explained = 0 < rise <= self.meter.largest_step(mark.changed_us, time_us)
        astray = self._astray(mark, time_us, value)
        explained &= explicable and not astray
        if not explained:
            self.events.append(IMPOSSIBLE if rise > 0 else RESET)
        reset = value <= self.meter.allowance(time_us - self._seen_us())
        lost = self._again_read(mark, value) or not (rise > 0 or reset)
        count = 1 if explained else LOST if lost else -1
        if astray and count == -1:
            count += ASTRAY
        at = len(self.steps)
        self.steps.append(Step(mark.read_us, time_us, 0, UNKNOWN))
        stands = Mark(value, time_us, time_us)
        self.waits = Other(value, time_us, count, value, at, [], stands, time_us)

    def _astray(self, mark: Mark, time_us: int, value: int) -> bool:
        """Return whether a reading may belong to a former sequence or be an outlier."""
        if self.waits is not None:
            return self.waits.count < ASTRAY
        return any(
            other.value > mark.value
            and (
                value >= other.value - self.meter.tolerance
                or not (time_us - other.first > STANDS_US and mark.value < value)
            )
            for other in self.left
        )

    def _again_read(self, mark: Mark, value: int) -> bool:
        """Return whether a rise may repeat earlier readings of a former sequence."""
        if value <= mark.value:
            return False
        if self.waits is not None:
            return self.waits.count <= LOST
        return any(value < other.value - self.meter.tolerance for other in self.left)

    def _drop(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """
        Discard a waiting sequence; the old one has its time, and the old one's steps become
        uncertain.
        """
        self._doubt_line(mark, line, time_us, value)
        self.dropped_us.append(line.begin_us)
        if line.steps_at == NULL:
            self._rewrite(mark.read_us)
        else:
            self._take_back(line.steps_at)
        self.waits = None

    def _doubt_line(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """
        Add the uncertain amounts of a discarded sequence, and the time at both its ends, to
        `doubt_us`.

        A sequence that began near zero and has more than a few readings may be genuine: then its
        last value counts, up to what the register can have risen since.
        """
        if line.count > 0:
            # the rise may have been correct, if the register was reset or the meter replaced later,
            # which is not done between readings that a gateway sends in one minute
            if time_us - line.read_us > SENT_US:
                self._doubt(line.value - mark.value)
                self.doubt_us += time_us - line.read_us
            return
        made = line.value - line.first
        if line.first < mark.value and self.meter.rate < INF:
            began = 0 if line.count > LOST else line.first
            if mark.value < value <= line.value + self.meter.largest_step(line.read_us, time_us):
                made = mark.value - began
            elif len(line.line) >= FEW:
                made = line.value - began
        if made > self.meter.tolerance:
            self._doubt(made)
            self.doubt_us += line.begin_us - mark.read_us + time_us - line.read_us

    def _agrees(self, mark: Mark, line: Other, time_us: int, value: int) -> bool:
        elapsed = time_us - line.read_us
        if line.count > 0 or self._apart(mark, time_us, value):
            at_once = self.meter.allowance(elapsed)
        else:
            at_once = self.meter.at_once(elapsed)
        return value - line.value <= at_once and not fell(self.meter.tolerance, line.value, value)

    def _apart(self, mark: Mark, time_us: int, value: int) -> bool:
        """Return whether a reading cannot continue the mark's sequence, even after a standstill."""
        rise = value - mark.value
        return (
            not -self.meter.tolerance <= rise <= self.meter.largest_step(mark.changed_us, time_us)
        )

    def _agree(self, mark: Mark, line: Other, time_us: int, value: int) -> bool:
        """Add a reading to the waiting sequence; return whether enough readings agree."""
        risen = max(value - line.value, 0)
        self.steps.append(Step(line.read_us, time_us, 0, UNKNOWN))
        if risen and line.mark is not None:
            stood = Trail(line.value, line.read_us, line.mark.changed_us, len(line.line))
            line.trail.append(stood)
        counted = min(risen, max(line.value + risen - line.ceiling, 0))
        kind = KNOWN if counted == risen else UNKNOWN
        line.line.append(Step(line.read_us, time_us, counted, kind))
        first, last = _counts(line.count)
        gap_us = SPARSE_GAP_US if self._apart(mark, time_us, value) else LINE_GAP_US
        near = time_us - line.read_us <= gap_us
        line.count = max(line.count - 1, last) if near else first
        line.read_us = time_us
        if risen:
            line.value += risen
            if line.mark is not None:
                line.mark.changed_us = time_us
        return (
            line.count == last
            and line.value - line.first > self.meter.tolerance
            and (first != LOST or time_us - mark.read_us >= LOST_US)
            and not self._lower(line, time_us)
            and not self._repeats(mark, line)
        )

    def _repeats(self, mark: Mark, line: Other) -> bool:
        """
        Return whether all values of a waiting sequence occurred in the week before.

        Such readings may have been sent again.  A daily counter may repeat values as well.
        """
        since_us = line.begin_us - LOOK_BACK_US
        if self.begin_us is not None and self.begin_us >= since_us:
            self._rewrite(since_us)
        before = {mark.value, *(t.value for t in self.trail if t.read_us >= since_us)}
        values = (line.value, *(t.value for t in line.trail))
        return line.stands_us != DAILY_US and before.issuperset(values)

    def _lower(self, line: Other, time_us: int) -> bool:
        """Return whether a higher sequence that waited before may still be continuing."""
        return (
            line.value < line.ceiling <= line.first + self.meter.at_once(AT_ONCE_US)
            and time_us - line.begin_us < STANDS_US
        )

    def _settle(self, mark: Mark, line: Other, time_us: int) -> None:
        """Accept the waiting sequence as the register's own, and count its steps."""
        if line.steps_at == NULL or line.mark is None:
            self._rewrite(mark.read_us)
            self.mark, self.waits = Mark(line.value, line.read_us, line.read_us), None
            return
        old = mark.copy()
        self._take_back(line.steps_at)
        at, replaced = line.steps_at, list[Step]()
        rise = line.first - mark.value
        if line.count > 0:
            twice = self._counted_twice(line, rise)
            at, replaced = self._catch_up(mark, line.begin_us, line.first, rise - twice)
            self._doubt(twice)
        else:
            self.steps.append(Step(mark.read_us, line.begin_us, 0, KNOWN))
            self.doubt_us = line.begin_us - mark.read_us
            if line.stands_us == DAILY_US:
                self.passed.clear()
                # a solar meter does not advance at night
                self.doubt_us = self.meter.runs_us(mark.read_us, line.begin_us)
            if 0 < rise <= self.meter.allowance(LOOK_BACK_US):
                # the reading may be another meter's, delayed, or temporarily too low
                self.doubt_us = max(self.doubt_us, self.meter.takes_us(rise))
        first, were = self._doubted(line.begin_us - LOOK_BACK_US)
        if first < at:
            at, replaced = first, were[: at - first] + replaced
        base = len(self.steps)
        self.trail += [t._replace(steps=t.steps + base) for t in line.trail]
        self.steps += line.line
        self.mark = Mark(line.value, line.read_us, line.mark.changed_us)
        self.waits = None
        possible = line.value - line.first <= self.meter.largest_step(line.begin_us, time_us)
        since_us = time_us - (STANDS_US - line.stands_us if possible else 0)
        ended = Other(old.value, old.read_us, 0, since_us, at, replaced, old)
        ended.stands_us = line.stands_us
        self._leave(ended, old.read_us)

    def _counted_twice(self, line: Other, rise: int) -> int:
        """
        Return the part of a rise that the steps since a former sequence contain already, if the
        register may have returned to that sequence. [base units]

        A sequence that begins below a former one and rises past it may be another register, or may
        contain false readings.  A return then repeats the amount by which it had begun below.
        """
        most = 0
        for other in (*self.left, *self.passed):
            retired = line.begin_us - other.first > RETIRED_US
            if retired or other.stands_us == DAILY_US or line.first < other.value:
                continue
            if other.steps_at == NULL:
                self._rewrite(other.read_us - LOOK_BACK_US)
                continue
            made = sum(step.value for step in self.steps[other.steps_at :])
            returned = sum(step.value for step in other.line) + line.first - other.value
            most = max(most, made + rise - returned)
        return min(most, rise)

    def _again(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """
        Replace the waiting sequence by a new one, as the reading continues neither it nor the
        register's own.
        """
        at = line.steps_at
        read_us = line.read_us
        self._doubt_line(mark, line, time_us, value)
        # three values that rise faster than the device can are no catch-up after a standstill
        races = mark.value < line.value < value
        self._challenge(mark, time_us, value, explicable=not races)
        del self.steps[-1]
        self.steps.append(Step(read_us, time_us, 0, UNKNOWN))
        assert self.waits is not None  # noqa: S101 (_challenge set it)
        self.waits.steps_at = at
        if self.waits.count < 0 and value < line.value:
            self.waits.ceiling = max(line.value, line.ceiling)


def _counts(count: int) -> tuple[int, int]:
    """
    Return the `count` of a sequence's first reading, and the `count` that confirms the
    sequence.
    """
    if count <= LOST:
        return LOST, LOST - CONFIRM_LOST
    base = ASTRAY if count < ASTRAY else 0
    return base - 1, base - CONFIRM_LINE
