"""A statement's days, with devices and readings behind them, and its files."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from fastapi import APIRouter, Path, Query
from markupsafe import Markup
from numpy.typing import NDArray
from starlette.responses import RedirectResponse, Response

from ingest import classes
from ingest.model import NULL
from mrv import calendar
from mrv.calendar import days, instant_us, local_text, period_us, utc_text
from mrv.documents.statement import Claims
from mrv.report.words import Words as ReportWords
from mrv.statement.diagram import line_diagram
from mrv.statement.plan_reader import read_plan
from services.api.answers import DONE, ProblemError, file_job_of
from services.api.console.charts import KINDS, QUARTER_US, Amount, day_chart, hours_title
from services.api.console.render import Language, View, render, signed_in
from services.api.console.routes.statements import exact
from services.api.console.translations import Words
from services.api.principals import PUBLIC
from services.api.reports import later, pack_place, report_place, send_pack, send_report
from services.api.request_context import RequestContext
from services.api.routes.exports import JobId, jcm_zip, own_job, project_zip, send_file
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.export_files import submission as checked
from services.store.postgres.pool import stamp
from services.store.registry import load as registry
from services.store.statements import queues, statements
from services.store.statements.queues import Wanted
from services.store.statements.statements import Stored
from services.store.timeseries import readings
from services.store.views import console


def own(ask: RequestContext, statement: str) -> tuple[Stored, Claims]:
    """Return a statement whose readings the caller may see, and its claims."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise ProblemError(
            403,
            "the readings of this project are visible only with access to it; sign in with"
            " such a key",
        )
    return stored, stored.claims


def days_of(claims: Claims) -> list[str]:
    """Return the local days of the period, in ISO 8601."""
    period = claims.monitoring_period
    begin, end = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
    return [day.isoformat() for day, _, _ in days(begin, end, period.timezone)]


router = APIRouter(include_in_schema=False)
UNITS = {quantity.name: quantity.unit for quantity in classes.QUANTITIES}
DayPath = Annotated[date, Path()]
# start of an interval of the day
At = Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}Z$")]
_AROUND_US = 15 * 60_000_000
_MAX_READINGS = 400


class Known(NamedTuple):
    """
    A device's readings by time [us], and its channels with any value.

    `channels`: name, unit, and the quantity of a register (empty for others).
    """

    channels: list[tuple[str, str, str]]
    rows: list[tuple[int, list[str | None]]]


@router.get("/console/{language}/statements/{statement}/days/{day}")
def day_of(ask: View, language: Language, statement: StatementId, day: DayPath) -> Response:
    """Return the page of a day's devices with their tonnes."""
    stored, claims = own(ask, statement)
    since, until = _edges(claims, day)
    with ask.reading() as conn:
        rows = {
            name: console.device_day(conn, stored.project, name, since, until)
            for name in sorted({p.device for p in claims.monitored_parameters})
        }
    result = {name: _sums(rows_, _quantities(claims, name)) for name, rows_ in rows.items()}
    known = [row["reduction_ug"] for row in result.values() if row["reduction_ug"] is not None]
    total = sum(known) if known else None
    return render(
        ask,
        language,
        "day.html",
        stored=stored,
        day=day,
        sums=result,
        total=total,
        exact=partial(exact, words=ReportWords(language)),
    )


@router.get("/console/{language}/statements/{statement}/days/{day}/{device}")
def device_day(
    ask: View,
    language: Language,
    statement: StatementId,
    day: DayPath,
    device: IdPath,
    at: At = None,
) -> Response:
    """Return the page of a device's day, with the readings of a selected interval."""
    stored, claims = own(ask, statement)
    if device not in {p.device for p in claims.monitored_parameters}:
        raise unknown("device", device)
    since, until = _edges(claims, day)
    with ask.reading() as conn:
        rows = console.device_day(conn, stored.project, device, since, until)
        known = _readings(ask, device, since, until)
    wanted = _quantities(claims, device)
    rows = [row for row in rows if row[1] in wanted]
    t = Words(language)
    zone = claims.monitoring_period.timezone
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
        most=_MAX_READINGS,
        behind=None if at is None else _behind(at, rows, known, (since, until)),
        units=UNITS,
        clock=lambda us: local_text(us, zone),
        us=lambda moment: int(moment.timestamp()) * 1_000_000,
    )


def _charts(
    rows: list[Any], since: datetime, until: datetime, zone: str, t: Words
) -> list[tuple[str, list[str], Markup]]:
    """
    Return for each quantity the title of a day's chart, the kinds of its values, and the chart.

    The future is not marked as missing.
    """
    now_us = int(datetime.now(UTC).timestamp()) * 1_000_000
    edges = int(since.timestamp()) * 1_000_000, int(until.timestamp()) * 1_000_000
    drawn = []
    for name in sorted({row[1] for row in rows}):
        amounts = {
            int(row[0].timestamp()) * 1_000_000: Amount(*row[2:6]) for row in rows if row[1] == name
        }
        title = t.or_as_is(f"quantity.{name}", name)
        known = [of for of in amounts.values() if of.kind != "none"]
        past = range(edges[0], min(edges[1], now_us), QUARTER_US)
        there = {of.kind for of in known} | ({"none"} if len(known) < len(past) else set())
        hours = [(row[0].astimezone(calendar.zone(zone)), row[2]) for row in rows if row[1] == name]
        span = hours_title(hours, t)
        drawn.append(
            (f"{title}: {span}" if span else title, [kind for kind in KINDS if kind in there],
             day_chart(amounts, edges, now_us, zone, UNITS[name], title, t))
        )  # fmt: skip
    return drawn


def _behind(
    at: str, rows: list[Any], known: Known, edges: tuple[datetime, datetime]
) -> dict[str, Any]:
    """
    Return an interval's start and end [us], values and readings, as variables of the template.

    The last reading before the interval and the first one after it are included.

    `at`: start of the interval, ISO 8601.  `rows`: the day's values by interval.
    `edges`: start and end of the day.
    """
    start = datetime.fromisoformat(at)
    if not edges[0] <= start < edges[1]:
        raise ProblemError(
            404, f"{at} is not a 15-minute interval of this day; choose one on the page of the day"
        )
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


def _edges(claims: Claims, day: date) -> tuple[datetime, datetime]:
    """Return start and end of a local day, within the statement's period."""
    period = claims.monitoring_period
    if day.isoformat() not in days_of(claims):
        raise ProblemError(404, f"{day} is not a day of this statement; choose one on its page")
    begin, end = period_us(day, date.fromordinal(day.toordinal() + 1), period.timezone)
    first, last = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
    since, until = (utc_text(us) for us in (max(begin, first), min(end, last)))
    return datetime.fromisoformat(since), datetime.fromisoformat(until)


def _quantities(claims: Claims, device: str) -> set[str]:
    return {p.parameter for p in claims.monitored_parameters if p.device == device}


def _sums(rows: list[Any], wanted: set[str]) -> dict[str, Any]:
    """
    Return a day's value and times by quantity, and the device's avoided emissions.

    An interval's emissions belong to the device and are added once, even if it has several
    quantities.  None if unknown.
    """
    result = [row for row in rows if row[1] in wanted]
    avoided = {row[0]: row[6] for row in result if row[6] is not None}
    return {
        "lines": [
            _line_of(name, [row for row in result if row[1] == name])
            for name in sorted({row[1] for row in result})
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


def _readings(ask: RequestContext, device: str, since: datetime, until: datetime) -> Known:
    """Return the readings of a device in a span and 15 minutes on both sides."""
    with ask.reading() as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        class_id = fleet.devices[fleet.by_id[device]].class_id
        begin, end = (int(edge.timestamp()) * 1_000_000 for edge in (since, until))
        edges = [stamp(begin - _AROUND_US)], [stamp(end + _AROUND_US)]
        frame = readings.within(cursor, class_id, [device], [0], *edges)
    channels = classes.load()[class_id].channels
    columns = {name: _texts(frame.columns[name]) for name in channels}
    stored = [name for name, values in columns.items() if any(v is not None for v in values)]
    return Known(
        [(name, channels[name].unit, channels[name].quantity or "") for name in stored],
        [
            (us, [columns[name][i] for name in stored])
            for i, us in enumerate(frame.time_us.tolist())
        ],
    )


def _texts(values: NDArray[Any]) -> list[str | None]:
    """Return values as text; None where there is none."""
    if values.dtype.kind == "f":
        return [None if np.isnan(v) else f"{v:g}" for v in values.tolist()]
    return [None if v == NULL else str(v) for v in values.tolist()]


_ELSEWHERE = 303
# time after which the page reloads while the file is being made [s]
_AGAIN_S = 2


def job_page(ask: RequestContext, language: Language, wanted: Wanted) -> Response:
    """Start the job that makes a requested file, and redirect to its page."""
    job = later(ask, wanted).headers["Location"].rpartition("/")[2]
    return RedirectResponse(f"/console/{language}/jobs/{job}", _ELSEWHERE)


@router.get("/console/{language}/jobs/{job}")
def page(ask: View, language: Language, job: JobId) -> Response:
    """Return the page of a file job's progress."""
    signed_in(ask, "the progress of the file")
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
        steps = queues.progress_of(conn, job)
    values = file_job_of(file_job, steps)
    answer = render(ask, language, "job.html", job=values, wanted=file_job.wanted)
    if file_job.status is None:
        answer.headers["Refresh"] = str(_AGAIN_S)
    return answer


@router.get("/console/{language}/jobs/{job}/file")
def file(ask: View, language: Language, job: JobId) -> Response:
    """Return the file of a job; redirect to the job's page until it is finished."""
    signed_in(ask, "the file")
    with ask.reading() as conn:
        file_job = own_job(ask, conn, job)
    if file_job.status != DONE:
        return RedirectResponse(f"/console/{language}/jobs/{job}", _ELSEWHERE)
    return send_file(ask, job)


@router.get("/console/{language}/statements/{statement}/evidence")
def evidence(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the evidence pack to a signed-in user; redirect to a job if it must be made."""
    stored, _ = own(ask, statement)
    if not pack_place(ask.api, stored)[0].exists():
        return job_page(ask, language, Wanted("pack", statement, "zip", None))
    with ask.reading() as conn:
        ask.noted(conn, 200)
    return send_pack(ask, stored)


@router.get("/console/{language}/statements/{statement}/exports/{form}.zip")
def exported(
    ask: View,
    language: Language,  # noqa: ARG001 - part of its URL
    statement: StatementId,
    form: Literal["cdop", "cad-trust", "jcm"],
) -> Response:
    """Return an export for a registry, for signed-in users."""
    stored, _ = own(ask, statement)
    if form == "jcm":
        return jcm_zip(ask, statement)
    return project_zip(ask, stored.project, form)


@router.get("/console/{language}/statements/{statement}/submission")
def submission(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the page of a programme's checks of a statement, for signed-in users."""
    stored, _ = own(ask, statement)
    with ask.api.files.connection() as conn:
        facts, lines = checked(conn, statement, language)
    parts = [(part, list(lines)) for part, lines in groupby(lines, key=lambda line: line.part)]
    words, line = ReportWords(language).all, bool(facts.plan.points)
    return render(
        ask, language, "submission.html", stored=stored, parts=parts, words=words, line=line
    )


@router.get("/console/{language}/statements/{statement}/line-diagram.svg")
def line(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the single-line diagram of a statement, for signed-in users."""
    own(ask, statement)
    with ask.reading() as conn:
        drawn = line_diagram(read_plan(statements.detail(conn, statement)["plan"]), language)
    if drawn is None:
        raise ProblemError(
            404,
            f"the single-line diagram of {statement} cannot be drawn: none of its meters"
            f" has `feeds`;"
            " enter `feeds` of the devices in the registry file",
        )
    return Response(drawn, media_type="image/svg+xml")


@router.get("/console/{language}/statements/{statement}/report.{wanted}")
def report_file(
    ask: View, language: Language, statement: StatementId, wanted: Literal["pdf", "xlsx"]
) -> Response:
    """Return the report in the page's language; the workbook only for signed-in users."""
    if wanted == "xlsx":
        stored, _ = own(ask, statement)
    else:
        with ask.reading() as conn:
            stored = visible(conn, ask.who, statement)
    if ask.who is not PUBLIC and not report_place(ask.api, stored, wanted, language)[0].exists():
        return job_page(ask, language, Wanted("report", statement, wanted, language))
    return send_report(ask, stored, wanted, language)
