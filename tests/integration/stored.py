"""Derived rows as stored, and as calculated in one pass over the stored readings."""

import numpy as np

from ingest import classes
from ingest.model import INTERVAL_FIELDS, IntervalRows
from ingest.pipeline import FROM_START, MeterState, meter
from ingest.pipeline.quality_limits import Flags
from ingest.pipeline.quality_state import Watched
from ingest.pipeline.quality_tests import judge
from mrv.accounting.live_emissions import account
from services.settle import Plan
from services.store.timeseries import interval_rows as derived
from services.store.timeseries import quality_flags as flags
from services.store.timeseries import readings
from services.store.timeseries import register_checkpoints as marks

_EMISSION = (
    "SELECT project_id, device_id, (extract(epoch FROM start) * 1000000)::bigint, baseline_ug,"
    " project_ug, leakage_ug, reduction_ug, methodology, factor FROM interval_emission"
    " WHERE device_id = ANY(%s)"
)


def interval_table(rows: IntervalRows) -> dict:
    """Return every column of interval rows by (device, quantity, start)."""
    columns = [getattr(rows, name) for name in INTERVAL_FIELDS]
    return {
        tuple(row[:3]): tuple(row[3:])
        for row in np.stack([np.asarray(c, dtype=np.int64) for c in columns], axis=1).tolist()
    }


def intervals(connection, plan: Plan) -> dict:
    """Return the stored interval rows."""
    with connection.cursor() as cursor:
        ids = [d.id for d in plan.fleet.devices]
        return interval_table(derived.intervals_of(cursor, plan.fleet, 0, 2**52, ids))


def emissions(connection, plan: Plan) -> set:
    """Return the stored emission rows."""
    ids = [d.id for d in plan.fleet.devices]
    return {tuple(row) for row in connection.execute(_EMISSION, (ids,)).fetchall()}


def remade(connection, plan: Plan) -> tuple[dict, set]:
    """Return interval and emission rows calculated in one pass over everything that is stored."""
    frames = []
    with connection.cursor() as cursor:
        for class_id, members in marks.by_class(plan.fleet, range(len(plan.fleet))).items():
            if classes.load()[class_id].registers:
                after = dict.fromkeys(members, FROM_START)
                frames.append(readings.fetch(cursor, plan.fleet, class_id, after))
    rows = meter(plan.bounds, MeterState(len(plan.fleet)), frames).rows
    return interval_table(rows), _emission_set(plan, rows)


def _emission_set(plan: Plan, rows: IntervalRows) -> set:
    found, bindings = account(rows, plan.bindings), plan.bindings
    return {
        (
            bindings.projects[found.project[k]],
            plan.fleet.devices[found.device[k]].id,
            int(found.start_us[k]),
            int(found.baseline_ug[k]),
            int(found.project_ug[k]),
            int(found.leakage_ug[k]),
            int(found.reduction_ug[k]),
            bindings.sources[found.source[k]].methodology,
            bindings.sources[found.source[k]].factors,
        )
        for k in range(len(found))
    }


def _said(flags: Flags) -> list[tuple[int, ...]]:
    columns = (flags.device, flags.time_us, flags.channel, flags.test)
    return sorted(zip(*(c.tolist() for c in columns), strict=True))


def said(connection, plan: Plan) -> list[tuple[int, ...]]:
    """Return the stored flags."""
    with connection.cursor() as cursor:
        return _said(flags.stored(cursor, plan.fleet, range(len(plan.fleet)), 0, 2**52))


def said_again(connection, plan: Plan) -> list[tuple[int, ...]]:
    """Return the flags of one pass over everything that is stored."""
    found = []
    with connection.cursor() as cursor:
        for class_id, members in marks.by_class(plan.fleet, range(len(plan.fleet))).items():
            after = dict.fromkeys(members, FROM_START)
            frame = readings.fetch(cursor, plan.fleet, class_id, after)
            found.append(judge(plan.checks, Watched(len(plan.fleet)), [frame]).flags)
    return _said(Flags.concat(found))


def check(connection, plan: Plan) -> None:
    """Check that the stored derived rows equal those of one pass, in every column."""
    assert said(connection, plan) == said_again(connection, plan)
    want_intervals, want_emissions = remade(connection, plan)
    assert intervals(connection, plan) == want_intervals
    assert emissions(connection, plan) == want_emissions
