"""
Rebuild: calculate derived rows again from raw readings, compare, and replace differing ones.

Each device's full history is metered with the pipeline's functions, independently of the stored
rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace as changed
from math import isnan
from typing import Any, NamedTuple

import numpy as np
from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus

from ingest.classes import QUANTITIES
from ingest.model import INTERVAL_FIELDS, NULL, IntervalRows
from ingest.pipeline import FROM_START, MeterState
from ingest.pipeline.quality_limits import CHANNELS, TESTS, Flags
from mrv.accounting.emission_rows import EmissionRows
from mrv.accounting.live_emissions import segments
from mrv.calendar import utc_text
from mrv.environment import KINDS, Values
from mrv.statement.evidence import FIRST, meter_of
from services.processing import flags_and_indicators as stations
from services.processing import reprocess as late
from services.processing.flags_and_indicators import Judging
from services.settle import Part, Plan
from services.store import archive_catalog as archived
from services.store.postgres.binary_copy import Words
from services.store.postgres.columnstore import lift_limit
from services.store.postgres.pool import stamp
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import readings, remake_requests
from services.store.timeseries import register_checkpoints as marks
from services.store.timeseries.interval_rows import BindingWords

AT_ONCE = 20
# number of repeated comparisons while a pipeline has not derived rows yet, and the pause between
# them
_LOOKS, _PAUSE_S = 20, 0.3
EMISSIONS = "interval_emission"
Key = tuple[str, ...]


class Difference(NamedTuple):
    """Row that differs between database and rebuild; None where it is missing."""

    table: str
    key: Key
    stored: tuple[Any, ...] | None
    computed: tuple[Any, ...] | None

    @property
    def device(self) -> str:
        """Return the device of the row."""
        return self.key[self.table == EMISSIONS]

    @property
    def time(self) -> str:
        """Return the time of the row in RFC 3339, in UTC."""
        return self.key[1 if self.table == "quality_flag" else 2]


def rebuild(
    conn: Connection, plan: Plan, devices: Sequence[int], from_us: int, to_us: int, *, replace: bool
) -> list[Difference]:
    """
    Return differing derived rows of devices in [from, to); replace them if requested.

    Rows that the pipeline is about to derive are compared again later.

    `conn`: connection in autocommit, as `tonne_ingest`.
    `devices`: fleet indices, in limited number, as their readings are held in memory.
    `replace`: write the calculated rows where a device differs.  The pipeline waits meanwhile.
    """
    fresh = conn.info.transaction_status is TransactionStatus.IDLE
    for _ in range(_LOOKS):
        differences, behind = _compared(conn, plan, devices, from_us, to_us, replace=replace)
        if not (fresh and behind):
            break
        time.sleep(_PAUSE_S)
    return differences


def _compared(
    conn: Connection, plan: Plan, devices: Sequence[int], from_us: int, to_us: int, *, replace: bool
) -> tuple[list[Difference], bool]:
    """Return differences, and whether rows are still missing; replace if requested."""
    fresh = conn.info.transaction_status is TransactionStatus.IDLE
    if replace:
        lift_limit(conn)
    with conn.transaction(), conn.cursor() as cursor:
        if replace:
            # locked, so that a running pipeline writes either before this comparison or after its
            # commit
            cursor.execute(
                "LOCK TABLE interval_quantity, interval_emission, indicator_value, quality_flag"
                " IN SHARE ROW EXCLUSIVE MODE"
            )
        elif fresh:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        archived.guard(cursor)  # while this lock is held, no chunk is dropped
        computed = _computed(cursor, plan, devices, from_us, to_us)
        ids = plan.fleet.ids(list(devices))
        older = derived.older_rows(cursor, ids, from_us, to_us) is not None
        if older and not replace:
            computed = _by_first(cursor, plan, devices, computed, from_us, to_us)
        differences = list(_differences(cursor, plan, devices, computed, from_us, to_us))
        if not replace:
            differences = _new_by_factors(plan, computed, differences)
        behind = False
        if replace and (differences or older):
            _replace(cursor, plan, devices, computed, from_us, to_us)
        elif differences:
            behind = remake_requests.just_stored(cursor, sorted({d.device for d in differences}))
    return differences, behind


class _Computed(NamedTuple):
    """Rows calculated from readings: intervals with emissions, station values, flags."""

    remade: late.Remade
    part: Part
    values: Values
    flags: Flags


def _computed(
    cursor: Cursor, plan: Plan, devices: Sequence[int], from_us: int, to_us: int
) -> _Computed:
    scratch = MeterState(len(plan.fleet))
    remade = late.remake(cursor, plan, scratch, dict.fromkeys(devices, FROM_START))
    values = stations.computed(cursor, plan.fleet, devices, remade.rows())
    remade = remade.within(from_us, to_us)
    within = (values.start_us >= from_us) & (values.start_us < to_us)
    everything = dict.fromkeys(devices, FROM_START)
    result = Judging(plan).judge(cursor, everything, {}).flags
    inside = result.take((result.time_us >= from_us) & (result.time_us < to_us))
    return _Computed(remade, Part.of(plan, remade.rows()), values.take(within), inside)


def _by_first(
    cursor: Cursor,
    plan: Plan,
    devices: Sequence[int],
    computed: _Computed,
    from_us: int,
    to_us: int,
) -> _Computed:
    """Return the calculated rows, metered by rule set 1 where the stored rows are."""
    until = np.full(len(plan.fleet), FROM_START, dtype=np.int64)
    for device, us in derived.older_until(cursor, plan.fleet, plan.fleet.ids(devices)).items():
        until[device] = us
    old = meter_of(FIRST, plan.fleet)
    frames = [
        readings.fetch(cursor, plan.fleet, class_id, dict.fromkeys(members, FROM_START))
        for class_id, members in marks.by_class(plan.fleet, devices).items()
    ]
    first = old([frame for frame in frames if len(frame)])
    first = first.take((first.start_us >= from_us) & (first.start_us < to_us))
    rows = computed.part.intervals
    interval_rows = IntervalRows.concat(
        [
            first.take(first.start_us <= until[first.device]),
            rows.take(rows.start_us > until[rows.device]),
        ]
    )
    return computed._replace(part=Part.of(plan, interval_rows))


def _new_by_factors(
    plan: Plan, computed: _Computed, differences: Sequence[Difference]
) -> list[Difference]:
    """Return the differences, except emissions that follow from the stored rows' factors."""
    if not any(difference.table == EMISSIONS for difference in differences):
        return [*differences]
    older = changed(plan, bindings=plan.older())
    known = _of_emissions(older, Part.of(older, computed.part.intervals).emissions)
    return [
        difference
        for difference in differences
        if difference.table != EMISSIONS
        or difference.stored is None
        or difference.stored != known.get(difference.key)
    ]


def _differences(
    cursor: Cursor,
    plan: Plan,
    devices: Sequence[int],
    computed: _Computed,
    from_us: int,
    to_us: int,
) -> Iterator[Difference]:
    ids = plan.fleet.ids(list(devices))
    stored_rows = derived.intervals_of(cursor, plan.fleet, from_us, to_us, ids)
    part = computed.part
    tables = (
        ("interval_quantity", _of_rows(plan, stored_rows), _of_rows(plan, part.intervals)),
        (
            EMISSIONS,
            _stored_emissions(cursor, ids, from_us, to_us),
            _of_emissions(plan, part.emissions),
        ),
        (
            "indicator_value",
            _stored_values(cursor, ids, from_us, to_us),
            _of_values(plan, computed.values),
        ),
        (
            "quality_flag",
            _of_flags(plan, flags.stored(cursor, plan.fleet, devices, from_us, to_us)),
            _of_flags(plan, computed.flags),
        ),
    )
    for table, stored, wanted in tables:
        for key in sorted(stored.keys() | wanted.keys()):
            if stored.get(key) != wanted.get(key):
                yield Difference(table, key, stored.get(key), wanted.get(key))


def _of_rows(plan: Plan, rows: IntervalRows) -> dict[Key, tuple[Any, ...]]:
    columns = [getattr(rows, name).tolist() for name in INTERVAL_FIELDS]
    return {
        (plan.fleet.devices[device].id, QUANTITIES[quantity].name, utc_text(start)): tuple(
            None if v == NULL else v for v in values
        )
        for device, quantity, start, *values in zip(*columns, strict=True)
    }


def _of_emissions(plan: Plan, rows: EmissionRows) -> dict[Key, tuple[Any, ...]]:
    projects, sources = plan.bindings.projects, plan.bindings.sources
    figures = (rows.baseline_ug, rows.project_ug, rows.leakage_ug, rows.reduction_ug)
    columns = (rows.project, rows.device, rows.start_us, rows.source, *figures)
    return {
        (projects[project], plan.fleet.devices[device].id, utc_text(start)): (
            *values,
            *sources[source],
        )
        for project, device, start, source, *values in zip(
            *(c.tolist() for c in columns), strict=True
        )
    }


def _of_flags(plan: Plan, stored: Flags) -> dict[Key, tuple[Any, ...]]:
    columns = (stored.device, stored.time_us, stored.channel, stored.test)
    return {
        (plan.fleet.devices[device].id, utc_text(us), CHANNELS[channel], TESTS[test]): ()
        for device, us, channel, test in zip(*(c.tolist() for c in columns), strict=True)
    }


def _stored_emissions(
    cursor: Cursor, ids: list[str], from_us: int, to_us: int
) -> dict[Key, tuple[Any, ...]]:
    cursor.execute(
        "SELECT project_id, device_id, (extract(epoch FROM start) * 1000000)::bigint,"
        " baseline_ug, project_ug, leakage_ug, reduction_ug, methodology, factor"
        " FROM interval_emission WHERE device_id = ANY(%s) AND start >= %s AND start < %s",
        (ids, stamp(from_us), stamp(to_us)),
    )
    return {
        (project, device, utc_text(start)): tuple(values)
        for project, device, start, *values in cursor.fetchall()
    }


def _of_values(plan: Plan, values: Values) -> dict[Key, tuple[Any, ...]]:
    columns = (values.device, values.kind, values.start_us, values.value, values.covered)
    return {
        (plan.fleet.devices[device].id, KINDS[kind].name, utc_text(start)): (
            KINDS[kind].period,
            *(None if isnan(figure) else figure for figure in figures),
            *derived.verdict_texts(values, i),
        )
        for i, (device, kind, start, *figures) in enumerate(
            zip(*(c.tolist() for c in columns), strict=True)
        )
    }


def _stored_values(
    cursor: Cursor, ids: list[str], from_us: int, to_us: int
) -> dict[Key, tuple[Any, ...]]:
    cursor.execute(
        "SELECT device_id, indicator, (extract(epoch FROM start) * 1000000)::bigint, period,"
        " value, covered, grade, detail::text FROM indicator_value"
        " WHERE device_id = ANY(%s) AND start >= %s AND start < %s",
        (ids, stamp(from_us), stamp(to_us)),
    )
    return {
        (device, indicator, utc_text(start)): (*rest, derived.canonical(detail))
        for device, indicator, start, *rest, detail in cursor.fetchall()
    }


def _replace(
    cursor: Cursor,
    plan: Plan,
    devices: Sequence[int],
    computed: _Computed,
    from_us: int,
    to_us: int,
) -> None:
    fleet = plan.fleet
    ids, names = Words.of([d.id for d in fleet.devices]), fleet.ids(list(devices))
    derived.clear(cursor, names, (from_us, to_us))
    derived.write(cursor, ids, computed.values, ())
    flags.clear(cursor, fleet, dict.fromkeys(devices, (from_us, to_us)))
    flags.write(cursor, ids, computed.flags)
    late.write(cursor, plan, ids, BindingWords(plan.bindings), computed.remade)


class Stale(NamedTuple):
    """Device and the span [from, to) of its rows whose factor may have changed. [us UTC]"""

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

    The ids of the factors in each row are compared; a value corrected under its id is found by
    `tonne rebuild --check`.
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
