"""What an estimate of a PV plant asks for, with the default and its source."""

from __future__ import annotations

from dataclasses import replace

from mrv.methodologies import find
from mrv.parameters.specs import ChoiceSpec, NumbersSpec, ParameterSpec, RecordSpec, Spec

_PVWATTS = "PVWatts version 5, NREL"


def _case() -> ParameterSpec:
    """How VN_AM007 asks it of a device; the first case where it is not said."""
    case = find("jcm-vn-am007").roles["generation"].params["case"]
    return replace(case, default="1", required=False)


def _plan(unit: str, meaning: str) -> ParameterSpec:
    return ParameterSpec(
        unit=unit, meaning=meaning, required=False, maximum="1000000000000", source="the plan"
    )


def _degrees(meaning: str, lowest: str, highest: str, default: str | None = None) -> ParameterSpec:
    return ParameterSpec(
        unit="deg",
        meaning=meaning,
        minimum=lowest,
        maximum=highest,
        default=default,
        source="the plan",
    )


def _fraction(meaning: str, default: str, source: str, minimum: str = "0") -> ParameterSpec:
    return ParameterSpec(
        unit="1", meaning=meaning, default=default, minimum=minimum, below="1", source=source
    )


INPUTS: Spec = {
    "latitude": _degrees("north of the equator", "-66", "66"),
    "longitude": _degrees("east of Greenwich", "-180", "180"),
    "tilt": _degrees("of the modules from the horizontal", "0", "90", "10"),
    "azimuth": _degrees("that they face, clockwise from north: 180 is south", "0", "360", "180"),
    "rated_kw": ParameterSpec(
        unit="kW",
        meaning="rated power of the inverters, AC",
        required=False,
        minimum="0.1",
        maximum="100000000",
        source="the plan",
    ),
    "modules": RecordSpec(
        "the modules, where their number is planned",
        {
            "count": ParameterSpec(
                unit="1",
                meaning="how many",
                minimum="1",
                maximum="1000000000",
                integer=True,
                source="the plan",
            ),
            "watt": ParameterSpec(
                unit="W",
                meaning="rated power of one",
                minimum="1",
                maximum="10000",
                source="data sheet",
            ),
        },
        required=False,
    ),
    "ghi_kwh_per_m2": NumbersSpec(
        "irradiation on the horizontal, of twelve months or of the year",
        ParameterSpec(
            unit="kWh/m2",
            meaning="of a month or the year",
            maximum="3000",
            minimum="0",
            source="long-term mean of a station, a satellite record or a map",
        ),
        (1, 12),
        required=False,
    ),
    "ghi_source": ChoiceSpec(
        "where the irradiation comes from; it sets the uncertainty",
        ("station", "satellite", "map", "not_stated"),
        "its source",
        default="not_stated",
    ),
    "air_c": ParameterSpec(
        unit="degC",
        meaning="mean air temperature by day",
        default="27",
        minimum="-30",
        maximum="45",
        source="a mean of the Red River delta by day; give that of the place",
    ),
    "losses": _fraction("soiling, shading, mismatch, wiring, standstill", "0.14", _PVWATTS),
    "inverter_efficiency": _fraction("of the inverters", "0.96", _PVWATTS, "0.5"),
    "power_loss_per_k": ParameterSpec(
        unit="1/K",
        meaning="loss of power for each kelvin above 25 degC",
        default="0.0037",
        maximum="0.01",
        source="PVWatts version 5, premium modules 0.0035, standard 0.0047",
    ),
    "case": _case(),
    "declared_kwh_per_year": _plan("kWh/year", "energy that the plan declares"),
    "declared_t_per_year": _plan("tCO2e/year", "reduction that the plan declares"),
    "roof_m2": replace(_plan("m2", "area of the roofs"), minimum="1"),
}
