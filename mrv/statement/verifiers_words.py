"""
A verifier's descriptions of monitored parameters, requirements and open findings.

Parameters are those of the statement: what meters measured, and values that documents or invoices
show.  A row without a device speaks of all devices of its parameter that have none of their own.
An opinion without reservation has words for all of it; what is known stands in `known` already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import get_args

from mrv.accounting.period_result import INVOICE
from mrv.accounting.rounded_figures import exceeds
from mrv.documents.monitoring import CalibrationShown, MonitoredParameter
from mrv.documents.statement import Claims
from mrv.documents.verification import (
    Conclusion,
    ParameterVerified,
    Requirement,
    RequirementVerified,
)
from mrv.errors import StatementStateError
from mrv.methodologies import find
from mrv.statement.conditions import Unmet, reasoned, unmet

REQUIREMENTS: tuple[Requirement, ...] = get_args(Requirement)
Subject = tuple[str, str | None]  # parameter and device
# more devices of a parameter than these have one row in a template
_ROWS = 20
_LETTERS = 2


@dataclass(frozen=True, slots=True)
class Words:
    """
    A verifier's descriptions.

    Attributes
    ----------
    parameters : tuple of ParameterVerified
    requirements : tuple of RequirementVerified
    reasons : tuple of str
        For which each open finding is closed, in their order; blank for one that stays open.
    """

    parameters: tuple[ParameterVerified, ...] = ()
    requirements: tuple[RequirementVerified, ...] = ()
    reasons: tuple[str, ...] = ()


def requirements(said: Claims) -> tuple[Requirement, ...]:
    """Return the requirements that a verifier describes, other than parameters."""
    above = any(exceeds(one.what, one.difference_percent or None) for one in said.comparisons)
    asked = {
        *(("estimate",) if above else ()),
        *(("sampling",) if said.declared and said.declared.surveys else ()),
        *find(said.methodology.id, said.methodology.version).asks,
    }
    sometimes = REQUIREMENTS[REQUIREMENTS.index("estimate") :]
    return tuple(one for one in REQUIREMENTS if one in asked or one not in sometimes)


def subjects(said: Claims) -> tuple[Subject, ...]:
    """Return each monitored parameter, with its device if a single one measures it."""
    metered = ((one.role, one.device) for one in said.monitored_parameters)
    shown = (
        (one.parameter, one.device) for one in said.fixed_parameters or () if one.monitoring_option
    )
    return tuple(dict.fromkeys((*metered, *shown)))


def known(said: Claims) -> Words:
    """Return the rows of a statement with known data, and blanks for the verifier."""
    every = subjects(said)
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
                source=_source(said, parameter, device),
                cross_checked=_cross_checked(said, device),
                opinion="",
            )
            for parameter, device in rows
        ),
        tuple(
            RequirementVerified(requirement=one, means="", opinion="") for one in requirements(said)
        ),
        tuple("" for _ in unmet(said)),
    )


def blanks(said: Claims, words: Words) -> Iterator[str]:
    """Return the blank descriptions of a statement, without justifications of findings."""
    of_parameter = {(one.parameter, one.device): one for one in words.parameters}
    for parameter, device in subjects(said):
        row = of_parameter.get((parameter, device)) or of_parameter.get((parameter, None))
        named = parameter if device is None else f"{parameter} ({device})"
        if row is None:
            yield f"{named}: no row"
            continue
        for name in ("means", "source", "cross_checked", "opinion"):
            if not _written(getattr(row, name), whole=name in ("means", "opinion")):
                yield f"{named}: {name}"
    by_requirement = {one.requirement: one for one in words.requirements}
    for requirement in requirements(said):
        found = by_requirement.get(requirement)
        for name in ("means", "opinion"):
            if found is None or not _written(getattr(found, name), whole=True):
                yield f"{requirement}: {name}"


def _written(given: str, *, whole: bool) -> bool:
    """Whether words are there: a sentence of them, or a name at least."""
    return reasoned(given) if whole else sum(map(str.isalpha, given)) >= _LETTERS


def check_rows(said: Claims, words: Words) -> None:
    """
    Refuse rows that are not of the statement, and repeated rows.

    Raises
    ------
    StatementStateError
        Naming the first of them.
    """
    every = subjects(said)
    known_rows = {*every, *((parameter, None) for parameter, _ in every)}
    rows: list[Subject | str] = [(one.parameter, one.device) for one in words.parameters]
    rows += [one.requirement for one in words.requirements]
    for row, times in Counter(rows).items():
        if times > 1 or (isinstance(row, tuple) and row not in known_rows):
            what = "appears twice" if times > 1 else "is not in the statement"
            raise StatementStateError(
                f"the verifier's row {row!r} {what}; start from `tonne statement template`"
            )


def missing(said: Claims, conclusion: Conclusion) -> tuple[str, ...]:
    """Return the missing descriptions of a signed conclusion."""
    return tuple(blanks(said, Words(conclusion.parameters or (), conclusion.requirements or ())))


def open_findings(said: Claims, words: Words) -> list[Unmet]:
    """Return the findings of a statement without a worded justification."""
    every = unmet(said)
    reasons = (*words.reasons, *("" for _ in every))
    return [one for one, reason in zip(every, reasons, strict=False) if not reasoned(reason)]


def _source(said: Claims, parameter: str, device: str | None) -> str:
    """What of the registry and the readings a figure comes from."""
    metered = [
        one
        for one in said.monitored_parameters
        if one.role == parameter and device in (None, one.device)
    ]
    if metered:
        return "; ".join(dict.fromkeys(map(_of_meter, metered[:_ROWS])))
    fixed = [
        one
        for one in said.fixed_parameters or ()
        if (one.parameter, one.device) == (parameter, device)
    ]
    documents = [one for one in said.design_documents or () if one.parameter == parameter]
    named = (", ".join(text for text in (d.document, d.by, d.issued) if text) for d in documents)
    return "; ".join(
        dict.fromkeys((*named, *(f"{one.value} {one.unit}: {one.source}" for one in fixed)))
    )


def _of_meter(one: MonitoredParameter) -> str:
    meter = one.meter
    made = " ".join(text for text in (meter.maker, meter.model) if text)
    told = [
        f"readings of {one.device}",
        made,
        f"serial {meter.serial}" if meter.serial else "no serial number",
        *map(_certificate, one.calibrations),
        f"{_percent(one.coverage.measured_share)} % of the time measured",
    ]
    return ", ".join(text for text in told if text)


def _certificate(one: CalibrationShown) -> str:
    return f"certificate {one.certificate} of {one.performed} to {one.valid_until}"


def _percent(share: str) -> str:
    return f"{Decimal(share) * 100:.2f}"


def _cross_checked(said: Claims, device: str | None) -> str:
    """Which invoices and check meters a device's readings were compared with."""
    return "; ".join(
        f"{'invoice' if one.kind == INVOICE else 'check meter'} {one.against}: difference"
        f" {one.difference_percent or 'not known'} %, tolerance {one.tolerance_percent} %"
        for one in said.cross_checks or ()
        if device is None or device in one.devices
    )
