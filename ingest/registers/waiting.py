"""A line that waits beside the mark: begun, confirmed by readings that agree, or dropped."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.model import NULL
from ingest.registers.lines import (
    ASTRAY,
    CONFIRM_LINE,
    CONFIRM_RISE,
    LINE_GAP_US,
    LOST,
    Mark,
    Other,
    Trail,
)
from ingest.registers.meter import IMPOSSIBLE, KNOWN, RESET, UNKNOWN, Step
from ingest.registers.steps import Steps


@dataclass(slots=True)
class Waiting(Steps):
    """A register of which another line may be waiting."""

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

    def _agree(self, line: Other, time_us: int, value: int) -> bool:
        """Take a reading of the waiting line; return whether enough of them agree."""
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
        return line.count >= CONFIRM_RISE or (
            line.count in (-CONFIRM_LINE, ASTRAY - CONFIRM_LINE)
            and line.value - line.first > self.meter.tolerance
        )

    def _settle(self, mark: Mark, line: Other, time_us: int) -> None:
        """Let the waiting line be the register's; its steps count."""
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
