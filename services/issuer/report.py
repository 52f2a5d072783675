"""
Data of a statement's report, from the database or a verified evidence pack; its public version; and
completeness of the project's registration.

A pack is verified as by `tonne verify` before a report is made of it.

The public version omits readings, intervals and the plan extract, as they name the meters.  The
statement contains their digests.

Each check of the registration is a line of `mrv.report.submission`: form, owner of the reductions,
and the registered versions, days and bodies.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from io import BytesIO
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.model import IntervalRows
from mrv import verify
from mrv.calendar import instant_us, local_date
from mrv.documents import read, write
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Claims
from mrv.documents.verification import FindingShown
from mrv.errors import CanonicalError, SignatureError, VerificationError
from mrv.exports import Source, check_issued, public
from mrv.exports.jcm import jcm
from mrv.exports.registration import InForce, Registration
from mrv.factors.ledger import book_of
from mrv.log.entries import parse_receipt
from mrv.methodologies import _tools as tools
from mrv.methodologies import find
from mrv.model import Factors
from mrv.packs import LARGE, tables
from mrv.packs.pack import (
    FACTORS,
    FINDINGS,
    INTERVALS,
    KEYS,
    MANIFEST,
    PLAN,
    SAMPLING,
    TIMESTAMPS,
    Pack,
    issued_at,
    rows_of,
)
from mrv.registry.calibration_interval import after
from mrv.report import LANGUAGES, Facts, make
from mrv.signatures import canonical
from mrv.signatures.data_integrity import create_proof, verify_proof
from mrv.signatures.keys import EnrolledKey, read_keyring
from mrv.signatures.organisations import stem
from mrv.signatures.trust_root import Trust
from mrv.statement.findings import read_events
from mrv.statement.opinion import REJECTING
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import CONTEXT, issuer, related, valid_from
from mrv.stored_tokens import summaries
from mrv.texts import Text, Value, plain, text, texts_of
from mrv.verify.subject import Subject
from services.clock import now_us
from services.issuer.collect_evidence import recollect
from services.issuer.documents import Signer, documents, records
from services.issuer.timestamps import stamps_of
from services.store.archive_catalog import snapshot
from services.store.registry import signing_keys as enrolled
from services.store.registry.entries_from_rows import names
from services.store.statements import evidence, statements
from services.store.statements import transparency_log as log

README = """\
Public version of {name}.

public.json      the statement and its verification, with marks in place of what is hidden,
                 salted digests of what is hidden, and the SHA-256 of the signed originals;
                 signed by the operator
statement-*.pdf  the same, for people; public.json is attached
statement-*.xlsx the same, as a workbook
receipt.txt      receipt of the transparency log for the original

{hidden} texts are hidden: {categories}.
tonne export check-public . --keys trusted.json
tonne export check-public . --keys trusted.json --disclosures disclosures.json
The second command is for a recipient of the disclosures: it restores the original.
"""


class PublicTwin(NamedTuple):
    """Public files by name, and the disclosures, which are not public."""

    files: dict[str, bytes]
    disclosures: bytes
    hidden: int


def public_twin(
    facts: Facts,
    receipt: str | None,
    signer: Signer,
    created: datetime,
    categories: Collection[str],
    more: Iterable[str] = (),
) -> PublicTwin:
    """
    Return the public version of an issued statement: document, PDF, workbook, receipt.

    `facts`: data of an issued statement.
    `receipt`: receipt of the log.
    `signer`: an operator's key.
    `created`: time of signature, with a time zone.
    `categories`: hidden categories, of `mrv.exports.public.CATEGORIES`.
    `more`: names of further fields to hide.
    Raises ExportError if the statement is not issued, or its own id would be hidden.
    """
    check_issued(facts.name, facts.state, facts.superseded_by)
    plan = facts.plan.to_json()
    originals: dict[str, Any] = {"statement": facts.statement, "verification": facts.verification}
    marks = public.secrets_of([*originals.values(), plan], categories, more)
    subject = facts.subject
    replaced = {subject.project.id: "project's id", facts.name: "statement's id",
             subject.project.name: "project's name"}  # fmt: skip
    public.check_hideable(marks, replaced)
    twin = public.hide(originals, marks, lambda: secrets.token_urlsafe(16))
    document = public.twin_document(twin, originals, categories, CONTEXT)
    document["issuer"] = issuer(signer.holder)
    document["validFrom"] = valid_from(created)
    signed = create_proof(document, signer.key, created)
    hidden = replace(
        facts,
        statement=twin.documents["statement"],
        verification=twin.documents["verification"],
        plan=read_plan(public.redacted(plan, marks)),
        raised=tuple(
            read(FindingShown, public.redacted(write(finding), marks), "a finding")
            for finding in facts.raised
        ),
        sampling=None if facts.sampling is None else public.redacted(dict(facts.sampling), marks),
        twin=signed,
    )
    files = {"public.json": canonical.encode(signed)}
    for language in LANGUAGES:
        for form in ("pdf", "xlsx"):
            files[f"statement-{language}.{form}"] = make(hidden, form, language)
    if receipt is not None:
        files["receipt.txt"] = receipt.encode()
    count = len(twin.hidden)
    readme = README.format(name=facts.name, hidden=count, categories=", ".join(sorted(categories)))
    files["README.txt"] = readme.encode()
    opened = json.dumps(public.disclosures(twin), indent=2, ensure_ascii=False) + "\n"
    return PublicTwin(files, opened.encode(), count)


def check_public(
    document: Mapping[str, Any],
    trusted: Sequence[EnrolledKey],
    opened: Sequence[Mapping[str, str]] | None,
) -> tuple[EnrolledKey, dict[str, Any] | None]:
    """
    Return the signer of a public version, and the originals if disclosures are given.

    Raises SignatureError or EnrolmentError if the proof of the public version, of a disclosure or
    of an original is invalid.
    """
    operators = [key for key in trusted if key.role == "operator"]
    holder = verify_proof(document, operators)
    if opened is None:
        return holder, None
    originals = public.restored(document, opened)
    statement, verification = originals["statement"], originals["verification"]
    verify_proof(statement, operators)
    verify_proof(verification, [key for key in trusted if key.role == "verifier"])
    named = [related(statement["id"], canonical.encode(statement))]
    if verification["relatedResource"] != named:
        raise SignatureError(
            "the verification is of another statement than the one disclosed; get both files again"
        )
    return holder, originals


# results of a verification step that prevent a report
_BAD = ("failed", "not checked")
_TABLE = f"{INTERVALS}.parquet"


def facts_of(conn: Connection, statement: str) -> Facts:
    """
    Return the report data of a statement: its documents and daily sums.

    `conn` is in autocommit.  Raises RegistryError if there is no such statement.  Raises
    PeriodError if it is not verified and its evidence differs from the closed period.
    """
    with snapshot(conn):
        have = documents(conn, statement)
        receipt = log.receipt(conn, statement)
        plan, rows, factors = _evidence(conn, statement, have.stored.body)
        return Facts(
            statement=have.statement,
            verification=have.verification,
            plan=plan,
            rows=rows,
            factors=factors,
            state=have.stored.state,
            raised=tuple(record.credential_form() for record in records(conn, have)),
            log_index=None if receipt is None else parse_receipt(receipt).index,
            issued=issued_at(evidence.kept(conn, statement, (MANIFEST,)).get(MANIFEST)),
            stamps=stamps_of(conn, statement, receipt),
            superseded_by=statements.successor(conn, statement),
            sampling=sample_of(conn, statement),
            organisations=_organisations(enrolment.key for enrolment in enrolled.load(conn)),
            names=names(conn).get(("project", have.stored.project), {}),
        )


def _organisations(keys: Iterable[EnrolledKey]) -> dict[str, str]:
    """Return the organisation of each key."""
    return {key.did: key.bounds.organisation for key in keys if key.bounds.organisation}


def sample_of(conn: Connection, statement: str) -> dict[str, Any] | None:
    """
    Return the verifier's signed sampling list, if one was drawn.

    Raises SignatureError or EnrolmentError if it is not signed by an enrolled key.
    """
    data = evidence.sample(conn, statement)
    if data is None:
        return None
    result = canonical.parse_object(data)
    verify_proof(result, [enrolment.key for enrolment in enrolled.load(conn)])
    return result


def _evidence(
    conn: Connection, statement: str, body: bytes
) -> tuple[MonitoringPlan, IntervalRows, Factors]:
    """Return plan, interval rows and factors: stored, or collected again if not verified yet."""
    kept = evidence.kept(conn, statement, (PLAN, FACTORS, _TABLE))
    if not kept:
        case = recollect(conn, canonical.parse_object(body), statements.detail(conn, statement))
        return case.plan, case.rows, case.book
    plan = read_plan(canonical.parse_object(kept[PLAN]))
    table = tables.IntervalsFile(BytesIO(kept[_TABLE]), LARGE.interval_rows).read()
    return plan, rows_of(Pack({}, intervals=table), plan.fleet()), _book(kept[FACTORS])


def facts_of_pack(pack: Pack, trusted: Trust | Iterable[EnrolledKey] | None = None) -> Facts:
    """
    Return the report data of a pack after verifying it.

    Raises VerificationError naming the first step of `tonne verify` that fails, or that needs other
    keys.  Raises CanonicalError if it is a statement without its evidence.
    """
    if pack.bare:
        raise CanonicalError(
            "a statement's file alone has no evidence to report; pass the pack's folder"
        )
    report = verify.verify(pack, trusted)
    bad = next((step for step in report.steps if step.outcome in _BAD), None)
    if bad is not None:
        raise VerificationError(f"step {bad.number}, {bad.name}", bad.detail, bad.remedy)
    subject = Subject(pack)
    opinion = None if subject.conclusion is None else subject.conclusion.opinion
    index = None if subject.receipt is None else parse_receipt(subject.receipt).index
    events = read_events(pack.files[FINDINGS], subject.statement) if FINDINGS in pack.files else ()
    return Facts(
        statement=subject.statement,
        verification=subject.verification,
        plan=subject.plan,
        rows=rows_of(pack, subject.fleet),
        factors=_book(pack.files[FACTORS]),
        # the state is that of the pack, which cannot show a later supersession
        state="rejected" if opinion in REJECTING else subject.state,
        raised=tuple(event.credential_form() for event in events),
        log_index=index,
        issued=None if index is None else issued_at(pack.files.get(MANIFEST)),
        sampling=canonical.parse_object(pack.files[SAMPLING]) if SAMPLING in pack.files else None,
        stamps=summaries(pack.files.get(TIMESTAMPS), index),
        organisations=_organisations(read_keyring(pack.files[KEYS]) if KEYS in pack.files else ()),
    )


def _book(data: bytes) -> Factors:
    return book_of(canonical.parse(data))


# beginning of the ids of JCM methodologies
JCM = "jcm-"
# names of the Gold Standard, which certifies contributions to sustainable development goals
_GOLD = frozenset(map(stem, ("Gold Standard", "GS", "GS4GG")))
# maximum crediting period of the CDM: ten years (3/CMP.1, annex, 49)
_MAX_MONTHS = 120
_TOOL = re.compile(r"(TOOL\d+) v(?:ersion )?(\d+(?:\.\d+)?)")


def form(facts: Facts, registration: Registration) -> Iterator[Text]:
    """Yield fields of the programme's forms that the registration lacks."""
    ask = f"registrations[{registration.project}]"
    # the JCM's own form contains its participants
    participants = () if facts.subject.methodology.id.startswith(JCM) else ("participants",)
    for name in ("programme", "project_id", "registered", "consultation", *participants):
        if not getattr(registration, name):
            yield from plain(f"{ask}.{name}")
    if blank := [n for n in ("body", "date", "report") if not getattr(registration.validation, n)]:
        yield text("registration.validation", ask=ask, fields=tuple(blank))
    if not registration.forms:
        yield text("registration.forms", ask=ask)
    today = local_date(now_us(), facts.timezone)
    for form in registration.forms:
        if not _holds(form, today):
            yield text("registration.form", ask=ask, form=form.name, version=form.version,
                       span=_span(form.since, form.until))  # fmt: skip
    if facts.opinion is None or not facts.subject.methodology.id.startswith(JCM):
        return
    plan: PlanExtract = facts.plan.extract()
    source = Source(facts.subject, facts.opinion, plan)
    for missing in jcm(source, registration).draft.missing:
        if missing.field != "project":
            yield from texts_of(missing.remedy)


def engaged(facts: Facts, registration: Registration) -> Iterator[Text]:
    """
    Yield missing data on stakeholders in the period, and on contributions to sustainable
    development.

    The JCM has its own report for both.  Other programmes require the grievances of the period with
    their answers (VCS Standard, ongoing communication; Gold Standard, continuous input [M]).
    """
    ask = f"registrations[{registration.project}]"
    given, (_, last) = registration.grievances, _days(facts)
    if given is None and not facts.subject.methodology.id.startswith(JCM):
        yield text("registration.grievances", ask=ask)
    for part in given if isinstance(given, tuple) else ():
        if part.date <= last and not part.answer:
            yield text("registration.no_answer", ask=ask, day=str(part.date))
    gold = stem(registration.programme or "") in _GOLD
    if gold and facts.name not in {c.statement for c in registration.contributions}:
        yield text("registration.contributions", ask=ask)


def claimed(facts: Facts, registration: Registration) -> Iterator[Text]:
    """Yield missing data on the ownership of reductions, and registrations in other programmes."""
    ask = f"registrations[{registration.project}]"
    first, last = _days(facts)
    if registration.rights is None:
        yield text("registration.rights", ask=ask)
    if registration.programme == "CDM" and not registration.letters:
        yield text("registration.letters", ask=ask)
    others = registration.other_programmes
    if others is None:
        yield text("registration.other_programmes", ask=ask)
    for other in others if isinstance(others, tuple) else ():
        if other.since <= last and (other.until is None or first <= other.until):
            name = " ".join(filter(None, (other.programme, other.project_id)))
            span = _span(other.since, other.until)
            yield text("registration.elsewhere", ask=ask, name=name, span=span)


def registered(facts: Facts, registration: Registration) -> Iterator[Text]:
    """Yield findings where methodology or design differ from the registered versions."""
    ask = f"registrations[{registration.project}]"
    first, last = _days(facts)
    method, declared = facts.subject.methodology, facts.subject.declared
    yield from _credited(facts, registration, ask)
    yield from _begun(facts, registration, ask)
    if not registration.methodologies:
        yield text("registration.versions", of=f"{ask}.methodologies")
    else:
        own = [m for m in registration.methodologies if m.name in (method.id, method.title)]
        yield from _other(f"{ask}.methodologies: {method.id}", own, method.version, (first, last))
        for name, version in _tools(facts.subject).items():
            own = [
                methodology
                for methodology in registration.methodologies
                if methodology.name.upper() == name
            ]
            yield from _other(f"{ask}.methodologies: {name}", own, version, (first, last))
    if not registration.designs:
        yield text("registration.versions", of=f"{ask}.designs")
    elif declared and declared.design:
        # a revision within the period replaces the previous version
        version = declared.design.version
        yield from _other(f"{ask}.designs: design", registration.designs, version, (last,))
    else:
        yield from plain(f"projects[{registration.project}].design")


def _days(facts: Facts) -> tuple[date, date]:
    """Return the first and last local day of a statement's period."""
    period = facts.subject.monitoring_period
    last = local_date(instant_us(period.to, "UTC") - 1, period.timezone)
    return date.fromisoformat(period.local_from[:10]), last


def _begun(facts: Facts, registration: Registration, ask: str) -> Iterator[Text]:
    """
    Yield days in the wrong order: consultation, registration, inclusion, renewal.

    `ask`: place of the registration in registry files, for the texts.
    """
    first, last = _days(facts)
    consulted, inclusion = registration.consultation, registration.inclusion
    begins = {"registered": registration.registered}
    begins["inclusion.date"] = None if inclusion is None else inclusion.date
    for name, begun in begins.items():
        if consulted is not None and begun is not None and consulted.date >= begun:
            yield text("registration.consulted_late", ask=ask, day=str(consulted.date), name=name,
                       begun=str(begun))  # fmt: skip
    if inclusion is not None:
        if first < inclusion.date:
            yield text("registration.included_late", ask=ask, day=str(inclusion.date),
                       first=str(first))  # fmt: skip
        if not inclusion.criteria:
            yield text("registration.criteria", ask=ask)
    renewed = [renewal for renewal in registration.renewals if renewal.since <= last]
    number = registration.validation.period_number or 1
    if number - 1 > len(renewed):
        yield text("registration.renewals", ask=ask, number=number)


def _credited(facts: Facts, registration: Registration, ask: str) -> Iterator[Text]:
    """Yield findings where a CDM project violates the general modalities (3/CMP.1)."""
    if registration.programme != "CDM":
        return
    project, method = facts.plan.project, facts.subject.methodology.id
    begins, ends = (local_date(us, project.timezone) for us in (project.from_us, project.to_us))
    if after(begins, _MAX_MONTHS) < ends:
        yield text("registration.ten_years", project=project.id, begins=str(begins), ends=str(ends))
    if registration.registered and begins < registration.registered:
        yield text("registration.too_early", project=project.id, begins=str(begins), ask=ask)
    # the body that validated a project may verify it only if the project is small
    body = (
        "" if facts.opinion is None or method.startswith("ams-") else registration.validation.body
    )
    if body and facts.opinion and stem(body) == stem(facts.organisation(facts.opinion.issuer)):
        yield text("registration.same_body", ask=ask, body=body)


def _tools(claims: Claims) -> dict[str, str]:
    """Return the versions of the CDM tools used in a statement, by tool."""
    used = (factor.calculation.tool for factor in claims.factors if factor.calculation)
    texts = [find(claims.methodology.id, claims.methodology.version).reference]
    texts += [tools.load()[tool].reference for tool in used]
    return dict(_TOOL.findall(" ".join(texts)))


def _other(
    what: str, rows: Sequence[InForce], version: str, days: Sequence[date]
) -> Iterator[Text]:
    """Yield the days on which the statement's version was not the registered one."""
    for day in dict.fromkeys(days):
        there = [row.version for row in rows if _holds(row, day)]
        if not {version, f"{version}.0", version.removesuffix(".0")}.intersection(there):
            versions: Value = tuple(there) or text("registration.none")
            yield text("registration.other_version", of=f"{what} {version}", day=str(day),
                       registered=versions)  # fmt: skip


def _span(since: date, until: date | None) -> Text:
    if until is None:
        return text("registration.since", begin=str(since))
    return text("registration.span", begin=str(since), end=str(until))


def _holds(force: InForce, day: date) -> bool:
    return force.since <= day and (force.until is None or day <= force.until)


# checks of the registration, by the code of their row
REGISTRATION = {"form": form, "engaged": engaged, "claimed": claimed, "registered": registered}
