"""
Preliminary account of the time without a statement, calculated as when closing a period.

Dashboards use it, since sums of intervals include neither deductions for gaps nor invoices and
rules.  The account has one part per local month, up to the last completed interval, and is
recalculated when the meters' sums or the registry changed.

`affected` lists statements that would use other factors under a newer factor book.  An issued one
never changes, and can be superseded; another can be closed again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from itertools import groupby

import psycopg
from psycopg import Connection

from ingest.errors import TonneError
from ingest.model import INTERVAL_US, Fleet, Frame
from mrv.accounting.coverage import remaining, role_needs
from mrv.accounting.emission_rows import AccountDay
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, local_text, midnight_us
from mrv.countries import grid_of
from mrv.documents import write
from mrv.documents.statement import Claims
from mrv.factors import within
from mrv.factors.ledger import Change, bounded, centres, changes, used_by
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors, Reductions
from mrv.parameters import read
from mrv.registry.project import FIRST, Project, ProjectDevice
from mrv.rules.account import check_costed
from mrv.statement.evidence_case import Case
from mrv.statement.plan_reader import read_plan
from services.clock import now_us
from services.issuer import close
from services.issuer.collect_evidence import compared
from services.store.archive_catalog import snapshot
from services.store.registry import load as registry
from services.store.registry.load import load_book
from services.store.statements import account_spans as spans
from services.store.statements import evidence as periods
from services.store.statements import statements
from services.store.statements.account_spans import Span
from services.store.statements.statements import Stored

_LOCK = "hashtextextended('tonne live accounts', 0)"
# maximum number of old statements whose daily figures are calculated per call
_STATEMENTS = 200


def refresh(conn: Connection) -> int:
    """
    Recalculate outdated preliminary accounts and missing daily figures of statements; return their
    number.

    Only one process does this at a time; others return at once.

    `conn` is in autocommit.
    """
    (free,) = conn.execute(f"SELECT pg_try_advisory_lock({_LOCK})").fetchone() or (False,)
    if not free:
        return 0
    try:
        made = sum(_statement(conn, w) for w in spans.without_days(conn, _STATEMENTS))
        touched = registry.last_touched(conn)
        for project in registry.load_projects(conn):
            made += of_project(conn, project, touched.get(project.id, 0))
        return made
    finally:
        conn.execute(f"SELECT pg_advisory_unlock({_LOCK})")


def of_project(conn: Connection, project: Project, touched: int) -> int:
    """
    Recalculate a project's outdated preliminary account; return the number of months.

    `touched` is the registry version that last changed the project.
    """
    wanted, there = list(_wanted(conn, project, touched)), spans.open_spans(conn, project.id)
    made = [(span, *_attempted(conn, project, span)) for span in wanted if span not in there]
    # in one transaction, so that readers see the old rows until the new ones are committed
    with conn.transaction():
        spans.forget(conn, project.id, [span for span in there if span not in wanted])
        for span, days, before_ug, problem in made:
            spans.write(
                conn, project.id, span, project.timezone, days,
                before_evidence_ug=before_ug, problem=problem,
            )  # fmt: skip
    return len(made)


def _attempted(
    conn: Connection, project: Project, span: Span
) -> tuple[list[AccountDay], int | None, str | None]:
    """
    Return the account by day and the reduction before deductions for evidence, or an error text.

    An error in one project does not stop the others.
    """
    try:
        return *_accounted(conn, project, span), None
    except (TonneError, psycopg.Error) as error:
        return [], None, " ".join(str(error).split())


def _wanted(conn: Connection, project: Project, touched: int) -> Iterator[Span]:
    """
    Yield the months of a project without a statement in which its meters have data, until now.

    Each span runs from the first to the last interval with data: the time before installation, and
    after all meters stopped, is no data gap.
    """
    zone, now = project.timezone, now_us()
    today = local_date(now, zone)
    metered_days = spans.metered_days(conn, project.id, today + timedelta(days=1))
    closed = spans.closed(conn, project.id)
    rest = f"{touched} {version('tonne')}"
    rest += f" {spans.inputs_key(conn, project.id)}"
    for _, days in groupby(metered_days, lambda day: (day.year, day.month)):
        month = list(days)
        whole = midnight_us(month[0], zone), midnight_us(month[-1] + timedelta(days=1), zone)
        begin, end = spans.metered_edges(conn, project.id, *whole)
        if month[-1] == today:
            end = min(end, now // INTERVAL_US * INTERVAL_US, _reported_until(conn, project, today))
        begin, end = max(begin, project.from_us), min(end, project.to_us)
        for from_us, to_us in remaining(closed, begin, end):
            first, last = local_date(from_us, zone), local_date(to_us - 1, zone)
            # today's sums are not part of the key, as the end of the span changes with them
            sums = [metered_days[day] for day in month if first <= day <= last and day < today]
            key = " ".join(str(sum(parts)) for parts in zip(*sums, strict=True))
            yield Span(from_us, to_us, f"{rest} {key}")


def _reported_until(conn: Connection, project: Project, today: date) -> int:
    """
    Return the time until which all meters with data today have reported. [us UTC]
    The account ends there, so that a meter that sends less often does not appear as a data gap.
    """
    roles = find(project.methodology, project.version).roles
    charged = {
        bound.device
        for bound in project.devices
        if roles[bound.role].side == "project" or roles[bound.role].costs is not None
    }
    midnight = midnight_us(today, project.timezone)
    return spans.reported_until(conn, sorted(charged), midnight) or now_us()


def _accounted(conn: Connection, project: Project, span: Span) -> tuple[list[AccountDay], int]:
    """Return the account of a span as when closing it; readings are loaded one device at a time."""
    from_us, to_us = span.from_us, span.to_us
    with snapshot(conn):
        plan, fleet, pairs, rows = compared(conn, project.id, (from_us, to_us))
        frames = _frames(conn, fleet, pairs, from_us, to_us)
        case = Case(plan, frames, rows, from_us, to_us, load_book(conn))
        check_costed(plan.project, fleet, (from_us, to_us), case.book)
        return close.of_result(case, case.result), case.result.before_evidence_ug


def _frames(
    conn: Connection, fleet: Fleet, pairs: set[tuple[int, int]], from_us: int, to_us: int
) -> Iterator[Frame]:
    with conn.cursor() as cursor:
        nearest = periods.reaches(cursor, fleet, pairs, from_us, to_us)[0]
        for device, reach in nearest.items():
            yield from periods.fetch(cursor, fleet, {device: reach})


def _statement(conn: Connection, name: str) -> int:
    """Store the figures by local day of an older release's statement; return 1, the number done."""
    stored = statements.find(conn, name)
    claims = stored.claims
    days = close.of_statement(conn, stored, claims)
    span = Span(stored.from_us, stored.to_us, name)
    zone = claims.monitoring_period.timezone
    with conn.transaction():
        spans.write(conn, stored.project, span, zone, days, statement=name)
    return 1


# states of statements that count now or may count later
_LIVE = ("draft", "submitted", "under_verification", "verified", "issued")


@dataclass(frozen=True, slots=True)
class Affected:
    """Statement with the factors that have changed since, and the command to run."""

    statement: Stored
    changes: tuple[Change, ...]
    todo: str


def affected(conn: Connection, book: Factors) -> Iterator[Affected]:
    """
    Yield the statements that would use other factors today.

    `book`: `services.store.registry.factors.load_book(conn)`.
    """
    newest: dict[tuple[str, int, int], Stored] = {}
    for stored in statements.all_of(conn):
        newest[stored.project, stored.from_us, stored.to_us] = stored
    for stored in statements.all_of(conn):
        last = newest[stored.project, stored.from_us, stored.to_us]
        # an issued statement counts until its successor is issued too
        if stored.state not in _LIVE or (stored.state != "issued" and stored != last):
            continue
        plan = read_plan(statements.detail(conn, stored.id)["plan"])
        used = [write(factor) for factor in stored.claims.factors]
        span = stored.from_us, stored.to_us
        units = _UnitReductions(plan.project)
        own = within(book, grid_of(plan.project))
        factors: Factors = centres(own)
        if plan.accounting > FIRST:
            factors, _ = bounded(own, partial(units.reduction, stored.claims))
        now = used_by(units, span, plan.project.timezone, factors)
        result = tuple(changes(used, now))
        if result:
            yield Affected(stored, result, _todo(stored, plan.project.timezone))


class _UnitReductions:
    """Calculates the reduction per base unit of each device, to record the factors used."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._methodology = find(project.methodology, project.version)
        where = f"project {project.id}: parameters"
        self._parameters = parameters_of(self._methodology, project.parameters, where)

    def __call__(self, factors: Factors, year: int) -> None:
        for bound in self._project.devices:
            self._unit(bound, factors, year)

    def reduction(self, claims: Claims, factors: Factors) -> Fraction:
        """
        Return the reduction of a statement's quantities with given factors. [tCO2e]

        It is correct for an additive methodology only.
        """
        counted = {(p.device, p.role): Fraction(p.counted) for p in claims.monitored_parameters}
        year = int(claims.monitoring_period.local_from[:4])
        return sum(
            (
                self._unit(bound, factors, year).reduction_t * counted[bound.device, bound.role]
                for bound in self._project.devices
                if (bound.device, bound.role) in counted
            ),
            start=Fraction(0),
        )

    def _unit(self, bound: ProjectDevice, factors: Factors, year: int) -> Reductions:
        where = f"project {self._project.id}: device {bound.device}"
        needs = role_needs(self._methodology, bound, where)
        params = read(needs.params, bound.params, where)
        return unit_reductions(
            self._methodology, bound.role, params, self._parameters, factors, year
        )


def _todo(stored: Stored, timezone: str) -> str:
    if stored.state == "issued":
        return f'tonne statement supersede {stored.id} --reason "official factors of its years"'
    begin, end = (local_text(us, timezone) for us in (stored.from_us, stored.to_us))
    return f"tonne period close {stored.project} --from {begin} --to {end}"
