"""
Load of a discharge: concentration times flow.

By definition; mg/L times m3/d is g/d.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import Inputs, ParameterSpec, RecordSpec

_G_PER_KG = 1000
_SUBSTANCES = ("cod", "bod5", "tss", "tn", "tp", "nh4_n")


def load(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """Return `load_kg_d`: concentration times flow, by pollutant. [kg/d]"""
    del table
    flow = inputs["flow_m3_d"]
    return {
        "load_kg_d": {
            name: value * flow / _G_PER_KG for name, value in inputs["concentration_mg_l"].items()
        }
    }


INDICATORS = (
    Indicator(
        id="discharge-load",
        title="Load of a discharge",
        reference="definition",
        notes=__doc__.strip(),
        inputs={
            "flow_m3_d": ParameterSpec(
                unit="m3/d",
                meaning="flow of the day",
                maximum="100000000",
                source="flow meter",
                certainty="[R]",
            ),
            "concentration_mg_l": RecordSpec(
                "mean concentrations of the day",
                {
                    name: ParameterSpec(
                        unit="mg/L",
                        meaning=f"{name}, mean of the day",
                        required=False,
                        maximum="1000000",
                        source="laboratory or analyser",
                        certainty="[R]",
                    )
                    for name in _SUBSTANCES
                },
            ),
        },
        compute=load,
    ),
)
