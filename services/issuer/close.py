"""
Close a period: collect evidence, calculate figures and draft the statement, in one snapshot.

A period can be closed after its end, once its last day is sealed in the log: before that, a changed
reading would not be detected.

An issued statement never changes.  When a day of its period is sealed again with other readings, a
draft correction is created that states the changes. People decide on its submission and issue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.classes import QUANTITY_INDEX
from ingest.errors import InputError
from mrv.accounting.emission_rows import AccountDay, Counted, Sums, by_day
from mrv.accounting.period_result import PeriodResult
from mrv.calendar import days, local_date, local_text, utc_text
from mrv.documents.statement import Claims, claims_of
from mrv.errors import PeriodError
from mrv.program import program
from mrv.registry.project import FIRST, Project
from mrv.rounding import UG_PER_T
from mrv.rules.account import check_costed
from mrv.rules.closing import check_edges
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from mrv.statement.compose import Label, compose
from mrv.statement.conditions import check_reason
from mrv.statement.device_days import readings_digest
from mrv.statement.evidence_case import Case, identifier
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import check_step
from mrv.verify.evidence_steps import readings_root
from services.clock import now_us
from services.issuer.collect_evidence import collect, correcting, evidence_of
from services.issuer.earlier_projects import counted_elsewhere
from services.issuer.sealed_contents import SETTLE_US
from services.store.archive_catalog import snapshot
from services.store.postgres.pool import stamp
from services.store.registry import load as registry
from services.store.statements import account_spans, statements
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log
from services.store.statements.statements import Stored
from services.store.timeseries.interval_rows import intervals_of


def of_result(case: Case, result: PeriodResult) -> list[AccountDay]:
    """Return a case's figures by local day."""
    net, device = result.net, case.fleet.by_id
    sums = Sums(net.baseline.ug, net.project.ug, net.leakage.ug, net.reduction.ug)
    counted = [
        Counted(device[o.device], QUANTITY_INDEX[o.quantity], o.side, _ug(o.emissions_t))
        for o in result.devices
    ]
    zone = case.plan.project.timezone
    return by_day(sums, counted, case.rows, case.from_us, case.to_us, zone)


def of_statement(conn: Connection, stored: Stored, claims: Claims) -> list[AccountDay]:
    """Return a statement's figures by local day, from the devices' current intervals."""
    totals = claims.emissions
    sides = totals.baseline, totals.project, totals.leakage, totals.reduction
    sums = Sums(*(int(side.ug) for side in sides))
    fleet = registry.load_fleet(conn)
    device = fleet.by_id
    mine = [p for p in claims.monitored_parameters if p.device in device]
    known = sorted({p.device for p in mine})
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, stored.from_us, stored.to_us, known, marks=False)
    zone = claims.monitoring_period.timezone
    counted = [
        Counted(device[p.device], QUANTITY_INDEX[p.parameter], p.side, _ug(p.emissions_t))
        for p in mine
    ]
    return by_day(sums, counted, rows, stored.from_us, stored.to_us, zone)


def _ug(tonnes: str) -> int:
    return int(Decimal(tonnes) * UG_PER_T)


HOUR_US = 3_600_000_000
_SEALED = (
    "SELECT EXISTS (SELECT FROM data_seal WHERE project_id = %s AND from_time < %s"
    " AND to_time >= %s)"
)


def check_over(conn: Connection, project: Project, from_us: int, to_us: int, now_us: int) -> None:
    """
    Refuse a period that has not ended, or whose last local day is not sealed.

    A project without readings before its end needs no seal.

    Raises PeriodError that states when it can be closed, or which command to run.
    """
    first, end = (local_date(us, project.timezone) for us in (from_us, to_us))
    period = f"the period {first} to {end} ({project.timezone}) of project {project.id}"
    if to_us > now_us:
        now = local_text(now_us // 1_000_000 * 1_000_000, project.timezone)
        raise PeriodError(f"{period} has not ended: it is {now}; close it after its end")
    with conn.cursor() as cursor:
        began = seals.first_us(cursor, [d.device for d in project.devices])
        if all(us >= to_us for us in began.values()):
            return
        cursor.execute(_SEALED, (project.id, stamp(to_us), stamp(to_us)))
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise PeriodError(
            f"the last day of {period} is not sealed: `tonne run` seals a day"
            f" {SETTLE_US // HOUR_US} hours after its end, and `tonne log seal --project"
            f" {project.id} --to {end}` at once; close again afterwards"
        )


_COUNTS = ("draft", "submitted", "under_verification", "verified", "issued")
_MAX_LISTED = 3
PREVIEW = "preview, not kept"
CHANGED_EVIDENCE = "evidence added or changed after the issue"
STEPS = ("earlier statements", "plan, readings and intervals", "figures", "draft")


@dataclass(frozen=True, slots=True)
class Closed:
    """Closed period: its statement, state and figures, and whether it is new."""

    statement: str
    state: str
    document: dict[str, Any]
    result: PeriodResult
    new: bool


def close_period(
    conn: Connection,
    project: str,
    from_us: int,
    to_us: int,
    actor: str,
    *,
    supersedes: str | None = None,
    reason: str | None = None,
    begun: Callable[[int, str], None] = lambda _number, _name: None,
) -> Closed:
    """
    Close a period and return its statement, a stored draft.

    The same evidence gives the same statement: if the period's last statement is identical and
    still valid, it is returned, whatever its state.  If the period's statement is issued and the
    evidence differs, the draft is a correction that states the changes.

    `conn` is in autocommit.
    `from_us`, `to_us`: on the interval grid, end excluded. [us UTC]
    `actor`: person who closes, for the record.
    `supersedes`, `reason`: the issued statement to be replaced, and the reason.
    `begun`: called at the start of each of `STEPS`, with its number (from 1) and name.
    Raises PeriodError if the period has not ended or its last day is not sealed.  Raises
    RegistryError, MethodologyError or FactorError as `collect` and `mrv.rules.closing.close` do.
    """
    load_project = registry.load_project(conn, project)
    check_edges(load_project, from_us, to_us)
    check_over(conn, load_project, from_us, to_us, now_us())
    at = iter(enumerate(STEPS, 1))
    begun(*next(at))
    # lock before the snapshot, so that the snapshot contains what an earlier close wrote
    with statements.closing(conn, project), snapshot(conn):
        last = statements.latest(conn, project, from_us, to_us)
        label = _label(last, supersedes, reason)
        begun(*next(at))
        case = collect(conn, project, from_us, to_us, label.supersedes)
        begun(*next(at))
        check_costed(case.plan.project, case.fleet, (from_us, to_us), case.book)
        case.check_counted()
        if last is not None and last.state in _COUNTS:
            # if only the rules have changed, the closed period keeps its older rules
            older = (last.claims.accounting or FIRST) == FIRST
            plan = case.plan.by_first_rules() if older else case.plan
            item = case if plan is case.plan else replace(case, plan=plan)
            document = compose(item, label)
            if canonical.encode(document) == last.body:
                _claims_not_counted_elsewhere(conn, document)
                return Closed(last.id, last.state, document, item.result, new=False)
        standing = statements.claimed_exactly(conn, project, from_us, to_us)
        if supersedes is None and standing is not None:
            supersedes, reason = standing.id, reason or CHANGED_EVIDENCE
        if supersedes != label.supersedes:
            case = replace(case, plan=correcting(conn, case.plan, supersedes))
        sequence = 1 if last is None else last.sequence + 1
        _check_name(conn, case, sequence)
        begun(*next(at))
        document = compose(case, Label(sequence, program(), supersedes, reason))
        statement = _claims_not_counted_elsewhere(conn, document).statement
        # `tonne verify` recalculates the pack from these parts, without the registry
        parts = {"plan": case.plan.to_json(), "factors": case.factor_records}
        detail = {**parts, "leaves": case.leaves()}
        statements.insert(conn, case.result, _local(case), document, detail)
        statements.step(conn, statement, "draft", actor, reason=reason)
        _keep_days(conn, case, statement)
    return Closed(statement, "draft", document, case.result, new=True)


def _keep_days(conn: Connection, case: Case, statement: str) -> None:
    """Store a statement's figures by local day, and its reduction before evidence is deducted."""
    project = case.plan.project
    span = account_spans.Span(case.from_us, case.to_us, statement)
    account_spans.write(
        conn, project.id, span, project.timezone, of_result(case, case.result),
        statement=statement, before_evidence_ug=case.result.before_evidence_ug,
    )  # fmt: skip


def preview_period(conn: Connection, project: str, from_us: int, to_us: int) -> Closed:
    """
    Return the result of a period if it were closed now; nothing is stored.

    The period need not be sealed: later readings can change the result.

    `conn` is in autocommit.  `from_us`, `to_us`: on the interval grid, end excluded. [us UTC]
    Raises PeriodError, RegistryError, MethodologyError or FactorError as `close_period` does, also
    if the period ends in the future, or contains days of an issued statement of another period.
    """
    check_edges(registry.load_project(conn, project), from_us, to_us)
    now = now_us()
    if to_us > now:
        raise PeriodError(
            "a preview ends at the present at the latest, "
            f"{utc_text(now // 1_000_000 * 1_000_000)}, and not to {utc_text(to_us)}; enter an "
            "earlier `--to`"
        )
    with snapshot(conn):
        case = collect(conn, project, from_us, to_us)
        check_costed(case.plan.project, case.fleet, (from_us, to_us), case.book)
        case.check_counted()
        document = compose(case, Label(1, program()))
        statement = _claims_not_counted_elsewhere(conn, document).statement
        _check_unclaimed(conn, project, from_us, to_us)
    return Closed(statement, PREVIEW, document, case.result, new=True)


def _claims_not_counted_elsewhere(conn: Connection, document: Mapping[str, Any]) -> Claims:
    """Return a statement's claims; refuse a statement that counts another project's meters."""
    claims = claims_of(document)
    twice = list(counted_elsewhere(conn, claims))
    if twice:
        raise PeriodError("; ".join(twice[:_MAX_LISTED]))
    return claims


def _check_unclaimed(conn: Connection, project: str, from_us: int, to_us: int) -> None:
    """Refuse a period that has days of another period with an issued statement."""
    if statements.claimed_exactly(conn, project, from_us, to_us) is None:
        others = statements.claims_within(conn, project, from_us, to_us)
        if others:
            raise PeriodError(
                f"days of the period are in issued {', '.join(others[:_MAX_LISTED])}, and a tonne"
                " is claimed once: enter a later period, or exactly the issued period to see its"
                " correction"
            )


def _check_name(conn: Connection, case: Case, sequence: int) -> None:
    """Refuse the id of a statement of another period, which a change of time zone can cause."""
    project = case.plan.project
    name = identifier(project.id, case.from_us, case.to_us, project.timezone, sequence)
    other = statements.seek(conn, name)
    if other is not None:
        raise PeriodError(
            f"statement {name} already exists, for {utc_text(other.from_us)} to "
            f"{utc_text(other.to_us)}: the time zone of the project's site has changed to "
            f"{project.timezone}; set it back in the registry, or close by times with offsets"
        )


def _label(last: Stored | None, supersedes: str | None, reason: str | None) -> Label:
    """
    Return the label of a period's statement: that of the last statement, unless it is to be
    replaced.
    """
    if last is None:
        return Label(1, program(), supersedes, reason)
    replaced = last.claims.supersedes
    if supersedes is None and replaced is not None:
        supersedes, reason = replaced.statement, replaced.reason
    return Label(last.sequence, program(), supersedes, reason)


def supersede(
    conn: Connection,
    statement: str,
    actor: str,
    reason: str,
    *,
    begun: Callable[[int, str], None] = lambda _number, _name: None,
) -> Closed:
    """
    Close an issued statement's period again and return the draft of its replacement.

    Raises StatementStateError if the statement is not issued, or the reason is empty.
    """
    check_reason(reason)
    stored = statements.find(conn, statement)
    check_step(stored.id, stored.state, "superseded")
    span = stored.from_us, stored.to_us
    return close_period(
        conn, stored.project, *span, actor, supersedes=stored.id, reason=reason, begun=begun
    )


def _local(case: Case) -> tuple[date, date]:
    """Return the first local day that the period touches, and the day after the last."""
    zone = case.plan.project.timezone
    first = local_date(case.from_us, zone)
    *_, (_, _, end) = days(case.from_us, case.to_us, zone)
    return first, local_date(end, zone)


ACTOR = "tonne log seal"


class Correction(NamedTuple):
    """Draft correction of a statement whose readings changed, or the reason why there is none."""

    statement: str
    draft: str | None
    problem: str | None

    def __str__(self) -> str:
        if self.draft is None:
            return f"readings of {self.statement} changed, and it cannot be closed: {self.problem}"
        return (
            f"readings of {self.statement} changed: {self.draft} is the draft that would replace it"
        )


def open_corrections(conn: Connection) -> list[Correction]:
    """
    Create a draft correction for each issued statement whose days were sealed again; return the
    results.

    `conn` is in autocommit, as `tonne_mrv`.
    """
    return [_correct(conn, issued) for issued in _changed(conn)]


def _correct(conn: Connection, issued: Stored) -> Correction:
    try:
        closed = close_period(conn, issued.project, issued.from_us, issued.to_us, ACTOR)
    except InputError as error:
        return Correction(issued.id, None, str(error))
    return Correction(issued.id, closed.statement, None)


def _changed(conn: Connection) -> Iterator[Stored]:
    """Yield issued statements with days sealed again that have no draft correction yet."""
    for name, indices in conn.execute(
        "SELECT c.statement_id, array_agg(d.index ORDER BY d.day) FROM claim c"
        " JOIN log_entry e ON e.statement_id = c.statement_id AND e.kind = 'issued'"
        " JOIN data_seal d ON d.project_id = c.project_id AND d.index > e.index"
        " AND d.from_time >= lower(c.period) AND d.to_time <= upper(c.period)"
        " WHERE NOT EXISTS (SELECT FROM data_seal o WHERE o.project_id = d.project_id"
        " AND o.day = d.day AND o.sequence > d.sequence)"
        " GROUP BY c.statement_id ORDER BY c.statement_id"
    ).fetchall():
        issued = statements.find(conn, name)
        last = statements.latest(conn, issued.project, issued.from_us, issued.to_us)
        if _other_readings(conn, last or issued, indices):
            yield issued


def _other_readings(conn: Connection, stored: Stored, indices: list[int]) -> bool:
    detail = statements.detail(conn, stored.id)
    plan = read_plan(detail["plan"])
    leaves = [DayLeaf.from_json(leaf) for leaf in detail["leaves"]["readings"]]
    bodies = [canonical.parse_object(log.at(conn, index)[0].body) for index in indices]
    if all(readings_root(plan.project, leaves, b) == b["readings"]["root"] for b in bodies):
        return False
    claims = stored.claims
    with snapshot(conn):
        frames = evidence_of(conn, plan.fleet(), claims, whole=True)
    # tonne 0.1.0 made digests of UTC days, which no seal has: calculate them again
    again = readings_digest(plan.fleet(), frames, "UTC").root
    return bool(again != claims.digests.readings)
