"""
Ambient air compared with its limits.

QCVN 05:2023/BTNMT, read in a transcription.  A mean is compared with the limit of its own
date: the limit of fine dust over 24 hours falls from 50 to 45 ug/m3 on 1 January 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrv.errors import IndicatorError
from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import DateSpec, Inputs, ParameterSpec, RecordSpec

_MEANS = ("1h", "8h", "24h", "year")
_SUBSTANCES = (
    "so2", "co", "no2", "o3", "tsp", "pm10", "pm2_5", "pb", "nh3", "h2s", "benzene", "hcho",
    "ch3sh", "toluene", "xylene",
)  # fmt: skip


def judge(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the limit of each measured value, and the values above their limit. [ug/m3]

    Raises IndicatorError for a parameter without a limit for its averaging time.
    """
    limits: dict[str, dict[str, Any]] = {}
    exceeded = []
    for mean, values in inputs["mean_ug_m3"].items():
        for name, value in values.items():
            limit = table.limit(name, {"mean": mean}, inputs["on"])
            if limit is None:
                raise IndicatorError(
                    f"mean_ug_m3.{mean}.{name}: {name} has no limit for {mean}; omit it"
                )
            limits.setdefault(mean, {})[name] = limit.value
            if limit.exceeded(value):
                exceeded.append(f"{mean}.{name}")
    return {"limit_ug_m3": limits, "exceeded": exceeded}


INDICATORS = (
    Indicator(
        id="qcvn-05-2023",
        title="Ambient air against its limits",
        reference="QCVN 05:2023/BTNMT",
        notes=__doc__.strip(),
        table="qcvn_05_2023",
        inputs={
            "on": DateSpec("last day of the mean", "calendar"),
            "mean_ug_m3": RecordSpec(
                "means by averaging time",
                {
                    mean: RecordSpec(
                        f"means over {mean}",
                        {
                            name: ParameterSpec(
                                unit="ug/m3",
                                meaning=f"{name}, mean over {mean}",
                                required=False,
                                maximum="1000000",
                                source="air station at 25 Cel",
                                certainty="[T]",
                            )
                            for name in _SUBSTANCES
                        },
                        required=False,
                    )
                    for mean in _MEANS
                },
            ),
        },
        compute=judge,
    ),
)
