"""
What a completeness check and an information and reporting check ask of a request for issuance.

Each check is a line: whether it holds, what lacks, and the page of the report where it stands.
The checks are those by which requests were returned (CDM completeness check, information and
reporting check; JCM guidelines for verification); docs/conformity.md lists the cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from mrv.documents.monitoring import MonitoredParameter
from mrv.registry.monitoring_plan import PROCEDURES
from mrv.report.page.document import chapters
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.rules import titled
from mrv.statement.conditions import unanswered, unmet
from mrv.statement.opinion import REJECTING
from mrv.statement.verifiers_words import Words as VerifiersWords
from mrv.statement.verifiers_words import blanks

Part = Literal["completeness", "information"]
_WHOLE = "1.000000"
_ASKED = ("CAR", "CL")


class Line(NamedTuple):
    """A check: its code, whether it holds, what lacks, and where it stands in the report."""

    part: Part
    check: str
    lacking: tuple[str, ...]
    chapter: str
    page: int | None

    @property
    def holds(self) -> bool:
        """Whether nothing lacks."""
        return not self.lacking


Asks = Callable[[Facts, Words], Iterator[str]]


def lines(facts: Facts, words: Words, form: Sequence[str]) -> tuple[Line, ...]:
    """
    Check a statement as it would be submitted.

    Parameters
    ----------
    form : sequence of str
        What the forms of the programme lack, in sentences.
    """
    pages = chapters(facts, words)
    found = []
    for part, check, chapter, asks in CHECKS:
        lacking = tuple(form) if asks is None else tuple(asks(facts, words))
        found.append(Line(part, check, lacking, words[chapter], pages.get(words[chapter])))
    return tuple(found)


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
    for one in facts.findings:
        if one.kind in _ASKED and not one.remark and one.state != "closed":
            yield str(one.finding)
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    left = unmet(facts.subject) if conclusion is None else unanswered(facts.subject, conclusion)
    for each in left:
        yield f"{titled(each.rule, words.language)}: {each.words(words.language)}"


def _logged(facts: Facts, words: Words) -> Iterator[str]:
    if facts.log_index is None:
        yield words["not_in_log"]


# --- information and reporting ---------------------------------------------------------------


def _approved(facts: Facts, words: Words) -> Iterator[str]:
    versions = facts.subject.monitoring_plan or ()
    if not versions:
        yield words["structure.by_nobody"]
    for one in versions:
        if not one.approval:
            yield f"{words.filled('plan_of_version', one.version)}: {words['plan_not_approved']}"


def _described(facts: Facts, words: Words) -> Iterator[str]:
    for version in facts.plan.versions:
        for name in PROCEDURES:
            if not version.procedures.get(name, "").strip():
                yield f"{words[f'procedure.{name}']} ({version.name})"


def _meters(facts: Facts, wants: Callable[[MonitoredParameter], bool]) -> Iterator[str]:
    yield from dict.fromkeys(one.device for one in facts.parameters if not wants(one))


def _points(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda one: bool(one.meter.point and one.meter.feeds))


def _identified(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda one: bool(one.meter.serial and one.meter.maker))


def _accurate(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(
        facts,
        lambda one: bool(
            one.meter.accuracy_class or any(c.max_error_percent for c in one.calibrations)
        ),
    )


def _calibrated(facts: Facts, words: Words) -> Iterator[str]:
    for one in facts.parameters:
        if one.coverage.calibrated_share != _WHOLE:
            share = words.percent(one.coverage.calibrated_share)
            yield f"{one.device}: {share}"


def _planned(facts: Facts, words: Words) -> Iterator[str]:
    del words
    yield from _meters(facts, lambda one: bool(one.plan))


def _cross_checked(facts: Facts, words: Words) -> Iterator[str]:
    del words
    compared = {
        device
        for one in facts.subject.cross_checks or ()
        if one.holds is not None
        for device in one.devices
    }
    said = None if facts.opinion is None else facts.opinion.credential_subject
    if said and any(one.device is None for one in said.parameters or ()):
        return
    told = {one.device for one in (said and said.parameters) or () if one.cross_checked.strip()}
    yield from _meters(facts, lambda one: one.device in compared or one.device in told)


def _documented(facts: Facts, words: Words) -> Iterator[str]:
    shown = {one.parameter for one in facts.subject.design_documents or ()}
    for one in facts.subject.fixed_parameters or ():
        if one.monitoring_option and one.parameter not in shown:
            yield words.get(f"parameter.{one.parameter}", one.parameter)


def _factors(facts: Facts, words: Words) -> Iterator[str]:
    del words
    accepted = {one.factor for one in facts.subject.accepted_factors or ()}
    for one in facts.subject.factors:
        if one.certainty == "M" and one.id not in accepted:
            yield one.id


def _compared(facts: Facts, words: Words) -> Iterator[str]:
    if not facts.subject.comparisons:
        yield words["page.no_design"]


def _verifiers_words(facts: Facts, words: Words) -> Iterator[str]:
    if facts.opinion is None:
        yield words["not_verified"]
        return
    said = facts.opinion.credential_subject
    yield from blanks(facts.subject, VerifiersWords(said.parameters or (), said.requirements or ()))


def _team(facts: Facts, words: Words) -> Iterator[str]:
    said = None if facts.opinion is None else facts.opinion.credential_subject
    for name in ("team", "signatory", "accreditation"):
        if said is None or not getattr(said, name):
            yield words[name]


def _visited(facts: Facts, words: Words) -> Iterator[str]:
    said = None if facts.opinion is None else facts.opinion.credential_subject
    # where nobody went, the procedure says why
    if said is None or not (said.site_visits or said.procedure):
        yield words["site_visits"]


def _sampled(facts: Facts, words: Words) -> Iterator[str]:
    if facts.sample is None:
        yield words["page.no_sample"]


# part, code, heading of the chapter, what asks; of the forms, the registration does
CHECKS: tuple[tuple[Part, str, str, Asks | None], ...] = (
    ("completeness", "signed", "page.general", _signed),
    ("completeness", "verified", "page.conclusion", _verified),
    ("completeness", "closed", "page.findings", _closed),
    ("completeness", "form", "page.general", None),
    ("completeness", "logged", "page.evidence", _logged),
    ("information", "approved", "page.deviations", _approved),
    ("information", "described", "page.quality", _described),
    ("information", "planned", "page.quality", _planned),
    ("information", "points", "page.line_diagram", _points),
    ("information", "identified", "page.meters_rated", _identified),
    ("information", "accurate", "page.meters_rated", _accurate),
    ("information", "calibrated", "page.meters", _calibrated),
    ("information", "cross_checked", "checks", _cross_checked),
    ("information", "documented", "page.fixed", _documented),
    ("information", "factors", "factors", _factors),
    ("information", "compared", "page.comparisons", _compared),
    ("information", "words", "page.parameters_verified", _verifiers_words),
    ("information", "team", "page.general", _team),
    ("information", "visited", "page.general", _visited),
    ("information", "sampled", "sampling", _sampled),
)
