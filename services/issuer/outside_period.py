"""
Stored quantities for comparisons outside a period or project: of invoices, and of common meters.

Invoices have their supplier's own dates, so part of an invoice lies outside the period; users of a
common meter may belong to another project. These quantities are put into the statement's plan, so
that the comparison can be repeated without the database; an audit compares them with the stored
ones.  An invoice is not compared if intervals are missing or outdated, or if it also covers a meter
of others without a valid certificate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import reduce
from typing import Literal

import numpy as np
from psycopg import Connection

from ingest.model import INTERVAL_US, Fleet, Int64
from mrv.accounting.cross_checks import Rows, outside
from mrv.accounting.evidenced_time import TOLERANCE
from mrv.calendar import days, period_us, utc_text
from mrv.documents import UNSET, UnsetType
from mrv.documents.plan import CommonMetered
from mrv.errors import PeriodError
from mrv.methodologies import find
from mrv.registry import SharedMeter
from mrv.registry.calibration import uncovered
from mrv.registry.project import Invoice, MeteredOutside
from mrv.rounding import exact_sum, exact_text, share_text
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from services.store.registry import load as registry
from services.store.registry.entries_from_rows import CALIBRATIONS
from services.store.statements import statements
from services.store.timeseries import remake_requests
from services.store.timeseries.interval_rows import intervals_of, older_rows

# by how much they may differ where nothing is declared: two meters of class 2 (IEC 62053-21) [%, M]
_LOST = 2


def with_common(conn: Connection, plan: MonitoringPlan, span_us: tuple[int, int]) -> MonitoringPlan:
    """Return a plan with the quantities of its common meters and their users."""
    if not plan.declared.shared_meters:
        return plan
    roles = find(plan.project.methodology, plan.project.version).roles
    bound = [(device.device, roles[device.role].quantity) for device in plan.project.devices]
    common_metered = []
    for shared in plan.declared.shared_meters:
        for quantity in sorted({quantity for device, quantity in bound if device in shared.users}):
            joint = [r for r in shared.readings if r.quantity == quantity]
            arguments = conn, shared, quantity, span_us, plan.project.timezone
            own = _metered(*arguments)
            # a meter that is read by people alone sends nothing
            if not joint or Fraction(own.compared_share):
                common_metered.append(own)
            if joint:
                common_metered.append(_jointly(*arguments))
    return replace(plan, common=tuple(common_metered))


def _compared(
    shared: SharedMeter, quantity: str, main: int, users: int, share: str,
    above: Iterable[str] = (), joint: Literal[True] | UnsetType = UNSET,
) -> CommonMetered:  # fmt: skip
    return CommonMetered(
        main=shared.main, users=shared.users, quantity=quantity,
        main_metered=str(main), users_metered=str(users), compared_share=share,
        lost_percent=exact_text(_lost(shared)), days_above=tuple(above), joint=joint,
    )  # fmt: skip


def _lost(shared: SharedMeter) -> Fraction:
    return Fraction(_LOST if shared.lost is None else shared.lost)


def _jointly(
    conn: Connection, shared: SharedMeter, quantity: str, span_us: tuple[int, int], timezone: str
) -> CommonMetered:
    """Return the comparison of a common meter with the sum of its users' meters."""
    fleet = registry.load_fleet(conn)
    main = together = covered_us = 0
    with conn.cursor() as cursor:
        for reading in shared.readings:
            begin, end = period_us(reading.begins, reading.ends, timezone)
            inside = min(end, span_us[1]) - max(begin, span_us[0])
            if reading.quantity != quantity or inside <= 0:
                continue
            users = [*shared.users]
            rows = Rows(intervals_of(cursor, fleet, begin, end, users, marks=False), fleet)
            together += sum(exact_sum(rows.known(name, quantity).value) for name in users)
            main += reading.value
            covered_us += inside
    share = share_text(covered_us, span_us[1] - span_us[0])
    return _compared(shared, quantity, main, together, share, joint=True)


def _metered(
    conn: Connection, shared: SharedMeter, quantity: str, span_us: tuple[int, int], timezone: str
) -> CommonMetered:
    fleet = registry.load_fleet(conn)
    names = [shared.main, *shared.users]
    with conn.cursor() as cursor:
        rows = Rows(intervals_of(cursor, fleet, *span_us, names, marks=False), fleet)
    known = [rows.known(name, quantity) for name in names]
    number = reduce(np.intersect1d, (series.number for series in known))
    main, *users = (series.value[np.searchsorted(series.number, number)] for series in known)
    together: Int64 = sum(users, start=np.zeros(len(number), dtype=np.int64))
    above = []
    for day, begin_us, end_us in days(*span_us, timezone):
        begin, end = np.searchsorted(number, [begin_us // INTERVAL_US, end_us // INTERVAL_US])
        sums = exact_sum(main[begin:end]), exact_sum(together[begin:end])
        if sums[1] * 100 > sums[0] * (100 + _lost(shared)):
            above.append(day.isoformat())
    share = share_text(len(number), (span_us[1] - span_us[0]) // INTERVAL_US)
    return _compared(shared, quantity, exact_sum(main), exact_sum(together), share, above)


# devices whose intervals are read together
_AT_ONCE = 100
# device, quantity, begin and end [us UTC]
_Part = tuple[str, str, int, int]


def metered_outside(
    conn: Connection, plan: MonitoringPlan, from_us: int, to_us: int
) -> tuple[MeteredOutside, ...]:
    """
    Return the metered quantities of a plan's invoices outside the period, and of other meters on
    them.

    Raises PeriodError if intervals are still to be recalculated.
    """
    fleet = _fleet_of(conn, plan)
    corrected = (invoice for old, new, _ in plan.replaced for invoice in (old, new))
    every = [*plan.invoices, *corrected]
    parts = sorted({*_parts(every, plan.fleet(), (from_us, to_us)), *_others(conn, every, plan)})
    names = sorted({device for device, *_ in parts})
    with conn.cursor() as cursor:
        waiting = remake_requests.with_underived(
            cursor, names, max((end for *_, end in parts), default=0)
        )
    if waiting:
        raise PeriodError(
            f"intervals of {', '.join(sorted(waiting))} are not calculated yet; close again when "
            "`tonne run` has calculated them"
        )
    return tuple(sorted(stored(conn, fleet, parts)))


def _parts(
    invoices: Iterable[Invoice], fleet: Fleet, period_us: tuple[int, int]
) -> Iterator[_Part]:
    for invoice in invoices:
        for span in outside(invoice, period_us) or ():
            for device in set(invoice.devices) & fleet.by_id.keys():
                yield device, invoice.quantity, *span


def _fleet_of(conn: Connection, plan: MonitoringPlan) -> Fleet:
    """Return the plan's devices, and those named by its invoices and rules."""
    named = {name for invoice in plan.invoices for name in invoice.devices}
    if named | {quantity.device for quantity in plan.outside} <= plan.fleet().by_id.keys():
        return plan.fleet()
    return registry.load_fleet(conn)


def _others(conn: Connection, invoices: Sequence[Invoice], plan: MonitoringPlan) -> Iterator[_Part]:
    """Yield the time of invoices that also cover calibrated meters of others, with these meters."""
    mine = plan.fleet().by_id.keys()
    named = sorted({name for invoice in invoices for name in invoice.devices} - mine)
    certificates = CALIBRATIONS.load(conn, named)
    zone = plan.project.timezone
    for invoice in invoices:
        first, last = invoice.from_us // INTERVAL_US, invoice.to_us // INTERVAL_US
        for name in set(invoice.devices) - mine:
            bare = uncovered(certificates[name], invoice.quantity, zone, first, last)
            if sum(span.last - span.first for span in bare) <= TOLERANCE * (last - first):
                yield name, invoice.quantity, invoice.from_us, invoice.to_us


def stored(conn: Connection, fleet: Fleet, parts: Iterable[_Part]) -> Iterator[MeteredOutside]:
    """
    Yield stored quantities of devices in given times.

    Devices with rows of older metering rules are left out.
    """
    of_span = defaultdict[tuple[int, int], dict[str, list[str]]](lambda: defaultdict(list))
    for device, quantity, begin, end in parts:
        of_span[begin, end][device].append(quantity)
    for (begin, end), quantities in sorted(of_span.items()):
        names = sorted(quantities)
        for subset in (names[k : k + _AT_ONCE] for k in range(0, len(names), _AT_ONCE)):
            with conn.cursor() as cursor:
                older = older_rows(cursor, subset, begin, end) is not None
                mine = [n for n in subset if not older or not older_rows(cursor, [n], begin, end)]
                rows = Rows(intervals_of(cursor, fleet, begin, end, mine, marks=False), fleet)
            for device in mine:
                for quantity in quantities[device]:
                    known = rows.known(device, quantity)
                    time_us = len(known.number) * INTERVAL_US
                    if time_us:
                        value = exact_sum(known.value)
                        yield MeteredOutside(device, quantity, begin, end, value, time_us)


def changed(conn: Connection) -> Iterator[str]:
    """Yield issued statements whose quantities outside the period differ from the stored ones."""
    for item in statements.all_of(conn):
        if item.state != "issued":
            continue
        plan = read_plan(statements.detail(conn, item.id)["plan"])
        now = {
            rows[:4]: rows
            for rows in stored(conn, _fleet_of(conn, plan), (o[:4] for o in plan.outside))
        }
        for was in plan.outside:
            result = now.get(was[:4])
            if result != was:
                begin, end = utc_text(was.from_us), utc_text(was.to_us)
                is_now = "nothing" if result is None else str(result.value)
                yield (
                    f"statement {item.id}: it compares invoices with {was.value} of"
                    f" {was.quantity} that {was.device} metered from {begin} to {end}, and"
                    f" {is_now} is stored now; close its period again"
                )
