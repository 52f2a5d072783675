"""
Values entered by a project: accepted factors, missing documents, and texts on them.

A factor of certainty [M] is not verified against its cited source.  `parameters.accept_factors`
lists the ids accepted by a project; for others the condition `UNVERIFIED` is not met.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.errors import MethodologyError
from mrv.model import Factor, Methodology
from mrv.parameters import Inputs, read
from mrv.registry.project import Document
from mrv.rounding import decimal_text, exact_text
from mrv.texts import Text, text

KEY = "accept_factors"
UNVERIFIED = "FAC-02"
_FROM_MEMORY = "M"
_PLACES = 9


def accepted(parameters: Mapping[str, Any], where: str) -> frozenset[str]:
    """
    Return the ids of the factors that a project accepts.

    Raises MethodologyError if they are no list of texts.
    """
    names = parameters.get(KEY, [])
    if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
        raise MethodologyError(
            f"{where}: {KEY} = {names!r} must be a list of factor ids, such as"
            " [ams-iii-c-improvement]"
        )
    return frozenset(names)


def parameters_of(methodology: Methodology, parameters: Mapping[str, Any], where: str) -> Inputs:
    """
    Return the methodology's parameters as entered.

    Raises MethodologyError as `mrv.parameters.read`.
    """
    own = {key: value for key, value in parameters.items() if key != KEY}
    return read(methodology.parameters, own, where)


def is_accepted(factor: Factor, names: frozenset[str]) -> bool | None:
    """Return whether an unverified factor is accepted; None for a verified one."""
    return factor.id in names if factor.certainty == _FROM_MEMORY else None


def unaccepted(factors: Iterable[Factor], names: frozenset[str]) -> list[Factor]:
    """Return the unverified factors that a project does not accept."""
    return [factor for factor in factors if is_accepted(factor, names) is False]


def amount(value: Fraction, unit: str = "1") -> Text:
    """Return a value as text with its unit (none for a share or a number), to nine decimals."""
    exact = (value * 10**_PLACES).denominator == 1
    digits = exact_text(value) if exact else decimal_text(value, _PLACES, "half_even")
    if unit == "1":
        return text("value.number", value=digits)
    return text("value.amount", value=digits, unit=unit)


def subject(parameter: str, devices: Sequence[str | None] = ()) -> Text:
    """Return the name of a parameter of the project, or of devices."""
    names = tuple(name for name in devices if name is not None)
    if not names:
        return text("value.of_project", parameter=parameter)
    return text("value.of_devices", parameter=parameter, devices=names)


def undocumented(
    name: str, parameters: Mapping[str, object], documents: Sequence[Document], last: date
) -> Text | None:
    """Return why no document valid on a day supports a value; None if a document does."""
    if name not in parameters:
        return text("document.no_value")
    document = next((d for d in documents if d.parameter == name), None)
    if document is None:
        return text("document.none")
    fields = {"by": document.by, "issued": document.issued, "sha256": document.sha256}
    lacks = tuple(f"`{key}`" for key, value in fields.items() if value is None)
    if lacks:
        return text("document.incomplete", document=document.document, lacks=lacks)
    if document.issued is not None and document.issued > last:
        issued = document.issued.isoformat()
        return text("document.late", document=document.document, issued=issued)
    until = document.valid_until
    if until is not None and until <= last < date.max:
        return text("document.ended", document=document.document, until=until.isoformat())
    return None


def row_of(name: str, value: Fraction) -> Text:
    """Return the registry row of a document for a value, as a template that the user completes."""
    digits = decimal_text(value, _PLACES, "half_even").rstrip("0").rstrip(".")
    return text("value.document_row", name=name, value=digits)


def named(document: Document | None) -> Text:
    """Return the text of a document with all its registry entries."""
    if document is None:
        return text("value.none")
    return text(
        "document.named", document=document.document, by=document.by or "-",
        issued="-" if document.issued is None else document.issued.isoformat(),
        sha256=document.sha256 or "-",
    )  # fmt: skip
