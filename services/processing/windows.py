"""
What is metered again, in windows: a late reading up to where rows agree, a request span by span.

A window ends on the grid and before the device's last reading.  It is made longer until
the stored rows after it are those that would be made; what that takes too many rows for
is put off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from psycopg import Cursor

from ingest.model import INTERVAL_US, Fleet
from ingest.pipeline import FROM_START, MeterState
from services.processing import bounds
from services.processing.agreement import agreed
from services.processing.bounds import AHEAD_US, Span, rows_between
from services.processing.rejudge import Changed
from services.processing.reprocess import Remade, remake
from services.settle import Plan
from services.store.postgres.timestamps import FAR_US
from services.store.timeseries import readings
from services.store.timeseries.register_checkpoints import NONE, Bare, by_class
from services.store.timeseries.remake_requests import Request

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
