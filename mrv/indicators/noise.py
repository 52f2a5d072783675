"""
Noise: energy means, levels exceeded, day-evening-night levels, and limits.

Energy mean and percentiles by definition; percentiles interpolate between
ranks.  Lden by the European directive, Ldn by the American practice: neither is
a limit in Viet Nam.  Limits of QCVN 26:2010/BTNMT were read second-hand; they apply at the
affected place, 06:00 to 21:00 by day.  The table of QCVN 26:2025/BNNMT, which
replaces it, could not be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from mrv.errors import IndicatorError
from mrv.limits import Table
from mrv.model import Indicator
from mrv.parameters import ChoiceSpec, Inputs, NumbersSpec, ParameterSpec, Spec
from mrv.rounding import half_up

_PLACES = 3
_LEVELS = (Fraction(10), Fraction(90))
# Hours and penalties of the day's parts.
_DEN = ((12, 0), (4, 5), (8, 10))
_DN = ((15, 0), (9, 10))


def figures(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return energy means and percentiles of noise levels by name, such as `leq_dba`. [dBA]

    Leq = 10 lg(mean 10^(L/10)); L10 is exceeded a tenth of the time.
    """
    del table
    levels = inputs["laeq_dba"]
    result = {"leq_dba": _tenth_of_db(_energy_mean((level, 1) for level in levels))}
    for percent in inputs.get("exceedance_percent", _LEVELS):
        exact = np.percentile([float(v) for v in levels], 100 - float(percent))
        result[f"l{float(percent):g}_dba"] = _tenth_of_db(float(exact))
    parts = [inputs.get(f"{part}_dba") for part in ("day", "evening", "night")]
    _add(result, "lden_dba", parts, _DEN, "day_dba, evening_dba and night_dba")
    parts = [inputs.get(f"ldn_{part}_dba") for part in ("day", "night")]
    _add(result, "ldn_dba", parts, _DN, "ldn_day_dba and ldn_night_dba")
    return result


def judge(inputs: Inputs, table: Table) -> Mapping[str, Any]:
    """
    Return the limits of the area by day and night, and the levels above them. [dBA]

    Raises IndicatorError when the table has none for the area.
    """
    limits: dict[str, Fraction] = {}
    exceeded = []
    for part in ("day", "night"):
        if f"{part}_dba" not in inputs:
            continue
        limit = table.limit(part, {"area": inputs["area"]})
        if limit is None:
            raise IndicatorError(
                f"the limits contain none for {part} in area {inputs['area']!r}; choose "
                "another area"
            )
        limits[part] = limit.value
        if limit.exceeded(inputs[f"{part}_dba"]):
            exceeded.append(part)
    return {"limit_dba": limits, "exceeded": exceeded}


def _add(
    result: dict[str, Fraction],
    key: str,
    parts: list[Fraction | None],
    weights: tuple[tuple[int, int], ...],
    names: str,
) -> None:
    known = [part for part in parts if part is not None]
    if not known:
        return
    if len(known) < len(parts):
        raise IndicatorError(f"{key} needs all of {names}; give all or none")
    pairs = zip(known, weights, strict=True)
    result[key] = _tenth_of_db(_energy_mean((level + up, hours) for level, (hours, up) in pairs))


def _energy_mean(weighted: Iterable[tuple[Fraction, int]]) -> float:
    pairs = [(10 ** (float(level) / 10), hours) for level, hours in weighted]
    return 10 * math.log10(sum(e * h for e, h in pairs) / sum(h for _, h in pairs))


def _tenth_of_db(level: float) -> Fraction:
    return half_up(Fraction(level), _PLACES)


def _level(meaning: str, *, required: bool = False) -> ParameterSpec:
    return ParameterSpec(
        unit="dBA",
        meaning=meaning,
        required=required,
        maximum="200",
        source="class 1 sound level meter, checked with a calibrator before and after",
        certainty="[r]",
    )


_JUDGED: Spec = {
    "area": ChoiceSpec(
        "special: hospitals, schools, places of worship; else ordinary",
        ("special", "ordinary"),
        "land use",
    ),
    "day_dba": _level("level of 06:00 to 21:00 at the affected place"),
    "night_dba": _level("level of 21:00 to 06:00 at the affected place"),
}

INDICATORS = (
    Indicator(
        id="noise",
        title="Noise levels",
        reference="ISO 1996-1; directive 2002/49/EC for Lden",
        notes=__doc__.strip(),
        inputs={
            "laeq_dba": NumbersSpec(
                "levels of periods of equal length", _level("LAeq"), length=(1, 1_000_000)
            ),
            "exceedance_percent": NumbersSpec(
                "shares of time, 10 and 90 where not given",
                ParameterSpec(
                    unit="%",
                    meaning="share of time in which the level is exceeded",
                    maximum="100",
                    source="user",
                ),
                length=(1, 99),
                required=False,
            ),
            "day_dba": _level("level of 07:00 to 19:00"),
            "evening_dba": _level("level of 19:00 to 23:00"),
            "night_dba": _level("level of 23:00 to 07:00"),
            "ldn_day_dba": _level("level of 07:00 to 22:00"),
            "ldn_night_dba": _level("level of 22:00 to 07:00"),
        },
        compute=figures,
    ),
    Indicator(
        id="qcvn-26-2010",
        title="Noise against its limits",
        reference="QCVN 26:2010/BTNMT",
        notes=__doc__.strip(),
        table="qcvn_26_2010",
        inputs=_JUDGED,
        compute=judge,
    ),
    Indicator(
        id="qcvn-26-2025",
        title="Noise against its limits",
        reference="QCVN 26:2025/BNNMT",
        notes=__doc__.strip(),
        configured=True,
        inputs=_JUDGED,
        compute=judge,
    ),
)
