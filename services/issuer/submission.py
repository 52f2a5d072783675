"""What a statement lacks as a request for issuance, with its programme's forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from psycopg import Connection

from mrv.calendar import instant_us, local_date
from mrv.documents.plan import PlanExtract
from mrv.exports.entered import InForce, Registration
from mrv.exports.jcm import jcm
from mrv.exports.source import Source
from mrv.report import Facts
from mrv.report.submission import Line, lines, signed_share
from mrv.report.words import Words
from services.clock import now_us
from services.issuer.export_files import JCM
from services.issuer.report import facts_of
from services.store.registry import authority


def submission(conn: Connection, statement: str, language: str) -> tuple[Facts, tuple[Line, ...]]:
    """
    Check a statement as a completeness check and a reporting check would.

    Parameters
    ----------
    conn : Connection
        In autocommit.

    Raises
    ------
    RegistryError
        If there is no such statement.
    """
    facts = facts_of(conn, statement)
    project = facts.subject.project.id
    found = (
        entered.record
        for entered in authority.load(conn)
        if isinstance(entered.record, Registration) and entered.record.project == project
    )
    registered, words = next(found, None) or Registration(project=project), Words(language)
    given = {
        "form": tuple(_form(facts, registered)),
        "registered": tuple(_registered(facts, registered)),
        "backed": tuple(signed_share(facts, words, registered.signed_percent)),
    }
    return facts, lines(facts, words, given)


def _form(facts: Facts, registration: Registration) -> Iterator[str]:
    """Say what the programme's forms lack: fields of the registration."""
    ask = f"registrations[{registration.project}]"
    for name in ("programme", "project_id", "registered", "consultation"):
        if getattr(registration, name) is None:
            yield f"{ask}.{name}"
    if not registration.forms:
        yield f"{ask}.forms: name, version and since of each form and guideline by which it is sent"
    today = local_date(now_us(), facts.timezone)
    for form in registration.forms:
        if not _holds(form, today):
            until = "" if form.until is None else f" to {form.until}"
            yield f"{ask}.forms: {form.name} {form.version} is in force from {form.since}{until}"
    if facts.opinion is None or not facts.subject.methodology.id.startswith(JCM):
        return
    plan: PlanExtract = facts.plan.extract()
    source = Source(facts.subject, facts.opinion, plan)
    for one in jcm(source, registration).draft.missing:
        if one.field != "project":
            yield f"{one.field}: {one.remedy}"


def _registered(facts: Facts, registration: Registration) -> Iterator[str]:
    """Say where methodology and design are not in the versions that the programme registered."""
    ask = f"registrations[{registration.project}]"
    period = facts.subject.monitoring_period
    first = date.fromisoformat(period.local_from[:10])
    last = local_date(instant_us(period.to, "UTC") - 1, period.timezone)
    method, declared = facts.subject.methodology, facts.subject.declared
    if not registration.methodologies:
        yield f"{ask}.methodologies: name, version and since, as the programme registered it"
    else:
        own = [one for one in registration.methodologies if one.name in (method.id, method.title)]
        yield from _other(f"{ask}.methodologies: {method.id}", own, method.version, (first, last))
    if not registration.designs:
        yield f"{ask}.designs: name, version and since, as the programme registered it"
    elif declared and declared.design:
        # a revision within the period replaces the one before
        version = declared.design.version
        yield from _other(f"{ask}.designs: design", registration.designs, version, (last,))
    else:
        yield f"projects[{registration.project}].design"


def _other(what: str, rows: Sequence[InForce], version: str, days: Sequence[date]) -> Iterator[str]:
    """Say on which of some days another version than a statement's is registered."""
    for day in dict.fromkeys(days):
        there = [one.version for one in rows if _holds(one, day)]
        if version not in there:
            yield f"{what} {version} on {day}; registered: {', '.join(there) or 'none'}"


def _holds(one: InForce, day: date) -> bool:
    return one.since <= day and (one.until is None or day <= one.until)


def line_json(one: Line, words: Words) -> dict[str, Any]:
    """Return a line for people and programs."""
    return {
        "part": one.part,
        "check": one.check,
        "title": words[f"submission.{one.check}"],
        "holds": one.holds,
        "lacking": list(one.lacking),
        "chapter": one.chapter,
        "page": one.page,
    }
