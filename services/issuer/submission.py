"""What a statement lacks as a request for issuance, with its programme's forms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import Connection

from mrv.calendar import local_date
from mrv.documents.plan import PlanExtract
from mrv.exports.entered import Registration
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
        "backed": tuple(signed_share(facts, words, registered.signed_percent)),
    }
    return facts, lines(facts, words, given)


def _form(facts: Facts, registration: Registration) -> Iterator[str]:
    """Say what the programme's forms lack: fields of the registration."""
    ask = f"registrations[{registration.project}]"
    for name in ("programme", "project_id", "registered"):
        if getattr(registration, name) is None:
            yield f"{ask}.{name}"
    if not registration.forms:
        yield f"{ask}.forms: name, version and since of each form and guideline by which it is sent"
    today = local_date(now_us(), facts.timezone)
    for form in registration.forms:
        if form.since > today or (form.until is not None and form.until < today):
            until = "" if form.until is None else f" to {form.until}"
            yield f"{ask}.forms: {form.name} {form.version} is in force from {form.since}{until}"
    if facts.opinion is None or not facts.subject.methodology.id.startswith(JCM):
        return
    plan: PlanExtract = facts.plan.extract()
    source = Source(facts.subject, facts.opinion, plan)
    for one in jcm(source, registration).draft.missing:
        if one.field != "project":
            yield f"{one.field}: {one.remedy}"


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
