"""
Opinion of a verifier, level of assurance, and obstacles to an unqualified opinion.

The words are those of the JCM's verification report and of the older edition of ISO 14064-3; those
of the newer edition, `unmodified` and `modified`, are read as well.

A verifier describes monitored parameters, requirements and open findings (`Words`).  Parameters are
those of the statement: metered values, and values from documents or invoices.  A row without a
device covers all devices of its parameter that have no row of their own.  An unqualified opinion
requires all descriptions; `known` returns a template with the known data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args

from mrv.accounting.period_result import INVOICE
from mrv.accounting.rounded_figures import exceeds
from mrv.documents.monitoring import CalibrationShown, MonitoredParameter
from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import (
    Assurance,
    Conclusion,
    Opinion,
    ParameterVerified,
    PersonNamed,
    Requirement,
    RequirementVerified,
    SiteVisit,
)
from mrv.errors import MethodologyError, StatementStateError
from mrv.methodologies import find
from mrv.statement.conditions import (
    WANTED,
    Materiality,
    Unmet,
    check_reason,
    decimal,
    first_of,
    reasoned,
    unmet,
)
from mrv.statement.findings import BLOCKING, Record

__all__ = [
    "REJECTING",
    "Assurance",
    "Opinion",
    "check_opinion",
    "check_people",
    "check_words",
    "materiality",
    "opinion_word",
]
_OLDER: dict[str, Opinion] = {"unmodified": "unqualified", "modified": "qualified"}
_FILE = "the file of `tonne statement template`"
# opinions that reject a statement
REJECTING = ("adverse", "disclaimer")


def opinion_word(opinion: Opinion) -> Opinion:
    """Return the current term for an opinion: `unqualified` for `unmodified`."""
    return _OLDER.get(opinion, opinion)


def materiality(
    statement: Mapping[str, Any], records: Sequence[Record], percent: str
) -> Materiality:
    """Return the uncorrected misstatements of a statement's findings, and the threshold."""
    effects = [record.effect_t for record in records if record.effect_t is not None]
    claims = claims_of(statement)
    return Materiality(
        decimal(percent, "materiality"),
        sum(effects, start=Fraction(0)),
        sum(map(abs, effects), start=Fraction(0)),
        decimal(claims.emissions.reduction.t, "reduction"),
    )


def check_opinion(opinion: Opinion, records: Sequence[Record], result: Materiality) -> None:
    """
    Check that an unqualified opinion has no open requirements or findings.

    Raises StatementStateError that names the open findings, or the misstatement.
    """
    if opinion_word(opinion) != "unqualified":
        return
    open_ = [r.name for r in records if r.kind in BLOCKING and r.state != "closed"]
    if open_:
        raise StatementStateError(
            f"the opinion cannot be unqualified while {', '.join(open_)} is open; close it with"
            " `tonne statement finding close`, or sign a qualified opinion"
        )
    if result.material:
        sums = result.stated()
        raise StatementStateError(
            f"the opinion cannot be unqualified: misstatements of {sums.net_misstatement_t} t net "
            f"and {sums.absolute_misstatement_t} t absolute reach {sums.threshold_percent} % of "
            "the reduction; have the operator correct the statement"
        )


def check_people(
    team: Sequence[PersonNamed],
    reviewer: PersonNamed | None,
    visits: Sequence[SiteVisit],
    created: str,
) -> None:
    """
    Check that the reviewer is not in the team, and that no visit is after the signature.

    Raises StatementStateError, naming the person, or the day.
    """
    names = {person.name.casefold() for person in team}
    if reviewer is not None and reviewer.name.casefold() in names:
        raise StatementStateError(
            f"the reviewer {reviewer.name!r} is a member of the verification team; "
            "an independent review is by a person outside it (--reviewer)"
        )
    for visit in visits:
        if visit.day > created[: len(visit.day)]:
            raise StatementStateError(
                f"the site visit at {visit.place!r} is dated {visit.day}, after the signature "
                f"of {created[: len(visit.day)]}; correct --site-visit"
            )


def check_words(opinion: Opinion, claims: Claims, words: Words) -> None:
    """
    Check that an unqualified opinion has all descriptions.

    Raises StatementStateError that names the open findings, the first blank descriptions, or a row
    of another statement.
    """
    check_rows(claims, words)
    for reason in filter(str.strip, words.reasons):
        check_reason(reason, "the reason of a finding")
    if opinion_word(opinion) != "unqualified":
        return
    open_ = open_findings(claims, words)
    if open_:
        raise StatementStateError(
            "the opinion cannot be unqualified while findings are open: "
            + "; ".join(map(str, open_))
            + "; have the period closed again once they are resolved, close each "
            f"with its reason ({_FILE}), or sign a qualified opinion"
        )
    blank = list(blanks(claims, words))
    if blank:
        raise StatementStateError(
            "the opinion cannot be unqualified while the verifier's descriptions "
            f"are blank: {first_of(blank)}; {WANTED}, in {_FILE}"
        )


REQUIREMENTS: tuple[Requirement, ...] = get_args(Requirement)
Subject = tuple[str, str | None]  # parameter and device
# number of devices of a parameter above which a template has one row for all
_ROWS = 20
_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Words:
    """
    A verifier's descriptions.

    `reasons`: reason for closing each open finding, in order; blank for one that remains open.
    """

    parameters: tuple[ParameterVerified, ...] = ()
    requirements: tuple[RequirementVerified, ...] = ()
    reasons: tuple[str, ...] = ()


def requirements(claims: Claims) -> tuple[Requirement, ...]:
    """Return the requirements that a verifier describes, other than parameters."""
    above = any(exceeds(c.what, c.difference_percent or None) for c in claims.comparisons)
    required = {
        *(("estimate",) if above else ()),
        *(("sampling",) if claims.declared and claims.declared.surveys else ()),
        *_of_methodology(claims),
    }
    sometimes = REQUIREMENTS[REQUIREMENTS.index("estimate") :]
    return tuple(
        requirement
        for requirement in REQUIREMENTS
        if requirement in required or requirement not in sometimes
    )


def _of_methodology(claims: Claims) -> tuple[str, ...]:
    """
    Return the names of the methodology's own requirements.

    None for a version that tonne does not include.
    """
    try:
        return find(claims.methodology.id, claims.methodology.version).asks
    except MethodologyError:  # the verification reports it
        return ()


def subjects(claims: Claims) -> tuple[Subject, ...]:
    """Return each monitored parameter, with its device if a single one measures it."""
    metered = ((parameter.role, parameter.device) for parameter in claims.monitored_parameters)
    listed = (
        (fixed.parameter, fixed.device)
        for fixed in claims.fixed_parameters or ()
        if fixed.monitoring_option
    )
    return tuple(dict.fromkeys((*metered, *listed)))


def known(claims: Claims) -> Words:
    """Return the rows of a statement with known data, and blanks for the verifier's texts."""
    every = subjects(claims)
    count = Counter(parameter for parameter, _ in every)
    rows = dict.fromkeys(
        (parameter, device if count[parameter] <= _ROWS else None) for parameter, device in every
    )
    return Words(
        tuple(
            ParameterVerified(
                parameter=parameter,
                device=device,
                means="",
                source=_source(claims, parameter, device),
                cross_checked=_cross_checked(claims, device),
                opinion="",
            )
            for parameter, device in rows
        ),
        tuple(
            RequirementVerified(requirement=requirement, means="", opinion="")
            for requirement in requirements(claims)
        ),
        tuple("" for _ in unmet(claims)),
    )


def blanks(claims: Claims, words: Words) -> Iterator[str]:
    """Yield the names of blank descriptions, except justifications of findings."""
    of_parameter = {(p.parameter, p.device): p for p in words.parameters}
    for parameter, device in subjects(claims):
        row = of_parameter.get((parameter, device)) or of_parameter.get((parameter, None))
        named = parameter if device is None else f"{parameter} ({device})"
        if row is None:
            yield f"{named}: no row"
            continue
        for name in ("means", "source", "cross_checked", "opinion"):
            if not _written(getattr(row, name), whole=name in ("means", "opinion")):
                yield f"{named}: {name}"
    by_requirement = {requirement.requirement: requirement for requirement in words.requirements}
    for requirement in requirements(claims):
        result = by_requirement.get(requirement)
        for name in ("means", "opinion"):
            if result is None or not _written(getattr(result, name), whole=True):
                yield f"{requirement}: {name}"


def _written(words: str, *, whole: bool) -> bool:
    """Return whether a text is a sentence (`whole`), or at least a name."""
    return reasoned(words) if whole else sum(map(str.isalpha, words)) >= _LETTERS


def check_rows(claims: Claims, words: Words) -> None:
    """
    Check that each row is of the statement and is not repeated.

    Raises StatementStateError that names the first row that does not belong to it.
    """
    every = subjects(claims)
    known_rows = {*every, *((parameter, None) for parameter, _ in every)}
    rows: list[Subject | str] = [(p.parameter, p.device) for p in words.parameters]
    rows += [requirement.requirement for requirement in words.requirements]
    for row, times in Counter(rows).items():
        if times > 1 or (isinstance(row, tuple) and row not in known_rows):
            what = "appears twice" if times > 1 else "is not in the statement"
            raise StatementStateError(
                f"the verifier's row {row!r} {what}; start from `tonne statement template`"
            )


def missing(claims: Claims, conclusion: Conclusion) -> tuple[str, ...]:
    """Return the names of the missing descriptions of a signed conclusion."""
    return tuple(blanks(claims, Words(conclusion.parameters or (), conclusion.requirements or ())))


def open_findings(claims: Claims, words: Words) -> list[Unmet]:
    """Return the findings of a statement without a justification in words."""
    every = unmet(claims)
    reasons = (*words.reasons, *("" for _ in every))
    return [
        condition for condition, reason in zip(every, reasons, strict=False) if not reasoned(reason)
    ]


def _source(claims: Claims, parameter: str, device: str | None) -> str:
    """Return the sources of a figure, in registry and readings."""
    metered = [
        item
        for item in claims.monitored_parameters
        if item.role == parameter and device in (None, item.device)
    ]
    if metered:
        return "; ".join(dict.fromkeys(map(_of_meter, metered[:_ROWS])))
    fixed = [
        fixed
        for fixed in claims.fixed_parameters or ()
        if (fixed.parameter, fixed.device) == (parameter, device)
    ]
    documents = [d for d in claims.design_documents or () if d.parameter == parameter]
    named = (", ".join(text for text in (d.document, d.by, d.issued) if text) for d in documents)
    return "; ".join(
        dict.fromkeys(
            (*named, *(f"{f.value} {f.unit}".removesuffix(" 1") + f": {f.source}" for f in fixed))
        )
    )


def _of_meter(parameter: MonitoredParameter) -> str:
    meter = parameter.meter
    made = " ".join(text for text in (meter.maker, meter.model) if text)
    parts = [
        f"readings of {parameter.device}",
        made,
        f"serial {meter.serial}" if meter.serial else "no serial number",
        *map(_certificate, parameter.calibrations),
        f"{_percent(parameter.coverage.measured_share)} % of the time measured",
    ]
    return ", ".join(text for text in parts if text)


def _certificate(calibration: CalibrationShown) -> str:
    dates = f"{calibration.performed} to {calibration.valid_until}"
    return f"certificate {calibration.certificate} of {dates}"


def _percent(share: str) -> str:
    return f"{Decimal(share) * 100:.2f}"


def _cross_checked(claims: Claims, device: str | None) -> str:
    """Return the invoices and check meters that were compared with a device's readings, as text."""
    return "; ".join(
        f"{'invoice' if check.kind == INVOICE else 'check meter'} {check.against}: difference"
        f" {check.difference_percent or 'not known'} %, tolerance {check.tolerance_percent} %"
        for check in claims.cross_checks or ()
        if device is None or device in check.devices
    )
