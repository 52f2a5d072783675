"""A statement: its figures, who stands behind it, where they come from, and its check."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ingest import classes
from ingest.model import NULL
from mrv.calendar import days, instant_us, local_text, period_us, utc_text
from mrv.documents.form import read_bytes
from mrv.documents.sampling_list import SamplingList
from mrv.documents.verification import Verification
from mrv.exports import cell_map
from mrv.report.comparison_blocks import designed, held
from mrv.report.dated_values import dated
from mrv.report.sampling_block import sampled
from mrv.report.words import Words as ReportWords
from mrv.rounding import decimal_text
from mrv.statement.conditions import unanswered, unmet
from services.api.console.charts.qr import qr
from services.api.console.charts.quantities import QUARTER_US, Amount, day_chart
from services.api.console.charts.waterfall import Step, waterfall
from services.api.console.maps.plots import month_calendar
from services.api.console.render import Language, render
from services.api.console.routes.jobs import job_page
from services.api.console.routes.overview import tonnes
from services.api.console.session import View
from services.api.console.translations import Words
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.reports import pack_place, report_place, send_pack, send_report
from services.api.routes.exports import jcm_zip, project_zip
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.documents import documents, records
from services.issuer.timestamp_pack import stamps_of
from services.store.postgres.timestamps import stamp
from services.store.registry import load as registry
from services.store.registry import programme
from services.store.statements import approvals, public_versions, sampling, statements, status_lists
from services.store.statements import transparency_log as log
from services.store.statements.file_jobs import Wanted
from services.store.timeseries import readings
from services.store.views import console, listing

if TYPE_CHECKING:
    from markupsafe import Markup
    from numpy.typing import NDArray

    from mrv.documents.statement import Claims
    from mrv.documents.verification import FindingShown
    from mrv.report.blocks import Block
    from mrv.statement.conditions import Unmet
    from services.api.request_context import Asked
    from services.store.statements.statements import Event, Stored

router = APIRouter(include_in_schema=False)
_MOST = 500
_US_PER_MINUTE = 60_000_000
UNITS = {one.name: one.unit for one in classes.QUANTITIES}
_AROUND_US = 15 * _US_PER_MINUTE
DayPath = Annotated[date, Path()]
# a quarter hour of the day, by its start
At = Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z$")]
_MOST_MONTHS, _MOST_READINGS = 36, 400
_PUBLIC = ("issued", "superseded", "revoked")


class Chart(NamedTuple):
    """A chart and the steps that it draws, for the table behind it."""

    drawn: Markup
    steps: list[Step]


class Known(NamedTuple):
    """
    A device's readings by time. [us]

    Channels are those with any value: name, unit, and the quantity that a register counts,
    empty of others.
    """

    channels: list[tuple[str, str, str]]
    rows: list[tuple[int, list[str | None]]]


@router.get("/console/{language}/statements")
def every(ask: View, language: Language) -> Response:
    """List statements, newest first."""
    with ask.reading() as conn:
        rows = listing.statements(conn, ask.who.projects, None, None, _MOST, newest=True)
    found = [_line(stored) for stored, _ in rows]
    return render(ask, language, "statements.html", found=found)


@router.get("/console/{language}/statements/{statement}")
def one(ask: View, language: Language, statement: StatementId) -> Response:
    """Show a statement."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        steps = statements.events(conn, statement)
        entry = log.receipt(conn, statement)
        successor = statements.successor(conn, statement)
        stamps = stamps_of(conn, statement, entry)
        sample = sampling.document(conn, statement)
        public = programme.public_url(conn)
        twin = public_versions.published(conn, statement)
        findings = [one.to_json() for one in records(conn, documents(conn, statement))]
    said = stored.claims
    opinion = _opinion(steps)
    return render(
        ask,
        language,
        "statement.html",
        stored=stored,
        said=said,
        steps=steps,
        opinion=opinion,
        findings=findings,
        unmet=unmet(said),
        unanswered=_unanswered(said, opinion),
        because=(opinion and opinion.credential_subject.because) or None,
        remarks=_remarks(opinion),
        index=entry and entry.split("\n")[1].removeprefix("index "),
        successor=successor,
        stamps=stamps,
        months=_calendar(ask, stored),
        account=_waterfall(said, Words(language)),
        code=_code(ask, stored, public, Words(language)),
        tone=_tone(stored.state, unmet(said), opinion),
        held=_held(said, opinion, sample, ReportWords(language)),
        sees=ask.who.sees(stored.project),
        reports=_reports(language, statement, sees=ask.who.sees(stored.project)),
        exports=_exports(said.methodology.id),
        twin=twin,
    )


def _tone(state: str, open_: tuple[Unmet, ...], opinion: Verification | None) -> str:
    """Return good for an issue that nothing speaks against, else warn or bad."""
    if state in {"rejected", "superseded", "revoked"}:
        return "bad"
    if state != "issued" or open_ or opinion is None:
        return "warn"
    return "good" if opinion.credential_subject.opinion == "unqualified" else "warn"


def _calendar(ask: Asked, stored: Stored) -> list[tuple[str, list[Any]]]:
    """Return the months of the period, with the share of each day that is measured now."""
    period = stored.claims.monitoring_period
    first, end = (date.fromisoformat(text[:10]) for text in (period.local_from, period.local_to))
    pairs = sorted({(p.device, p.parameter) for p in stored.claims.monitored_parameters})

    def find() -> list[console.CoverageDay]:
        with ask.reading() as conn:
            return console.coverage_days(conn, stored.project, period.timezone, pairs, first, end)

    found = ask.request.app.state.memory.get(("coverage", stored.id), find)
    months = sorted({one.day.replace(day=1) for one in found})[:_MOST_MONTHS]
    return [(f"{m:%Y-%m}", month_calendar(m.year, m.month, found)) for m in months]


def _waterfall(said: Claims, t: Words) -> Chart:
    """Draw the account: baseline, what is taken off, the reduction, and what deductions cost."""
    before, after = said.emissions_before_deductions, said.emissions
    gross, net = Fraction(before.reduction.t), Fraction(after.reduction.t)
    parts = [
        (t("baseline"), Fraction(before.baseline.t), True),
        (t("project_emissions"), -Fraction(before.project.t), False),
        (t("leakage"), -Fraction(before.leakage.t), False),
        (t("before_deductions"), gross, True),
        (t("deductions"), net - gross, False),
        (t("after_deductions"), net, True),
        (t("credited"), Fraction(said.credited.t), True),
    ]
    steps = [
        Step(f"{i}. {name}", value, t.number(decimal_text(value, 6, "down")), total)
        for i, (name, value, total) in enumerate(parts, 1)
    ]
    alt = f"{t('account')}: " + "; ".join(f"{one.label}: {one.shown} t" for one in steps)
    return Chart(waterfall(steps, "t CO\N{SUBSCRIPT TWO}e", alt, t), steps)


def _code(ask: Asked, stored: Stored, public: str | None, t: Words) -> tuple[str, Markup] | None:
    """Return where the state of a statement is told to everybody, and its QR code."""
    if stored.state not in _PUBLIC:
        return None
    base = public or str(ask.request.base_url).rstrip("/")
    address = f"{base}/v1/statements/{stored.id}/status"
    return address, qr(address, f"{t('status_code')}: {address}")


def _unanswered(said: Claims, opinion: Verification | None) -> tuple[Unmet, ...]:
    """Return the conditions that do not hold, and over which nobody signed a reason."""
    return unmet(said) if opinion is None else unanswered(said, opinion.credential_subject)


def _remarks(opinion: Verification | None) -> list[FindingShown]:
    """Return what an opinion remarks beside the findings that were raised and closed."""
    said = () if opinion is None else opinion.credential_subject.shown
    return [one for one in said if one.remark]


@router.get("/console/{language}/statements/{statement}/check")
def check(ask: View, language: Language, statement: StatementId) -> Response:
    """Show the page that checks a statement in the browser."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        lists = status_lists.projects(conn)
        approved = bool(approvals.documents(conn, statement))
    return render(ask, language, "check.html", stored=stored, lists=lists, approved=approved)


@router.get("/console/{language}/check")
def check_pack(ask: View, language: Language) -> Response:
    """Show the page that checks a pack from the reader's own disk."""
    with ask.reading() as conn:
        lists = status_lists.projects(conn)
    return render(ask, language, "check.html", stored=None, lists=lists, approved=False)


@router.get("/console/{language}/statements/{statement}/days/{day}")
def day_of(ask: View, language: Language, statement: StatementId, day: DayPath) -> Response:
    """Show which devices a day's tonnes come from."""
    stored, said = _own(ask, statement)
    since, until = _edges(said, day)
    with ask.reading() as conn:
        rows = {
            name: console.device_day(conn, stored.project, name, since, until)
            for name in sorted({p.device for p in said.monitored_parameters})
        }
    return render(
        ask, language, "day.html", stored=stored, said=said, day=day, tonnes=tonnes,
        found={name: _sums(found, _quantities(said, name)) for name, found in rows.items()},
    )  # fmt: skip


@router.get("/console/{language}/statements/{statement}/days/{day}/{device}")
def device_day(
    ask: View,
    language: Language,
    statement: StatementId,
    day: DayPath,
    device: IdPath,
    at: At = None,
) -> Response:
    """Show a device's day; of a quarter hour that is named the readings behind it."""
    stored, said = _own(ask, statement)
    if device not in {p.device for p in said.monitored_parameters}:
        raise unknown("device", device)
    since, until = _edges(said, day)
    with ask.reading() as conn:
        rows = console.device_day(conn, stored.project, device, since, until)
        known = _readings(ask, device, since, until)
    wanted = _quantities(said, device)
    rows = [row for row in rows if row[1] in wanted]
    t = Words(language)
    zone = said.monitoring_period.timezone
    return render(
        ask,
        language,
        "device_day.html",
        stored=stored,
        day=day,
        device=device,
        zone=zone,
        rows=rows,
        sums=_sums(rows, wanted),
        charts=_charts(rows, since, until, zone, t),
        known=known,
        most=_MOST_READINGS,
        behind=None if at is None else _behind(at, rows, known, (since, until)),
        units=UNITS,
        tonnes=tonnes,
        clock=lambda us: local_text(us, zone),
        us=lambda moment: int(moment.timestamp()) * 1_000_000,
    )


def _charts(
    rows: list[Any], since: datetime, until: datetime, zone: str, t: Words
) -> list[tuple[str, Markup]]:
    """Draw the day of each quantity; what has not come yet is not drawn as missing."""
    now_us = int(datetime.now(UTC).timestamp()) * 1_000_000
    edges = tuple(int(edge.timestamp()) * 1_000_000 for edge in (since, until))
    drawn = []
    for name in sorted({row[1] for row in rows}):
        found = {
            int(row[0].timestamp()) * 1_000_000: Amount(*row[2:6]) for row in rows if row[1] == name
        }
        title = t.or_as_is(f"quantity.{name}", name)
        span = edges[0], min(edges[1], now_us)
        drawn.append((title, day_chart(found, span, zone, UNITS[name], title, t)))
    return drawn


def _behind(
    at: str, rows: list[Any], known: Known, edges: tuple[datetime, datetime]
) -> dict[str, Any]:
    """Return a quarter hour's values, its readings, the last before and the first after."""
    start = datetime.fromisoformat(at)
    if not edges[0] <= start < edges[1]:
        raise ProblemError(404, f"{at} is no quarter hour of this day")
    begin = int(start.timestamp()) * 1_000_000
    end = begin + QUARTER_US
    within = [i for i, (us, _) in enumerate(known.rows) if begin < us < end]
    before = [i for i, (us, _) in enumerate(known.rows) if us <= begin][-1:]
    after = [i for i, (us, _) in enumerate(known.rows) if us >= end][:1]
    return {
        "from": begin,
        "to": end,
        "values": [row for row in rows if row[0] == start],
        "rows": [known.rows[i] for i in (*before, *within, *after)],
    }


@router.get("/console/{language}/statements/{statement}/evidence")
def evidence(ask: View, language: Language, statement: StatementId) -> Response:
    """Give the evidence pack to somebody who signed in; lead to a job that makes it, if it must."""
    stored, _ = _own(ask, statement)
    if not pack_place(ask.api, stored)[0].exists():
        return job_page(ask, language, Wanted("pack", statement, "zip", None))
    with ask.reading() as conn:
        ask.noted(conn, 200)
    return send_pack(ask, stored)


@router.get("/console/{language}/statements/{statement}/exports/{form}.zip")
def exported(
    ask: View,
    language: Language,  # noqa: ARG001 - its address says it
    statement: StatementId,
    form: Literal["cdop", "cad-trust", "jcm"],
) -> Response:
    """Give what a registry takes to somebody who signed in."""
    stored, _ = _own(ask, statement)
    if form == "jcm":
        return jcm_zip(ask, statement)
    return project_zip(ask, stored.project, form)


@router.get("/console/{language}/statements/{statement}/report.{wanted}")
def report_file(
    ask: View, language: Language, statement: StatementId, wanted: Literal["pdf", "xlsx"]
) -> Response:
    """Give the report in the page's language; the workbook to somebody who signed in."""
    if wanted == "xlsx":
        stored, _ = _own(ask, statement)
    else:
        with ask.reading() as conn:
            stored = visible(conn, ask.who, statement)
    if ask.who is not PUBLIC and not report_place(ask.api, stored, wanted, language)[0].exists():
        return job_page(ask, language, Wanted("report", statement, wanted, language))
    return send_report(ask, stored, wanted, language)


def _held(
    said: Claims, opinion: Verification | None, sample: bytes | None, words: ReportWords
) -> list[Block]:
    """Set what the figures were held against in blocks, as the reports print them."""
    document = None if sample is None else read_bytes(SamplingList, sample, "the sample")
    concluded = None if opinion is None else opinion.credential_subject
    parts = (
        designed(said, words),
        dated(said, words),
        held(said, concluded, words),
        sampled(document, words),
    )
    return list(chain.from_iterable(parts))


def _exports(methodology: str) -> list[tuple[str, str]]:
    """Name the exports of an issued statement; the JCM's where its spreadsheet has a layout."""
    found = [("cdop", "CDOP"), ("cad-trust", "CAD Trust")]
    return [*found, ("jcm", "JCM")] if methodology in cell_map.names() else found


def _reports(language: str, statement: str, *, sees: bool) -> list[tuple[str, str]]:
    """Name the reports that the caller may have, and where they are."""
    root = f"/console/{language}/statements/{statement}/report"
    return [(one.upper(), f"{root}.{one}") for one in ("pdf", "xlsx") if sees or one == "pdf"]


def _own(ask: Asked, statement: str) -> tuple[Stored, Claims]:
    """Return a statement whose readings the caller may see, and what it says."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise ProblemError(403, "sign in to see the readings of this project")
    return stored, stored.claims


def _line(stored: Stored) -> dict[str, Any]:
    said = stored.claims
    period = said.monitoring_period
    return {
        "stored": stored,
        "name": said.project.name,
        "from": period.local_from[:10],
        "to": period.local_to[:10],
        "reduction": said.emissions.reduction.t,
    }


def _opinion(steps: list[Event]) -> Verification | None:
    for step in steps:
        if step.state in {"verified", "rejected"} and step.document is not None:
            return read_bytes(Verification, step.document, "the verification")
    return None


def _days(said: Claims) -> list[str]:
    period = said.monitoring_period
    begin, end = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
    return [day.isoformat() for day, _, _ in days(begin, end, period.timezone)]


def _edges(said: Claims, day: date) -> tuple[datetime, datetime]:
    """Return a local day's edges, within the statement's period."""
    period = said.monitoring_period
    if day.isoformat() not in _days(said):
        raise ProblemError(404, f"{day} is not a day of this statement")
    begin, end = period_us(day, date.fromordinal(day.toordinal() + 1), period.timezone)
    first, last = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
    since, until = (utc_text(us) for us in (max(begin, first), min(end, last)))
    return datetime.fromisoformat(since), datetime.fromisoformat(until)


def _quantities(said: Claims, device: str) -> set[str]:
    return {p.parameter for p in said.monitored_parameters if p.device == device}


def _sums(rows: list[Any], wanted: set[str]) -> dict[str, Any]:
    """
    Return a day's value and times by quantity, and what the device avoided.

    An interval's emissions are the device's, whichever of its quantities it stands beside:
    they are added once.  None where nothing is known.
    """
    found = [row for row in rows if row[1] in wanted]
    avoided = {row[0]: row[6] for row in found if row[6] is not None}
    return {
        "lines": [
            _line_of(name, [row for row in found if row[1] == name])
            for name in sorted({row[1] for row in found})
        ],
        "reduction_ug": sum(avoided.values()) if avoided else None,
    }


def _line_of(quantity: str, rows: list[Any]) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "unit": UNITS[quantity],
        "value": sum(row[2] for row in rows),
        "measured_h": f"{sum(row[3] for row in rows) / 3_600_000_000:.2f}",
        "estimated_h": f"{sum(row[4] for row in rows) / 3_600_000_000:.2f}",
    }


def _readings(ask: Asked, device: str, since: datetime, until: datetime) -> Known:
    """Return what the device said in a span and a quarter of an hour on both sides of it."""
    with ask.reading() as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        class_id = fleet.devices[fleet.by_id[device]].class_id
        begin, end = (int(edge.timestamp()) * 1_000_000 for edge in (since, until))
        edges = [stamp(begin - _AROUND_US)], [stamp(end + _AROUND_US)]
        frame = readings.within(cursor, class_id, [device], [0], *edges)
    channels = classes.load()[class_id].channels
    columns = {name: _texts(frame.columns[name]) for name in channels}
    held = [name for name, values in columns.items() if any(v is not None for v in values)]
    return Known(
        [(name, channels[name].unit, channels[name].quantity or "") for name in held],
        [(us, [columns[name][i] for name in held]) for i, us in enumerate(frame.time_us.tolist())],
    )


def _texts(values: NDArray[Any]) -> list[str | None]:
    """Return values as text; None where there is none."""
    if values.dtype.kind == "f":
        return [None if np.isnan(v) else f"{v:g}" for v in values.tolist()]
    return [None if v == NULL else str(v) for v in values.tolist()]
