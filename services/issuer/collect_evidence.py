"""Evidence of a period from the database; its readings must give its stored intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from psycopg import Connection, Cursor

from ingest.model import Fleet, Frame, IntervalRows
from ingest.pipeline import METERING
from mrv.accounting.rounded_figures import energy_roles
from mrv.calendar import days, instant_us, local_date, midnight_us, narrowed, utc_text
from mrv.documents.plan import RowSigner, StatementFigures
from mrv.documents.statement import Claims, claims_of
from mrv.errors import PeriodError
from mrv.factors.ledger import book_of
from mrv.methodologies import find
from mrv.registry.monitoring_plan import in_force, replaced
from mrv.registry.project import ACCOUNTING, CheckMeter, Clocked, Project, Usage
from mrv.statement import device_days, evidence
from mrv.statement.cross_check_json import registry_inputs
from mrv.statement.device_days import FEW_HOURS, HOUR_US, LATE_US, Arrivals, Arrived
from mrv.statement.earlier_statements import changed, departed, figures, issued_with, usage
from mrv.statement.evidence import of_claims
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan, Point
from mrv.statement.plan_reader import read_plan
from mrv.statement.signed_rows import counted
from services.issuer.earlier_projects import before_elsewhere, changed_late
from services.issuer.further_evidence import metered_outside, open_actions, signed_of, with_common
from services.issuer.registry_facts import registry_facts
from services.issuer.registry_rules import by_operator, design, judged, samples_of
from services.issuer.trust import factors_accepted, required_grades, third_parties
from services.registry.entries import Device as Entry
from services.registry.ratings import rated_powers
from services.settings import Settings
from services.store.registry import load as registry
from services.store.registry import signing_keys
from services.store.registry.load import load_book
from services.store.registry.programme import issue_signatures, public_url
from services.store.statements import account_spans as carried
from services.store.statements import evidence as periods
from services.store.statements import statements
from services.store.statements.evidence import Reach
from services.store.statements.statements import Stored
from services.store.timeseries import remake_requests
from services.store.timeseries.interval_rows import intervals_of, older_rows
from services.store.timeseries.last_seen import by_day, not_on_time

_YEAR_US = 366 * 86_400_000_000


def collect(
    conn: Connection, project_id: str, from_us: int, to_us: int, supersedes: str | None = None
) -> Case:
    """
    Return a period's case: its plan, readings and intervals.

    Call it in a REPEATABLE READ transaction, as the pipeline keeps writing.

    `supersedes`: the issued statement to be replaced.  Raises RegistryError if the project is
    unknown.  Raises PeriodError, with the command to run, if the readings give other intervals than
    the stored ones.
    """
    plan, fleet, pairs, stored = compared(conn, project_id, (from_us, to_us), supersedes)
    with conn.cursor() as cursor:
        _refuse_older(cursor, sorted({fleet.devices[d].id for d, _ in pairs}), from_us, to_us)
        frames = _enough(cursor, fleet, pairs, stored, from_us, to_us)
    return Case(plan, frames, stored, from_us, to_us, load_book(conn))


def compared(
    conn: Connection, project_id: str, period_us: tuple[int, int], supersedes: str | None = None
) -> tuple[MonitoringPlan, Fleet, set[tuple[int, int]], IntervalRows]:
    """
    Return a period's plan, fleet, monitored devices with quantities, and stored intervals.

    The plan includes the quantities outside the period that comparisons need.
    """
    plan = plan_of(conn, project_id, *period_us, supersedes)
    plan = replace(plan, outside=metered_outside(conn, plan, *period_us))
    plan = with_common(conn, plan, period_us)
    fleet = plan.fleet()
    pairs = evidence.monitored(plan.project, fleet, plan.checks)
    with conn.cursor() as cursor:
        ids = [d.id for d in fleet.devices]
        rows = intervals_of(cursor, fleet, *period_us, ids, marks=False)
        return plan, fleet, pairs, evidence.select(rows, pairs, *period_us)


def _refuse_older(cursor: Cursor, ids: Sequence[str], from_us: int, to_us: int) -> None:
    """Refuse a period with intervals that were calculated by older metering rules."""
    older = older_rows(cursor, ids, from_us, to_us)
    if older is not None:
        device, version = older
        raise PeriodError(
            f"device {device}: its intervals were metered by version {version}, and periods close"
            f" by version {METERING}; run `tonne rebuild --from {utc_text(from_us)}"
            f" --to {utc_text(to_us)}` and close again"
        )


def plan_of(
    conn: Connection, project_id: str, from_us: int, to_us: int, supersedes: str | None = None
) -> MonitoringPlan:
    """Return a project's monitoring plan for a period; RegistryError if the project is unknown."""
    project = _until(registry.load_project(conn, project_id), to_us)
    bound = tuple(
        d for d in project.devices if d.from_us < to_us and (d.to_us is None or d.to_us > from_us)
    )
    mains = {d.device for d in bound}
    fleet = registry.load_fleet(conn)
    before = statements.claimed_before(conn, project_id, from_us)
    owed = carried.owed(conn, project_id, mains, from_us, to_us)
    first, last = (local_date(us, project.timezone) for us in (from_us, to_us - 1))
    period, zone = (from_us, to_us), project.timezone
    energy = energy_roles(find(project.methodology, project.version), project.devices)
    now = replace(project, devices=bound, expected=_by_months(conn, project))
    # before the first statement, the values fixed ex ante by another project for its meters apply
    fixed = before or before_elsewhere(conn, now, period)
    names = sorted({project_id, *([] if fixed is None else [fixed.project])})
    facts = registry_facts(conn, now, (from_us, to_us))
    outcome = judged(facts)
    entries = facts.registry.devices
    checks = tuple(
        CheckMeter(main, name, Decimal(entry.check_percent))
        for name, entry in sorted(entries.items())
        if (main := entry.check_of) in mains
    )
    ids = sorted(mains | {c.check for c in checks})
    own = {name: entries[name] for name in ids}
    every = facts.entry.monitoring or ()
    versions = in_force(every, first, last + timedelta(days=1))
    home, signers = Settings().home, set[RowSigner]()
    keys = third_parties(home, (enrolment.key for enrolment in signing_keys.load(conn)))
    issued = statements.fixed_ex_ante(conn, project_id)
    if fixed is not None and not issued:
        issued = list(issued_with(fixed.claims))
    corrected = {old.name for version in versions if (old := replaced(every, version))}
    plan = MonitoringPlan(
        project=now,
        devices=tuple(fleet.devices[fleet.by_id[name]] for name in ids),
        serials={name: entry.serial for name, entry in own.items()},
        calibrations={
            name: tuple(
                calibration
                for calibration in entry.calibrations or ()
                if not by_operator(facts, calibration)
            )
            for name, entry in own.items()
        },
        carried_ug=owed.ug,
        carried_from=owed.statements,
        checks=checks,
        versions=versions,
        forward=open_actions(conn, project_id, from_us),
        versions_before=tuple(v for v in every if v.name in corrected and v not in versions),
        invoices=counted(project_id, facts.invoices.doubted(), keys, signers),
        replaced=tuple(
            (two[0], two[1], reason)
            for old, new, reason in facts.invoices.replaced()
            for two in [counted(project_id, (old, new), keys, signers)]
        ),
        calibrated_every=facts.calibrated_every,
        declared=facts.entry.declared.until(local_date(to_us - 1, zone)),
        earlier=_earlier(conn, project, (from_us, to_us), before, energy),
        energy=energy,
        unclaimed=tuple(carried.unclaimed(conn, names, from_us)),
        changed=() if fixed is None else changed(fixed.claims, now),
        accounting=ACCOUNTING,
        registry=outcome.conditions,
        excluded=outcome.excluded,
        accepted=tuple(factors_accepted(now, facts.registry, facts.accepted)),
        documents=counted(project_id, design(facts), keys, signers),
        certified=facts.certified,
        ratings={name: rated_powers(rows) for name, rows in facts.ratings.items() if rows},
        samples=counted(
            project_id, (s for s in samples_of(facts) if not facts.own(s.laboratory)), keys, signers
        ),
        meters={n: (e.maker, e.model) for n, e in own.items() if e.maker or e.model},
        points=_points(entries, {*ids, *(m.main for m in facts.entry.declared.shared_meters)}),
        gas={n: e.attributes["gas_basis"] for n, e in own.items() if "gas_basis" in e.attributes},
        history=_history(conn, now, from_us),
        fixed=departed(issued, now),
        arrivals=_arrivals(conn, now, from_us, to_us),
        clocks=_clocks(conn, now, from_us, to_us),
        late=changed_late(conn, now, period),
        signed=signed_of(
            conn, [fleet.devices[fleet.by_id[name]] for name in ids], entries, period, zone
        ),
        issue_signatures=issue_signatures(conn),
        required=required_grades(home),
        public_url=public_url(conn),
    )
    plan = replace(plan, row_signers=tuple(sorted(signers, key=lambda signer: signer.key)))
    return correcting(conn, plan, supersedes)


def _points(entries: Mapping[str, Entry], devices: Iterable[str]) -> dict[str, Point]:
    """Return monitoring point and loads by device, for devices that have them."""
    attributes = ((name, entries[name].attributes) for name in devices if name in entries)
    return {
        name: (of.get("point"), tuple(of.get("feeds") or ()))
        for name, of in attributes
        if "point" in of or "feeds" in of
    }


def _by_months(conn: Connection, project: Project) -> Mapping[str, Any]:
    """Return the ex-ante estimates by month; an annual estimate is divided by monthly sunshine."""
    row = conn.execute(
        "SELECT months FROM v_project_months WHERE project_id = %s", [project.id]
    ).fetchone()
    months = row[0] if row and project.expected else None
    return project.expected if months is None else {"by_month": months, **project.expected}


def _until(project: Project, to_us: int) -> Project:
    """
    Return a project with its time zones up to a time, without later changes.

    A later time zone affects only the end of the crediting period, a local date: without it, the
    statement of this period stays identical.
    """
    known = project.timezone
    zone = narrowed(known, min(project.from_us, to_us), to_us)
    if zone == known:
        return project

    def edge(us: int) -> int:
        return us if us <= to_us else midnight_us(local_date(us, known), zone)

    devices = tuple(
        replace(d, from_us=edge(d.from_us), to_us=None if d.to_us is None else edge(d.to_us))
        for d in project.devices
    )
    return replace(project, timezone=zone, to_us=edge(project.to_us), devices=devices)


def _arrivals(conn: Connection, project: Project, from_us: int, to_us: int) -> Arrivals:
    """Return the arrival times of readings of the project's own meters, by device and day."""
    ids = sorted({d.device for d in project.devices})
    every = list(days(from_us, to_us, project.timezone))
    edges = [every[0][1], *(end for *_, end in every)]
    arrivals: Arrivals = {}
    with conn.cursor() as cursor:
        for summed in by_day(cursor, ids, (from_us, to_us), edges, LATE_US):
            day = every[summed.day][0].isoformat()
            arrivals.setdefault(summed.device, {})[day] = Arrived(*summed[2:])
    return arrivals


def _clocks(conn: Connection, project: Project, from_us: int, to_us: int) -> dict[str, Clocked]:
    """
    Return reported and passed hours by device, of devices with a clock that is too fast.

    Such a device counts seconds, and its readings report more hours than passed while they arrived.
    """
    roles = find(project.methodology, project.version).roles
    ids = sorted({d.device for d in project.devices if roles[d.role].unit == "s"})
    if not ids:
        return {}
    with conn.cursor() as cursor:
        result = not_on_time(cursor, ids, from_us, to_us, LATE_US)
    spare = LATE_US // HOUR_US
    # a device whose readings arrived in one batch gives no evidence about its clock;
    # `mrv.statement.device_days` counts hours of arrival
    return {
        name: Clocked(reported_h, passed + spare)
        for name, (reported_h, passed) in result.items()
        if reported_h > passed + spare and passed > FEW_HOURS
    }


def correcting(conn: Connection, plan: MonitoringPlan, supersedes: str | None) -> MonitoringPlan:
    """Return the plan with figures and ex-ante values of the statement to be replaced, if any."""
    if supersedes is None:
        return replace(plan, corrected=None)
    claims = statements.find(conn, supersedes).claims
    # ex-ante parameters fixed for the statement remain fixed for its correction
    also = changed(claims, plan.project)
    before = read_plan(statements.detail(conn, supersedes)["plan"])
    return replace(
        plan,
        corrected=figures(claims, by_device=True, registry=registry_inputs(before)),
        # each parameter once; the values of the replaced statement take precedence
        fixed=tuple(
            {
                (fixed.device, fixed.parameter, fixed.value): fixed
                for fixed in (*plan.fixed, *departed(issued_with(claims), plan.project))
            }.values()
        ),
        changed=tuple(dict.fromkeys((*plan.changed, *also))),
    )


def _history(conn: Connection, project: Project, from_us: int) -> tuple[Usage, ...]:
    """Return consumption in issued statements of the year before, if the methodology needs it."""
    methodology = find(project.methodology, project.version)
    if not any(consumption.by_history for consumption in methodology.consumptions):
        return ()
    issued = statements.claimed_within(conn, project.id, from_us - _YEAR_US, from_us)
    return tuple(filter(None, (usage(stored.claims) for stored in issued)))


def _earlier(
    conn: Connection,
    project: Project,
    period_us: tuple[int, int],
    before: Stored | None,
    energy: tuple[str, ...],
) -> tuple[StatementFigures, ...]:
    """Return the figures of the previous issued period, and of the same days a year before."""
    stored = [before]
    try:
        edges = [
            midnight_us(day.replace(year=day.year - 1), project.timezone)
            for day in (local_date(us, project.timezone) for us in period_us)
        ]
    except ValueError:  # 29 February has no day a year before
        edges = []
    if edges:
        stored.append(statements.claimed_exactly(conn, project.id, *edges))
    return tuple(
        figures(item.claims, energy=energy)
        for i, item in enumerate(stored)
        if item is not None and item not in stored[:i]
    )


def _enough(
    cursor: Cursor,
    fleet: Fleet,
    pairs: set[tuple[int, int]],
    stored: IntervalRows,
    from_us: int,
    to_us: int,
) -> list[Frame]:
    """
    Return the readings of the shortest time span from which metering gives the stored
    intervals.
    """
    every = {d for d, _ in pairs}
    todo = set(every)
    frames: list[Frame] = []
    again = IntervalRows.empty()
    for reach in periods.reaches(cursor, fleet, pairs, from_us, to_us):
        tried = periods.fetch(cursor, fleet, {d: reach[d] for d in todo})
        again = evidence.remeter(fleet, tried, pairs, from_us, to_us)
        if len(todo) == len(every) and evidence.same(stored, again):
            return join(tried)
        done = {d for d in todo if evidence.same(_of(stored, d), _of(again, d))}
        frames += [f.take(np.isin(f.device, sorted(done))) for f in tried]
        todo -= done
        if not todo:
            return join(frames)
    waiting = remake_requests.with_underived(cursor, fleet.ids(sorted(todo)))
    if waiting:
        raise PeriodError(
            f"intervals of {', '.join(sorted(waiting))} are not calculated yet; close again when "
            "`tonne run` has calculated them"
        )
    raise PeriodError(_mismatch(fleet, min(todo), stored, again, from_us, to_us))


def _of(rows: IntervalRows, device: int) -> IntervalRows:
    """Return the rows of one device; `rows` must be sorted by device."""
    begin, end = np.searchsorted(rows.device, [device, device + 1])
    return rows.take(np.arange(begin, end))


def join(frames: Sequence[Frame]) -> list[Frame]:
    """Return one frame per device class, sorted by device and time."""
    joined = []
    for class_id in sorted({f.class_id for f in frames if len(f)}):
        parts = [f for f in frames if f.class_id == class_id]
        if len(parts) == 1:
            joined.append(device_days.ordered(parts[0]))
            continue
        frame = Frame(
            class_id,
            np.concatenate([f.device for f in parts]),
            np.concatenate([f.time_us for f in parts]),
            np.concatenate([f.message for f in parts]),
            {n: np.concatenate([f.columns[n] for f in parts]) for n in parts[0].columns},
        )
        joined.append(device_days.ordered(frame))
    return joined


def _mismatch(
    fleet: Fleet, device: int, stored: IntervalRows, again: IntervalRows, from_us: int, to_us: int
) -> str:
    item, other = (_facts(_of(rows, device)) for rows in (stored, again))
    start = min(key for key in item.keys() | other.keys() if item.get(key) != other.get(key))
    name = fleet.devices[device].id
    return (
        f"device {name}: the stored interval at {utc_text(start)} is"
        f" {item.get(start, 'missing')}, its readings give {other.get(start, 'none')};"
        f" run `tonne rebuild --from {utc_text(from_us)} --to {utc_text(to_us)} --device {name}`"
        " and close again"
    )


def _facts(rows: IntervalRows) -> dict[int, str]:
    columns = (rows.start_us, *(getattr(rows, name) for name in device_days.FIELDS))
    return {
        start: f"{value} (measured {m} us, estimated {e} us, unknown {u} us)"
        for start, value, m, e, u in zip(*(c.tolist() for c in columns), strict=True)
    }


def recollect(conn: Connection, body: Mapping[str, Any], detail: Mapping[str, Any]) -> Case:
    """
    Return the case of a closed period, collected again for its pack.

    Later registry changes have no effect: the plan is the stored one, and the statement states the
    first and last reading of its evidence.

    Raises PeriodError if readings were added or changed since, so that the evidence differs.
    """
    claims = claims_of(body)
    plan = read_plan(detail["plan"])
    fleet = plan.fleet()
    frames = evidence_of(conn, fleet, claims)
    begin, end = _edges(claims)
    pairs = evidence.monitored(plan.project, fleet, plan.checks)
    metering = of_claims(claims)
    rows = evidence.remeter(fleet, frames, pairs, begin, end, metering)
    case = Case(plan, frames, rows, begin, end, book_of(detail["factors"]), metering=metering)
    _refuse_other_evidence(case, claims, detail)
    return case


def evidence_of(
    conn: Connection, fleet: Fleet, claims: Claims, *, whole: bool = False
) -> list[Frame]:
    """
    Return the stored readings in the time ranges that a statement names for its evidence.

    `whole`: also all other readings of its period.
    """
    reaches = [(p.device, p.readings) for p in claims.monitored_parameters]
    reaches += [(c.against, c.readings) for c in claims.cross_checks or () if c.readings]
    begin, end = _edges(claims)
    reach = {}
    for device, readings in reaches:
        edges = [(begin, end - 1)] if whole else []
        if readings.first is not None and readings.last is not None:
            edges.append((instant_us(readings.first, "UTC"), instant_us(readings.last, "UTC")))
        if edges:
            first, last = (min(a for a, _ in edges), max(b for _, b in edges))
            reach[fleet.by_id[device]] = Reach(first - 1, last)
    with conn.cursor() as cursor:
        return periods.fetch(cursor, fleet, reach)


def _edges(claims: Claims) -> tuple[int, int]:
    """Return start and end of the monitoring period, end excluded. [us UTC]"""
    period = claims.monitoring_period
    return instant_us(period.from_, "UTC"), instant_us(period.to, "UTC")


def _refuse_other_evidence(case: Case, claims: Claims, detail: Mapping[str, Any]) -> None:
    if case.digests() == claims.digests:
        return
    sealed = detail["leaves"]
    result = [
        f"{leaf['table']} of {leaf['device']} on {leaf['day']}"
        for name, leaves in case.leaves().items()
        for leaf in leaves
        if leaf not in sealed[name]
    ]
    raise PeriodError(
        f"the evidence of statement {claims.statement} differs from the closed period "
        f"({'; '.join(result[:3]) or 'rows are missing'}): readings arrived late, or rows were "
        "changed; `tonne log audit` lists changed rows. If the statement is not issued, close the "
        "period again; if it is issued, supersede it"
    )
