"""
Surface water compared with its limits.

QCVN 08:2023/BTNMT assesses rivers (including canals) and lakes by classes A to D (unverified).
Its table could not be read when this was written, and none is assumed: enter it as a TOML file.
The limit of oxygen is a minimum: `lowest`.  Parameters without a limit are not compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Table, judge
from mrv.model import Indicator
from mrv.parameters import ChoiceSpec, DateSpec, Inputs, ParameterSpec, RecordSpec

_UNSCALED = ("ph", "do_mg_l", "coliform_mpn_100ml")
_SUBSTANCES = ("bod5", "cod", "toc", "tss", "tn", "tp", "nh4_n", "no3_n", "no2_n", "po4_p")


def surface(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """Return the limits of the water's kind and class from the table. [mg/L]"""
    select = {"water": inputs["water"], "class": inputs["class"]}
    parameters = {name: inputs[name] for name in _UNSCALED if name in inputs}
    scaled, unscaled = (
        {name: value for name, value in of.items() if table.limit(name, select) is not None}
        for of in (inputs["measured_mg_l"], parameters)
    )
    if not scaled and not unscaled:
        raise IndicatorError(
            f"{table.id} has no limit for any measured parameter in a {select['water']} of class "
            f"{select['class']}; measure a parameter with a limit, or choose another class"
        )
    return judge(table, scaled, unscaled, Fraction(1), select)


def _given(unit: str, meaning: str, maximum: str) -> ParameterSpec:
    return ParameterSpec(
        unit=unit,
        meaning=meaning,
        required=False,
        maximum=maximum,
        source="analyser or laboratory",
        certainty="[M]",
    )


INDICATORS = (
    Indicator(
        id="qcvn-08-2023",
        title="Surface water against its limits",
        reference="QCVN 08:2023/BTNMT",
        notes=__doc__.strip(),
        configured=True,
        inputs={
            "water": ChoiceSpec("kind of the water", ("river", "lake"), "QCVN 08:2023/BTNMT"),
            "class": ChoiceSpec(
                "class required for the water, by the province's plan",
                ("A", "B", "C", "D"),
                "QCVN 08:2023/BTNMT",
            ),
            "measured_mg_l": RecordSpec(
                "concentrations of a day or a sample",
                {name: _given("mg/L", name, "1000000") for name in _SUBSTANCES},
            ),
            "ph": _given("1", "pH", "14"),
            "do_mg_l": _given("mg/L", "oxygen in solution", "60"),
            "coliform_mpn_100ml": _given("MPN/100 mL", "coliform", "1000000000"),
            "on": DateSpec("day of the sample", "station", required=False),
        },
        compute=surface,
    ),
)
