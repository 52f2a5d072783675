"""
Marks of days changed by late rows, whose sums must be calculated again.

Derived rows are marked by triggers; the pipeline marks its own rows in bulk, as triggers are slow
for many devices.  Tables of readings have no triggers: the code that stores readings of inverters
marks their days.
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
from services.store.postgres.values import stamp

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
    Mark the days of late readings, in the caller's transaction.

    A reading of an inverter shortly after midnight also changes the day before.
    """
    _mark(cursor, fleet, [(f.device, f.time_us) for f in frames if f.class_id == _CLASS], _HOUR_US)


@contextmanager
def noted(cursor: Cursor, fleet: Fleet, rows: Sequence[tuple[Int32, Int64]]) -> Iterator[None]:
    """
    Context that marks the days of late derived rows; its block writes only these rows.

    Parameters
    ----------
    rows : sequence of (int32 array, int64 array)
        Devices by fleet index, and starts of their rows. [us UTC]
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
    late = [batch for batch in late if batch[2].any()]
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
    """First and last time of each device or site in each UTC day."""

    device: NDArray[np.integer]
    day: Int64
    first_us: Int64
    last_us: Int64

    @staticmethod
    def of(device: NDArray[np.integer], time_us: Int64, last_us: Int64 | None = None) -> _Spans:
        """Return times, or spans of times, grouped by device and day."""
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
        """Return the selected rows."""
        return _Spans(self.device[rows], self.day[rows], self.first_us[rows], self.last_us[rows])

    def stamps(self, reach_us: int) -> tuple[list[str], list[str]]:
        """Return first times, reduced by `reach_us`, and last times as SQL text."""
        first = [stamp(us - reach_us) for us in self.first_us.tolist()]
        return first, [stamp(us) for us in self.last_us.tolist()]
