"""
Emissions of a project's intervals as data arrive, and the deduction per hour of missing data.

For each registry version the counted quantities, times and rates are compiled into sorted arrays,
so that rates of interval rows are found by binary search.  A rate is the project's methodology
evaluated for one base unit of the year.

Rows of an additive methodology are exact.  For others each row is rounded conservatively, as a live
view; the statement is calculated from exact sums.  Gaps and late calibrations are applied when the
period is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Device, Fleet, Int64, IntervalRows, others
from mrv.accounting.coverage import common, costed, role_needs
from mrv.accounting.device_period import highest_rate, limit_of
from mrv.accounting.emission_rows import Bindings, EmissionRows, Source
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, years
from mrv.countries import grid_of
from mrv.errors import CountryFactorError, MethodologyError
from mrv.factors import within
from mrv.factors.ledger import Ledger, bounded
from mrv.methodologies import find, official_grid, reduction, unit_reductions
from mrv.model import Factor, Factors, Methodology, Reductions, RoleNeeds
from mrv.parameters import read
from mrv.registry.project import Project, service_intervals
from mrv.rounding import UG_PER_T, Rates, to_integer

# Interval numbers since the epoch stay below 2**32 for a hundred thousand years.
_SHIFT = 32


class _Rates(NamedTuple):
    """Emissions of one base unit, as the rates of `Bindings`. [ug CO2e]"""

    baseline: Fraction
    emitted: Fraction
    leakage: Fraction
    withheld: Fraction


_Price = tuple[Source, _Rates]


class _Segment(NamedTuple):
    """Time of constant rate of a device; interval numbers since the epoch, end excluded."""

    device: str
    quantity: int
    begin: int
    end: int
    price: _Price


class _Columns:
    """
    Segments of one project as columns, n rows.

    `device` and `price` index `names` and `prices`; `index`: fleet index of each name, calculated
    again for another fleet.
    """

    __slots__ = ("begin", "by_id", "device", "end", "index", "names", "price", "prices", "quantity")

    def __init__(self, result: Sequence[_Segment], prices: dict[_Price, _Price]) -> None:
        names = {name: i for i, name in enumerate(dict.fromkeys(s.device for s in result))}
        # compared by identity, which is fast: devices of a project share one price object
        priced = {id(s.price): s.price for s in result}
        place = {number: i for i, number in enumerate(priced)}
        self.names = list(names)
        self.prices = [prices.setdefault(price, price) for price in priced.values()]
        table = [(names[s.device], s.quantity, s.begin, s.end, place[id(s.price)]) for s in result]
        columns = np.array(table, dtype=np.int64).reshape(-1, 5).T.copy()
        self.device, self.quantity, self.begin, self.end, self.price = columns
        self.by_id: Mapping[str, int] = {}
        self.index = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.begin)

    def base(self, fleet: Fleet) -> Int64:
        """Return the part of each row's key that encodes device and quantity (see `key`)."""
        if self.by_id is not fleet.by_id:
            self.by_id = fleet.by_id
            self.index = np.array([self.by_id[name] for name in self.names], dtype=np.int64)
        return (self.index[self.device] * len(QUANTITY_INDEX) + self.quantity) << _SHIFT


class Compiled:
    """
    Cache of compiled segments by project.

    A new registry version changes few of many projects: only these are compiled again.
    """

    def __init__(self) -> None:
        self._factors: object = None
        self._fleet: Fleet | None = None
        self._known: dict[str, tuple[Project, frozenset[str], _Columns]] = {}
        self._prices: dict[_Price, _Price] = {}

    def by(self, factors: object) -> None:
        """Discard the cache if the factors have changed."""
        if factors != self._factors:
            self._factors = factors
            self._known.clear()
            self._prices.clear()

    def columns(
        self, projects: Iterable[Project], fleet: Fleet, factors: Factors
    ) -> list[_Columns]:
        """Return projects' segments, compiled again where the project or its devices changed."""
        changed = self._changed(fleet)
        result = []
        for project in projects:
            compiled = self._known.get(project.id)
            if compiled is None or compiled[0] != project or not compiled[1].isdisjoint(changed):
                columns = _Columns(_segments_of(project, fleet, factors), self._prices)
                compiled = (project, frozenset(bound.device for bound in project.devices), columns)
                self._known[project.id] = compiled
            result.append(compiled[2])
        self._fleet = fleet
        return result

    def _changed(self, fleet: Fleet) -> set[str]:
        before = self._fleet
        if before is None or fleet is before:
            return set()
        here, there = fleet.unchanged(before)
        rest = fleet.ids(others(len(fleet), here).tolist())
        return {*rest, *before.ids(others(len(before), there).tolist())}


def key(device: Int64, quantity: Int64, start_us: Int64) -> Int64:
    """Return sortable keys of rows: device, quantity, then interval."""
    return ((device * len(QUANTITY_INDEX) + quantity) << _SHIFT) + start_us // INTERVAL_US


def segments(bindings: Bindings) -> Iterator[tuple[int, int, int, int, Source]]:
    """Yield each segment: project, device, start and end [us UTC], source."""
    mask = (1 << _SHIFT) - 1
    for i, (begin, end) in enumerate(
        zip(bindings.begin.tolist(), bindings.end.tolist(), strict=True)
    ):
        yield (
            int(bindings.project[i]),
            (begin >> _SHIFT) // len(QUANTITY_INDEX),
            (begin & mask) * INTERVAL_US,
            # the end is calculated from the begin, as it may be the first interval after the
            # segment
            (begin & mask) * INTERVAL_US + (end - begin) * INTERVAL_US,
            bindings.sources[bindings.source[i]],
        )


def compile_bindings(
    projects: Iterable[Project], fleet: Fleet, factors: Factors, compiled: Compiled | None = None
) -> Bindings:
    """
    Return the bindings of a registry version's projects for `account`.

    A project whose emissions can only be calculated for a whole period (`Methodology.by_period`)
    has no rates.

    `fleet`: fleet with the indices of the interval rows.
    `factors`: `mrv.factors.load()`.
    `compiled`: cache of earlier versions of the registry.
    Raises MethodologyError if a project names an unknown methodology, role, device or parameter,
    and FactorError if a year of its crediting period has no factor.
    """
    ordered = sorted(projects, key=lambda p: p.id)
    each = (compiled or Compiled()).columns(ordered, fleet, factors)
    prices = {id(price): price for columns in each for price in columns.prices}
    priced = sorted(prices.values())
    place = {id(price): i for i, price in enumerate(priced)}
    none = np.empty(0, dtype=np.int64)
    base, begin, end, source = (
        np.concatenate([none, *parts])
        for parts in (
            [columns.base(fleet) for columns in each],
            [columns.begin for columns in each],
            [columns.end for columns in each],
            [
                np.array([place[id(p)] for p in columns.prices])[columns.price]
                for columns in each
                if columns
            ],
        )
    )
    begin, end = base + begin, base + end
    number = np.repeat(np.arange(len(each), dtype=np.int32), [len(columns) for columns in each])
    order = np.lexsort((end, begin))
    return Bindings(
        projects=tuple(p.id for p in ordered),
        sources=tuple(source for source, _ in priced),
        begin=begin[order],
        end=end[order],
        project=number[order],
        source=source[order].astype(np.int32),
        **{name: Rates([getattr(of, name) for _, of in priced]) for name in _Rates._fields},
    )


class _Pricing:
    """Emissions of one base unit of a project, by its most conservative factors."""

    def __init__(self, project: Project, methodology: Methodology, factors: Factors) -> None:
        self.methodology = methodology
        where = f"project {project.id}: parameters"
        self.parameters = parameters_of(methodology, project.parameters, where)
        self.factors = within(factors, grid_of(project))

    def unit(
        self, role: str, params: Mapping[str, Any], year: int
    ) -> tuple[Reductions, list[Factor]]:
        """Return the emissions of a base unit of a role, and their factors."""
        of = self.methodology, role, params, self.parameters
        book, _ = bounded(
            self.factors, lambda factors: unit_reductions(*of, factors, year).reduction_t
        )
        ledger = Ledger(book)
        return unit_reductions(*of, ledger, year), ledger.used()


def _segments_of(project: Project, fleet: Fleet, factors: Factors) -> list[_Segment]:
    """Return a project's segments; none if its country's grid has no factor."""
    try:
        return list(_of_project(project, fleet, factors))
    except CountryFactorError:
        return []


def _of_project(project: Project, fleet: Fleet, factors: Factors) -> Iterator[_Segment]:
    methodology, zone = find(project.methodology, project.version), project.timezone
    pricing = _Pricing(project, methodology, factors)
    begin_year = local_date(project.from_us, zone).year
    official_grid(methodology, pricing.parameters, pricing.factors, begin_year)
    gaining = costed(project, methodology, fleet)
    prices: dict[Any, _Price] = {}
    for bound in project.devices:
        where = f"project {project.id}: device {bound.device}"
        needs = role_needs(methodology, bound, where)
        params = read(needs.params, bound.params, where)
        if bound.device not in fleet.by_id:
            raise MethodologyError(f"{where} is not in the registry; import it first")
        if methodology.by_period:
            continue
        device, quantity = fleet.devices[fleet.by_id[bound.device]], QUANTITY_INDEX[needs.quantity]
        served = [service_intervals(project, bound, device, needs.side)]
        for first, last in common(served, gaining) if needs.side == "baseline" else served:
            result: list[_Segment] = []
            for year, *span_us in years(first * INTERVAL_US, last * INTERVAL_US, zone):
                begin, end = (us // INTERVAL_US for us in span_us)
                question = (bound.role, tuple(sorted(params.items())), year)
                if question not in prices:
                    unit, used = pricing.unit(bound.role, params, year)
                    ids = " ".join(factor.id for factor in used)
                    source = Source(f"{methodology.id}@{project.version}", ids)
                    prices[question] = source, _in_ug(unit)
                # years with the same rate form one segment
                if result and result[-1].price == prices[question]:
                    begin = result.pop().begin
                result.append(_Segment(bound.device, quantity, begin, end, prices[question]))
            yield from result


def _in_ug(unit: Reductions) -> _Rates:
    """
    Return the emissions of a unit, and the methodology's deductions from it. [ug CO2e]

    A cap that depends on another device's quantity applies only when the period is closed.
    """
    sides = (unit.baseline_t, unit.project_t, unit.leakage_t)
    withheld = reduction(*sides) - unit.reduction_t if unit.reduction_t > 0 else Fraction(0)
    return _Rates(*(side * UG_PER_T for side in (*sides, withheld)))


def account(rows: IntervalRows, bindings: Bindings) -> EmissionRows:
    """
    Return the emissions of interval rows; rows of devices without a project are omitted.

    Parameters
    ----------
    rows : IntervalRows, n
        Values not negative, [Wh, m, ...]; any order.
    bindings : Bindings
        Compiled for the fleet of `rows`.

    Returns
    -------
    EmissionRows, at most n, in the order of `rows`
    """
    row = segment = np.empty(0, dtype=np.int64)
    if len(bindings.begin) and len(rows):
        wanted = key(rows.device.astype(np.int64), rows.quantity.astype(np.int64), rows.start_us)
        at = np.searchsorted(bindings.begin, wanted, side="right") - 1
        row = np.flatnonzero((at >= 0) & (wanted < bindings.end[at]))
        segment = at[row]
    value, source = rows.value[row], bindings.source[segment]

    def scaled(rates: Rates, mode: Literal["down", "up"]) -> Int64:
        return rates.apply(value, source, mode) if rates.any else np.zeros(len(value), np.int64)

    baseline, project = scaled(bindings.baseline, "down"), scaled(bindings.emitted, "up")
    leakage, withheld = scaled(bindings.leakage, "up"), scaled(bindings.withheld, "up")
    return EmissionRows(
        project=bindings.project[segment],
        device=rows.device[row],
        start_us=rows.start_us[row],
        baseline_ug=baseline,
        project_ug=project,
        leakage_ug=leakage,
        reduction_ug=reduction(baseline, project, leakage) - withheld,
        source=source,
    )


# --- missing data -------------------------------------------------------------------------


_Side = Literal["baseline", "project", "both"]


class SilenceRate(NamedTuple):
    """
    Deduction for an hour without data of a device. [ug CO2e/h]

    `ug_per_h` is rounded up; None for a device of the baseline side only, or without limit.
    """

    device: str
    role: str
    side: _Side
    ug_per_h: int | None


class Seen(NamedTuple):
    """Highest rated power so far [W], and the largest stored interval by quantity [base units]."""

    rated_w: int | None
    largest: Mapping[str, int]


def silence_rates(
    project: Project, fleet: Fleet, seen: Mapping[str, Seen], factors: Factors, year: int
) -> Iterator[SilenceRate]:
    """
    Yield the deduction per hour without data of each device, at a year's factors.

    A baseline meter without data is counted as 0; `services` estimates that loss from its earlier
    data.  A meter on the project side is charged at its highest plausible rate, as for a gap of a
    closed period.

    `seen`: largest intervals of devices whose class has no limit; others may be omitted.
    `factors`: `mrv.factors.load()`.
    `year`: local calendar year.
    Raises MethodologyError or FactorError as raised for the methodology's parameters and factors.
    """
    methodology = find(project.methodology, project.version)
    pricing = _Pricing(project, methodology, factors)
    for bound in project.devices:
        named = f"project {project.id}: device {bound.device}"
        needs = role_needs(methodology, bound, named)
        side: _Side = needs.side if needs.costs is None else "both"
        hourly = None
        if side != "baseline":
            device = fleet.devices[fleet.by_id[bound.device]]
            unit, _ = pricing.unit(bound.role, read(needs.params, bound.params, named), year)
            # a unit on both sides is charged with its project emissions less its baseline emissions
            price = unit.project_t if side == "project" else max(Fraction(0), -unit.reduction_t)
            maximum = _highest(device, needs, seen.get(bound.device, Seen(None, {})))
            hourly = None if maximum is None else to_integer(maximum * price * UG_PER_T, "up")
        yield SilenceRate(bound.device, bound.role, side, hourly)


def _highest(device: Device, needs: RoleNeeds, seen: Seen) -> Fraction | None:
    """
    Return the highest plausible rate of a device's quantity. [base units/h]

    The same rate applies in gaps of a closed period.  A later, lower rated power does not lower it.
    """
    rated = seen.rated_w if needs.unit == "Wh" else None
    known = [needs.costs, limit_of(device, needs.quantity), rated]
    result = [Fraction(value) for value in known if value is not None]
    largest = 0 if result else seen.largest.get(needs.quantity, 0)
    return max(result, default=highest_rate(device, needs.quantity, largest))
