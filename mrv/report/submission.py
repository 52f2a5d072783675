"""
Completeness check, and information and reporting check, of a request for issuance.

Each check is a row with its result, the missing items, and the page of the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Literal, NamedTuple

from mrv.accounting.rounded_figures import exceeds
from mrv.calendar import instant_us, local_date
from mrv.documents import UNSET
from mrv.documents.monitoring import MonitoredParameter
from mrv.methodologies import find
from mrv.model import TECHNOLOGY, WATER
from mrv.registry import Declared
from mrv.registry.monitoring_plan import blank
from mrv.report.audit_rows import anomalies, cadence_s
from mrv.report.page import chapters
from mrv.report.report_data import Facts
from mrv.report.words import DASH, Words
from mrv.rounding import plain_text
from mrv.rules import titled
from mrv.statement.conditions import reasoned, unanswered, unmet
from mrv.statement.opinion import REJECTING, blanks
from mrv.statement.opinion import Words as VerifiersWords
from mrv.texts import render, text

Part = Literal["completeness", "information"]
_WHOLE = "1.000000"
# rule on a value fixed ex ante without the dated document of a third party
DOCUMENTED = "PAR-07"
# id of the text on an analyser or gauge without a valid certificate on some days
GAUGE = "PAR-06.gauge"
_REQUESTS = ("CAR", "CL")
# subject that the verifier describes if the methodology replaces equipment
REPLACES = "replaced"
# suffixes of factors to which a supplier's or a measured value is preferred (TOOL03)
_OF_FUEL = (".ncv", ".co2")
_WEIGHTS = {1: "solar", "pv_inverter": "solar", 4: "wind", "wind_turbine": "wind"}
_HOUR_S, _DAY_S = 3600, 86_400
# longest time between readings of each frequency, with a margin of a tenth; a continuous register
# is recorded hourly [s]
_LONGEST_S = {
    name: Fraction(11 * seconds, 10)
    for name, seconds in {
        "continuous": _HOUR_S, "hourly": _HOUR_S, "daily": _DAY_S, "weekly": 7 * _DAY_S,
        "monthly": 31 * _DAY_S, "quarterly": 92 * _DAY_S, "yearly": 366 * _DAY_S,
    }.items()
}  # fmt: skip


class Line(NamedTuple):
    """A check: its code, result, missing items, and page of the report."""

    part: Part
    check: str
    lacking: tuple[str, ...]
    chapter: str
    page: int | None

    @property
    def holds(self) -> bool:
        """Return whether the check has no missing items."""
        return not self.lacking


Asks = Callable[[Facts, Words], Iterator[str]]


def lines(facts: Facts, words: Words, reasons: Mapping[str, Sequence[str]]) -> tuple[Line, ...]:
    """
    Return the checks of a statement before its submission.

    `reasons`: missing items of checks on the registration, in sentences.
    """
    pages = chapters(facts, words)
    result = []
    for part, check, chapter, asks in CHECKS:
        lacking = tuple(reasons[check] if asks is None else asks(facts, words))
        # before the verification, the report lacks its chapters
        heading = words[chapter] if words[chapter] in pages else words["page.conclusion"]
        result.append(Line(part, check, lacking, heading, pages.get(heading)))
    return tuple(result)


# --- completeness --------------------------------------------------------------------------


def _signed(facts: Facts, words: Words) -> Iterator[str]:
    if not facts.stated.issuer:
        yield words["submission.no_signature"]


def _verified(facts: Facts, words: Words) -> Iterator[str]:
    if facts.opinion is None:
        yield words["not_verified"]
    elif facts.opinion.credential_subject.opinion in REJECTING:
        yield words[f"opinion.{facts.opinion.credential_subject.opinion}"]


def _closed(facts: Facts, words: Words) -> Iterator[str]:
    for finding in facts.findings:
        if finding.kind in _REQUESTS and not finding.remark and finding.state != "closed":
            yield str(finding.finding)
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    remaining = (
        unmet(facts.subject) if conclusion is None else unanswered(facts.subject, conclusion)
    )
    for each in remaining:
        yield f"{titled(each.rule, words.language)}: {each.words(words.language)}"


def _logged(facts: Facts, words: Words) -> Iterator[str]:
    if facts.log_index is None:
        yield words["not_in_log"]


# --- information and reporting ---------------------------------------------------------------


def _approved(facts: Facts, words: Words) -> Iterator[str]:
    versions = facts.subject.monitoring_plan or ()
    if not versions:
        yield render(text("diagram.no_plan"), words.language)
    for version in versions:
        if not version.approval:
            name = words.filled("plan_of_version", version.version)
            yield f"{name}: {words['plan_not_approved']}"


def _described(facts: Facts, words: Words) -> Iterator[str]:
    surveyed = bool(_declared(facts).surveys)
    if not facts.plan.versions:
        yield render(text("diagram.no_plan"), words.language)
    for version in facts.plan.versions:
        for name in blank(version, surveyed=surveyed):
            yield f"{words[f'procedure.{name}']} ({version.name})"


def _meters(facts: Facts, wants: Callable[[MonitoredParameter], bool]) -> Iterator[str]:
    yield from dict.fromkeys(p.device for p in facts.parameters if not wants(p))


def _points(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda p: bool(p.meter.point and p.meter.feeds))


def _identified(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda p: bool(p.meter.serial and p.meter.maker))


def _accurate(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(
        facts,
        lambda parameter: bool(
            parameter.meter.accuracy_class
            or any(c.max_error_percent for c in parameter.calibrations)
        ),
    )


def _calibrated(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each meter calibrated for part of the time, and on each delayed calibration
    without a result.
    """
    first = facts.subject.monitoring_period.local_from[:10]
    for parameter in facts.parameters:
        if parameter.coverage.calibrated_share != _WHOLE:
            share = words.percent(parameter.coverage.calibrated_share)
            yield words.filled("submission.calibrated_for", parameter.device, share)
        channels = dict.fromkeys(c.channel for c in parameter.calibrations)
        for channel in channels:
            mine = [c for c in parameter.calibrations if c.channel == channel]
            for before, late in pairwise(sorted(mine, key=lambda c: c.performed)):
                delayed = (before.due or before.valid_until) < late.performed
                if delayed and late.found_error_percent is UNSET and late.performed > first:
                    yield words.filled("submission.no_found", parameter.device, late.certificate)
    for finding in facts.subject.applicability:
        for item in finding.texts or ():
            if item.code == GAUGE:
                yield f"{item.values['device']}: {item.values['channel']}"


def _laboratories(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each certificate that lacks the calibrating laboratory or its
    accreditation.
    """
    for parameter in facts.parameters:
        for calibration in parameter.calibrations:
            if not calibration.laboratory:
                yield f"{parameter.device}: {calibration.certificate}"
            elif not calibration.accreditation:
                lacking = words["accreditation"]
                yield f"{parameter.device}: {calibration.certificate}: {lacking}"


def _planned(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda parameter: bool(parameter.plan))


def _cross_checked(facts: Facts, words: Words) -> Iterator[str]:
    del words
    compared = {
        device
        for check in facts.subject.cross_checks or ()
        if check.holds is not None
        for device in check.devices
    }
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    if conclusion and any(parameter.device is None for parameter in conclusion.parameters or ()):
        return
    explained = {
        p.device for p in (conclusion and conclusion.parameters) or () if p.cross_checked.strip()
    }
    yield from _meters(facts, lambda p: p.device in compared or p.device in explained)


def _documented(facts: Facts, words: Words) -> Iterator[str]:
    for finding in facts.subject.applicability:
        if finding.rule == DOCUMENTED and not finding.holds:
            yield finding.words(words.language)
    design, name = _declared(facts).design, facts.plan.project.id
    for phase in design.phases if design else ():
        if phase.commissioned and not phase.document:
            yield f"projects[{name}].design.phases[{phase.name}].document"


def _factors(facts: Facts, words: Words) -> Iterator[str]:
    del words
    by_programme = {acceptance.factor for acceptance in facts.subject.accepted_factors or ()}
    for factor in facts.subject.factors:
        # a factor that the project accepts by name causes no finding (FAC-02)
        if factor.certainty == "M" and not factor.accepted and factor.id not in by_programme:
            yield factor.id


def _compared(facts: Facts, words: Words) -> Iterator[str]:
    if not facts.subject.comparisons:
        yield words["page.no_design"]


def _explained(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each missing explanation (of operator or verifier) of a reduction above its
    estimate.
    """
    above = next(
        (c for c in facts.subject.comparisons if exceeds(c.what, c.difference_percent or None)),
        None,
    )
    if above is None:
        return
    period = facts.subject.monitoring_period
    first, last = date.fromisoformat(period.local_from[:10]), _last_day(facts)
    if not any(
        event.what == "increase" and event.document and event.covers(None, first, last)
        for event in _declared(facts).events
    ):
        percent = words.number(above.difference_percent or "0")
        yield words.filled("submission.no_increase", percent)
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    rows = (conclusion and conclusion.requirements) or ()
    if not any(row.requirement == "estimate" and reasoned(row.opinion) for row in rows):
        yield words["requirement.estimate"]


def _declared(facts: Facts) -> Declared:
    return facts.subject.declared or Declared()


def _last_day(facts: Facts) -> date:
    period = facts.subject.monitoring_period
    return local_date(instant_us(period.to, "UTC") - 1, period.timezone)


def _defaults(facts: Facts, words: Words) -> Iterator[str]:
    """Yield a text on each fuel property with a published value and no reason for this choice."""
    del words
    known = {default.factor for default in _declared(facts).defaults}
    brought = {factor.id for factor in facts.factors if factor.brought}
    used = (factor.kind for factor in facts.subject.factors if factor.id not in brought)
    # each kind once, as the two bounds of a property have the same kind
    yield from dict.fromkeys(k for k in used if k.endswith(_OF_FUEL) and k not in known)


def _calculated(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each factor that the project supplied without calculation, or with the weights
    of another kind of plant.
    """
    used = {factor.id for factor in facts.subject.factors}
    method, devices = facts.subject.methodology, {d.id: d.class_id for d in facts.plan.devices}
    roles = find(method.id, method.version).roles
    entered = {Fraction(fixed.value) for fixed in facts.subject.fixed_parameters or ()}
    # TOOL07 has separate weights for wind and sun
    sources = {
        _WEIGHTS.get(bound.params.get(TECHNOLOGY, devices.get(bound.device)))
        for bound in facts.plan.project.devices
        if roles[bound.role].made_from
    }
    for factor in facts.factors:
        weights = factor.calculation.inputs.get("technology") if factor.calculation else None
        applied = factor.id in used or factor.value in entered
        if sources and applied and weights in {"wind", "solar"} - sources:
            yield words.filled("submission.weights", factor.id, weights)
        documented = factor.calculation is not None or (
            factor.documented and factor.document is not None
        )
        if factor.brought and factor.id in used and not documented:
            yield factor.id


def _sources(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each missing emission source, and each missing document of an
    excluded one.
    """
    design = _declared(facts).design
    if design is None or not design.sources:
        yield f"projects[{facts.plan.project.id}].design.sources"
        return
    water = any(bound.params.get(TECHNOLOGY) == WATER for bound in facts.plan.project.devices)
    # a reservoir of low power density has project emissions, by ACM0002 (AMS-I.D refers to it) [M]
    if water and all(source.gas != "CH4" for source in design.sources):
        yield words["submission.reservoir"]
    for source in design.sources:
        if source.side != "baseline" and source.reason and not source.document:
            yield f"{source.name} ({source.gas})"


def _surveyed(facts: Facts, words: Words) -> Iterator[str]:
    """Yield a text on each survey without examination method, or without its data."""
    for survey in _declared(facts).surveys:
        if survey.method is None:
            yield f"{survey.parameter} ({survey.taken})"
        elif survey.sha256 is None:
            yield words.filled("submission.no_survey_data", survey.parameter, survey.taken)


def _lifetime(facts: Facts, words: Words) -> Iterator[str]:
    """Yield a text if the end of the lifetime of replaced equipment is missing."""
    del words
    method, design = facts.subject.methodology, _declared(facts).design
    if REPLACES in find(method.id, method.version).asks and (
        design is None or design.replaced_until is None
    ):
        yield f"projects[{facts.plan.project.id}].design.replaced_until"


def _referenced(facts: Facts, words: Words) -> Iterator[str]:
    del words
    for finding in facts.findings:
        if finding.kind != "FAR" and not finding.remark and finding.about is UNSET:
            yield str(finding.finding)


def _investigated(facts: Facts, words: Words) -> Iterator[str]:
    """
    Yield a text on each gap or unusual reading without an event that names
    investigator and day.
    """
    for device, days in anomalies(facts.subject).items():
        events = _declared(facts).events
        remaining = [day for day in days if not any(e.settles(device, day) for e in events)]
        if remaining:
            begin, end = words.day(remaining[0].isoformat()), words.day(remaining[-1].isoformat())
            several = words.filled("submission.days", device, len(remaining), begin, end)
            yield several if len(remaining) > 1 else f"{device}: {begin}"


def _cadence(facts: Facts, words: Words) -> Iterator[str]:
    """Yield a text on each meter or sample with a lower frequency than in the plan."""
    for parameter in facts.parameters:
        often, every_s = parameter.plan.frequency if parameter.plan else "", cadence_s(parameter)
        maximum = _LONGEST_S.get(often)
        if maximum is None or (every_s is not None and every_s <= maximum):
            continue
        message = DASH if every_s is None else words.number(plain_text(every_s / 60, 1))
        yield words.filled("submission.every", parameter.device, often, message)
    first = date.fromisoformat(facts.subject.monitoring_period.local_from[:10])
    lines = {(x.parameter, x.frequency) for v in facts.plan.versions for x in v.lines}
    for name, often in sorted(lines):
        taken = [s.taken for s in facts.subject.laboratory or () if s.parameter == name]
        ends = [first, *sorted(map(date.fromisoformat, taken)), _last_day(facts)]
        longest = max((after - before).days for before, after in pairwise(ends))
        if taken and longest * _DAY_S > _LONGEST_S.get(often, longest * _DAY_S):
            yield words.filled("submission.unsampled", name, often, longest)


def signed_share(facts: Facts, words: Words, required: str | None) -> Iterator[str]:
    """
    Yield a text with the share of signed energy, if it is below the programme's
    requirement. [%]
    """
    if required is None:
        return
    shares = facts.subject.signed_energy.shares if facts.subject.signed_energy else ()
    signed = sum((Fraction(s.share_percent) for s in shares if s.kind != "none"), Fraction(0))
    if signed < Fraction(required):
        have = words.number(plain_text(signed, 2))
        yield words.filled("submission.signed_share", have, words.number(required))


def _verifiers_words(facts: Facts, words: Words) -> Iterator[str]:
    if facts.opinion is None:
        yield words["not_verified"]
        return
    conclusion = facts.opinion.credential_subject
    yield from blanks(
        facts.subject, VerifiersWords(conclusion.parameters or (), conclusion.requirements or ())
    )


def _team(facts: Facts, words: Words) -> Iterator[str]:
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    for name in ("team", "signatory", "accreditation"):
        if conclusion is None or not getattr(conclusion, name):
            yield words[name]


def _reviewed(facts: Facts, words: Words) -> Iterator[str]:
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    if conclusion is None or not conclusion.reviewer:
        yield words["reviewer"]


def _visited(facts: Facts, words: Words) -> Iterator[str]:
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    # without a site visit, the procedure states the reason
    if conclusion is None or not (conclusion.site_visits or conclusion.procedure):
        yield words["site_visits"]
    serving = {device.device for device in facts.plan.project.devices}
    installed = [device.installed_us for device in facts.plan.devices if device.id in serving]
    first = str(local_date(min(installed, default=0), facts.timezone))
    visits = (conclusion and conclusion.site_visits) or ()
    if visits and all(visit.day < first for visit in visits):
        for visit in visits:
            yield words.filled("submission.visit_before", visit.place, words.day(visit.day))


def _sampled(facts: Facts, words: Words) -> Iterator[str]:
    if facts.sample is None:
        yield words["page.no_sample"]


# part, code, heading of the chapter, and function that returns the missing items; None if these are
# from the registration
CHECKS: tuple[tuple[Part, str, str, Asks | None], ...] = (
    ("completeness", "signed", "page.general", _signed),
    ("completeness", "verified", "page.conclusion", _verified),
    ("completeness", "closed", "page.findings", _closed),
    ("completeness", "form", "page.general", None),
    ("completeness", "engaged", "page.general", None),
    ("completeness", "claimed", "page.general", None),
    ("completeness", "registered", "page.general", None),
    ("completeness", "logged", "page.evidence", _logged),
    ("information", "approved", "page.deviations", _approved),
    ("information", "described", "page.quality", _described),
    ("information", "planned", "page.quality", _planned),
    ("information", "points", "page.line_diagram", _points),
    ("information", "identified", "page.meters_rated", _identified),
    ("information", "accurate", "page.meters_rated", _accurate),
    ("information", "calibrated", "page.meters", _calibrated),
    ("information", "laboratories", "page.meters", _laboratories),
    ("information", "cross_checked", "checks", _cross_checked),
    ("information", "documented", "page.fixed", _documented),
    ("information", "factors", "factors", _factors),
    ("information", "compared", "page.comparisons", _compared),
    ("information", "explained", "page.comparisons", _explained),
    ("information", "defaults", "factors", _defaults),
    ("information", "calculated", "factors", _calculated),
    ("information", "sources", "dated", _sources),
    ("information", "surveyed", "dated", _surveyed),
    ("information", "lifetime", "dated", _lifetime),
    ("information", "cadence", "page.quality", _cadence),
    ("information", "investigated", "unusual", _investigated),
    ("information", "backed", "page.signed", None),
    ("information", "referenced", "page.findings", _referenced),
    ("information", "words", "page.parameters_verified", _verifiers_words),
    ("information", "team", "page.general", _team),
    ("information", "reviewed", "page.general", _reviewed),
    ("information", "visited", "page.general", _visited),
    ("information", "sampled", "sampling", _sampled),
)
