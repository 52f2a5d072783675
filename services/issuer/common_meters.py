"""
What common meters and their users metered in a period, from the stored intervals.

A user's meter may be another project's, whose readings are no evidence of this one: the sums stand
in the plan of the statement, as those of invoices outside the period do.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import reduce

import numpy as np
from psycopg import Connection

from ingest.model import INTERVAL_US, Int64
from mrv.accounting.cross_checks import Rows
from mrv.calendar import days, period_us
from mrv.documents.plan import CommonMetered
from mrv.methodologies import find
from mrv.registry.declared import SharedMeter
from mrv.rounding import exact_sum, exact_text, share_text
from mrv.statement.plan_extract import MonitoringPlan
from services.store.registry import load as registry
from services.store.timeseries.interval_rows import intervals_of

# by how much they may differ where nothing is declared: two meters of class 2 (IEC 62053-21) [%, M]
_LOST = 2


def with_common(conn: Connection, plan: MonitoringPlan, span_us: tuple[int, int]) -> MonitoringPlan:
    """Return a plan with what its common meters and their users metered."""
    if not plan.declared.shared_meters:
        return plan
    roles = find(plan.project.methodology, plan.project.version).roles
    bound = [(one.device, roles[one.role].quantity) for one in plan.project.devices]
    found = []
    for shared_meter in plan.declared.shared_meters:
        for quantity in sorted(
            {quantity for device, quantity in bound if device in shared_meter.users}
        ):
            joint = [r for r in shared_meter.readings if r.quantity == quantity]
            asked = conn, shared_meter, quantity, span_us, plan.project.timezone
            own = _metered(*asked)
            # a meter that is read by people alone sends nothing
            if not joint or Fraction(own.compared_share):
                found.append(own)
            if joint:
                found.append(_jointly(*asked))
    return replace(plan, common=tuple(found))


def _jointly(
    conn: Connection,
    shared_meter: SharedMeter,
    quantity: str,
    span_us: tuple[int, int],
    timezone: str,
) -> CommonMetered:
    """Compare joint meter readings with what the users' meters counted in their days."""
    fleet = registry.load_fleet(conn)
    main = together = covered_us = 0
    with conn.cursor() as cursor:
        for reading in shared_meter.readings:
            begin, end = period_us(reading.begins, reading.ends, timezone)
            inside = min(end, span_us[1]) - max(begin, span_us[0])
            if reading.quantity != quantity or inside <= 0:
                continue
            rows = Rows(
                intervals_of(cursor, fleet, begin, end, [*shared_meter.users], marks=False), fleet
            )
            together += sum(
                exact_sum(rows.known(name, quantity).value) for name in shared_meter.users
            )
            main += reading.value
            covered_us += inside
    return CommonMetered(
        main=shared_meter.main,
        users=shared_meter.users,
        quantity=quantity,
        main_metered=str(main),
        users_metered=str(together),
        compared_share=share_text(covered_us, span_us[1] - span_us[0]),
        lost_percent=exact_text(
            Fraction(_LOST if shared_meter.lost is None else shared_meter.lost)
        ),
        days_above=(),
        joint=True,
    )


def _metered(
    conn: Connection, one: SharedMeter, quantity: str, span_us: tuple[int, int], timezone: str
) -> CommonMetered:
    fleet = registry.load_fleet(conn)
    names = [one.main, *one.users]
    with conn.cursor() as cursor:
        rows = Rows(intervals_of(cursor, fleet, *span_us, names, marks=False), fleet)
    known = [rows.known(name, quantity) for name in names]
    number = reduce(np.intersect1d, (some.number for some in known))
    main, *users = (some.value[np.searchsorted(some.number, number)] for some in known)
    together: Int64 = sum(users, start=np.zeros(len(number), dtype=np.int64))
    lost = Fraction(_LOST if one.lost is None else one.lost)
    above = []
    for day, begin_us, end_us in days(*span_us, timezone):
        begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
        sums = exact_sum(main[begin:end]), exact_sum(together[begin:end])
        if sums[1] * 100 > sums[0] * (100 + lost):
            above.append(day.isoformat())
    return CommonMetered(
        main=one.main,
        users=one.users,
        quantity=quantity,
        main_metered=str(exact_sum(main)),
        users_metered=str(exact_sum(together)),
        compared_share=share_text(len(number), (span_us[1] - span_us[0]) // INTERVAL_US),
        lost_percent=exact_text(lost),
        days_above=tuple(above),
    )
