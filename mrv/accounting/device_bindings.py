"""
Which device's quantity counts for which project, from when to when, at which rate.

Compiled once a registry version into sorted arrays, so that a batch of interval
rows finds its rates by one binary search.  A rate is the project's methodology
at one base unit of the year: there is no second formula here.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US
from mrv.accounting.emission_rows import Bindings, Source
from mrv.accounting.factor_acceptance import parameters_of
from mrv.calendar import years
from mrv.errors import MethodologyError
from mrv.factors.ledger import Ledger
from mrv.methodologies import find, reduction, unit_reductions
from mrv.parameters.inputs import read
from mrv.registry.project import service_intervals
from mrv.rounding import UG_PER_T, Rates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ingest.model import Fleet, Int64
    from mrv.model import Factors, Methodology, Reductions, RoleNeeds
    from mrv.registry.project import Project, ProjectDevice

Span = tuple[int, int]
# Of a base unit: baseline, project, leakage, withheld. [ug CO2e]
_Rates = tuple[Fraction, Fraction, Fraction, Fraction]
# Interval numbers since the epoch stay below 2**32 for a hundred thousand years.
_SHIFT = 32
_NEVER = 1 << _SHIFT


@dataclass(frozen=True, slots=True)
class _Segment:
    begin: int
    end: int
    project: int
    source: Source
    rates: _Rates


def key(device: Int64, quantity: Int64, start_us: Int64) -> Int64:
    """Sortable key of rows: device, quantity, then interval."""
    return ((device * len(QUANTITY_INDEX) + quantity) << _SHIFT) + start_us // INTERVAL_US


def segments(bindings: Bindings) -> Iterator[tuple[int, int, int, int, Source]]:
    """Yield project, device, begin and end [us UTC], source of each segment."""
    mask = (1 << _SHIFT) - 1
    for i, (begin, end) in enumerate(
        zip(bindings.begin.tolist(), bindings.end.tolist(), strict=True)
    ):
        yield (
            int(bindings.project[i]),
            (begin >> _SHIFT) // len(QUANTITY_INDEX),
            (begin & mask) * INTERVAL_US,
            # an end may be the first interval of nothing: it is counted from the begin
            (begin & mask) * INTERVAL_US + (end - begin) * INTERVAL_US,
            bindings.sources[bindings.source[i]],
        )


def compile_bindings(projects: Iterable[Project], fleet: Fleet, factors: Factors) -> Bindings:
    """
    Compile the projects of a registry version for `mrv.accounting.account.account`.

    A project whose baseline goes by time has no rates: its tonnes are those of its periods.

    Parameters
    ----------
    projects : iterable of Project
    fleet : Fleet
        Whose indices the interval rows carry.
    factors : Factors
        `mrv.factors.load()`.

    Raises
    ------
    MethodologyError
        A project names an unknown methodology, role, device or parameter.
    FactorError
        A year of its crediting period has no factor.
    """
    ordered = sorted(projects, key=lambda p: p.id)
    segments = [
        segment
        for number, project in enumerate(ordered)
        for segment in _of_project(project, number, fleet, factors)
    ]
    segments.sort(key=lambda s: (s.begin, s.end))
    priced = sorted({(s.source, s.rates) for s in segments})
    position = {pair: i for i, pair in enumerate(priced)}
    return Bindings(
        projects=tuple(p.id for p in ordered),
        sources=tuple(source for source, _ in priced),
        begin=np.array([s.begin for s in segments], dtype=np.int64),
        end=np.array([s.end for s in segments], dtype=np.int64),
        project=np.array([s.project for s in segments], dtype=np.int32),
        source=np.array([position[s.source, s.rates] for s in segments], dtype=np.int32),
        baseline=Rates([rates[0] for _, rates in priced]),
        emitted=Rates([rates[1] for _, rates in priced]),
        leakage=Rates([rates[2] for _, rates in priced]),
        withheld=Rates([rates[3] for _, rates in priced]),
    )


class _Pricing:
    """Rates of one project by role, device parameters and year, each computed once."""

    def __init__(self, project: Project, methodology: Methodology, factors: Factors) -> None:
        self._methodology = methodology
        self._version = project.version
        self._parameters = parameters_of(
            methodology, project.parameters, f"project {project.id}: parameters"
        )
        self._factors = factors
        self._known: dict[Any, tuple[Source, _Rates]] = {}

    def of(self, role: str, params: Mapping[str, Any], year: int) -> tuple[Source, _Rates]:
        question = (role, tuple(sorted(params.items())), year)
        if question not in self._known:
            ledger = Ledger(self._factors)
            unit = unit_reductions(self._methodology, role, params, self._parameters, ledger, year)
            source = Source(
                f"{self._methodology.id}@{self._version}", " ".join(f.id for f in ledger.used())
            )
            self._known[question] = (source, _in_ug(unit))
        return self._known[question]


def _of_project(
    project: Project, number: int, fleet: Fleet, factors: Factors
) -> Iterator[_Segment]:
    methodology = find(project.methodology, project.version)
    pricing = _Pricing(project, methodology, factors)
    gaining = costed(project, methodology, fleet)
    for bound in project.devices:
        where = f"project {project.id}: device {bound.device}"
        needs = role_needs(methodology, bound, where)
        params = read(needs.params, bound.params, where)
        if bound.device not in fleet.by_id:
            raise MethodologyError(f"{where} is not in the registry; import it first")
        if methodology.by_time:
            continue
        index = fleet.by_id[bound.device]
        base = (index * len(QUANTITY_INDEX) + QUANTITY_INDEX[needs.quantity]) << _SHIFT
        served = [service_intervals(project, bound, fleet.devices[index], needs.side)]
        for first, last in common(served, gaining) if needs.side == "baseline" else served:
            yield from _merged(
                _Segment(
                    base + begin_us // INTERVAL_US,
                    base + end_us // INTERVAL_US,
                    number,
                    *pricing.of(bound.role, params, year),
                )
                for year, begin_us, end_us in years(
                    first * INTERVAL_US, last * INTERVAL_US, project.timezone
                )
            )


def costed(project: Project, methodology: Methodology, fleet: Fleet) -> list[Span]:
    """
    Grid intervals in which every role that costs something has a device in service.

    What the baseline gains counts only there: buses that drive while no charger is
    bound would be credited without their electricity, also between one charger and the
    next.  Half-open spans in their order; numbers count intervals since the epoch.
    """
    served: dict[str, list[Span]] = {
        role: []
        for role, needs in methodology.roles.items()
        if needs.side == "project" and needs.required
    }
    for bound in project.devices:
        if bound.role in served and bound.device in fleet.by_id:
            device = fleet.devices[fleet.by_id[bound.device]]
            served[bound.role].append(service_intervals(project, bound, device, "project"))
    found: list[Span] = [(0, _NEVER)]
    for spans in served.values():
        found = common(found, _joined(spans))
    return found


def common(one: Iterable[Span], other: Iterable[Span]) -> list[Span]:
    """Return what two lists of spans share, in order; spans of one list do not overlap."""
    others = list(other)
    shared = ((max(a, c), min(b, d)) for a, b in one for c, d in others)
    return sorted(span for span in shared if span[0] < span[1])


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans that overlap or touch as one."""
    found: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def role_needs(methodology: Methodology, bound: ProjectDevice, where: str) -> RoleNeeds:
    """Return what a bound device's role needs; MethodologyError lists the roles there are."""
    if bound.role not in methodology.roles:
        raise MethodologyError(
            f"{where}: role {bound.role!r} is unknown to {methodology.id};"
            f" its roles: {', '.join(methodology.roles)}"
        )
    return methodology.roles[bound.role]


def _merged(segments: Iterator[_Segment]) -> Iterator[_Segment]:
    """Join years whose rate is the same."""
    pending: _Segment | None = None
    for segment in segments:
        if pending is None:
            pending = segment
        elif (segment.source, segment.rates) == (pending.source, pending.rates):
            pending = _Segment(
                pending.begin, segment.end, pending.project, pending.source, pending.rates
            )
        else:
            yield pending
            pending = segment
    if pending is not None:
        yield pending


def _in_ug(unit: Reductions) -> _Rates:
    """
    Return a unit's sides, and what its methodology deducts beyond them.

    A cap by what another device measures cannot be seen from one unit, and binds when
    the period closes.
    """
    sides = (unit.baseline_t, unit.project_t, unit.leakage_t)
    withheld = reduction(*sides) - unit.reduction_t if unit.reduction_t > 0 else Fraction(0)
    baseline, emitted, leakage = (side * UG_PER_T for side in sides)
    return baseline, emitted, leakage, withheld * UG_PER_T
