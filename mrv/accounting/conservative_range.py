"""
Conservative bound of a quantity that enters both baseline and project emissions.

Waste whose composting emits is one: it may cost more than it gains.  For each part with
missing data the reduction is computed with the loss taken as zero and as the maximum, by
itself, so that a loss that gains does not hide one that costs.  Each year then takes the
lowest of: zero for all, the maximum for those parts, the maximum for all.

While a role that causes emissions has no device bound, nothing is counted on either side:
zero baseline would be a gift for a quantity that costs more than it gains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from ingest.model import INTERVAL_US, Fleet
from mrv.accounting.coverage import Span, common, costed
from mrv.accounting.device_period import Kind, Monitored
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, utc_text
from mrv.errors import PeriodError
from mrv.methodologies import find, unit_reductions
from mrv.model import Factors, Methodology, Reductions
from mrv.parameters.inputs import read
from mrv.registry.project import Project, ProjectDevice, service_intervals

Place = tuple[int, int]


def check_costed(
    project: Project, fleet: Fleet, period_us: tuple[int, int], factors: Factors
) -> None:
    """
    Refuse a period in which a quantity that costs more than it gains runs without all of its
    meters.

    Raises
    ------
    PeriodError
        Names the device, the time and the roles without a device.
    """
    methodology = find(project.methodology, project.version)
    wanted = [r for r, n in methodology.roles.items() if n.side == "project" and n.required]
    gaining = costed(project, methodology, fleet)
    period = (period_us[0] // INTERVAL_US, period_us[1] // INTERVAL_US)
    for bound in project.devices:
        needs = methodology.roles.get(bound.role)
        if needs is None or needs.costs is None or bound.device not in fleet.by_id:
            continue
        device = fleet.devices[fleet.by_id[bound.device]]
        for span in common([service_intervals(project, bound, device, needs.side)], [period]):
            free = _first_free(span, common([span], gaining))
            if free is not None and _costs(project, methodology, bound, free, factors):
                raise PeriodError(
                    f"device {bound.device} is in service at {utc_text(free * INTERVAL_US)} while "
                    f"no device has one of the roles {', '.join(wanted)}; its consumption still "
                    "causes emissions: bind the meters of that time too (missing data are treated "
                    "conservatively)"
                )


def _first_free(span: Span, taken: Sequence[Span]) -> int | None:
    """Return the first interval of a span that no other covers; `taken` lie in it, in order."""
    at = span[0]
    for begin, end in taken:
        if begin > at:
            break
        at = end
    return at if at < span[1] else None


def _costs(
    project: Project, methodology: Methodology, bound: ProjectDevice, free: int, factors: Factors
) -> bool:
    where = f"project {project.id}"
    parameters = parameters_of(methodology, project.parameters, where)
    params = read(methodology.roles[bound.role].params, bound.params, where)
    year = local_date(free * INTERVAL_US, project.timezone).year
    unit = unit_reductions(methodology, bound.role, params, parameters, factors, year)
    return unit.reduction_t < 0


def worst(
    monitored: Sequence[Monitored],
    account: Callable[[Sequence[Monitored]], Mapping[int, Reductions]],
) -> list[Monitored]:
    """
    Return the devices, with `at_most` set in the parts where that is more conservative.

    Parameters
    ----------
    account : callable
        Returns what devices come to, by local calendar year.
    """
    years = {
        (k, j): part.year
        for k, one in enumerate(monitored)
        if one.needs.costs is not None
        for j, part in enumerate(one.parts)
        if any(cut.kind in {Kind.GAP, Kind.CALIBRATION} for cut in part.cuts)
    }
    if not years:
        return list(monitored)
    nothing = account(monitored)
    dear = [
        place
        for place, year in years.items()
        if account(_at_most(monitored, [place]))[year].reduction_t < nothing[year].reduction_t
    ]
    chosen: dict[int, Collection[Place]] = dict.fromkeys(nothing, ())
    least = {year: found.reduction_t for year, found in nothing.items()}
    for places in (dear, list(years)):
        for year, found in account(_at_most(monitored, places)).items():
            if found.reduction_t < least[year]:
                least[year] = found.reduction_t
                chosen[year] = [place for place in places if years[place] == year]
    return _at_most(monitored, [place for some in chosen.values() for place in some])


def _at_most(monitored: Sequence[Monitored], places: Collection[Place]) -> list[Monitored]:
    """Count at its most what was lost of some parts, each by its device and its place in it."""
    wanted: defaultdict[int, set[int]] = defaultdict(set)
    for k, j in places:
        wanted[k].add(j)
    found = list(monitored)
    for k, of in wanted.items():
        parts = monitored[k].parts
        marked = (part.at_its_most() if j in of else part for j, part in enumerate(parts))
        found[k] = replace(monitored[k], parts=tuple(marked))
    return found
