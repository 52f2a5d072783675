"""
Energy between readings of a cumulative register (metering, version 2).

A step counts only if readings support it.  If two explanations are possible, the smaller quantity
is used, and the time that the difference would take at rated power becomes unknown.
mrv/accounting/coverage applies the deduction for unknown time.  ingest/README.md has a table of the
quantity counted for each kind of step.  `Reader` processes one register in time order.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter

from ingest.model import LOOK_BACK_US, NULL
from ingest.registers.lines import (
    AT_ONCE_US,
    CLIMB,
    DAILY_US,
    DAY_US,
    EVENTS,
    FOOT,
    GLITCH,
    INF,
    KNOWN,
    MARGIN,
    MARGIN_RATED,
    REPLACEMENT,
    RESET_US,
    RETIRED_US,
    ROLLOVER,
    SAME_TIME_US,
    SPARSE_GAP_US,
    SPREAD_US,
    STANDS_US,
    UNKNOWN,
    Mark,
    Meter,
    Other,
    Step,
    Trail,
    clean,
    fell,
    rates,
    wrap,
)
from ingest.registers.steps import unknown_us
from ingest.registers.waiting import Waiting

__all__ = [
    "EVENTS",
    "KNOWN",
    "MARGIN",
    "MARGIN_RATED",
    "RETIRED_US",
    "SPREAD_US",
    "UNKNOWN",
    "Mark",
    "Meter",
    "Other",
    "Reader",
    "Step",
    "Trail",
    "clean",
    "fell",
    "rates",
    "wrap",
]


# ratios of two units of one register, such as MWh and kWh, or kWh and its tenths
RATIOS = (1000, 100, 10)


@dataclass(slots=True)
class Reader(Waiting):
    """
    Metering of one register, reading by reading.

    Each reading continues the register's sequence, a sequence that awaits confirmation, or a former
    sequence, or it begins a new one.
    """

    def read(self, time_us: int, value: int) -> None:
        """Add one reading, later than all earlier ones, and update the state."""
        self._swap_before(time_us)
        if self.mark is None:
            self.mark = Mark(value, time_us, time_us)
        elif self.waits is not None:
            self._challenged(self.mark, self.waits, time_us, value)
        else:
            self._on_line(self.mark, time_us, value)
        former = [*self.left, *self.passed]
        mark, other = self.mark, self.waits or (former[0] if former else None)
        beside = (NULL, NULL, NULL, NULL)
        if other is not None:
            more = self.waits is None and (other.more or len(former) > 1 or not self.left)
            beside = (
                other.value,
                other.read_us,
                other.count,
                -other.first if more else other.first,
            )
        self.marks.append((mark.value, mark.read_us, mark.changed_us, *beside))

    def _on_line(self, mark: Mark, time_us: int, value: int) -> None:
        above, back = [], None
        if self.left:
            while self.left and time_us - self.left[0].first > RETIRED_US:
                self._forget(self.left[0])
            above = [remaining for remaining in self.left if remaining.value > mark.value]
            back = self._is_back(mark, above, time_us, value)
        if back is not None:
            self._return(mark, back, time_us, value)
        elif not self._follow(mark, time_us, value):
            if self.left and self.left[0].more:
                self._rewrite(self.left[0].read_us - LOOK_BACK_US)
            if value < mark.value - self.meter.tolerance:
                self._fall(mark, time_us, value)
            else:
                self._challenge(mark, time_us, value)
        else:
            passed = [other for other in above if mark.value >= other.value]
            for other in passed:
                self._forget(other)
            self._passes(passed)

    def _forget(self, other: Other) -> None:
        """Remove a former sequence; if others were stored with it, meter again from before it."""
        self.left.remove(other)
        if other.more:
            self._rewrite(other.read_us - LOOK_BACK_US)

    def _fall(self, mark: Mark, time_us: int, value: int) -> None:
        """Process a fall beyond jitter: a rollover, too high readings before it, or a reset."""
        wrapped = wrap(self.meter, mark.value, value, time_us - mark.changed_us)
        if wrapped is not None:
            self.events.append(ROLLOVER)
            old, at = mark.copy(), len(self.steps)
            self._step(mark, mark.read_us, time_us, wrapped, value)
            self._leave(Other(old.value, old.read_us, 0, time_us, at, [], old), old.read_us)
            self._doubted(mark.read_us)
            self.trail.clear()
            return
        before = self._stood_before(mark, time_us, value)
        since = [other for other in self.left if before is None or before.steps <= other.steps_at]
        back = self._is_back(mark, since, time_us, value)
        if back is not None:
            self._return(mark, back, time_us, value)
        elif before is None:
            self._challenge(mark, time_us, value)
        elif self._has_reset(before, mark, time_us, value):
            self._challenge(mark, time_us, value)
            if self.waits is not None:
                daily = self._restarts_daily(before, mark, time_us)
                self.waits.stands_us = DAILY_US if daily else RESET_US
        else:
            self._too_high(mark, before, time_us, value)

    def _too_high(self, mark: Mark, before: Trail, time_us: int, value: int) -> None:
        """Withdraw the steps since the register last had this value: the readings were too high."""
        self.events.append(GLITCH)
        high = mark.copy()
        taken = self._take_back(before.steps)
        # the higher readings may have been correct, if the register was reset or the meter replaced
        # later
        self._doubt(sum(step.value for step in taken))
        climbed = self._rises_since(before) >= CLIMB
        if climbed or value <= self.meter.allowance(time_us - high.read_us):
            self.doubt_us += time_us - high.read_us
        self.doubt_us += unknown_us(taken)
        self.trail = [t for t in self.trail if t.steps < before.steps]
        since_us, at = time_us - STANDS_US, len(self.steps)
        self.steps += before.replaced
        self.mark = Mark(before.value, before.read_us, before.changed_us)
        if all(other.value <= high.value for other in self.left):
            # both sequences begin at the same value
            self._leave(Other(high.value, high.read_us, 0, since_us, at, taken, high), high.read_us)
        if not self._follow(self.mark, time_us, value):
            # the rise is possible but not confirmed yet
            self._challenge(self.mark, time_us, value)

    def _stood_before(self, mark: Mark, time_us: int, value: int) -> Trail | None:
        """
        Return the register's latest state in the last week from which it can have reached the
        value.
        """
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

    def _rises_since(self, before: Trail) -> int:
        return len(self.trail) - bisect_left(self.trail, before.steps, key=attrgetter("steps"))

    def _has_reset(self, before: Trail, mark: Mark, time_us: int, value: int) -> bool:
        """
        Return whether a fall is a reset, although the register had this value within the week.

        The register has risen in many plausible steps and is back near the value at which they
        began.  This is typical of a daily counter, and not of a reading error.  A reading identical
        to an earlier one may be sent twice, and is no reset.
        """
        climb = mark.value - before.value
        near = FOOT * (value - before.value) <= climb
        near &= climb <= self.meter.largest_step(before.read_us, mark.changed_us)
        if self.meter.rate == INF:
            about_zero = FOOT * value <= mark.value  # without a limit: a small part of its value
        else:
            about_zero = value <= self.meter.allowance(time_us - self._seen_us())
        same = value == before.value and value > self.meter.tolerance
        return about_zero and near and self._rises_since(before) >= CLIMB and not same

    def _restarts_daily(self, before: Trail, mark: Mark, time_us: int) -> bool:
        """
        Return whether a counter restarts daily.

        This is so if the rise before this fall began with a fall at the same time of day, or if the
        register fell at this time a day before and reached its value again.
        """
        at = bisect_left(self.trail, before.steps, key=attrgetter("steps"))
        while at > 0 and self.trail[at - 1].value <= self.trail[at].value:
            at -= 1
        if at == 0 and self.begin_us is not None:
            self._rewrite(mark.read_us - LOOK_BACK_US)
        if at == 0:
            return any(abs(time_us - us - DAY_US) <= SAME_TIME_US for us in self.dropped_us)
        apart_us = (time_us - self.trail[at].changed_us + SAME_TIME_US) % DAY_US
        return apart_us <= 2 * SAME_TIME_US

    def _return(self, mark: Mark, other: Other, time_us: int, value: int) -> None:
        """
        Withdraw the steps since a sequence ended, as the register has returned to that sequence.

        If the withdrawn sequence was another register, its steps are uncertain.  As a single stray
        reading of the old sequence is not a return, the withdrawn one stays stored for a day.
        """
        self.events.append(GLITCH)
        if self._goes_on(mark, time_us, value):
            self._doubt(value - mark.value)
        if other.mark is None:
            self._rewrite(other.read_us - LOOK_BACK_US)
            self.mark = Mark(other.value, other.read_us, other.read_us)
            self.left.remove(other)
        else:
            taken = self._take_back(other.steps_at)
            made = sum(step.value for step in taken)
            if made > self.meter.tolerance:
                self._doubt(made)
                self.doubt_us += time_us - mark.read_us
            if not other.stray:
                self.doubt_us += unknown_us(taken)
            self.left.remove(other)
            since_us, at = time_us - RETIRED_US + SPARSE_GAP_US, len(self.steps)
            ratio = self._ratio(mark, other, time_us, value, made)
            if ratio is not None:
                self.doubt_us = 0
                self.steps += [step._replace(value=step.value * ratio) for step in taken]
                # values in the larger unit are rounded; at most the register's rise counts
                rounded = max(other.value - (mark.value - made) * ratio, 0)
                last = min(mark.value * ratio + rounded, value)
                self.mark = Mark(last, mark.read_us, mark.changed_us)
            else:
                self.steps += other.line
                self.mark = other.mark
                stray = Other(mark.value, mark.read_us, 0, since_us, at, taken, mark, stray=True)
                self._leave(stray, other.read_us)
        self.trail = [t for t in self.trail if t.steps < other.steps_at]
        if not self._follow(self.mark, time_us, value):
            # processed like a reading after an outage
            self._challenge(self.mark, time_us, value)

    def _ratio(self, mark: Mark, other: Other, time_us: int, value: int, made: int) -> int | None:
        """
        Return how many times larger the unit of a sequence was, if it was the same register.

        Its first and last reading were a tenth, hundredth or thousandth of the readings before and
        after it.
        """
        if made <= 0 or value - other.value > self.meter.largest_step(other.read_us, time_us):
            return None
        for ratio in RATIOS:
            began, ended = (mark.value - made) * ratio - other.value, value - mark.value * ratio
            if -ratio <= began <= self.meter.at_once(
                AT_ONCE_US
            ) + ratio and -ratio <= ended <= self.meter.at_once(time_us - mark.read_us):
                return ratio
        return None

    def _challenged(self, mark: Mark, line: Other, time_us: int, value: int) -> None:
        """Process a reading while another sequence awaits confirmation."""
        rise = value - mark.value
        tolerance, since_us = self.meter.tolerance, mark.changed_us
        explained = rise <= self.meter.at_once(time_us - since_us) and (
            rise <= tolerance or rise <= self.meter.largest_step(since_us, time_us)
        )
        if explained and not fell(self.meter.tolerance, mark.value, value):
            self.events.append(GLITCH)
            self._drop(mark, line, time_us, value)
            self._follow(mark, time_us, value)
        elif self._agrees(mark, line, time_us, value):
            if line.count > 0:
                # one reading that continues a plausible rise confirms it, and may be the next rise
                self._settle(mark, line, time_us)
                assert self.mark is not None  # noqa: S101 (_settle set it)
                self._on_line(self.mark, time_us, value)
            elif self._agree(mark, line, time_us, value):
                self._confirmed(mark, line, time_us)
        elif value < mark.value - self.meter.tolerance and (
            line.first > mark.value or value > line.value
        ):
            # the waiting sequence is discarded, and the register is below its own earlier value
            self._drop(mark, line, time_us, value)
            self._on_line(mark, time_us, value)
        else:
            self._again(mark, line, time_us, value)

    def _confirmed(self, mark: Mark, line: Other, time_us: int) -> None:
        """
        Confirm a waiting sequence, or return to the former one before it.

        A fall to zero may be a false reading: if later readings continue the former sequence, the
        steps in between would be counted twice.
        """
        back = None
        if line.count < 0 and line.steps_at != NULL:
            back = self._is_back(mark, self.left, time_us, line.value)
        if back is not None:
            self._drop(mark, line, time_us, line.value)
            self._return(mark, back, time_us, line.value)
        else:
            self._settle(mark, line, time_us)

    def _swap_before(self, time_us: int) -> None:
        """Apply each meter replacement up to this reading: end a register, start the next."""
        swaps = self.meter.replacements
        while self.next_swap < len(swaps) and swaps[self.next_swap].at_us <= time_us:
            swap = swaps[self.next_swap]
            self.next_swap += 1
            if self.mark is None or swap.at_us <= self._seen_us():
                continue
            mark, line = self.mark, self.waits
            rise = swap.last - mark.value
            # a replacement entered in whole kilowatt-hours omits the fraction of the last reading
            coarse = rise < 0 and not fell(self.meter.tolerance, mark.value, swap.last)
            rise = 0 if coarse else rise
            known = 0 <= rise <= self.meter.allowance(swap.at_us - mark.changed_us)
            from_us = mark.read_us
            if line is not None:
                if known:
                    self._drop(mark, line, swap.at_us, swap.last)
                else:
                    from_us = line.read_us
            self.steps.append(
                Step(from_us, swap.at_us, rise if known else 0, KNOWN if known else UNKNOWN)
            )
            self.events.append(REPLACEMENT)
            self.doubt_us = 0
            self.waits = None
            self.left.clear()
            self.passed.clear()
            self.trail.clear()
            self.mark = Mark(swap.first, swap.at_us, swap.at_us)
