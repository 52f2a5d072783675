"""Statement page: its figures, signatures, evidence, and verification in the browser."""

from __future__ import annotations

from datetime import UTC, date, datetime
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from mrv import calendar, factors, texts
from mrv.calendar import instant_us
from mrv.documents import Issuer, read_bytes
from mrv.documents.statement import Claims, Statement
from mrv.documents.verification import FindingShown, SamplingList, Verification
from mrv.methodologies import diesel_litres
from mrv.report.blocks import Block, sampled
from mrv.report.dated_values import compared, dated, designed
from mrv.report.words import DISPLAY_UNITS, certainty, described
from mrv.report.words import Words as ReportWords
from mrv.rounding import decimal_text
from mrv.signatures.keys import EnrolledKey
from mrv.statement.conditions import Unmet, reasons_of, unanswered, unmet
from services.api.console.charts import Drawn, Step, qr
from services.api.console.charts import steps as drawn_steps
from services.api.console.maps import month_calendar
from services.api.console.render import Language, View, language_of, of_ug, render
from services.api.console.translations import Words
from services.api.request_context import RequestContext
from services.api.routes.statements import StatementId, visible
from services.issuer.documents import documents, records
from services.issuer.report import JCM
from services.issuer.timestamps import stamps_of
from services.store.registry import programme, signing_keys
from services.store.statements import evidence, statements
from services.store.statements import transparency_log as log
from services.store.statements.statements import Event, Stored
from services.store.views import console, listing
from services.store.views.coverage import CoverageDay, coverage_days

router = APIRouter(include_in_schema=False)
_MAX = 500
_MAX_MONTHS = 36
# codes of missing parts in the browser's check of a statement; some codes share one text
_CODES = (
    "keys", "status", "status-age", "status-key", "unbound-key", "evidence", "conditions", "words",
    "ended-key", "ended-accreditation", "closed-log", "witnesses", "timestamps", "issue",
    "materiality", "operator-organisation", "verifier-organisation", "verifier-accreditation",
    "verification", "signature", "approvals", "log", "key-log", "key-operator", "key-verifier",
)  # fmt: skip
_MISSING = {
    "operator-organisation": "named", "verifier-organisation": "named",
    "verifier-accreditation": "named", "log": "key_log",
}  # fmt: skip
_PUBLIC = ("issued", "superseded", "revoked")


@router.get("/statements/{statement}")
def lead_to_statement(request: Request, statement: StatementId) -> Response:
    """Redirect from a certificate's QR code to the statement's page in the browser's language."""
    address = f"/console/{language_of(request)}/statements/{statement}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/statements")
def statement_list(ask: View, language: Language) -> Response:
    """Return the page of statements, newest first."""
    with ask.reading() as conn:
        rows = listing.statements(conn, ask.who.projects, None, None, _MAX, newest=True)
    result = [_line(stored) for stored, _ in rows]
    return render(ask, language, "statements.html", lines=result)


@router.get("/console/{language}/tonne")
def tonne_page(ask: View, language: Language) -> Response:
    """Return the page that explains a tonne from meter to registry: the newest credited one."""
    with ask.reading() as conn:
        rows = listing.statements(conn, [], None, None, _MAX, newest=True)
        stored = next((s for s, _ in rows if s.state == "issued" and s.credit_t), None)
        if stored is None:
            return render(ask, language, "tonne.html", claims=None)
        steps = statements.events(conn, stored.id)
        entry = log.receipt(conn, stored.id)
        keys = {enrolment.key.did: enrolment.key for enrolment in signing_keys.load(conn)}
        now = console.project_sums(conn, stored.project)[0]
    claims, opinion, t = stored.claims, _opinion(steps), Words(language)
    # the devices of the baseline; without any, those of the project
    largest = max(
        claims.monitored_parameters,
        key=lambda p: (p.side == "baseline", abs(Fraction(p.emissions_t or 0)), p.device),
    )
    same = [
        p
        for p in claims.monitored_parameters
        if (p.parameter, p.side, p.unit) == (largest.parameter, largest.side, largest.unit)
    ]
    until = [p.calibrations[-1].valid_until for p in same if p.calibrations]
    return render(
        ask,
        language,
        "tonne.html",
        stored=stored,
        claims=claims,
        metered=(
            decimal_text(sum((Fraction(p.counted) for p in same), Fraction(0)), 6, "down"),
            largest.unit,
            largest.parameter,
        ),
        devices=sorted({p.device for p in same}),
        calibrated=min(until) if until and len(until) == len(same) else None,
        account=_account(claims, t),
        prepared=_prepared(steps, keys),
        verified=(verified := _verified(opinion, keys)),
        verified_on=verified and _local_day(verified.at, claims),
        opinion=opinion and opinion.credential_subject,
        litres=diesel_litres(Fraction(1), factors.load()),
        emitted=_emitted(claims, t),
        now=now,
        lately=now.month_ug and t.tonnes(of_ug(now.month_ug)),
        index=_index(entry),
    )


def _index(entry: str | None) -> str | None:
    return entry and entry.split("\n")[1].removeprefix("index ")


@router.get("/console/{language}/statements/{statement}")
def statement_page(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the page of a statement."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        steps = statements.events(conn, statement)
        entry = log.receipt(conn, statement)
        successor = statements.successor(conn, statement)
        stamps = stamps_of(conn, statement, entry)
        sample = evidence.sample(conn, statement)
        public = programme.public_url(conn)
        twin = evidence.is_published(conn, statement)
        findings = [record.to_json() for record in records(conn, documents(conn, statement))]
        keys = {enrolment.key.did: enrolment.key for enrolment in signing_keys.load(conn)}
        called = programme.name_of(conn)
    claims = stored.claims
    opinion = _opinion(steps)
    return render(
        ask,
        language,
        "statement.html",
        stored=stored,
        claims=claims,
        steps=steps,
        opinion=opinion,
        findings=findings,
        unmet=unmet(claims),
        unanswered=_unanswered(claims, opinion),
        reasons={} if opinion is None else reasons_of(opinion.credential_subject),
        remarks=_remarks(opinion),
        programme=called,
        issued_on=next(
            (_local_day(step.at, claims) for step in steps if step.state == "issued"), None
        ),
        prepared=_prepared(steps, keys),
        verified=_verified(opinion, keys),
        by=lambda step: _by(step, keys, Words(language)),
        meaning=lambda of, name: described(("parameter",), of, name, ReportWords(language)) or name,
        index=_index(entry),
        successor=successor,
        stamps=stamps,
        months=_calendar(ask, stored),
        account=_account(claims, Words(language)),
        limit=(limit := claims.emissions.limit()) and texts.render(limit, language),
        code=_code(stored, public, Words(language)),
        tone=_tone(stored.state, unmet(claims), opinion),
        comparisons=_comparison_blocks(claims, opinion, sample, ReportWords(language)),
        counted=partial(exact, words=ReportWords(language)),
        certain=partial(certainty, words=ReportWords(language)),
        certain_head=ReportWords(language)["certainty"],
        sees=ask.who.sees(stored.project),
        reports=_reports(language, statement, sees=ask.who.sees(stored.project)),
        exports=_exports(claims.methodology.id),
        twin=twin,
    )


class Party(NamedTuple):
    """Preparer or verifier of a statement: organisation, accreditation (or None), and time."""

    name: str
    accreditation: str | None
    at: datetime


def _prepared(steps: list[Event], keys: dict[str, EnrolledKey]) -> Party | None:
    """Return the signer of a statement; None for a draft."""
    for step in steps:
        if step.state == "submitted" and step.document is not None:
            issuer = read_bytes(Statement, step.document, "the statement").issuer
            return Party(_called(issuer, keys), None, step.at) if issuer else None
    return None


def _verified(opinion: Verification | None, keys: dict[str, EnrolledKey]) -> Party | None:
    if opinion is None:
        return None
    accredited = opinion.credential_subject.accreditation or None
    at = datetime.fromtimestamp(instant_us(opinion.valid_from, "UTC") / 1e6, UTC)
    return Party(_called(opinion.issuer, keys), accredited, at)


def _by(step: Event, keys: dict[str, EnrolledKey], t: Words) -> str:
    """Return the author of a step: the signing organisation, the caller, or the server."""
    signed = next((key for key in keys.values() if key.multikey == step.multikey), None)
    if signed is not None:
        return signed.bounds.organisation or signed.name
    return step.actor if step.principal else t("actor.server", name=step.actor)


def _called(issuer: Issuer, keys: dict[str, EnrolledKey]) -> str:
    """Return the organisation of a key; if unknown, the key's name."""
    key = keys.get(issuer.id)
    return (key and key.bounds.organisation) or issuer.name


def _local_day(at: datetime, claims: Claims) -> date:
    return at.astimezone(calendar.zone(claims.monitoring_period.timezone)).date()


def _tone(state: str, open_: tuple[Unmet, ...], opinion: Verification | None) -> str:
    """
    Return the colour of a statement's state: `good`, `warn` or `bad`.

    `good`: issued, with an unqualified opinion and no unmet requirement (`open_`).
    `bad`: rejected, superseded or revoked.
    """
    if state in {"rejected", "superseded", "revoked"}:
        return "bad"
    if state != "issued" or open_ or opinion is None:
        return "warn"
    return "good" if opinion.credential_subject.opinion == "unqualified" else "warn"


def _calendar(ask: RequestContext, stored: Stored) -> list[tuple[date, list[Any]]]:
    """Return the months of the period, with the current measured share of each day."""
    period = stored.claims.monitoring_period
    first, end = (date.fromisoformat(text[:10]) for text in (period.local_from, period.local_to))
    pairs = sorted({(p.device, p.parameter) for p in stored.claims.monitored_parameters})

    def find() -> list[CoverageDay]:
        with ask.reading() as conn:
            return coverage_days(conn, stored.project, period.timezone, pairs, first, end)

    result = ask.request.app.state.memory.get(("coverage", stored.id), find)
    months = sorted({row.day.replace(day=1) for row in result})[:_MAX_MONTHS]
    return [(m, month_calendar(m.year, m.month, result, period.timezone)) for m in months]


def _account(claims: Claims, t: Words) -> list[Drawn]:
    """Return the charts of the account from measured to credited tonnes."""
    gross, net, credited = (
        # rounded as displayed, so that the displayed steps add up
        Fraction(_three(Fraction(value)))
        for value in (
            claims.emissions_before_deductions.reduction.t,
            claims.emissions.reduction.t,
            claims.credited.t,
        )
    )
    parts = [
        (t("before_deductions"), gross, True),
        (t("deductions"), net - gross, False),
        (t("rounded_down"), credited - net, False),
        (t("credited"), credited, True),
    ]
    return drawn_steps(
        [
            Step(name, value, f"{t.number(_three(value))}\N{NO-BREAK SPACE}t", total)
            for name, value, total in parts
        ]
    )


def exact(value: str | int, base: str, words: ReportWords) -> tuple[str, str]:
    """Return an amount in base units with every digit, and its unit, as in the report."""
    unit, size = DISPLAY_UNITS[base]
    return words.number(words.plain(Fraction(value) / size)), unit


def _emitted(claims: Claims, t: Words) -> list[str]:
    """
    Return emissions without and with the project, and the reduction, as texts. [t]

    The second value is the difference of the other two as rounded, so that the three agree.
    """
    before = claims.emissions_before_deductions
    without, less = (
        Fraction(_three(Fraction(value))) for value in (before.baseline.t, before.reduction.t)
    )
    return [f"{t.number(_three(v))}\N{NO-BREAK SPACE}t" for v in (without, without - less, less)]


def _three(value: Fraction) -> str:
    return decimal_text(value, 3 if value.denominator > 1 else 0, "down")


def _code(stored: Stored, public: str | None, t: Words) -> tuple[str, Markup] | None:
    """
    Return the public URL of a statement's page, and its QR code.

    None if the programme has no address, as the host named in a request is not trusted.
    """
    if stored.state not in _PUBLIC or public is None:
        return None
    address = f"{public}/statements/{stored.id}"
    return address, qr(address, f"{t('status_code')}: {address}")


def _unanswered(claims: Claims, opinion: Verification | None) -> tuple[Unmet, ...]:
    """Return the unmet requirements without a signed justification."""
    return unmet(claims) if opinion is None else unanswered(claims, opinion.credential_subject)


def _remarks(opinion: Verification | None) -> list[FindingShown]:
    """Return the remarks of an opinion, without findings that were raised and closed."""
    findings = () if opinion is None else opinion.credential_subject.listed_findings
    return [finding for finding in findings if finding.remark]


@router.get("/console/{language}/statements/{statement}/check")
def check(ask: View, language: Language, statement: StatementId) -> Response:
    """Return the page that verifies a statement in the browser."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        lists = evidence.listed_projects(conn)
        approved = bool(evidence.approvals(conn, statement))
    return render(
        ask, language, "check.html", stored=stored, lists=lists, approved=approved,
        texts=_check_texts(Words(language)),
    )  # fmt: skip


@router.get("/console/{language}/check")
def check_pack(ask: View, language: Language) -> Response:
    """Return the page that verifies a pack from the reader's disk."""
    with ask.reading() as conn:
        lists = evidence.listed_projects(conn)
    return render(
        ask, language, "check.html", stored=None, lists=lists, approved=False,
        texts=_check_texts(Words(language)),
    )  # fmt: skip


def _check_texts(t: Words) -> dict[str, str]:
    """Return the texts of the check in the browser, by code: outcomes, verdicts, missing parts."""
    content = {
        name: t(f"check.{name}")
        for name in ("here", "here_partly", "missing", "elsewhere", "no_zip", "fails", "away",
                     "working", "own_keys", "trusted")
    }  # fmt: skip
    outcomes = {"ok": "ok", "failed": "failed", "not applicable": "na",
                "not reached": "not_reached", "not checked": "not_checked"}  # fmt: skip
    return (
        content
        | {outcome: t(f"outcome.{key}") for outcome, key in outcomes.items()}
        | {f"missing.{code}": t(f"missing.{_MISSING.get(code, code.replace('-', '_'))}")
           for code in _CODES}
    )  # fmt: skip


def _comparison_blocks(
    claims: Claims, opinion: Verification | None, sample: bytes | None, words: ReportWords
) -> list[Block]:
    """Return the blocks of comparisons, as the reports print them."""
    document = None if sample is None else read_bytes(SamplingList, sample, "the sample")
    concluded = None if opinion is None else opinion.credential_subject
    parts = (
        designed(claims, words),
        dated(claims, words),
        compared(claims, concluded, words),
        sampled(document, claims.monitoring_period.timezone, words),
    )
    return list(chain.from_iterable(parts))


def _exports(methodology: str) -> list[tuple[str, str]]:
    """Return the exports of an issued statement; the JCM's only for its methodologies."""
    result = [("cdop", "CDOP"), ("cad-trust", "CAD Trust")]
    return [*result, ("jcm", "JCM")] if methodology.startswith(JCM) else result


def _reports(language: str, statement: str, *, sees: bool) -> list[tuple[str, str]]:
    """Return the reports available to the caller, with their URLs."""
    root = f"/console/{language}/statements/{statement}/report"
    return [
        (suffix.upper(), f"{root}.{suffix}")
        for suffix in ("pdf", "xlsx")
        if sees or suffix == "pdf"
    ]


def _line(stored: Stored) -> dict[str, Any]:
    claims = stored.claims
    period = claims.monitoring_period
    return {
        "stored": stored,
        "name": claims.project.name,
        "from": period.local_from,
        "to": period.local_to,
        "reduction": claims.emissions.reduction.t,
    }


def _opinion(steps: list[Event]) -> Verification | None:
    for step in steps:
        if step.state in {"verified", "rejected"} and step.document is not None:
            return read_bytes(Verification, step.document, "the verification")
    return None
