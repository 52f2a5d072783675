"""
One pass over the readings of a period: digests, metering and counts.

Blocks of devices pass through all steps while in the processor's cache, so memory is limited by the
largest device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ingest.model import Fleet, Frame, IntervalRows
from mrv.accounting.corroborated_energy import ChannelComparison, CorroboratedEnergy
from mrv.accounting.register_scan import FallenRegisters, Key, Unreported, UnreportedUse
from mrv.errors import CanonicalError
from mrv.registry.project import Fallen
from mrv.signatures.day_digests import DayLeaf, Digest, digest_leaves
from mrv.statement import device_days, evidence
from mrv.statement.analysers import Gauged, Wanted, gauge
from mrv.statement.device_days import reading_leaves
from mrv.statement.metering_versions import meter_of
from mrv.statement.register_check import Judge, Unusual, Window, rises
from mrv.statement.signed_energy import RegisterComparison


class Reach(NamedTuple):
    """Readings of a device: number, first, last, and number outside the period."""

    readings: int
    first_us: int | None
    last_us: int | None
    outside: int


class Scanned(NamedTuple):
    """
    Results of one pass over the readings.

    Attributes
    ----------
    readings : Digest
    reaches : list of Reach
        Time range of the evidence by device.
    rows : IntervalRows or None
        Interval rows, if requested.
    risen : list of (Window, int)
        Minimum rise of registers in their windows. [base units]
    other_channels : dict
        Registers compared with the other channels of their device.
    unusual : Unusual
        Unusual readings.
    gauged : dict
        Daily values of analysers.
    fitting : set of int
        Signed registers that agree with the readings.
    drawn : IntervalRows
        Rows outside the account.
    unrecorded : dict
        Registers of the project's side compared with their gauges.
    fallen : dict
        Breaks of registers' sequences.
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


class Recheck(NamedTuple):
    """
    Expected results of a pass over the readings.

    Attributes
    ----------
    pairs : set of (int, int)
        Device and quantity that are metered again.
    rows : IntervalRows
        Expected rows; returned themselves if equal, so that no copy is held.
    check : callable, optional
        Called with the leaves of each block; raises where they differ from the signed ones.
    """

    pairs: set[tuple[int, int]]
    rows: IntervalRows
    check: Callable[[Sequence[DayLeaf]], None] | None = None


class ReadingChecks(NamedTuple):
    """
    Checks that the accounting rules make on readings; none under the first rules.

    `analysers` are the channels that measure a parameter, `signed` signed registers, `drawn`
    devices and quantities metered outside the account, `unrecorded` registers of the project's
    side, `fallen` registers of either side.
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

    Parameters
    ----------
    frames : iterable of Frame
        All rows of a device in one frame.
    from_us, to_us : int
        The period, half-open. [us UTC]
    timezone : str
        Time zone of the days.
    recheck : Recheck, optional
        Expected interval rows.
    windows : mapping
        From `mrv.statement.register_check.windows`.
    metering : int
        Version of the metering rules.
    checks : ReadingChecks, optional
        Further data for comparison with the readings.

    Raises
    ------
    CanonicalError
        If the rows of a device are in two frames, or as `recheck` raises.
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
    unusual: list[Unusual] = []
    gauged: dict[tuple[int, str], Gauged] = {}
    fitting: set[int] = set()
    meter = meter_of(metering, fleet)
    beside = set() if checks is None else {*checks.drawn}
    # what is among the rows of the account is taken from these
    more = beside if pairs is None else beside - pairs
    for frame in frames:
        for block in device_days.blocks(frame):
            leaves.extend(_digested(fleet, block, timezone, recheck))
            _reach(block, from_us, to_us, reaches, fleet)
            risen.extend(rises(block, fleet, windows))
            if checks is not None:
                other_channels |= checks.energy.beyond(block)
                unusual.append(checks.flagged.of(block))
                unrecorded |= checks.unrecorded.beyond(block)
                fallen |= checks.fallen.of_block(block)
                if checks.analysers is not None:
                    gauged |= _gauged(block, checks.analysers)
                if checks.signed is not None:
                    fitting |= checks.signed.fitting(block)
            if pairs is None and not more:
                continue
            metered = meter([block])
            if more:
                drawn.append(evidence.select(metered, more, from_us, to_us))
            if recheck is not None:
                part = evidence.select(metered, recheck.pairs, from_us, to_us)
                rows.append(evidence.found_again(recheck.rows, part))
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
    )


def _digested(fleet: Fleet, block: Frame, timezone: str, recheck: Recheck | None) -> list[DayLeaf]:
    leaves = list(reading_leaves(fleet, block, timezone))
    if recheck is not None and recheck.check is not None:
        recheck.check(leaves)
    return leaves


def _again(rows: list[IntervalRows], expected: IntervalRows) -> IntervalRows:
    """Return the metered rows joined; the expected rows themselves where equal."""
    if len(expected) == sum(map(len, rows)):
        of_it = (np.shares_memory(part.value, expected.value) for part in rows if len(part))
        if all(of_it):
            return expected
    return evidence.together(rows)


def _with(
    drawn: IntervalRows, again: IntervalRows | None, beside: set[tuple[int, int]]
) -> IntervalRows:
    """Return rows outside the account, with those that the account has too."""
    if again is None or not beside:
        return drawn
    own = evidence.only(again, beside)
    return evidence.in_order(IntervalRows.concat([own, drawn])) if len(drawn) else own


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
