"""
One pass over the readings of a period: digests, metering, counts, and register comparison.

Blocks of devices go through all steps while in the processor's cache, so memory is limited by the
largest device.

A rise beyond a meter's limits is charged at those limits.  If the limits are wrong (a charger of 60
kW registered with 60 W), the charge is less than the actual use.  So the charge is compared with
the certain part of the rise.

The pipeline's quality tests are repeated on the readings and limits in the pack, so that every
verifier gets the same flags.  A constant run is flagged from its start on, as its end is known
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ingest import classes
from ingest.model import INTERVAL_US, NULL, Fleet, Frame, Int16, Int32, Int64, IntervalRows
from ingest.pipeline.quality_limits import TESTS, Checks
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge
from mrv.accounting.corroborated_energy import ChannelComparison, CorroboratedEnergy
from mrv.accounting.coverage import common, role_needs
from mrv.accounting.period_result import DeviceOutcome
from mrv.accounting.register_scan import FallenRegisters, Key
from mrv.accounting.unreported_use import Unreported, UnreportedUse
from mrv.calendar import utc_text
from mrv.errors import CanonicalError
from mrv.methodologies import find
from mrv.registry.project import Fallen, Project, service_intervals
from mrv.signatures.day_digests import DayLeaf, Digest, digest_leaves
from mrv.statement import device_days, evidence
from mrv.statement.analysers import Gauged, Wanted, gauge
from mrv.statement.device_days import reading_leaves
from mrv.statement.evidence import meter_of
from mrv.statement.signed_energy import RegisterComparison


@dataclass(frozen=True, slots=True)
class Unusual:
    """
    Intervals with readings flagged by a test, n rows by device, test and interval.

    `readings`: number of flagged readings.
    """

    device: Int32
    test: Int16
    interval: Int64
    readings: Int64

    @staticmethod
    def concat(parts: Sequence[Unusual]) -> Unusual:
        """Return the joined results of blocks of devices, in order."""
        if not parts:
            none = np.zeros(0, dtype=np.int64)
            return Unusual(none.astype(np.int32), none.astype(np.int16), none, none)
        names = Unusual.__slots__
        columns = [np.concatenate([getattr(p, name) for p in parts]) for name in names]
        if (columns[0][1:] >= columns[0][:-1]).all():
            return Unusual(*columns)  # blocks contain whole devices, in order
        order = np.lexsort((columns[2], columns[1], columns[0]))
        return Unusual(*(column[order] for column in columns))

    def of(self, test: str) -> Unusual:
        """Return the rows of one quality test."""
        rows = np.flatnonzero(self.test == TESTS.index(test))
        return Unusual(*(getattr(self, name)[rows] for name in Unusual.__slots__))

    def days(self, edges: Sequence[int]) -> frozenset[tuple[int, int]]:
        """Return (device, day) indices with a flag; `edges`: start of each day. [us UTC]"""
        place = np.searchsorted(edges, self.interval * INTERVAL_US, side="right") - 1
        return frozenset(zip(self.device.tolist(), place.tolist(), strict=True))


@dataclass(frozen=True)
class Judge:
    """Quality tests of a fleet's readings in a period, half-open. [us UTC]"""

    fleet: Fleet
    from_us: int
    to_us: int

    @cached_property
    def _checks(self) -> Checks:
        return Checks(self.fleet)

    def of(self, block: Frame) -> Unusual:
        """Return the flags of a block. `block`: whole devices, sorted by device and time."""
        flags = judge(self._checks, Watched(len(self.fleet)), [block], whole=True).flags
        inside = (flags.time_us >= self.from_us) & (flags.time_us < self.to_us)
        flags = flags.take(inside)
        if not len(flags):
            return Unusual.concat([])
        # a reading with flags on several channels is counted once per test
        reading = np.stack([flags.device, flags.test, flags.time_us]).astype(np.int64)
        device, test, time_us = np.unique(reading, axis=1)
        quarter = np.stack([device, test, time_us // INTERVAL_US])
        (device, test, interval), count = np.unique(quarter, axis=1, return_counts=True)
        return Unusual(
            device.astype(np.int32), test.astype(np.int16), interval, count.astype(np.int64)
        )


# minimum number of readings that agree on a register's value, so that a single error is ignored
_AGREE = 3


class Window(NamedTuple):
    """A device in a role on the project side, and its service within a period. [us UTC]"""

    device: str
    role: str
    quantity: str
    begin_us: int
    end_us: int


def windows(project: Project, fleet: Fleet, from_us: int, to_us: int) -> dict[int, list[Window]]:
    """Return the windows for the comparison of rises, by fleet index."""
    methodology = find(project.methodology, project.version)
    period = (from_us // INTERVAL_US, to_us // INTERVAL_US)
    result: dict[int, list[Window]] = {}
    for bound in project.devices:
        needs = role_needs(methodology, bound, f"device {bound.device}")
        if needs.side != "project":
            continue
        index = fleet.by_id[bound.device]
        served = service_intervals(project, bound, fleet.devices[index], needs.side)
        for begin, end in common([served], [period]):
            edges = begin * INTERVAL_US, end * INTERVAL_US
            result.setdefault(index, []).append(
                Window(bound.device, bound.role, needs.quantity, *edges)
            )
    return result


def rises(
    block: Frame, fleet: Fleet, wanted: Mapping[int, Iterable[Window]]
) -> Iterator[tuple[Window, int]]:
    """
    Yield the minimum rise of registers in their windows. [base units]

    `block`: whole devices, sorted by device and time.
    `wanted`: as returned by `windows`.
    """
    if not wanted:
        return
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)]):
        index = int(block.device[begin])
        device, mine = fleet.devices[index], wanted.get(index, ())
        for channel in classes.load()[device.class_id].registers:
            value: Any = block.columns[channel.name][begin:end]
            swaps = [r.at_us for r in device.replacements if r.channel == channel.name]
            for window in mine:
                if channel.quantity == window.quantity:
                    yield window, _least(value, block.time_us[begin:end], window, swaps)


def _least(value: Int64, time_us: Int64, window: Window, swaps: Iterable[int]) -> int:
    """Return the sum of the minimum rises of successive meters, each from its own register."""
    known = value != NULL
    values, at = value[known], time_us[known]
    edges = [0, *np.searchsorted(at, sorted(swaps)).tolist(), len(values)]
    begin, end = np.searchsorted(at, [window.begin_us, window.end_us]).tolist()
    return sum(
        _min_rise(values[a:b], max(begin - a, 0), min(max(end - a, 0), b - a))
        for a, b in pairwise(edges)
    )


def _min_rise(value: Int64, begin: int, end: int) -> int:
    """
    Return the certain rise of a meter's register within readings [begin, end).

    The first rise is omitted, as it may include earlier time.  Values above a later or below an
    earlier one may be faults and are ignored.
    """
    if end - begin < 2 * _AGREE:
        return 0
    moved = np.flatnonzero(value[begin + 1 : end] != value[begin : end - 1])
    first = begin + 1 + int(moved[0]) if len(moved) else end
    if end - first < 2 * _AGREE:
        return 0
    low = value[: first + _AGREE].max()
    high = value[end - _AGREE :].min()
    return max(0, int(high) - int(low))


def undercounted(
    result: Iterable[tuple[Window, int]], devices: Iterable[DeviceOutcome]
) -> Iterator[str]:
    """Yield a sentence on each device whose counted quantity is below the rise of its registers."""
    counted = {(d.device, d.role, d.from_us): d for d in devices}
    for window, least in result:
        outcome = counted[window.device, window.role, window.begin_us]
        whole = outcome.metered + Fraction(outcome.substituted)
        if whole < least:
            yield (
                f"device {outcome.device} counts {float(whole):,.0f} {outcome.unit} as"
                f" {outcome.role} from {utc_text(window.begin_us)} to {utc_text(window.end_us)},"
                f" but its register rose by at least {least:,}, which is faster than its "
                "limits allow; correct its rated_power_w in the registry, or enter "
                "the meter's replacement, rebuild its intervals and close again"
            )


class Reach(NamedTuple):
    """Number of a device's readings, first and last of them, and number outside the period."""

    readings: int
    first_us: int | None
    last_us: int | None
    outside: int


class Scanned(NamedTuple):
    """
    Results of one pass over the readings.

    `reaches`: number and times of the readings by device.
    `rows`: interval rows, if requested.
    `risen`: minimum rise of registers in their windows. [base units]
    `other_channels`: registers compared with the other channels of their device.
    `unusual`: unusual readings.
    `gauged`: daily values of analysers.
    `fitting`: signed registers that agree with the readings.
    `drawn`: interval rows of energy outside the account.
    `unrecorded`: registers of the project's side compared with their gauges.
    `fallen`, `swapped`: breaks of registers' sequences, and steps across entered replacements.
    """

    readings: Digest
    reaches: list[Reach]
    rows: IntervalRows | None
    risen: list[tuple[Window, int]]
    other_channels: dict[Key, ChannelComparison]
    unusual: Unusual
    gauged: dict[tuple[int, str], Gauged]
    fitting: set[int]
    drawn: IntervalRows
    unrecorded: dict[Key, Unreported]
    fallen: dict[Key, tuple[Fallen, ...]]
    swapped: dict[Key, tuple[tuple[int, int], ...]]


class Recheck(NamedTuple):
    """
    Expected results of a pass over the readings.

    `pairs`: device and quantity that are metered again.
    `rows`: expected rows; the same object is returned if the result is equal, so no copy is stored.
    `check`: called with the leaves of each block; raises an error if they differ from the signed
    ones.
    """

    pairs: set[tuple[int, int]]
    rows: IntervalRows
    check: Callable[[Sequence[DayLeaf]], None] | None = None


class ReadingChecks(NamedTuple):
    """
    Checks that the accounting rules require of readings; none in rule set 1.

    `analysers`: channels that measure a parameter.  `signed`: signed registers.  `drawn`: devices
    and quantities metered outside the account.  `unrecorded`: registers of the project's side.
    `fallen`: registers of either side.
    """

    energy: CorroboratedEnergy
    flagged: Judge
    analysers: Wanted | None
    signed: RegisterComparison | None
    drawn: frozenset[tuple[int, int]]
    unrecorded: UnreportedUse
    fallen: FallenRegisters


def scan(
    fleet: Fleet,
    frames: Iterable[Frame],
    from_us: int,
    to_us: int,
    timezone: str,
    recheck: Recheck | None,
    windows: Mapping[int, Iterable[Window]],
    metering: int,
    checks: ReadingChecks | None = None,
) -> Scanned:
    """
    Return the results of one pass over the readings.

    `frames`: all rows of a device in one frame.
    `from_us`, `to_us`: the period, half-open. [us UTC]
    `timezone`: time zone of the days.
    `recheck`: expected interval rows.
    `windows`: as returned by `windows`.
    `metering`: version of the metering rules.
    `checks`: further data for comparison with the readings.
    Raises CanonicalError if the rows of a device are in two frames, or as `recheck` raises.
    """
    pairs = None if recheck is None else recheck.pairs
    leaves: list[DayLeaf] = []
    rows: list[IntervalRows] = []
    drawn: list[IntervalRows] = []
    reaches = [Reach(0, None, None, 0)] * len(fleet)
    risen: list[tuple[Window, int]] = []
    other_channels: dict[Key, ChannelComparison] = {}
    unrecorded: dict[Key, Unreported] = {}
    fallen: dict[Key, tuple[Fallen, ...]] = {}
    swapped: dict[Key, tuple[tuple[int, int], ...]] = {}
    unusual: list[Unusual] = []
    gauged: dict[tuple[int, str], Gauged] = {}
    fitting: set[int] = set()
    meter = meter_of(metering, fleet)
    beside = set() if checks is None else {*checks.drawn}
    # rows that are also in the account are not metered twice
    more = beside if pairs is None else beside - pairs
    for frame in frames:
        for block in device_days.blocks(frame):
            leaves.extend(_digested(fleet, block, timezone, recheck))
            _reach(block, from_us, to_us, reaches, fleet)
            read = fleet.by_own_name(block)
            risen.extend(rises(read, fleet, windows))
            if checks is not None:
                other_channels |= checks.energy.beyond(read)
                unusual.append(checks.flagged.of(block))
                unrecorded |= checks.unrecorded.beyond(read)
                fallen |= checks.fallen.of_block(read)
                swapped |= checks.fallen.swapped(read)
                if checks.analysers is not None:
                    gauged |= _gauged(block, checks.analysers)
                if checks.signed is not None:
                    fitting |= checks.signed.fitting(read)
            if pairs is None and not more:
                continue
            metered = meter([block])
            if more:
                drawn.append(evidence.select(metered, more, from_us, to_us))
            if recheck is not None:
                part = evidence.select(metered, recheck.pairs, from_us, to_us)
                rows.append(evidence.as_slice(recheck.rows, part))
    again = None if recheck is None else _again(rows, recheck.rows)
    flagged = Unusual.concat(unusual)
    energy = _with(evidence.together(drawn), again, beside)
    return Scanned(
        digest_leaves(leaves),
        reaches,
        again,
        risen,
        other_channels,
        flagged,
        gauged,
        fitting,
        energy,
        unrecorded,
        fallen,
        swapped,
    )


def _digested(fleet: Fleet, block: Frame, timezone: str, recheck: Recheck | None) -> list[DayLeaf]:
    leaves = list(reading_leaves(fleet, block, timezone))
    if recheck is not None and recheck.check is not None:
        recheck.check(leaves)
    return leaves


def _again(rows: list[IntervalRows], expected: IntervalRows) -> IntervalRows:
    """Return the metered rows joined; the expected rows themselves if they are equal."""
    if len(expected) == sum(map(len, rows)):
        of_it = (np.shares_memory(part.value, expected.value) for part in rows if len(part))
        if all(of_it):
            return expected
    return evidence.together(rows)


def _with(
    drawn: IntervalRows, again: IntervalRows | None, beside: set[tuple[int, int]]
) -> IntervalRows:
    """
    Return rows metered outside the account; for registers (`beside`) that are also in the account,
    the account's rows (`again`).
    """
    if again is None or not beside:
        return drawn
    own = evidence.only(again, beside)
    return IntervalRows.concat([own, drawn]).in_order() if len(drawn) else own


def _gauged(block: Frame, analysers: Wanted) -> dict[tuple[int, str], Gauged]:
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    gauged: dict[tuple[int, str], Gauged] = {}
    for begin, end in pairwise([*heads, len(block)]):
        gauged |= gauge(block, int(block.device[begin]), slice(begin, end), analysers)
    return gauged


def _reach(block: Frame, from_us: int, to_us: int, reaches: list[Reach], fleet: Fleet) -> None:
    heads = np.flatnonzero(np.append(True, block.device[1:] != block.device[:-1])).tolist()
    for begin, end in pairwise([*heads, len(block)]):
        device, times = int(block.device[begin]), block.time_us[begin:end]
        if reaches[device].readings:
            raise CanonicalError(
                f"readings of {fleet.devices[device].id} appear in two places; obtain the"
                f" pack again from its sender"
            )
        inside = np.searchsorted(times, [from_us, to_us])
        outside = len(times) - int(inside[1] - inside[0])
        reaches[device] = Reach(len(times), int(times[0]), int(times[-1]), outside)
