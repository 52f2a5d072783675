"""
What a methodology is given of each local calendar year of a period, and whether it may be.

Factors and vintages go by calendar years, and so do the limits of small projects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.device_bindings import common, costed
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding
from mrv.calendar import month_us, parts, year_us
from mrv.methodologies import implausible, implausible_first
from mrv.model import GAINING, LENGTH, MONTH, PERIOD, Activity, Factors, Methodology, Reductions
from mrv.parameters.inputs import Inputs
from mrv.registry.project import FIRST, Project

# consumption by unit of service that no such project has
PLAUSIBLE = "MTR-05"


def parts_of_years(
    project: Project, methodology: Methodology, fleet: Fleet, period_us: tuple[int, int]
) -> dict[int, list[Activity]]:
    """
    How much of each calendar year the period is, for what goes by time alone.

    The parameter `GAINING` is the part of it in which the baseline may gain.
    """
    if not methodology.timed:
        return {}
    gains = [(a * INTERVAL_US, b * INTERVAL_US) for a, b in costed(project, methodology, fleet)]
    result: dict[int, list[Activity]] = {}
    for year, month, begin, end in parts(*period_us, project.timezone, monthly=methodology.monthly):
        whole = year_us(year, project.timezone)
        gaining = sum(last - first for first, last in common([(begin, end)], gains))
        params: dict[str, Any] = {GAINING: Fraction(gaining, whole)}
        if month is not None:
            length = Fraction(month_us(year, month, project.timezone), whole)
            params |= {MONTH: month, LENGTH: length}
        result.setdefault(year, []).append(Activity(PERIOD, params, Fraction(end - begin, whole)))
    return result


def inputs_by_year(
    methodology: Methodology,
    parameters: Inputs,
    factors: Factors,
    monitored: Sequence[Monitored],
    periods: Mapping[int, Sequence[Activity]],
    *,
    gross: bool,
) -> dict[int, Inputs]:
    """What the methodology is given of each local calendar year."""
    activities = {year: list(some) for year, some in periods.items()}
    for one in monitored:
        for part in one.parts:
            activities.setdefault(part.year, []).append(one.activity(part, gross=gross))
    return {
        year: methodology.inputs_of(activities[year], parameters, factors, year)
        for year in sorted(activities)
    }


def conditions_hold(
    methodology: Methodology,
    inputs: Mapping[int, Inputs],
    net: Mapping[int, Reductions],
    accounting: int,
) -> Iterator[Finding]:
    """Hold each year's figures against what `tonne evaluate` would refuse them for."""
    first = accounting == FIRST
    look = implausible_first if first else implausible
    for one in methodology.conditions:
        if one.first and not first:
            continue
        broken = [f"{y}: {t}" for y in inputs if (t := one.test(inputs[y], net[y]))]
        yield Finding(one.clause, not broken, "; ".join(broken))
    strange = [f"{y}: {t}" for y in inputs if (t := look(methodology, inputs[y]))]
    if strange:
        yield Finding(PLAUSIBLE, False, "; ".join(strange))
