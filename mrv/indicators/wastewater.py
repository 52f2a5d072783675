"""
Wastewater compared with its limits.

QCVN 40:2011/BTNMT, industrial, was read second-hand, and some parameters are unverified; limits are
scaled with Kq (receiving water) and Kf (flow), but not pH, temperature, colour and coliform.  QCVN
14:2008/BTNMT, domestic, is unverified; limits are scaled with K.  Their successors of 2025 apply to
plants commissioned from 1 September 2025, and from 1 January 2032 to all; they have a column C and
flow bands in place of Kq and Kf, and their tables were not available.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Table, judge
from mrv.model import Indicator
from mrv.parameters import ChoiceSpec, DateSpec, Inputs, ParameterSpec, RecordSpec

_NEW_PLANTS = date(2025, 9, 1)
_ALL_PLANTS = date(2032, 1, 1)
_UNSCALED = ("ph", "temperature_c", "colour_pt_co", "coliform_mpn_100ml")
_KQ_RIVER = ((50, "0.9"), (200, "1.0"), (500, "1.1"), (None, "1.2"))  # m3/s
_KQ_LAKE = ((10, "0.6"), (100, "0.8"), (None, "1.0"))  # million m3
_KF = ((50, "1.2"), (500, "1.1"), (5000, "1.0"), (None, "0.9"))  # m3/d
_SEWER = "sewer"
# Where neither flow nor volume is known; for the coast by its use.
_KQ_UNKNOWN = {"river": "0.9", "lake": "0.6", "coast-protected": "1.0", "coast": "1.3"}


def industrial_2011(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the limits of industrial wastewater, and the values above them. [mg/L]

    C_max = C * Kq * Kf, for a plant to which the standard still applies; for a sewer without a
    treatment plant C_max = C of column B.
    """
    _refuse_new_plants(inputs, "qcvn-40-2025")
    if inputs["receiving"] != _SEWER:
        return _judged(inputs, table, _kq(inputs) * _kf(inputs))
    if inputs["column"] != "B":
        raise IndicatorError(
            f"a sewer requires column B, not {inputs['column']}; give column B, or the receiving "
            "water body"
        )
    return _judged(inputs, table, Fraction(1))


def domestic_2008(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """Return the limits of domestic wastewater, and the values above them: C_max = C * K. [mg/L]"""
    _refuse_new_plants(inputs, "qcvn-14-2025")
    return _judged(inputs, table, inputs["k"])


def by_flow(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """Return the limits of the column and flow band, and the values above them. [mg/L]"""
    return _judged(inputs, table, Fraction(1), inputs["flow_m3_d"])


def _judged(
    inputs: Inputs, table: Table, scale: Fraction, flow: Fraction | None = None
) -> Mapping[str, Any]:
    unscaled = {name: inputs[name] for name in _UNSCALED if name in inputs}
    select = {"column": inputs["column"]}
    return judge(table, inputs["measured_mg_l"], unscaled, scale, select, flow)


def _refuse_new_plants(inputs: Inputs, successor: str) -> None:
    commissioned, on = inputs.get("commissioned"), inputs.get("on")
    if commissioned is not None and commissioned >= _NEW_PLANTS:
        raise IndicatorError(
            f"commissioned = {commissioned} is not before {_NEW_PLANTS}: {successor} applies; use "
            "it with --limits FILE"
        )
    if on is not None and on >= _ALL_PLANTS:
        raise IndicatorError(
            f"on = {on} is not before {_ALL_PLANTS}: {successor} applies; use it with --limits FILE"
        )


def _kq(inputs: Inputs) -> Fraction:
    if "kq" in inputs:
        return Fraction(inputs["kq"])
    if "lake_mm3" in inputs:
        return _step(_KQ_LAKE, inputs["lake_mm3"])
    if "river_m3_s" in inputs:
        return _step(_KQ_RIVER, inputs["river_m3_s"])
    return Fraction(_KQ_UNKNOWN[inputs["receiving"]])


def _kf(inputs: Inputs) -> Fraction:
    if "kf" in inputs:
        return Fraction(inputs["kf"])
    if "flow_m3_d" in inputs:
        return _step(_KF, inputs["flow_m3_d"])
    raise IndicatorError("kf is missing; give it, or flow_m3_d to calculate it")


def _step(steps: tuple[tuple[int | None, str], ...], value: Fraction) -> Fraction:
    return next(Fraction(k) for highest, k in steps if highest is None or value <= highest)


def _given(unit: str, meaning: str, maximum: str, *, minimum: str = "0") -> ParameterSpec:
    return ParameterSpec(
        unit=unit,
        meaning=meaning,
        required=False,
        minimum=minimum,
        maximum=maximum,
        source="project, permit or laboratory",
        certainty="[M]",
    )


def _measured(*names: str) -> RecordSpec:
    fields = {name: _given("mg/L", f"{name} of a sample", "1000000") for name in names}
    return RecordSpec("concentrations of a sample", fields)


_ALL = (
    "bod5",
    "cod",
    "toc",
    "tss",
    "tds",
    "tn",
    "tp",
    "nh4_n",
    "no3_n",
    "po4_p",
    "oil",
    "sulfide",
    "surfactant",
    "chlorine",
)
_PH = {"ph": _given("1", "pH of a sample", "14")}
_COLIFORM = {"coliform_mpn_100ml": _given("MPN/100 mL", "coliform of a sample", "1000000000")}
_OTHERS = {
    **_PH,
    "temperature_c": _given("Cel", "temperature of a sample", "100"),
    "colour_pt_co": _given("Pt-Co", "colour of a sample", "100000"),
    **_COLIFORM,
}
_DATES = {
    "on": DateSpec("day of the sample", "laboratory", required=False),
    "commissioned": DateSpec("day on which the plant was commissioned", "permit", required=False),
}
_AB = ChoiceSpec("A: the receiving water supplies drinking water; else B", ("A", "B"), "permit")
_ABC = ChoiceSpec("column of the receiving water", ("A", "B", "C"), "permit")
_FLOW = _given("m3/d", "flow of the plant", "10000000")


def _configured(identifier: str, title: str, reference: str) -> Indicator:
    return Indicator(
        id=identifier,
        title=title,
        reference=reference,
        notes=__doc__.strip(),
        configured=True,
        inputs={
            "column": _ABC,
            "flow_m3_d": ParameterSpec(
                unit="m3/d", meaning=_FLOW.meaning, maximum=_FLOW.maximum, source=_FLOW.source
            ),
            "measured_mg_l": _measured(*_ALL),
            **_OTHERS,
        },
        compute=by_flow,
    )


INDICATORS = (
    Indicator(
        id="qcvn-40-2011",
        title="Industrial wastewater against its limits",
        reference="QCVN 40:2011/BTNMT",
        notes=__doc__.strip(),
        table="qcvn_40_2011",
        inputs={
            "column": _AB,
            "receiving": ChoiceSpec(
                "receiving water, where neither Kq nor its flow or volume is given:"
                " coast-protected is for bathing and aquatic life, sewer a city's without a"
                " treatment plant behind it",
                (*_KQ_UNKNOWN, _SEWER),
                "QCVN 40:2011/BTNMT; coast and sewer unverified",
                default="river",
            ),
            "kq": _given("1", "receiving water, Kq", "1.3"),
            "river_m3_s": _given("m3/s", "flow of the receiving river, in place of Kq", "100000"),
            "lake_mm3": _given("10^6 m3", "volume of the receiving lake, in place of Kq", "100000"),
            "kf": _given("1", "flow of the plant, Kf", "1.2"),
            "flow_m3_d": _given("m3/d", "flow of the plant, in place of Kf", "10000000"),
            "measured_mg_l": _measured(
                "bod5", "cod", "tss", "tn", "tp", "nh4_n", "oil", "sulfide", "chlorine"
            ),
            **_OTHERS,
            **_DATES,
        },
        compute=industrial_2011,
    ),
    Indicator(
        id="qcvn-14-2008",
        title="Domestic wastewater against its limits",
        reference="QCVN 14:2008/BTNMT",
        notes=__doc__.strip(),
        table="qcvn_14_2008",
        inputs={
            "column": _AB,
            "k": ParameterSpec(
                unit="1",
                meaning="size and kind of the place, K",
                minimum="1",
                maximum="1.2",
                source="QCVN 14:2008/BTNMT, table 2",
            ),
            "measured_mg_l": _measured(
                "bod5", "tss", "tds", "sulfide", "nh4_n", "no3_n", "oil", "surfactant", "po4_p"
            ),
            **_PH,
            **_COLIFORM,
            **_DATES,
        },
        compute=domestic_2008,
    ),
    _configured("qcvn-40-2025", "Industrial wastewater against its limits", "QCVN 40:2025/BTNMT"),
    _configured("qcvn-14-2025", "Domestic wastewater against its limits", "QCVN 14:2025/BTNMT"),
)
