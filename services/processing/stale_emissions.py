"""Stored emission rows calculated with other factors than today's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from psycopg import Connection

from mrv.accounting.live_emissions import segments
from services.settle import Plan


class Stale(NamedTuple):
    """A device's rows in [from, to) whose factor may have changed. [us UTC]"""

    device: int
    from_us: int
    to_us: int


class _Stored(NamedTuple):
    methodology: str
    factors: str
    first_us: int
    last_us: int


def stale(conn: Connection, plan: Plan) -> list[Stale]:
    """
    Return devices with emission rows whose factors differ from the plan's.

    By the ids of the factors in each row; a value corrected under its id is found by `tonne rebuild
    --check`.
    """
    rows = conn.execute(
        "SELECT project_id, device_id, methodology, factor,"
        " (extract(epoch FROM min(start)) * 1000000)::bigint,"
        " (extract(epoch FROM max(start)) * 1000000)::bigint"
        " FROM interval_emission GROUP BY project_id, device_id, methodology, factor"
    )
    stored: dict[tuple[str, str], list[_Stored]] = {}
    for project, device, *rest in rows:
        stored.setdefault((project, device), []).append(_Stored(*rest))
    result: dict[int, list[int]] = {}
    for project, device, begin, end, source in segments(plan.bindings):
        key = plan.bindings.projects[project], plan.fleet.devices[device].id
        for row in stored.get(key, ()):
            if (row.methodology, row.factors) == source:
                continue
            first, last = max(begin, row.first_us), min(end, row.last_us + 1)
            if first < last:
                result.setdefault(device, []).extend((first, last))
    return list(_spans(result.items()))


def _spans(rows: Iterable[tuple[int, list[int]]]) -> Iterable[Stale]:
    for device, edges in sorted(rows):
        yield Stale(device, min(edges), max(edges))
