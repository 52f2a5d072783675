"""
Marks of days that late rows change, so that these days are added up again.

Derived rows are marked by triggers, no matter who writes them, which costs most where rows of
many devices come in turn: the pipeline marks what it writes at once instead.  Tables of
readings have no triggers, for every row of a COPY would pay for them: anyone who stores
readings marks their days, of the only class whose days are made from readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor

from ingest.model import Fleet, Frame, Int32, Int64
from services.clock import now_us
from services.store.postgres.timestamps import stamp

_CLASS = "pv_inverter"
_DAY_US = 86_400_000_000
_HOUR_US = 3_600_000_000
# rows of the last hour need no mark (migration 0400); half of it is left for clocks that differ
_YOUNG_US = 1_800_000_000
# so many devices of a site on one day are marked as the site
_MANY = 8
_MARK = (
    "SELECT tonne_mark_days(%s, %s::timestamptz[], %s::timestamptz[]),"
    " tonne_mark_sites(%s, %s::timestamptz[], %s::timestamptz[])"
)


def note(cursor: Cursor, fleet: Fleet, frames: Iterable[Frame]) -> None:
    """
    Mark the days of stored readings where they are late, in the transaction of the caller.

    A reading of an inverter ends what the one before it counts: one soon after midnight changes
    the day before.
    """
    _mark(cursor, fleet, [(f.device, f.time_us) for f in frames if f.class_id == _CLASS], _HOUR_US)


@contextmanager
def noted(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]]) -> Iterator[None]:
    """
    Mark the days of derived rows where they are late; the block writes these rows and no others.

    Parameters
    ----------
    rows : sequence of (int32 array, int64 array)
        Devices by fleet index, and when their rows begin. [us UTC]
    """
    if not _mark(cursor, fleet, rows, 0):
        yield
        return
    cursor.execute("SELECT set_config('tonne.marks', 'made', true)")
    yield
    cursor.execute("SELECT set_config('tonne.marks', '', true)")


def _mark(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]], reach_us: int) -> bool:
    before = now_us() - _YOUNG_US
    late = [(device, time_us, time_us < before) for device, time_us in rows]
    late = [one for one in late if one[2].any()]
    if not late:
        return False
    device = np.concatenate([device[old] for device, _, old in late])
    time_us = np.concatenate([time_us[old] for _, time_us, old in late])
    spans = _Spans.of(device, time_us)
    names, number = np.unique(
        [fleet.devices[d].site for d in spans.device.tolist()], return_inverse=True
    )
    # a site's spans of a day
    _, of, count = np.unique(number * 2**32 + spans.day, return_inverse=True, return_counts=True)
    many = count[of] >= _MANY
    places = _Spans.of(number[many], spans.first_us[many], spans.last_us[many])
    few = spans.take(~many)
    cursor.execute(
        _MARK,
        (
            fleet.ids(few.device.tolist()),
            *few.stamps(reach_us),
            names[places.device].tolist(),
            *places.stamps(reach_us),
        ),
    )
    return True


class _Spans(NamedTuple):
    """First and last time of each device, or site, in each day of UTC."""

    device: NDArray[np.integer]
    day: Int64
    first_us: Int64
    last_us: Int64

    @staticmethod
    def of(device: NDArray[np.integer], time_us: Int64, last_us: Int64 | None = None) -> _Spans:
        """Group times, or spans from a time to a last one, by device and day."""
        day = time_us // _DAY_US
        order = np.lexsort((time_us, day, device))
        device, day, time_us = device[order], day[order], time_us[order]
        last_us = time_us if last_us is None else last_us[order]
        new = np.ones(len(device), dtype=np.bool_)
        new[1:] = (device[1:] != device[:-1]) | (day[1:] != day[:-1])
        heads = np.flatnonzero(new)
        last = np.maximum.reduceat(last_us, heads) if len(heads) else last_us
        return _Spans(device[heads], day[heads], time_us[heads], last)

    def take(self, rows: NDArray[np.bool_]) -> _Spans:
        """Return some of them."""
        return _Spans(self.device[rows], self.day[rows], self.first_us[rows], self.last_us[rows])

    def stamps(self, reach_us: int) -> tuple[list[str], list[str]]:
        """First times, so much earlier, and last times, as SQL reads them."""
        first = [stamp(us - reach_us) for us in self.first_us.tolist()]
        return first, [stamp(us) for us in self.last_us.tolist()]
