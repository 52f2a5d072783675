"""Texts of an entered value: whose it is, how much, which document of a third party it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from mrv.parameters.inputs import Inputs
from mrv.registry.project import Document
from mrv.rounding import decimal_text, exact_text
from mrv.texts import Text, text

_PLACES = 9


def amount(value: Fraction, unit: str = "1") -> Text:
    """Return a value with its unit, a share or count without; to nine places."""
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
    name: str, parameters: Inputs, documents: Sequence[Document], last: date
) -> Text | None:
    """
    Say what a value lacks; None where a document shows it.

    Parameters
    ----------
    last : date
        Last day on which it may be issued; such as the first of the period.
    """
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
    return None
