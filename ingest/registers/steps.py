"""Steps of one register as they are taken, spread over a standstill and taken back."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.model import INTERVAL_US
from ingest.registers.lines import SPREAD_US, Mark, Other, Trail
from ingest.registers.meter import CATCH_UP, JITTER, KNOWN, Meter, Step


@dataclass(slots=True)
class Steps:
    """
    Where a register stands, and the steps up to there.

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
