"""A statement: its figures, who stands behind it, where they come from, and its check."""

from __future__ import annotations

from datetime import date, datetime
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Path
from starlette.responses import Response

from ingest import classes
from ingest.model import NULL
from mrv.calendar import days, instant_us, period_us, utc_text
from mrv.documents.form import read_bytes
from mrv.documents.sampling_list import SamplingList
from mrv.documents.verification import Verification
from mrv.report.comparison_blocks import designed, held
from mrv.report.dated_values import dated
from mrv.report.sampling_block import sampled
from mrv.report.words import Words as ReportWords
from mrv.statement.conditions import unanswered, unmet
from services.api.console.render import Language, render
from services.api.console.routes.overview import tonnes
from services.api.console.session import View
from services.api.problems import ProblemError
from services.api.reports import report
from services.api.routes.evidence import packed, send_pack
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.documents import documents, records
from services.issuer.timestamp_pack import stamps_of
from services.store.postgres.timestamps import stamp
from services.store.registry import load as registry
from services.store.statements import approvals, sampling, statements, status_lists
from services.store.statements import transparency_log as log
from services.store.timeseries import readings
from services.store.views import console, listing

if TYPE_CHECKING:
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
        days=_days(said),
        held=_held(said, opinion, sample, ReportWords(language)),
        sees=ask.who.sees(stored.project),
        reports=_reports(language, statement, sees=ask.who.sees(stored.project)),
    )


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
    ask: View, language: Language, statement: StatementId, day: DayPath, device: IdPath
) -> Response:
    """Show a device's intervals of a day, and the readings that they were metered from."""
    stored, said = _own(ask, statement)
    if device not in {p.device for p in said.monitored_parameters}:
        raise unknown("device", device)
    since, until = _edges(said, day)
    with ask.reading() as conn:
        rows = console.device_day(conn, stored.project, device, since, until)
        columns, shown = _readings(ask, device, since, until)
    wanted = _quantities(said, device)
    return render(
        ask, language, "device_day.html", stored=stored, said=said, day=day, device=device,
        rows=[row for row in rows if row[1] in wanted], columns=columns, readings=shown,
        units=UNITS,
    )  # fmt: skip


@router.get("/console/{language}/statements/{statement}/evidence")
def evidence(ask: View, language: Language, statement: StatementId) -> Response:  # noqa: ARG001 - its address says it
    """Give the evidence pack to somebody who signed in."""
    stored, _ = _own(ask, statement)
    with ask.reading() as conn:
        ask.noted(conn, 200)
    with ask.api.files.connection() as conn:
        file, tag = packed(conn, ask.api.home / "evidence", stored)
    return send_pack(ask, file, tag, statement)


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
    return report(ask, stored, wanted, language)


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


def _readings(
    ask: Asked, device: str, since: datetime, until: datetime
) -> tuple[list[str], list[tuple[str, list[str | None]]]]:
    """Return the channels with any value, and each reading's values in base units."""
    with ask.reading() as conn, conn.cursor() as cursor:
        fleet = registry.load_fleet(conn)
        class_id = fleet.devices[fleet.by_id[device]].class_id
        begin, end = (int(edge.timestamp()) * 1_000_000 for edge in (since, until))
        edges = [stamp(begin - _AROUND_US)], [stamp(end + _AROUND_US)]
        frame = readings.within(cursor, class_id, [device], [0], *edges)
    columns = {name: _texts(frame.columns[name]) for name in classes.load()[class_id].channels}
    held = [name for name, values in columns.items() if any(v is not None for v in values)]
    times = [utc_text(us) for us in frame.time_us.tolist()]
    return held, [(at, [columns[name][i] for name in held]) for i, at in enumerate(times)]


def _texts(values: NDArray[Any]) -> list[str | None]:
    """Return values as text; None where there is none."""
    if values.dtype.kind == "f":
        return [None if np.isnan(v) else f"{v:g}" for v in values.tolist()]
    return [None if v == NULL else str(v) for v in values.tolist()]
