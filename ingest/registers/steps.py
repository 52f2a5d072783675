"""Steps of one register: recorded, spread over a standstill, or withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

from ingest.model import INTERVAL_US, LOOK_BACK_US
from ingest.registers.lines import (
    AT_ONCE_US,
    CATCH_UP,
    DAILY_US,
    FORMER,
    INF,
    JITTER,
    KNOWN,
    RETIRED_US,
    SENT_US,
    SPARSE_GAP_US,
    SPREAD_US,
    STANDS_US,
    UNKNOWN,
    Mark,
    Meter,
    Other,
    Step,
    Trail,
    fell,
)


@dataclass(slots=True)
class Steps:
    """
    State of a register, and its steps so far.

    `left`, `passed`: former sequences to which the register may return, and those that it has risen
    past since.
    `rewrites_us`: time from which steps before the first mark would change; if set, the other
    results are invalid.
    `spread_from_us`: earliest time of a withdrawn or distributed step.
    `doubt_us`: part of the next step's time that stays unknown, since a former sequence may have
    been the correct one.
    `dropped_us`: starts of sequences that were discarded before they were confirmed.
    """

    meter: Meter
    mark: Mark | None = None
    waits: Other | None = None
    left: list[Other] = field(default_factory=list)
    passed: list[Other] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    marks: list[tuple[int, ...]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    rewrites_us: int | None = None
    spread_from_us: int | None = None
    next_swap: int = 0
    trail: list[Trail] = field(default_factory=list)
    begin_us: int | None = None
    doubt_us: float = 0
    dropped_us: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.begin_us = None if self.mark is None else self.mark.read_us

    def _rises(self, mark: Mark, time_us: int, value: int) -> bool:
        """
        Add a rise that is possible in the elapsed time, or a step of jitter; return whether the
        reading was one of the two.
        """
        rise = value - mark.value
        at_once = self.meter.at_once(time_us - mark.read_us)
        if rise > at_once or fell(self.meter.tolerance, mark.value, value):
            return False
        if rise < 0:
            self.events.append(JITTER)
        self._step(mark, mark.read_us, time_us, max(rise, 0), max(value, mark.value))
        return True

    def _follow(self, mark: Mark, time_us: int, value: int) -> bool:
        """Add a reading that needs no confirmation; return whether it was added."""
        since_us = mark.changed_us
        if not self._rises(mark, time_us, value):
            rise = value - mark.value
            if 0 < rise <= self.meter.at_once(time_us - since_us):
                self._catch_up(mark, time_us, value, rise)
            elif not self._sent_late(mark, time_us, value):
                return False
        if self.doubt_us:
            self._doubted(since_us)
        return True

    def _sent_late(self, mark: Mark, time_us: int, value: int) -> bool:
        """
        Count a reading that was sent late as of the data gap before it, if the meter can have
        counted its rise in the gap; return whether it did.

        A gateway without a clock stamps buffered readings when it sends them, within moments of
        each other and of a live reading.  They rise faster than the meter can, but by at most its
        maximum in the gap.  If they are in another order, the highest one counts.
        """
        if time_us - mark.read_us > SENT_US:
            return False
        at = len(self.steps) - 1
        while at >= 0 and time_us - self.steps[at].from_us <= INTERVAL_US:
            at -= 1
        if at < 0:
            if self.begin_us is not None:
                self._rewrite(mark.read_us - LOOK_BACK_US)
            return False
        gap, sent = self.steps[at], self.steps[at:]
        made, last = sum(step.value for step in sent), max(value, mark.value)
        rise = made + last - mark.value
        known = all(step.kind == KNOWN for step in sent)
        known &= sent[-1].to_us == mark.read_us and not any(o.steps_at > at for o in self.left)
        if (
            not known
            or gap.to_us - gap.from_us <= AT_ONCE_US
            or value < mark.value - made
            or rise > self.meter.largest_step(gap.from_us, time_us)
        ):
            return False
        self.trail = [state for state in self.trail if state.steps <= at]
        self.steps[at:] = [Step(gap.from_us, time_us, rise, KNOWN)]
        self._change(gap.from_us)
        if last > mark.value:
            mark.value, mark.changed_us = last, time_us
        mark.read_us = time_us
        return True

    def _doubt(self, amount: float) -> None:
        """
        Add the time of an uncertain amount to the unknown time of the next step.

        The amount may have been counted twice or not at all.  No credit is given for it: its time
        at rated power becomes unknown, and the project side is charged for that time.

        `amount`: [base units]
        """
        if amount > self.meter.tolerance:
            self.doubt_us += self.meter.takes_us(amount)

    def _doubted(self, since_us: int) -> tuple[int, list[Step]]:
        """
        Set the end of the steps, for a time of `doubt_us`, to unknown.

        `since_us`: steps before this time do not change.

        Returns `at`, `were`: index of the first changed step, and the former steps from there on.
        """
        doubt_us, self.doubt_us = self.doubt_us, 0
        if doubt_us == INF:
            since_us = max(since_us, self.steps[-1].from_us)
        at, after = len(self.steps), list[Step]()
        while doubt_us > 0 and at > 0 and self.steps[at - 1].to_us > since_us:
            at -= 1
            from_us, to_us, value, kind = self.steps[at]
            if kind == KNOWN and doubt_us < to_us - from_us:
                parts = self._divided(self.steps[at], ceil(doubt_us))
                after += reversed(parts)
                self._shift(at, len(parts) - 1)
            else:
                after.append(Step(from_us, to_us, value, UNKNOWN))
            doubt_us -= to_us - from_us if kind == KNOWN else 0
        were = self.steps[at:]
        if were:
            self.steps[at:] = reversed(after)
            self._change(were[0].from_us)
        begin_us = self.begin_us
        if at == 0 and 0 < doubt_us < INF and begin_us is not None and begin_us > since_us:
            self._rewrite(max(since_us, begin_us - ceil(doubt_us)))
        return at, were

    def _divided(self, step: Step, doubt_us: int) -> list[Step]:
        """
        Return a step with some unknown time: the end of each of its weeks, in equal shares.

        So a step of a month has its unknown time in each period that contains a part of it.
        """
        from_us, to_us, value, _ = step
        length, runs_us = to_us - from_us, self.meter.runs_us(from_us, to_us)
        parts, counted = list[Step](), 0
        for begin_us in range(from_us, to_us, SPREAD_US):
            end_us = min(begin_us + SPREAD_US, to_us)
            shares = (doubt_us * (us - from_us) // length for us in (begin_us, end_us))
            cut_us = end_us + next(shares) - next(shares)
            for at_us, until_us, kind in ((begin_us, cut_us, KNOWN), (cut_us, end_us, UNKNOWN)):
                if at_us == until_us:
                    continue
                risen = value
                if until_us < to_us:
                    risen = value * self.meter.runs_us(from_us, until_us) // max(runs_us, 1)
                parts.append(Step(at_us, until_us, risen - counted, kind))
                counted = risen
        return parts

    def _shift(self, at: int, by: int) -> None:
        """Increase the stored indices after a step, as this step is divided."""
        self.trail = [t._replace(steps=t.steps + by) if t.steps > at else t for t in self.trail]
        for line in (self.waits, *self.left, *self.passed):
            if line is not None and line.steps_at > at:
                line.steps_at += by

    def _step(self, mark: Mark, from_us: int, time_us: int, rise: int, value: int) -> None:
        if value != mark.value:
            self.trail.append(Trail(mark.value, mark.read_us, mark.changed_us, len(self.steps)))
            mark.value, mark.changed_us = value, time_us
        self.steps.append(Step(from_us, time_us, rise, KNOWN))
        mark.read_us = time_us

    def _catch_up(self, mark: Mark, time_us: int, value: int, rise: int) -> tuple[int, list[Step]]:
        """
        Distribute a rise over the standstill before it, or only over the time without readings if
        the meter can rise so far in it; return the index of its step and the steps that it
        replaces.

        Of a standstill, these are the last week, or as many weeks as the meter needs for the rise.
        """
        self.events.append(CATCH_UP)
        unread = rise <= self.meter.largest_step(mark.read_us, time_us)
        stood_us, begin_us = mark.read_us if unread else mark.changed_us, time_us - SPREAD_US
        while begin_us > stood_us and rise > self.meter.largest_step(begin_us, time_us):
            begin_us -= SPREAD_US
        earliest = max(stood_us, begin_us)
        kept = len(self.steps)
        while kept > 0 and self.steps[kept - 1].to_us > earliest:
            kept -= 1
        from_us = self.steps[kept].from_us if kept < len(self.steps) else mark.read_us
        if kept == 0 and from_us > earliest and not _in_same_interval(earliest, time_us):
            self._rewrite(earliest)
        replaced = self.steps[kept:]
        del self.steps[kept:]
        stood = Trail(mark.value, mark.read_us, mark.changed_us, kept, tuple(replaced))
        self.trail.append(stood)
        self._keep_left(kept, replaced)
        self.doubt_us += unknown_us(replaced, earliest)
        if replaced and from_us < earliest:
            self.steps.append(replaced[0]._replace(to_us=earliest))
            from_us = earliest
        self._change(from_us)
        mark.value, mark.read_us, mark.changed_us = value, time_us, time_us
        self.steps.append(Step(from_us, time_us, rise, KNOWN))
        return kept, replaced

    def _keep_left(self, kept: int, replaced: list[Step]) -> None:
        """
        Keep the replaced steps in former sequences, in case the register returns to one
        of them.
        """
        for other in (*self.left, *self.passed):
            if other.steps_at > kept:
                other.line = replaced[: other.steps_at - kept] + other.line
                other.steps_at = kept

    def _is_back(
        self, mark: Mark, lines: Sequence[Other], time_us: int, value: int
    ) -> Other | None:
        """Return the highest former sequence that a reading continues, if any."""
        other, tolerance = None, self.meter.tolerance
        for line in lines:
            rise = value - line.value
            if rise < -tolerance or rise > self.meter.allowance(time_us - line.read_us):
                continue
            if time_us - line.first > RETIRED_US:
                continue
            if rise > self.meter.largest_step(line.read_us, time_us):
                continue
            if line.value > mark.value:
                stands = time_us - line.first > STANDS_US
                back = not (stands and self._goes_on(mark, time_us, value))
            else:
                back = value < mark.value - tolerance
            if back and (other is None or line.value > other.value):
                other = line
        return other

    def _goes_on(self, mark: Mark, time_us: int, value: int) -> bool:
        """Return whether the register can reach the value within a day of its last reading."""
        since_us = mark.read_us
        rise = value - mark.value
        return time_us - since_us <= SPARSE_GAP_US and (
            -self.meter.tolerance <= rise <= self.meter.largest_step(since_us, time_us)
        )

    def _leave(self, line: Other, stood_us: int) -> None:
        """
        Store a sequence that has ended; sequences above the current mark come first.

        A higher former sequence stays stored, unless it ended more than a day before `stood_us`: a
        value that is stable for so long is the register's own.  One that ended by a return stays
        stored for a day.  Others are passed.
        """
        assert self.mark is not None  # noqa: S101 (callers ask after the first reading)
        stands, others = self.mark.value, self.left
        self.left = [line]
        for other in others:
            age_us = stood_us - other.first
            higher = other.value > line.value and age_us <= STANDS_US
            if age_us <= RETIRED_US if other.stray else higher:
                self.left.append(other)
            else:
                self._passes([other])
        self.left.sort(key=lambda o: (o.value <= stands, o.value))

    def _passes(self, lines: list[Other]) -> None:
        """Store passed sequences, except those of a daily counter, which passes one each day."""
        self.passed += [line for line in lines if line.stands_us != DAILY_US]
        del self.passed[:-FORMER]

    def _change(self, from_us: int) -> None:
        self.spread_from_us = min(from_us, self.spread_from_us or from_us)

    def _take_back(self, kept: int) -> list[Step]:
        """
        Remove the steps from index `kept` on and return them; discard the sequences that ended
        after it.
        """
        self.left = [other for other in self.left if other.steps_at <= kept]
        self.passed = [other for other in self.passed if other.steps_at <= kept]
        taken = self.steps[kept:]
        if taken:
            self._change(taken[0].from_us)
            del self.steps[kept:]
        return taken

    def _rewrite(self, from_us: int) -> None:
        self.rewrites_us = from_us if self.rewrites_us is None else min(from_us, self.rewrites_us)

    def _seen_us(self) -> int:
        assert self.mark is not None  # noqa: S101 (callers ask after the first reading)
        if self.waits is not None:
            return max(self.mark.read_us, self.waits.read_us)
        return self.mark.read_us


def _in_same_interval(from_us: int, to_us: int) -> bool:
    """
    Return whether a standstill and the rise after it lie in one interval.

    Then the distribution of the rise has no effect, and no stored row changes, as for meters with
    whole kilowatt-hours read every few seconds.
    """
    return from_us // INTERVAL_US == (to_us - 1) // INTERVAL_US


def unknown_us(steps: list[Step], from_us: int = 0) -> int:
    """Return the unknown time in steps after a time. [us]"""
    return sum(s.to_us - max(s.from_us, from_us) for s in steps if s.kind == UNKNOWN)
