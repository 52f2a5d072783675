"""
Conversion of payload units to base units.

A factor is an exact ratio of integers; registers are multiplied and rounded to the nearest base
unit, gauges are multiplied as floats.  SenML's unit names (RFC 8428, RFC 8798) are included.
"""

from __future__ import annotations

from ingest.errors import ProfileError

# (from, to): (numerator, denominator, offset)
_FACTORS: dict[tuple[str, str], tuple[int, int, float]] = {
    ("kWh", "Wh"): (1_000, 1, 0.0),
    ("J", "Wh"): (1, 3_600, 0.0),
    ("kJ", "Wh"): (10, 36, 0.0),
    ("MWh", "Wh"): (1_000_000, 1, 0.0),
    ("kW", "W"): (1_000, 1, 0.0),
    ("MW", "W"): (1_000_000, 1, 0.0),
    ("m3", "mL"): (1_000_000, 1, 0.0),
    ("L", "mL"): (1_000, 1, 0.0),
    ("l", "mL"): (1_000, 1, 0.0),
    ("Nm3", "mL"): (1_000_000, 1, 0.0),
    ("km", "m"): (1_000, 1, 0.0),
    ("kg", "g"): (1_000, 1, 0.0),
    ("t", "g"): (1_000_000, 1, 0.0),
    ("t", "kg"): (1_000, 1, 0.0),
    ("g", "kg"): (1, 1_000, 0.0),
    ("mg/m3", "ug/m3"): (1_000, 1, 0.0),
    ("K", "Cel"): (1, 1, -273.15),
    ("degF", "Cel"): (5, 9, -160 / 9),
    ("1", "%"): (100, 1, 0.0),
    ("/", "%"): (100, 1, 0.0),
    ("/100", "%"): (1, 1, 0.0),
    ("%RH", "%"): (1, 1, 0.0),
    ("%EL", "%"): (1, 1, 0.0),
    ("mV", "V"): (1, 1_000, 0.0),
    ("kV", "V"): (1_000, 1, 0.0),
    ("mA", "A"): (1, 1_000, 0.0),
    ("m/s", "km/h"): (36, 10, 0.0),
    ("km/h", "m/s"): (10, 36, 0.0),
    ("A", "mA"): (1_000, 1, 0.0),
    ("h", "s"): (3_600, 1, 0.0),
    ("min", "s"): (60, 1, 0.0),
    ("K d", "K s"): (86_400, 1, 0.0),
    ("GJ", "Wh"): (10_000_000, 36, 0.0),
    ("bar", "kPa"): (100, 1, 0.0),
    ("MPa", "kPa"): (1_000, 1, 0.0),
    ("m", "cm"): (100, 1, 0.0),
    ("mm", "cm"): (1, 10, 0.0),
    ("mm", "m"): (1, 1_000, 0.0),
    ("cm", "m"): (1, 100, 0.0),
    ("kg/h", "t/h"): (1, 1_000, 0.0),
    ("m3/h", "L/s"): (10, 36, 0.0),
}


def factor(wire: str, base: str) -> tuple[int, int, float]:
    """
    Return ratio and offset from a payload unit to a base unit.

    Returns
    -------
    numerator, denominator : int
    offset : float
        base = wire * numerator / denominator + offset

    Raises
    ------
    ProfileError
        If no such conversion is known.
    """
    if wire == base:
        return (1, 1, 0.0)
    try:
        return _FACTORS[wire, base]
    except KeyError:
        known = ", ".join([*sorted({a for a, b in _FACTORS if b == base}), base])
        raise ProfileError(
            f"unit {wire!r} cannot be converted to {base!r}; convertible units: {known}"
        ) from None
