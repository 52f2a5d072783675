"""Metered quantities in usual units: kWh, not Wh; litres, not millilitres."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from mrv.rounding import decimal_text
from mrv.texts import Text, text

_IN = {"Wh": ("kWh", 1000), "mL": ("L", 1000), "g": ("kg", 1000), "m": ("km", 1000)}
_PLACES = 3


def amount_text(value: int | Fraction, unit: str) -> Text:
    """Return a quantity in base units as exact text in its usual unit."""
    name, scale = _IN.get(unit, (unit, 1))
    return text("text.amount", value=plain_text(Fraction(value) / scale, _PLACES), unit=name)


def significant(value: Fraction, digits: int = 6) -> str:
    """Return decimal text with a number of significant digits, without exponent."""
    return format(Decimal(f"{float(value):.{digits}g}"), "f")


def plain_text(value: Fraction, places: int) -> str:
    """Return decimal text with at most `places` decimals."""
    label = decimal_text(value, places, "half_even")
    return label.rstrip("0").rstrip(".") if "." in label else label


def amount(value: int | Fraction, unit: str) -> dict[str, str]:
    """
    Return a quantity in its usual unit as `{value, unit}` of a text: at most 3 places,
    rounded up.
    """
    name, scale = _IN.get(unit, (unit, 1))
    written = decimal_text(Fraction(value) / scale, _PLACES, "up")
    return {"quantity": written.rstrip("0").rstrip("."), "unit": name}
