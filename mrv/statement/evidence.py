"""
Evidence of a period, and the functions of each version of the metering rules.

To meter the period again, readings outside it are needed: for the step across its start and end,
and for the last rise of each register.  So a device's evidence begins with the reading at which its
register last rose before the period, and ends with the first reading at or after its end.  Metering
from a reading with a rise gives the same rows as metering the whole history, so no stored state is
needed.  In other cases (a break or standstill across start or end, a meter replacement) the
evidence extends further, up to the whole history; the operator's close checks that it is
sufficient.

A statement names the metering version of its intervals; version 1 if absent.  Old versions never
change, so that signed statements can always be recalculated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ingest import metering_v1 as first
from ingest import pipeline
from ingest.classes import QUANTITY_INDEX
from ingest.metering_v1 import register_steps as first_bounds
from ingest.metering_v1 import register_steps as first_state
from ingest.model import (
    INTERVAL_FIELDS,
    INTERVAL_US,
    MARK_FIELDS,
    Fleet,
    Frame,
    IntervalRows,
    absent,
    joined,
)
from ingest.pipeline import METERING
from mrv.accounting.coverage import role_needs
from mrv.documents import UNSET
from mrv.errors import CanonicalError
from mrv.methodologies import find
from mrv.registry.project import CheckMeter, Drawn, Project
from mrv.statement.device_days import FIELDS, blocks

if TYPE_CHECKING:
    from mrv.documents.statement import Claims

    Meter = Callable[[Sequence[Frame]], IntervalRows]


_NONE = np.empty(0, dtype=np.int64)


def monitored(
    project: Project, fleet: Fleet, checks: Iterable[CheckMeter] = ()
) -> set[tuple[int, int]]:
    """Return the (device index, quantity index) pairs of the project's roles and check meters."""
    methodology = find(project.methodology, project.version)
    of = tuple(checks)
    pairs = set()
    for bound in project.devices:
        needs = role_needs(methodology, bound, f"device {bound.device}")
        pairs |= {(bound.device, quantity) for quantity in needs.quantities}
        pairs |= {(c.check, needs.quantity) for c in of if c.main == bound.device}
    return {(fleet.by_id[name], QUANTITY_INDEX[quantity]) for name, quantity in pairs}


def monitored_parameters(project: Project) -> set[tuple[str, str]]:
    """Return (device id, quantity name) of each monitored parameter of a statement."""
    roles = find(project.methodology, project.version).roles
    return {(bound.device, roles[bound.role].quantity) for bound in project.devices}


def drawing(project: Project, fleet: Fleet) -> frozenset[tuple[int, int]]:
    """
    Return the (device index, quantity index) pairs of energy consumed or delivered
    by the project.
    """
    methodology = find(project.methodology, project.version)
    result = set()
    for bound in project.devices:
        needs = role_needs(methodology, bound, f"device {bound.device}")
        if needs.beside and bound.device in fleet.by_id:
            result.add((fleet.by_id[bound.device], QUANTITY_INDEX[needs.beside]))
    return frozenset(result)


def drawn(rows: IntervalRows) -> Iterator[tuple[int, Drawn]]:
    """Yield fleet index and consumption of each device; `rows`: sorted, one quantity per device."""
    whole = rows.measured_us + rows.estimated_us == INTERVAL_US
    for device in np.unique(rows.device[whole]).tolist():
        begin, end = np.searchsorted(rows.device, [device, device + 1])
        mine = whole[begin:end]
        number = rows.start_us[begin:end][mine] // INTERVAL_US
        yield device, Drawn(number, np.maximum(rows.value[begin:end][mine], 0))


def remeter(
    fleet: Fleet,
    frames: Iterable[Frame],
    pairs: set[tuple[int, int]],
    from_us: int,
    to_us: int,
    metering: int = METERING,
) -> IntervalRows:
    """
    Return interval rows of a period, metered only from its readings.

    `frames`: readings of the fleet's devices, times unique per device; all of a device in one
    frame.
    `pairs`: device and quantity pairs to meter.
    `from_us`, `to_us`: half-open. [us UTC]
    `metering`: version of the rules.
    """
    meter = meter_of(metering, fleet)
    return together([
        select(meter([block]), pairs, from_us, to_us) for frame in frames for block in blocks(frame)
    ])  # fmt: skip


def select(
    rows: IntervalRows, pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> IntervalRows:
    """
    Return the rows of a period, by device, quantity and start.

    A row without covered time, which only stores a register's value, is not evidence.
    """
    kept = _is_of(rows, pairs) & (rows.start_us >= from_us) & (rows.start_us < to_us)
    kept &= covered(rows) | (rows.value != 0)
    return unmarked(rows).take(kept).in_order()


def only(rows: IntervalRows, pairs: set[tuple[int, int]]) -> IntervalRows:
    """Return rows of some devices and quantities; the same rows if these are all."""
    wanted = _is_of(rows, pairs)
    return rows if wanted.all() else rows.take(wanted)


def _is_of(rows: IntervalRows, pairs: set[tuple[int, int]]) -> NDArray[np.bool_]:
    place = rows.device.astype(np.int64) * len(QUANTITY_INDEX) + rows.quantity
    head = np.flatnonzero(np.diff(place, prepend=-1))
    whose = zip(rows.device[head].tolist(), rows.quantity[head].tolist(), strict=True)
    wanted: NDArray[np.bool_] = np.fromiter((p in pairs for p in whose), np.bool_, len(head))
    return np.repeat(wanted, np.diff(np.append(head, len(rows))))


def unmarked(rows: IntervalRows) -> IntervalRows:
    """
    Return the rows with their register values removed.

    Register values are no evidence here, and take half of the memory.
    """
    marks: dict[str, Any] = dict.fromkeys(MARK_FIELDS, absent(len(rows)))
    return replace(rows, **marks)


def together(parts: Sequence[IntervalRows]) -> IntervalRows:
    """Return joined and sorted rows; the memory of each part is freed as it is joined."""
    columns = {}
    for name in INTERVAL_FIELDS:
        columns[name] = joined([getattr(part, name) for part in parts] or [_NONE])
        for part in parts:
            setattr(part, name, _NONE)
    return IntervalRows(**columns).in_order() if parts else IntervalRows.empty()


def as_slice(rows: IntervalRows, part: IntervalRows) -> IntervalRows:
    """Return the part as a slice of `rows` if it is contiguous there, else the part itself."""
    if not len(part):
        return part
    begin, end = np.searchsorted(rows.device, [part.device[0], part.device[-1] + 1])
    own = rows.within(int(begin), int(end))
    return own if same(own, part) else part


def covered(rows: IntervalRows) -> NDArray[np.bool_]:
    """Return a mask of rows with measured, estimated or unknown time."""
    total: NDArray[np.bool_] = rows.measured_us + rows.estimated_us + rows.unknown_us > 0
    return total


def same(interval_rows: IntervalRows, other: IntervalRows) -> bool:
    """Return whether two selections contain the same evidence."""
    names = ("device", "quantity", "start_us", *FIELDS)
    return all(np.array_equal(getattr(interval_rows, n), getattr(other, n)) for n in names)


FIRST = 1
# End of the last period for which replaced rules of metering and accounting are accepted.  A
# statement names its own rules; without this limit it could name those that credit more.  At this
# hour the year has ended in all time zones.
OLDER_UNTIL = "2027-01-01T12:00:00Z"


def of_claims(claims: Claims) -> int:
    """
    Return the version of metering of a statement.

    Raises CanonicalError if this release does not know it.
    """
    version = FIRST if claims.metering is UNSET else claims.metering
    if version not in (FIRST, METERING):
        raise CanonicalError(
            f"the statement was metered by version {version!r}, but this version "
            f"of tonne supports {FIRST} and {METERING}; verify it with the version "
            "that made it, or a newer one"
        )
    return version


def of_first_release(claims: Claims) -> bool:
    """Return whether a statement is by the rules of tonne 0.1.0, which stated no versions."""
    return claims.metering is UNSET and claims.accounting is UNSET


def meter_of(version: int, fleet: Fleet) -> Meter:
    """Return the function that meters a fleet's complete histories by a version's rules."""
    if version == FIRST:
        old = first_bounds.Bounds(fleet)
        return lambda frames: first.meter(old, first_state.MeterState(len(fleet)), frames).rows
    bounds = pipeline.Bounds(fleet)
    return lambda frames: pipeline.meter(bounds, pipeline.MeterState(len(fleet)), frames).rows
