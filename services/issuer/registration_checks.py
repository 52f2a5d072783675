"""
Completeness of a project's registration for a statement, as sentences on what is missing.

Each check is a line of `mrv.report.submission`: form, owner of the reductions, and the registered
versions, days and bodies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date

from mrv.calendar import instant_us, local_date
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Claims
from mrv.exports import Source
from mrv.exports.jcm import jcm
from mrv.exports.registration import InForce, Registration
from mrv.methodologies import _tools as tools
from mrv.methodologies import find
from mrv.registry.calibration_interval import after
from mrv.report import Facts
from mrv.signatures.organisations import stem
from services.clock import now_us

# ids of the methodologies of the Joint Crediting Mechanism begin with it
JCM = "jcm-"
# names of the programme that certifies contributions to sustainable development goals
_GOLD = frozenset(map(stem, ("Gold Standard", "GS", "GS4GG")))
# a crediting period of the CDM has at most ten years (3/CMP.1, annex, 49)
_MOST_MONTHS = 120
_TOOL = re.compile(r"(TOOL\d+) v(?:ersion )?(\d+(?:\.\d+)?)")


def form(facts: Facts, registration: Registration) -> Iterator[str]:
    """Yield fields of the programme's forms that the registration lacks."""
    ask = f"registrations[{registration.project}]"
    # the JCM's own form names its participants
    participants = () if facts.subject.methodology.id.startswith(JCM) else ("participants",)
    for name in ("programme", "project_id", "registered", "consultation", *participants):
        if not getattr(registration, name):
            yield f"{ask}.{name}"
    if blank := [n for n in ("body", "date", "report") if not getattr(registration.validation, n)]:
        yield f"{ask}.validation: {', '.join(blank)}; it determined eligibility and additionality"
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
    for missing in jcm(source, registration).draft.missing:
        if missing.field != "project":
            yield f"{missing.field}: {missing.remedy}"


def engaged(facts: Facts, registration: Registration) -> Iterator[str]:
    """
    Yield missing data on stakeholders in the period, and on contributions to sustainable
    development.

    Programmes other than the JCM, whose own report requires both, require the grievances of the
    period with their answers (VCS Standard, ongoing communication; Gold Standard, continuous input
    [M]).
    """
    ask = f"registrations[{registration.project}]"
    given, (_, last) = registration.grievances, _days(facts)
    if given is None and not facts.subject.methodology.id.startswith(JCM):
        yield f"{ask}.grievances: date, text and answer of each, or `none`"
    for part in given if isinstance(given, tuple) else ():
        if part.date <= last and not part.answer:
            yield f"{ask}.grievances: the one of {part.date} has no answer"
    gold = stem(registration.programme or "") in _GOLD
    if gold and facts.name not in {c.statement for c in registration.contributions}:
        yield f"{ask}.contributions: goal and amount of each monitored goal of this period"


def claimed(facts: Facts, registration: Registration) -> Iterator[str]:
    """Yield missing data on the ownership of the reductions, and claims of other programmes."""
    ask = f"registrations[{registration.project}]"
    first, last = _days(facts)
    if registration.rights is None:
        yield f"{ask}.rights: document, by and date, which show who owns the reductions"
    if registration.programme == "CDM" and not registration.letters:
        yield f"{ask}.letters: party, kind, date and reference of each Party's approval"
    others = registration.other_programmes
    if others is None:
        yield f"{ask}.other_programmes: each with programme and since, or `none`"
    for other in others if isinstance(others, tuple) else ():
        if other.since <= last and (other.until is None or first <= other.until):
            name = " ".join(filter(None, (other.programme, other.project_id)))
            until = "" if other.until is None else f" to {other.until}"
            yield (
                f"{ask}.other_programmes: the project is also registered under {name} from"
                f" {other.since}{until}"
            )


def registered(facts: Facts, registration: Registration) -> Iterator[str]:
    """Yield findings where methodology or design differ from the registered versions."""
    ask = f"registrations[{registration.project}]"
    first, last = _days(facts)
    method, declared = facts.subject.methodology, facts.subject.declared
    yield from _credited(facts, registration, ask)
    yield from _begun(facts, registration, ask)
    if not registration.methodologies:
        yield f"{ask}.methodologies: name, version and since, as the programme registered it"
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
        yield f"{ask}.designs: name, version and since, as the programme registered it"
    elif declared and declared.design:
        # a revision within the period replaces the one before
        version = declared.design.version
        yield from _other(f"{ask}.designs: design", registration.designs, version, (last,))
    else:
        yield f"projects[{registration.project}].design"


def _days(facts: Facts) -> tuple[date, date]:
    """Return the first and last local day of a statement's period."""
    period = facts.subject.monitoring_period
    last = local_date(instant_us(period.to, "UTC") - 1, period.timezone)
    return date.fromisoformat(period.local_from[:10]), last


def _begun(facts: Facts, registration: Registration, ask: str) -> Iterator[str]:
    """Yield days in the wrong order: consultation, registration, inclusion, renewal."""
    first, last = _days(facts)
    consulted, inclusion = registration.consultation, registration.inclusion
    begins = {"registered": registration.registered}
    begins["inclusion.date"] = None if inclusion is None else inclusion.date
    for name, begun in begins.items():
        if consulted is not None and begun is not None and consulted.date >= begun:
            yield f"{ask}.consultation: {consulted.date} is not before {name}, {begun}"
    if inclusion is not None:
        if first < inclusion.date:
            yield f"{ask}.inclusion: {inclusion.date} is after {first}, the first day of the period"
        if not inclusion.criteria:
            yield f"{ask}.inclusion.criteria: name and document of each eligibility criterion"
    renewed = [renewal for renewal in registration.renewals if renewal.since <= last]
    number = registration.validation.period_number or 1
    if number - 1 > len(renewed):
        yield f"{ask}.renewals: since and design of crediting period {number}, updated baseline"


def _credited(facts: Facts, registration: Registration, ask: str) -> Iterator[str]:
    """Yield findings where a CDM project violates the general modalities (3/CMP.1)."""
    if registration.programme != "CDM":
        return
    project, method = facts.plan.project, facts.subject.methodology.id
    begins, ends = (local_date(us, project.timezone) for us in (project.from_us, project.to_us))
    if after(begins, _MOST_MONTHS) < ends:
        yield f"projects[{project.id}].crediting_period: {begins} to {ends} is above ten years"
    if registration.registered and begins < registration.registered:
        yield f"projects[{project.id}].crediting_period: {begins} is before {ask}.registered"
    # who validated a project does not verify it, unless it is small
    body = (
        "" if facts.opinion is None or method.startswith("ams-") else registration.validation.body
    )
    if body and facts.opinion and stem(body) == stem(facts.organisation(facts.opinion.issuer)):
        yield f"{ask}.validation.body: {body} validated the project and verified the statement"


def _tools(claims: Claims) -> dict[str, str]:
    """Return the CDM tools used in a statement, with their versions."""
    used = (factor.calculation.tool for factor in claims.factors if factor.calculation)
    texts = [find(claims.methodology.id, claims.methodology.version).reference]
    texts += [tools.load()[tool].reference for tool in used]
    return dict(_TOOL.findall(" ".join(texts)))


def _other(what: str, rows: Sequence[InForce], version: str, days: Sequence[date]) -> Iterator[str]:
    """Yield the days on which another version than that of a statement is registered."""
    for day in dict.fromkeys(days):
        there = [row.version for row in rows if _holds(row, day)]
        if not {version, f"{version}.0", version.removesuffix(".0")}.intersection(there):
            yield f"{what} {version} on {day}; registered: {', '.join(there) or 'none'}"


def _holds(force: InForce, day: date) -> bool:
    return force.since <= day and (force.until is None or day <= force.until)
