"""
The measured evidence of a period: readings, the intervals that follow, their digests.

Metering the period again needs more than its own readings.  A step that crosses
an edge ends on a reading outside, and what a register may plausibly do depends
on when it last rose.  So the evidence of a device begins with the reading at
which its register last rose before the period and ends with the first reading
at or after its end.  Metering that starts from nothing at a reading where the
register rose comes to the same rows as metering of the whole history, so no
remembered state has to be believed.  Where that is not enough (a departure or
a standstill across an edge, a meter swap), the evidence reaches further, to the
whole history if need be; the operator's close proves that it is enough, by
metering from it alone.  Readings outside of the period are digested like all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.model import NULL, IntervalRows
from ingest.pipeline import Bounds, MeterState, meter
from mrv.bindings import role_needs
from mrv.digest import DayKey, day_leaf, digest_leaves
from mrv.methodologies import find
from mrv.rows import column_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from ingest.model import Fleet, Frame, Int32, Int64
    from mrv.digest import DayLeaf, Digest
    from mrv.project import Project

DAY_US = 86_400_000_000
TABLE = "interval_quantity"
# What of a row is evidence; where its register stood follows from the readings.
FIELDS = ("value", "measured_us", "estimated_us", "unknown_us")


def monitored(project: Project, fleet: Fleet) -> set[tuple[int, int]]:
    """Return the (device, quantity) pairs that the project's roles count."""
    methodology = find(project.methodology, project.version)
    return {
        (
            fleet.by_id[bound.device],
            QUANTITY_INDEX[role_needs(methodology, bound, f"device {bound.device}").quantity],
        )
        for bound in project.devices
    }


def remeter(
    fleet: Fleet, frames: Iterable[Frame], pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> IntervalRows:
    """
    Interval rows of a period, metered from nothing but its readings.

    Parameters
    ----------
    frames : iterable of Frame
        Evidence of the fleet's devices, times unique a device.
    pairs : set of (int, int)
        Device and quantity that count.
    from_us, to_us : int
        Half-open. [us UTC]
    """
    metered = meter(Bounds(fleet), MeterState(len(fleet)), list(frames))
    return select(metered.rows, pairs, from_us, to_us)


def select(
    rows: IntervalRows, pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> IntervalRows:
    """
    Rows that count in a period, by device, quantity and start.

    A row without any covered time only remembers where a register stood; it is
    no evidence of anything.
    """
    count = len(QUANTITY_INDEX)
    wanted = np.array(sorted(d * count + q for d, q in pairs), dtype=np.int64)
    key = rows.device.astype(np.int64) * count + rows.quantity
    kept = np.isin(key, wanted) & (rows.start_us >= from_us) & (rows.start_us < to_us)
    kept &= covered(rows) | (rows.value != 0)
    rows = rows.take(kept)
    return rows.take(np.lexsort((rows.start_us, rows.quantity, rows.device)))


def covered(rows: IntervalRows) -> NDArray[np.bool_]:
    """Rows with any measured, estimated or unknown time."""
    total: NDArray[np.bool_] = rows.measured_us + rows.estimated_us + rows.unknown_us > 0
    return total


def same(one: IntervalRows, other: IntervalRows) -> bool:
    """Whether two selections hold the same evidence."""
    names = ("device", "quantity", "start_us", *FIELDS)
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def readings_digest(fleet: Fleet, frames: Iterable[Frame]) -> Digest:
    """Digest of readings by device and UTC day; all channels of each row."""
    return digest_leaves(leaf for frame in frames for leaf in _reading_leaves(fleet, frame))


def intervals_digest(fleet: Fleet, rows: IntervalRows) -> Digest:
    """Digest of interval rows by device and UTC day."""
    names = np.array([q.name for q in QUANTITIES], dtype=object)
    columns: dict[str, NDArray[Any]] = {name: getattr(rows, name) for name in FIELDS}
    columns["quantity"] = names[rows.quantity]
    return digest_leaves(_leaves(fleet, TABLE, rows.device, rows.start_us, columns, {}))


def _reading_leaves(fleet: Fleet, frame: Frame) -> Iterator[DayLeaf]:
    table = f"reading_{frame.class_id}"
    valid = {n: v != NULL for n, v in frame.columns.items() if v.dtype == np.int64}
    return _leaves(fleet, table, frame.device, frame.time_us, frame.columns, valid)


def _leaves(
    fleet: Fleet,
    table: str,
    device: Int32,
    time_us: Int64,
    columns: Mapping[str, NDArray[Any]],
    valid: Mapping[str, NDArray[np.bool_]],
) -> Iterator[DayLeaf]:
    order = np.lexsort((time_us, device))
    device, time_us = device[order], time_us[order]
    columns = {name: values[order] for name, values in columns.items()}
    valid = {name: mask[order] for name, mask in valid.items()}
    day = time_us // DAY_US
    new = np.flatnonzero((np.diff(device) != 0) | (np.diff(day) != 0)) + 1
    edges = np.concatenate([[0], new, [len(device)]]) if len(device) else np.array([0])
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        part = slice(begin, end)
        data = column_bytes(
            time_us[part],
            {name: values[part] for name, values in columns.items()},
            {name: mask[part] for name, mask in valid.items()},
        )
        utc_day = datetime.fromtimestamp(int(day[begin]) * DAY_US // 10**6, UTC).date()
        yield day_leaf(DayKey(fleet.devices[device[begin]].id, utc_day, table), data)
