"""A statement: its figures, who stands behind it, where they come from, and its check."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from itertools import chain
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from mrv.documents.form import read_bytes
from mrv.documents.sampling_list import SamplingList
from mrv.documents.statement import Claims
from mrv.documents.verification import FindingShown, Verification
from mrv.exports import cell_map
from mrv.report.blocks import Block
from mrv.report.comparison_blocks import designed, held
from mrv.report.dated_values import dated
from mrv.report.sampling_block import sampled
from mrv.report.words import Words as ReportWords
from mrv.rounding import decimal_text
from mrv.statement.conditions import Unmet, unanswered, unmet
from services.api.console.charts.qr import qr
from services.api.console.charts.steps import Drawn, Step
from services.api.console.charts.steps import steps as drawn_steps
from services.api.console.maps.plots import month_calendar
from services.api.console.render import Language, language_of, render
from services.api.console.session import View
from services.api.console.translations import Words
from services.api.request_context import Asked
from services.api.routes.statements import StatementId, visible
from services.issuer.documents import documents, records
from services.issuer.timestamp_pack import stamps_of
from services.store.registry import programme
from services.store.statements import approvals, public_versions, sampling, statements, status_lists
from services.store.statements import transparency_log as log
from services.store.statements.statements import Event, Stored
from services.store.views import listing
from services.store.views.coverage import CoverageDay, coverage_days

router = APIRouter(include_in_schema=False)
_MOST = 500
_MOST_MONTHS = 36
_PUBLIC = ("issued", "superseded", "revoked")


@router.get("/statements/{statement}")
def lead_to_statement(request: Request, statement: StatementId) -> Response:
    """Lead from a certificate's QR code to the page in the browser's language."""
    address = f"/console/{language_of(request)}/statements/{statement}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/statements")
def statement_list(ask: View, language: Language) -> Response:
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
        account=_account(said, Words(language)),
        code=_code(stored, public, Words(language)),
        tone=_tone(stored.state, unmet(said), opinion),
        held=_comparison_blocks(said, opinion, sample, ReportWords(language)),
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


def _calendar(ask: Asked, stored: Stored) -> list[tuple[date, list[Any]]]:
    """Return the months of the period, with the share of each day that is measured now."""
    period = stored.claims.monitoring_period
    first, end = (date.fromisoformat(text[:10]) for text in (period.local_from, period.local_to))
    pairs = sorted({(p.device, p.parameter) for p in stored.claims.monitored_parameters})

    def find() -> list[CoverageDay]:
        with ask.reading() as conn:
            return coverage_days(conn, stored.project, period.timezone, pairs, first, end)

    found = ask.request.app.state.memory.get(("coverage", stored.id), find)
    months = sorted({one.day.replace(day=1) for one in found})[:_MOST_MONTHS]
    return [(m, month_calendar(m.year, m.month, found)) for m in months]


def _account(said: Claims, t: Words) -> list[Drawn]:
    """Draw the account: baseline, what is taken off, the reduction, what deductions cost."""
    before, after = said.emissions_before_deductions, said.emissions
    gross, net = Fraction(before.reduction.t), Fraction(after.reduction.t)
    credited = Fraction(said.credited.t)
    parts = [
        (t("baseline"), Fraction(before.baseline.t), True),
        (t("project_emissions"), -Fraction(before.project.t), False),
        (t("leakage"), -Fraction(before.leakage.t), False),
        (t("deductions"), net - gross, False),
        (t("reduction"), net, True),
        (t("rounded_down"), credited - net, False),
        (t("credited"), credited, True),
    ]
    return drawn_steps(
        [
            Step(
                name, value, f"{t.number(decimal_text(value, 3, 'down'))}\N{NO-BREAK SPACE}t", total
            )
            for name, value, total in parts
            if total or value
        ]
    )


def _code(stored: Stored, public: str | None, t: Words) -> tuple[str, Markup] | None:
    """
    Return the public address of a statement's page, and its QR code.

    None where the programme names no address: the host that a request names is its own word.
    """
    if stored.state not in _PUBLIC or public is None:
        return None
    address = f"{public}/statements/{stored.id}"
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


def _comparison_blocks(
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


def _line(stored: Stored) -> dict[str, Any]:
    said = stored.claims
    period = said.monitoring_period
    return {
        "stored": stored,
        "name": said.project.name,
        "from": period.local_from,
        "to": period.local_to,
        "reduction": said.emissions.reduction.t,
    }


def _opinion(steps: list[Event]) -> Verification | None:
    for step in steps:
        if step.state in {"verified", "rejected"} and step.document is not None:
            return read_bytes(Verification, step.document, "the verification")
    return None
