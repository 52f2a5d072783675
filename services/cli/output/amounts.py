"""Exact whole base units as people read them: 532800000 ug is 532.8 g, 1500 Wh is 1.5 kWh."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

_DIGITS = 4
_MASSES = ((10**12, "t"), (10**9, "kg"), (10**6, "g"), (10**3, "mg"))
_SCALES = {
    "Wh": ((10**6, "MWh"), (10**3, "kWh")),
    "m": ((10**3, "km"),),
    "mL": ((10**6, "m³"), (10**3, "L")),
    "g": ((10**6, "t"), (10**3, "kg")),
    "J": ((10**9, "GJ"), (10**6, "MJ"), (10**3, "kJ")),
}
_BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def shown_mass(micrograms: int) -> str:
    """Return micrograms of CO2e as g, kg or t."""
    return _scaled(micrograms, _MASSES, "µg") if micrograms else "0 g"


def shown_amount(value: int, unit: str) -> str:
    """Return a stored value, a whole number of its base unit, in a larger unit that fits."""
    return _scaled(value, _SCALES.get(unit, ()), unit)


def shown_bytes(size: int) -> str:
    """Return a size as KiB, MiB or GiB."""
    return _scaled(size, _BYTES, "B")


def _scaled(value: int, scales: tuple[tuple[int, str], ...], base: str) -> str:
    for factor, unit in scales:
        if abs(value) >= factor:
            return f"{_short(Decimal(value) / factor)} {unit}"
    return f"{value:,} {base}"


def _short(number: Decimal) -> str:
    """Return four significant digits, or all before the point."""
    places = max(_DIGITS - 1 - max(number.adjusted(), 0), 0)
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
