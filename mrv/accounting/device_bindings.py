"""
Which device's quantity counts for which project, from when to when, at which rate.

Compiled once a registry version into sorted arrays, so that a batch of interval
rows finds its rates by one binary search.  A rate is the project's methodology
at one base unit of the year: there is no second formula here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Fleet, Int64, others
from mrv.accounting.emission_rows import Bindings, Source
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, years
from mrv.countries import country_of
from mrv.errors import CountryFactorError, MethodologyError
from mrv.factors import within
from mrv.factors.brought import bounded
from mrv.factors.ledger import Ledger
from mrv.methodologies import find, official_grid, reduction, unit_reductions
from mrv.model import Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters.inputs import read
from mrv.registry.project import Project, ProjectDevice, service_intervals
from mrv.rounding import UG_PER_T, Rates

Span = tuple[int, int]
# Of a base unit: baseline, project, leakage, withheld. [ug CO2e]
_Rates = tuple[Fraction, Fraction, Fraction, Fraction]
_Price = tuple["Source", _Rates]
# Interval numbers since the epoch stay below 2**32 for a hundred thousand years.
_SHIFT = 32
_NEVER = 1 << _SHIFT


@dataclass(frozen=True, slots=True)
class _Segment:
    """A device's time of constant rate; grid intervals since the epoch, half-open."""

    device: str
    quantity: int
    begin: int
    end: int
    price: _Price


class _Columns:
    """
    Segments of one project as columns, n rows.

    `device` and `price` are places in `names` and `prices`; `index` is each name's place in
    the fleet, found again where devices were added.
    """

    __slots__ = ("begin", "by_id", "device", "end", "index", "names", "price", "prices", "quantity")

    def __init__(self, segments: Iterable[_Segment], prices: dict[_Price, _Price]) -> None:
        found = list(segments)
        names = {name: i for i, name in enumerate(dict.fromkeys(s.device for s in found))}
        # few have to be told apart by value: a price is one object for devices of a project
        priced = {id(s.price): s.price for s in found}
        place = {number: i for i, number in enumerate(priced)}
        self.names = list(names)
        self.prices = [prices.setdefault(price, price) for price in priced.values()]
        self.device = np.array([names[s.device] for s in found], dtype=np.int64)
        self.quantity = np.array([s.quantity for s in found], dtype=np.int64)
        self.begin = np.array([s.begin for s in found], dtype=np.int64)
        self.end = np.array([s.end for s in found], dtype=np.int64)
        self.price = np.array([place[id(s.price)] for s in found], dtype=np.int32)
        self.by_id: Mapping[str, int] = {}
        self.index = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.begin)

    def base(self, fleet: Fleet) -> Int64:
        """Return the part of each row's key that is its device and quantity."""
        if self.by_id is not fleet.by_id:
            self.by_id = fleet.by_id
            self.index = np.array([self.by_id[name] for name in self.names], dtype=np.int64)
        return (self.index[self.device] * len(QUANTITY_INDEX) + self.quantity) << _SHIFT


class Compiled:
    """
    Segments of projects as they were compiled last.

    A registry of many projects changes a few at a time; whoever compiles version after
    version hands the same one in, and only projects that differ are compiled again.
    """

    def __init__(self) -> None:
        self._factors: object = None
        self._fleet: Fleet | None = None
        self._known: dict[str, tuple[Project, frozenset[str], _Columns]] = {}
        self._prices: dict[_Price, _Price] = {}

    def by(self, factors: object) -> None:
        """Forget everything where factors are other ones than before."""
        if factors != self._factors:
            self._factors = factors
            self._known.clear()
            self._prices.clear()

    def columns(
        self, projects: Iterable[Project], fleet: Fleet, factors: Factors
    ) -> list[_Columns]:
        """Return projects' segments, compiled where one or its devices are not as they were."""
        changed = self._changed(fleet)
        found = []
        for project in projects:
            held = self._known.get(project.id)
            if held is None or held[0] != project or not held[1].isdisjoint(changed):
                columns = _Columns(_priced(project, fleet, factors), self._prices)
                held = (project, frozenset(bound.device for bound in project.devices), columns)
                self._known[project.id] = held
            found.append(held[2])
        self._fleet = fleet
        return found

    def _changed(self, fleet: Fleet) -> set[str]:
        """Ids of devices that are not as they were, that are new, or that are gone."""
        before = self._fleet
        if before is None or fleet is before:
            return set()
        here, there = fleet.unchanged(before)
        rest = fleet.ids(others(len(fleet), here).tolist())
        return {*rest, *before.ids(others(len(before), there).tolist())}


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


def compile_bindings(
    projects: Iterable[Project], fleet: Fleet, factors: Factors, compiled: Compiled | None = None
) -> Bindings:
    """
    Compile the projects of a registry version for `mrv.accounting.account.account`.

    A project of which a quarter hour has no emissions has no rates (`Methodology.by_period`).

    Parameters
    ----------
    projects : iterable of Project
    fleet : Fleet
        Whose indices the interval rows carry.
    factors : Factors
        `mrv.factors.load()`.
    compiled : Compiled, optional
        What earlier versions of the same registry came to.

    Raises
    ------
    MethodologyError
        A project names an unknown methodology, role, device or parameter.
    FactorError
        A year of its crediting period has no factor.
    """
    ordered = sorted(projects, key=lambda p: p.id)
    each = (compiled or Compiled()).columns(ordered, fleet, factors)
    prices = {id(price): price for some in each for price in some.prices}
    priced = sorted(prices.values())
    place = {id(price): i for i, price in enumerate(priced)}
    none = np.empty(0, dtype=np.int64)
    base = np.concatenate([none, *(some.base(fleet) for some in each)])
    begin = base + np.concatenate([none, *(some.begin for some in each)])
    end = base + np.concatenate([none, *(some.end for some in each)])
    sizes = np.array([len(some) for some in each], dtype=np.int64)
    number = np.repeat(np.arange(len(each), dtype=np.int32), sizes)
    source = np.concatenate(
        [
            none,
            *(
                np.array([place[id(p)] for p in some.prices], dtype=np.int64)[some.price]
                for some in each
            ),
        ]
    ).astype(np.int32)
    order = np.lexsort((end, begin))
    return Bindings(
        projects=tuple(p.id for p in ordered),
        sources=tuple(source for source, _ in priced),
        begin=begin[order],
        end=end[order],
        project=number[order],
        source=source[order],
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
        self._factors = within(factors, country_of(project))
        first = local_date(project.from_us, project.timezone).year
        official_grid(methodology, self._parameters, self._factors, first)
        self._known: dict[Any, _Price] = {}

    def of(self, role: str, params: Mapping[str, Any], year: int) -> _Price:
        question = (role, tuple(sorted(params.items())), year)
        if question not in self._known:
            book, _ = bounded(
                self._factors, lambda one: self._unit(role, params, one, year).reduction_t
            )
            ledger = Ledger(book)
            unit = self._unit(role, params, ledger, year)
            source = Source(
                f"{self._methodology.id}@{self._version}", " ".join(f.id for f in ledger.used())
            )
            self._known[question] = (source, _in_ug(unit))
        return self._known[question]

    def _unit(
        self, role: str, params: Mapping[str, Any], factors: Factors, year: int
    ) -> Reductions:
        return unit_reductions(self._methodology, role, params, self._parameters, factors, year)


def _priced(project: Project, fleet: Fleet, factors: Factors) -> list[_Segment]:
    """Return a project's segments; it counts nothing where its country's grid has no factor."""
    try:
        return list(_of_project(project, fleet, factors))
    except CountryFactorError:
        return []


def _of_project(project: Project, fleet: Fleet, factors: Factors) -> Iterator[_Segment]:
    methodology = find(project.methodology, project.version)
    pricing = _Pricing(project, methodology, factors)
    gaining = costed(project, methodology, fleet)
    for bound in project.devices:
        where = f"project {project.id}: device {bound.device}"
        needs = role_needs(methodology, bound, where)
        params = read(needs.params, bound.params, where)
        if bound.device not in fleet.by_id:
            raise MethodologyError(f"{where} is not in the registry; import it first")
        if methodology.by_period:
            continue
        device = fleet.devices[fleet.by_id[bound.device]]
        served = [service_intervals(project, bound, device, needs.side)]
        for first, last in common(served, gaining) if needs.side == "baseline" else served:
            yield from _merged(
                _Segment(
                    bound.device,
                    QUANTITY_INDEX[needs.quantity],
                    begin_us // INTERVAL_US,
                    end_us // INTERVAL_US,
                    pricing.of(bound.role, params, year),
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
        elif segment.price == pending.price:
            pending = replace(pending, end=segment.end)
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
