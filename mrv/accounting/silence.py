"""
What an hour of silence costs, by the rule of the device's role.

A silent meter of the baseline counts nothing; what that costs is seen from what it avoided
before, not from here.  A silent meter of the project's side is charged the highest
plausible value, as a closed period charges its gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import partial
from typing import Literal, NamedTuple

from ingest.model import Device, Fleet
from mrv.accounting.cuts import highest_rate, limit_of
from mrv.accounting.device_bindings import role_needs
from mrv.accounting.entered_values import parameters_of
from mrv.countries import country_of
from mrv.factors import within
from mrv.factors.brought import bounded
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors, Reductions, RoleNeeds
from mrv.parameters.inputs import read
from mrv.registry.project import Project
from mrv.rounding import UG_PER_T, to_integer

_Side = Literal["baseline", "project", "both"]


class SilenceRate(NamedTuple):
    """
    Cost of an hour without a device. [ug CO2e/h]

    `ug_per_h` is rounded up; None where the side is the baseline's alone, and where
    nothing bounds the device.
    """

    device: str
    role: str
    side: _Side
    ug_per_h: int | None


class Seen(NamedTuple):
    """Highest rated power of any time [W], and largest stored interval by quantity [base units]."""

    rated_w: int | None
    largest: Mapping[str, int]


def silence_rates(
    project: Project, fleet: Fleet, seen: Mapping[str, Seen], factors: Factors, year: int
) -> Iterator[SilenceRate]:
    """
    Yield what an hour without each device of a project costs, at a year's factors.

    Parameters
    ----------
    project : Project
    fleet : Fleet
    seen : mapping of device id to Seen
        Of devices whose class has no limit of its own; others may be left out.
    factors : Factors
        `mrv.factors.load()`.
    year : int
        Local calendar year.

    Raises
    ------
    MethodologyError, FactorError
        As the methodology's parameters and factors give rise to.
    """
    factors = within(factors, country_of(project))
    methodology = find(project.methodology, project.version)
    where = f"project {project.id}: parameters"
    parameters = parameters_of(methodology, project.parameters, where)
    for bound in project.devices:
        named = f"project {project.id}: device {bound.device}"
        needs = role_needs(methodology, bound, named)
        side: _Side = needs.side if needs.costs is None else "both"
        hourly = None
        if side != "baseline":
            device = fleet.devices[fleet.by_id[bound.device]]
            params = read(needs.params, bound.params, named)
            ask = partial(unit_reductions, methodology, bound.role, params, parameters)
            unit = ask(bounded(factors, partial(_reduction, ask, year))[0], year)
            # what stands on both sides costs what it emits beyond what it avoids
            price = unit.project_t if side == "project" else max(Fraction(0), -unit.reduction_t)
            most = _highest(device, needs, seen.get(bound.device, Seen(None, {})))
            hourly = None if most is None else to_integer(most * price * UG_PER_T, "up")
        yield SilenceRate(bound.device, bound.role, side, hourly)


def _reduction(ask: Callable[[Factors, int], Reductions], year: int, book: Factors) -> Fraction:
    return ask(book, year).reduction_t


def _highest(device: Device, needs: RoleNeeds, seen: Seen) -> Fraction | None:
    """
    Highest plausible rate of a device's quantity. [base units/h]

    As a period charges its gaps; a rating that was lowered makes no silence cheaper.
    """
    rated = seen.rated_w if needs.unit == "Wh" else None
    known = [needs.costs, limit_of(device, needs.quantity), rated]
    found = [Fraction(one) for one in known if one is not None]
    largest = 0 if found else seen.largest.get(needs.quantity, 0)
    return max(found, default=highest_rate(device, needs.quantity, largest))
