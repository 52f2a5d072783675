"""A closed period's account by its local days, from its figures or from its signed statement."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from psycopg import Connection

from ingest.classes import QUANTITY_INDEX
from mrv.accounting.emission_rows import AccountDay, Counted, Sums, by_day
from mrv.accounting.period_result import PeriodResult
from mrv.documents.statement import Claims
from mrv.rounding import UG_PER_T
from mrv.statement.evidence_case import Case
from services.store.registry import load as registry
from services.store.statements.statements import Stored
from services.store.timeseries.interval_rows import intervals_of


def of_result(case: Case, result: PeriodResult) -> list[AccountDay]:
    """Spread the figures of a case over its local days."""
    net, device = result.net, case.fleet.by_id
    sums = Sums(net.baseline.ug, net.project.ug, net.leakage.ug, net.reduction.ug)
    counted = [
        Counted(device[one.device], QUANTITY_INDEX[one.quantity], one.side, _ug(one.emissions_t))
        for one in result.devices
    ]
    zone = case.plan.project.timezone
    return by_day(sums, counted, case.rows, case.from_us, case.to_us, zone)


def of_statement(conn: Connection, stored: Stored, claims: Claims) -> list[AccountDay]:
    """Spread a statement over its local days; its devices' intervals are those of now."""
    said = claims.emissions
    sides = said.baseline, said.project, said.leakage, said.reduction
    sums = Sums(*(int(side.ug) for side in sides))
    fleet = registry.load_fleet(conn)
    known = sorted(
        {monitored_parameter.device for monitored_parameter in claims.monitored_parameters}
        & fleet.by_id.keys()
    )
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, stored.from_us, stored.to_us, known, marks=False)
    zone = claims.monitoring_period.timezone
    counted = _of_claims(claims, fleet.by_id)
    return by_day(sums, counted, rows, stored.from_us, stored.to_us, zone)


def _of_claims(claims: Claims, device: dict[str, int]) -> Iterator[Counted]:
    for monitored_parameter in claims.monitored_parameters:
        if monitored_parameter.device in device:
            quantity = QUANTITY_INDEX[monitored_parameter.parameter]
            yield Counted(
                device[monitored_parameter.device],
                quantity,
                monitored_parameter.side,
                _ug(monitored_parameter.emissions_t),
            )


def _ug(tonnes: str) -> int:
    return int(Decimal(tonnes) * UG_PER_T)
