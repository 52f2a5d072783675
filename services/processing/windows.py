"""
What is metered again, in windows: a late reading up to where rows agree, a request span by span.

A window ends on the grid and before the device's last reading.  It is made longer until
the stored rows after it are those that would be made; what that takes too many rows for
is put off.

Where metering again comes out as it stands, and may stop.

A late reading changes the steps around it.  From some later reading on the register
stands as the stored rows say that it stood: same value, read and risen at the same
times, no other line beside it.  Every step from there on is the same, and so are all
rows that only such steps reach.

What a later reading takes back lies before it: a catch-up a day at most (`SPREAD_US`), a
fall a week before the last reading on its line (`LOOK_BACK_US`).  So readings are
metered a day beyond the place, and no stored row of the week after it may tell of
another line: a fall always leaves one.  The step after the place must have been metered
too, to the reading that ends it: it begins in the last interval that is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from psycopg import Cursor

from ingest.model import INTERVAL_US, METERING, NULL, Fleet, IntervalRows
from ingest.pipeline import FROM_START, LOOK_BACK_US, POWER_GAP_US, SPREAD_US, MeterState
from services.processing import bounds
from services.processing.bounds import AHEAD_US, Span, rows_between
from services.processing.rejudge import Changed
from services.processing.reprocess import Remade, remake
from services.settle import Plan
from services.store.postgres.timestamps import FAR_US
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.register_checkpoints import NONE, Bare, Held, by_class
from services.store.timeseries.remake_requests import Request

_WEEK_US = LOOK_BACK_US + INTERVAL_US


class _Sought(NamedTuple):
    """What is asked of a device: after which reading, and how far was metered. [us UTC]"""

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
    From when on stored rows are those that would be made.

    Parameters
    ----------
    remade : Remade
        Rows made again up to `Piece.to_us` of each device.
    last_us : mapping of int to int
        Fleet index to the last reading that changed. [us UTC]
    newest_us : mapping of int to int
        Fleet index to the newest reading whose rows are stored. [us UTC]
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
    held = marks.between(cursor, fleet, spans) if spans else None
    if held is None:
        return {}
    newest = marks.newest(cursor, fleet, {d: s.newest_us for d, s in sought.items()}, bare)
    found = {}
    for piece in remade.pieces:
        rows = piece.rows
        for device in piece.from_us.keys() & sought.keys():
            later = {q for q, us in newest.get(device, {}).items() if us > sought[device].last_us}
            at = _of_device(rows, held, device, sought[device], later)
            if at is not None:
                found[device] = at
    return found


def _of_device(
    rows: IntervalRows, held: Held, device: int, sought: _Sought, later: set[int]
) -> int | None:
    """End of what is to be written of a device; `later` are quantities read after the change."""
    rows = rows.take(rows.device == device)
    stored = _take(held, held.device == device)
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


def _of_register(rows: IntervalRows, stored: Held, sought: _Sought, *, shown: bool) -> int | None:
    """End of the first interval after which a register's rows stay; None where none is seen."""
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


def _calm(stored: Held, at: int, sought: _Sought) -> bool:
    """Whether no reading of the week after a mark can reach back before it."""
    week = int(stored.read_us[at]) + LOOK_BACK_US
    end = int(np.searchsorted(stored.read_us, week, side="right"))
    if end == len(stored.read_us) and sought.newest_us > sought.until_us + LOOK_BACK_US:
        return False  # a silence: the reading that ends it is not seen
    return not stored.other[at : end + 1].any()


def _take(held: Held, rows: np.ndarray) -> Held:
    return type(held)(*(column[rows] for column in held))


def _floor(us: int) -> int:
    return us // INTERVAL_US * INTERVAL_US


_LONGER = 4


class Far(NamedTuple):
    """What late readings far back changed, and devices that are to be made to their end."""

    remade: Remade
    left: set[int]


def far(
    cursor: Cursor,
    plan: Plan,
    scratch: MeterState,
    changed: Mapping[int, Changed],
    newest_us: Mapping[int, int],
    bare: Bare,
) -> Far:
    """
    Meter late readings again, each device from its first one on until its rows agree.

    Parameters
    ----------
    changed : mapping of int to Changed
        Late readings by fleet index.
    newest_us : mapping of int to int
        Newest reading of each device whose rows are stored. [us UTC]
    bare
        As for `remake`.
    """
    out, left = Remade(), set(changed)
    todo = dict(changed)
    ahead = AHEAD_US
    while todo:
        until = {d: floor_up(one.last_us) + ahead for d, one in todo.items()}
        todo = _affordable(plan.fleet, todo, until, newest_us)
        if not todo:
            break
        some = {d: until[d] for d in todo}
        begins = {d: one.first_us for d, one in todo.items()}
        made = remake(cursor, plan, scratch, begins, some, bare=bare)
        last = {d: one.last_us for d, one in todo.items()}
        ends = agreed(cursor, plan.fleet, made, last, newest_us, bare)
        out.join(_until(made, ends))
        left -= ends.keys()
        todo = {d: one for d, one in todo.items() if d not in ends}
        ahead *= _LONGER
    return Far(out, left)


def _affordable(
    fleet: Fleet,
    todo: Mapping[int, Changed],
    until_us: Mapping[int, int],
    newest_us: Mapping[int, int],
) -> dict[int, Changed]:
    """Leave out devices whose window reaches their end, and those that are too much together."""
    kept: dict[int, Changed] = {}
    rows = 0
    for device, one in todo.items():
        more = rows_between(fleet, device, one.first_us, until_us[device])
        if until_us[device] < newest_us[device] and rows + more <= bounds.MOST_ROWS:
            kept[device] = one
            rows += more
    return kept


def _until(made: Remade, ends: Mapping[int, int]) -> Remade:
    """What was made, of devices that agree, up to where they do."""
    return Remade([p.only(ends.keys()).shortened(ends) for p in made.pieces], made.events)


def too_long(
    cursor: Cursor, fleet: Fleet, near: Mapping[int, Changed], newest_us: Mapping[int, int]
) -> dict[int, Changed]:
    """Devices whose rows to their end are more than a commit may hold, the longest first."""
    begins = {d: one.first_us for d, one in near.items()}
    whole = {d: us for d, us in begins.items() if us == FROM_START}
    for class_id, members in by_class(fleet, list(whole)).items():
        ahead = readings.ahead(cursor, fleet, class_id, dict.fromkeys(members, FROM_START), 1)
        begins |= {d: one.first_us for d, one in ahead.items()}
    rows = {d: rows_between(fleet, d, us, newest_us[d]) for d, us in begins.items()}
    total = sum(rows.values())
    found: dict[int, Changed] = {}
    for device in sorted(rows, key=rows.__getitem__, reverse=True):
        if total <= bounds.MOST_ROWS:
            break
        found[device] = Changed(near[device].first_us, min(near[device].last_us, newest_us[device]))
        total -= rows[device]
    return found


@dataclass(slots=True)
class Rest:
    """What is left of requests after a span; `restart` are those that begin anew."""

    moved: dict[int, Request] = field(default_factory=dict)
    restart: set[int] = field(default_factory=set)


def span(
    cursor: Cursor,
    plan: Plan,
    scratch: MeterState,
    requests: Mapping[int, Request],
    cut: Mapping[int, Span],
) -> tuple[Remade, Rest]:
    """
    Make a span of each request.

    Returns
    -------
    remade : Remade
        To be written in the same transaction.
    rest : Rest
        Requests that are to go on; others are answered.
    """
    until = {d: one.until_us for d, one in cut.items() if one.until_us is not None}
    whole = {d for d in cut if requests[d].whole}
    begins = {d: one.from_us for d, one in cut.items()}
    made = remake(cursor, plan, scratch, begins, until, whole)
    rest = Rest()
    # rows made from power go, where the register was shown after them: in spans from the start
    rest.restart = {
        d
        for d, begin, _ in made.spans()
        if begin == FROM_START and d in until and begins[d] != FROM_START
    }
    # rows before this span were made by the one before, and would agree with themselves
    last = {
        d: max(requests[d].last_us, begins[d] - 1) for d in until if requests[d].last_us < FAR_US
    }
    newest = {d: one.newest_us for d, one in cut.items()}
    kept = Remade([p.only(p.from_us.keys() - rest.restart) for p in made.pieces], made.events)
    ends = agreed(cursor, plan.fleet, kept, last, newest, NONE) if last else {}
    kept = Remade([p.shortened(ends) for p in kept.pieces], kept.events)
    for device, edge in until.items():
        if device in rest.restart:
            rest.moved[device] = type(requests[device])()
        elif device not in ends:
            rest.moved[device] = requests[device].moved(edge + 1)
    return kept, rest


def floor_up(us: int) -> int:
    """End of the interval of a time. [us UTC]"""
    return -(-us // INTERVAL_US) * INTERVAL_US
