"""
Maximum enthalpy of steam at the temperature of its own meter.

Superheated steam at 10 kPa, IAPWS-IF97, unverified [M]; less pressure adds less than 1 kJ/kg,
which the table holds, and more pressure takes off.  Between its values a chord is above the curve.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.service_bounds import Related

SOURCE = "IAPWS-IF97 [M]"
# [Cel, kJ/kg]
_LOW_PRESSURE = ((50, 2593), (100, 2688), (150, 2784), (200, 2880), (250, 2978), (300, 3077),
                 (400, 3280), (500, 3490), (600, 3707), (700, 3930), (1000, 4645))  # fmt: skip
# the highest of saturated steam, at 235 Cel [kJ/kg]
_SATURATED = 2804
_TEMPERATURE = "steam_cel"
TEMPERATURE = {
    _TEMPERATURE: ParameterSpec(
        unit="Cel",
        meaning="temperature of the steam, by the steam meter",
        required=False,
        maximum="1000",
        source="temperature_c of the steam meter",
        symbol="T_steam",
        side="baseline",
        channels=("steam", "temperature_c"),
    )
}


def most_enthalpy(celsius: Fraction) -> Fraction:
    """Return enthalpy of low-pressure steam at a temperature of at least 50 Cel. [kJ/kg]."""
    at = max(celsius, Fraction(_LOW_PRESSURE[0][0]))
    for (low, less), (high, more) in pairwise(_LOW_PRESSURE):
        if at <= high:
            return less + (at - low) * (more - less) / (high - low)
    return Fraction(_LOW_PRESSURE[-1][1])


def _by_temperature(
    parameters: Inputs, measured: Mapping[str, Fraction]
) -> tuple[Fraction, Fraction]:
    """At most that of its temperature, or of saturated steam where no meter tells it. [kJ/kg]."""
    del parameters
    most = Fraction(_SATURATED)
    if _TEMPERATURE in measured:
        most = most_enthalpy(measured[_TEMPERATURE])
    return Fraction(0), most


BY_TEMPERATURE = Related(
    "steam_kj_per_kg",
    _by_temperature,
    "steam at low pressure and the temperature that its meter tells (temperature_c), saturated"
    f" steam where it tells none: let the steam meter of superheated steam tell it; {SOURCE}",
)
