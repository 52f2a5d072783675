"""
Place from which recalculated metering agrees with the stored rows, so that it can stop.

A late reading changes the steps around it.  From some later reading on the register's state equals
the stored one: same value, same times of reading and last rise, no second sequence. All later steps
and rows are then unchanged.

Later readings can affect earlier rows: a catch-up by a day (`SPREAD_US`), a fall by a week before
the last reading of its sequence (`LOOK_BACK_US`).  So readings are metered for another day, and the
stored rows of the following week must not have a second sequence, which a fall always leaves. The
following step must have been metered to its end, as it begins in the last written interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest.model import INTERVAL_US, METERING, NULL, Fleet, IntervalRows
from ingest.pipeline import LOOK_BACK_US, POWER_GAP_US, SPREAD_US
from services.processing.reprocess import Remade
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.register_checkpoints import Bare, StoredRows

_WEEK_US = LOOK_BACK_US + INTERVAL_US


class _Sought(NamedTuple):
    """
    Requested device: the reading after which rows are made, and the end of the metered time.
    [us UTC]
    """

    last_us: int
    until_us: int
    newest_us: int


def agreed(
    cursor: Cursor,
    fleet: Fleet,
    remade: Remade,
    last_us: Mapping[int, int],
    newest_us: Mapping[int, int],
    bare: Bare,
) -> dict[int, int]:
    """
    Return, by device, the time from which stored and recalculated rows agree.

    Parameters
    ----------
    remade : Remade
        Rows recalculated up to `Piece.to_us` of each device.
    last_us : mapping of int to int
        Fleet index to the last changed reading. [us UTC]
    newest_us : mapping of int to int
        Fleet index to the newest reading with stored rows. [us UTC]
    bare
        As for `register_checkpoints.last`.

    Returns
    -------
    dict of int to int
        Only devices that agree. [us UTC]
    """
    sought = {
        d: _Sought(last_us[d], end, newest_us[d])
        for d, _, end in remade.spans()
        if d in last_us and end < newest_us[d]
    }
    spans = {d: (_floor(s.last_us), s.until_us + _WEEK_US) for d, s in sought.items()}
    known = marks.between(cursor, fleet, spans) if spans else None
    if known is None:
        return {}
    newest = marks.newest(cursor, fleet, {d: s.newest_us for d, s in sought.items()}, bare)
    result = {}
    for piece in remade.pieces:
        rows = piece.rows
        for device in piece.from_us.keys() & sought.keys():
            later = {q for q, us in newest.get(device, {}).items() if us > sought[device].last_us}
            at = _of_device(rows, known, device, sought[device], later)
            if at is not None:
                result[device] = at
    return result


def _of_device(
    rows: IntervalRows, stored_rows: StoredRows, device: int, sought: _Sought, later: set[int]
) -> int | None:
    """
    Return the end of a device's rows to write; None if they do not agree. [us UTC]

    `later` are the quantities read after the change.
    """
    rows = rows.take(rows.device == device)
    stored = _take(stored_rows, stored_rows.device == device)
    if (stored.metering != METERING).any():
        return None  # rows of older rules are not what would be made now
    quantities = {*rows.quantity.tolist(), *stored.quantity.tolist(), *later}
    ends = [
        _of_register(
            rows.take(rows.quantity == quantity),
            _take(stored, stored.quantity == quantity),
            sought,
            shown=quantity in later,
        )
        for quantity in sorted(quantities)
    ]
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return None
    end = max(known, default=_floor(sought.last_us) + INTERVAL_US)
    return end if end + SPREAD_US <= sought.until_us else None


def _of_register(
    rows: IntervalRows, stored: StoredRows, sought: _Sought, *, shown: bool
) -> int | None:
    """
    Return the end of the first interval after which a register's rows agree; None if there
    is none.
    """
    read = rows.read_us != NULL
    marked = stored.read_us != NULL
    if not read.any() and not marked.any() and not shown:
        # from power: a gap parts what follows from what came before
        return _floor(sought.last_us + POWER_GAP_US) + 2 * INTERVAL_US
    rows, stored = rows.take(read), _take(stored, marked)
    _, mine, theirs = np.intersect1d(rows.start_us, stored.start_us, return_indices=True)
    same = (
        (rows.register[mine] == stored.value[theirs])
        & (rows.read_us[mine] == stored.read_us[theirs])
        & (rows.changed_us[mine] == stored.changed_us[theirs])
        & (rows.other_read_us[mine] == NULL)
        & ~stored.other[theirs]
        & (stored.read_us[theirs] > sought.last_us)
        # the step after it ends before what was metered does
        & (stored.read_us[theirs] < rows.read_us.max(initial=NULL))
    )
    for k in theirs[same].tolist():
        if _calm(stored, k, sought):
            return int(stored.start_us[k]) + INTERVAL_US
    return None


def _calm(stored: StoredRows, at: int, sought: _Sought) -> bool:
    """Return whether no reading of the week after a mark can change rows before it."""
    week = int(stored.read_us[at]) + LOOK_BACK_US
    end = int(np.searchsorted(stored.read_us, week, side="right"))
    if end == len(stored.read_us) and sought.newest_us > sought.until_us + LOOK_BACK_US:
        return False  # a silence: the reading that ends it is not seen
    return not stored.other[at : end + 1].any()


def _take(stored_rows: StoredRows, rows: np.ndarray) -> StoredRows:
    return type(stored_rows)(*(column[rows] for column in stored_rows))


def _floor(us: int) -> int:
    return us // INTERVAL_US * INTERVAL_US
