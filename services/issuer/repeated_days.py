"""
Meters with the same daily sums as another meter, or as an earlier time.

`same_series` compares 15-minute intervals.  A copy on another time grid, shifted by hours, reversed
or with added noise still has the same daily sums, and so does a repeated earlier time.  Daily sums
of real meters vary with the weather, so agreeing days count only if they vary.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ingest.model import Int64
from mrv.accounting.twin_series import agreeing
from mrv.calendar import local_date
from services.issuer.same_series import UNREPEATED, Agreeing, Copy, Energy, Same
from services.store.timeseries.measured_energy import day_sums

# minimum share of a meter's days that must agree, and minimum number of days
SHARE, LEAST = 0.7, 10
# minimum share of days sorted by size that must agree, and maximum shift of their positions
_BY_SIZE, _PLACES = 0.55, 3
# days compared first, and how many of them must agree for a full comparison
_SAMPLE_DAYS, _LEAST_SAMPLE_DAYS = 16, 6
# agreeing days must vary: their 90th percentile exceeds the 10th by 12.5 levels, and they have 6
# levels of 2 %; an engine with a weekly schedule has one or two
_VARIED, _LEVELS, _LEVEL = 12.5, 6, 0.02
# minimum daily sum in steps of the register: equal days are common for small plants that count
# whole kilowatt hours
_STEPS = 300
# maximum relative difference of daily ratios: of neighbouring meters, of meters elsewhere, of
# another time
_NEIGHBOURS, _DISTANT, _EARLIER = 1e-4, 2.5e-3, 5e-3
# second pass for a meter's own past: a narrower tolerance of ratios, with finer levels
_REPEATED, _FINE = 2e-4, 2e-3
# maximum distance of neighbouring meters: about a kilometre [degrees]
_NEIGHBOUR_DEG = 0.01
# number of earlier days compared, of a meter itself and of others
_OWN_BACK = 800
_OTHERS_BACK = (364, 365, 366)
# maximum number of compared days, and of other projects' devices per query
_MAX_DAYS, _DEVICES_PER_QUERY = 62, 2_000
_OWN_PER_QUERY = 50


@dataclass(frozen=True, slots=True)
class MeterDays:
    """Meters of one quantity, the local days of a period, and the mask of compared days."""

    energy: Energy
    names: Sequence[str]
    quantity: str
    first: date
    end: date
    days: NDArray[np.intp]
    # indices of meters that are copies already
    done: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, energy: Energy, quantity: str, names: Sequence[str]) -> MeterDays:
        """Return a project's meters of one quantity with the days of its period."""
        begin_us, end_us = energy.span_us
        first, last = (local_date(us, energy.project.timezone) for us in (begin_us, end_us - 1))
        count = (last - first).days + 1
        days = np.unique(np.linspace(0, count - 1, _MAX_DAYS).round().astype(np.intp))
        return cls(energy, names, quantity, first, last + timedelta(days=1), days)

    def sums(self, devices: Sequence[str], back: Sequence[int]) -> Int64:
        """
        Return daily sums at each lag before the period. [base unit; device x lag x day]
        `back`: lags. [days]
        """
        far, near = max(back), min(back)
        edges = (self.first - timedelta(days=far), self.end - timedelta(days=near))
        sums = day_sums(self.energy.conn, devices, self.quantity, *edges)
        return sums[:, far - np.asarray(back)[:, None] + self.days]

    def places(self, devices: Sequence[str]) -> NDArray[np.float64]:
        """Return latitude and longitude of devices. [devices x 2, degrees]"""
        registry = self.energy.registry
        # stored in variables, as the properties build new mappings at each access
        every, known = registry.devices, registry.sites
        sites = [known[every[name].site] for name in devices]
        return np.array([(s.latitude, s.longitude) for s in sites]).reshape(len(sites), 2)


def repeated_elsewhere(energy: Energy, same: Same) -> list[Copy]:
    """
    Return meters whose days repeat those of other meters or earlier times.

    Memory: about 100 MB for a thousand devices; it does not grow with other projects.

    `same`: result of comparing 15-minute intervals.
    """
    copies, excluded = list[Copy](), same.excluded()
    of_energy = dict(energy.meters())
    for quantity, names in energy.meters(UNREPEATED):
        at = MeterDays.of(energy, quantity, names)
        own = at.sums(names, [0])[:, 0]
        if np.count_nonzero(own, axis=1).max() < LEAST:
            continue
        # quantities that do not depend on weather (distance, water, mass) are compared only with
        # the meter's own past
        for copy in chain(_earlier(at, own), _of_others(at, own) if quantity in of_energy else ()):
            name, other = copy.device, copy.other
            if copy.equal:
                now = copy.project is not None and not copy.days_before
                if now and not energy.is_second(name, other):
                    continue
                at.done.add(names.index(name))
                if name not in excluded:
                    excluded.add(name)
                    copies.append(copy._replace(excluded=True))
            elif name not in same.excluded() and (
                copy.days_before or not {(name, other), (other, name)} & same.pairs
            ):
                copies.append(copy)
    return copies


class Others(NamedTuple):
    """
    Meters to compare with the project's meters.

    `names`, `sums`: their ids, and daily sums.  `pairs`: mask of the pairs to compare (project's
    meter, other meter).  `projects`: project of each meter; empty for the project's own meters.
    """

    names: Sequence[str]
    sums: Int64
    pairs: NDArray[np.bool_]
    projects: Mapping[str, str]


def groups(at: MeterDays, own: Int64) -> Iterator[Others]:
    """Yield the project's own meters, then groups of other projects' meters."""
    inside = np.triu(np.ones((len(own), len(own)), dtype=np.bool_), 1)
    yield Others(at.names, own, inside, {})
    beside = at.energy.others(at.quantity, at.names)
    every = sorted(beside)
    for begin in range(0, len(every), _DEVICES_PER_QUERY):
        subset = every[begin : begin + _DEVICES_PER_QUERY]
        pairs = np.ones((len(own), len(subset)), dtype=np.bool_)
        yield Others(subset, at.sums(subset, [0])[:, 0], pairs, beside)


def copy_of(at: MeterDays, others: Others, i: int, j: int, days: Agreeing, *, equal: bool) -> Copy:
    """Return a pair of meters as a copy; of two meters of the project, the later is the copy."""
    name, other = at.names[i], others.names[j]
    if not others.projects and not at.energy.registered_later(name, other):
        return Copy(other, name, None, equal, by_day=days._replace(ratio=1 / days.ratio))
    return Copy(name, other, others.projects.get(other), equal, by_day=days)


def _earlier(at: MeterDays, own: Int64) -> Iterator[Copy]:
    """Yield meters that repeat their own earlier series."""
    back = range(1, _OWN_BACK + 1)
    for begin in range(0, len(at.names), _OWN_PER_QUERY):
        subset = at.names[begin : begin + _OWN_PER_QUERY]
        for i, (name, sums) in enumerate(zip(subset, at.sums(subset, back), strict=True), begin):
            # days like the one before them are one step of a register that is read rarely
            varied = np.where(np.abs(own[i] - sums[0]) > _EARLIER * own[i], own[i], 0)
            for nearly, level in ((_EARLIER, _LEVEL), (_REPEATED, _FINE)):
                again = list(repeated_days(varied[None], sums[None], nearly, level=level))
                yield from (
                    Copy(name, name, None, r.equal, days_before=back[r.time], by_day=r.by_day)
                    for r in again
                )
                if again:
                    break


def _of_others(at: MeterDays, own: Int64) -> Iterator[Copy]:
    """Yield copies of other meters' days, or of other projects' days a year earlier."""
    for others in groups(at, own):
        for repeat in _same_days(at, own, others):
            yield copy_of(at, others, repeat.first, repeat.other, repeat.by_day, equal=repeat.equal)
        if not others.projects:
            continue
        earlier = at.sums(others.names, _OTHERS_BACK)
        for repeat in repeated_days(own, earlier, _EARLIER, done=at.done):
            copy = copy_of(
                at, others, repeat.first, repeat.other, repeat.by_day, equal=repeat.equal
            )
            yield copy._replace(days_before=_OTHERS_BACK[repeat.time])


def _same_days(at: MeterDays, own: Int64, others: Others) -> Iterator[Repeated]:
    """Yield pairs with equal days; for neighbours the tolerance is narrower."""
    places = [at.places(devices) for devices in (at.names, others.names)]
    near = (np.abs(places[0][:, None] - places[1]) <= _NEIGHBOUR_DEG).all(axis=2)
    sums = others.sums[:, None]
    yield from repeated_days(own, sums, _NEIGHBOURS, others.pairs & near, at.done)
    yield from repeated_days(own, sums, _DISTANT, others.pairs & ~near, at.done)


class Repeated(NamedTuple):
    """
    Pair of meters with agreeing days: number of known and agreeing days, and their ratio.

    `time`: index of the other meter's lag.  `equal`: the agreeing days are identical to the base
    unit.
    """

    first: int
    other: int
    time: int
    days: int
    known: int
    ratio: float
    equal: bool

    @property
    def by_day(self) -> Agreeing:
        """Return the agreement of the days, with the ratio of the first meter to the other."""
        return Agreeing(self.days, self.known, 1 / self.ratio)


def repeated_days(
    own: Int64,
    others: Int64,
    nearly: float,
    pairs: NDArray[np.bool_] | None = None,
    done: Collection[int] = (),
    level: float = _LEVEL,
) -> Iterator[Repeated]:
    """
    Yield meters whose daily sums have a constant ratio to those of others.

    Parameters
    ----------
    own : int64 array, n x days
        Daily sums of n meters; 0 without data. [base units]
    others : int64 array, m x times x days
        Sums of as many days of m meters, at one or several times.
    nearly : float
        Relative tolerance of equal ratios. [1]
    pairs : bool array, n x m, optional
        Pairs to compare; all by default.
    done : collection of int
        Indices of meters to skip; the caller may add to it between results.
    level : float
        Relative difference above which two days count as different. [1]
    """
    if pairs is not None and not pairs.any():
        return
    subset = np.unique(np.linspace(0, own.shape[1] - 1, _SAMPLE_DAYS).round().astype(np.intp))
    need = _needed(own[:, subset], _LEAST_SAMPLE_DAYS)
    for i, j in agreeing(own[:, subset], others[:, :, subset], need, nearly):
        if i in done or (pairs is not None and not pairs[i, j]):
            continue
        for time in range(others.shape[1]):
            result = _repeats(own[i], others[j, time], nearly, level)
            if result is not None:
                yield Repeated(i, j, time, *result)
                break


def near_days(own: Int64, others: Int64, nearly: float) -> NDArray[np.bool_]:
    """
    Return a mask of meters with a constant ratio on a share of a sample of days. [n x m]

    Parameters
    ----------
    own, others : int64 arrays, n x days and m x days
        Daily sums; 0 without data. [base units]
    nearly : float
        Relative tolerance of ratios. [1]
    """
    subset = np.unique(np.linspace(0, own.shape[1] - 1, _SAMPLE_DAYS).round().astype(np.intp))
    need = _needed(own[:, subset], _LEAST_SAMPLE_DAYS)
    return _mask(own[:, subset], others[:, None, subset], need, nearly)


def near_in_any_order(own: Int64, others: Int64, nearly: float) -> NDArray[np.bool_]:
    """
    Return a mask of meters whose days, sorted by size, have a constant ratio. [n x m]

    Parameters as for `near_days`.

    Missing days of one meter shift the sorted days of the other by some positions.
    """
    ordered, there = (-np.sort(-table, axis=1) for table in (own, others))
    moved = sliding_window_view(np.pad(there, ((0, 0), (_PLACES, _PLACES))), own.shape[1], axis=1)
    return _mask(ordered, moved, _needed(ordered, _LEAST_SAMPLE_DAYS, _BY_SIZE), nearly)


def _mask(own: Int64, others: Int64, need: Int64, nearly: float) -> NDArray[np.bool_]:
    result = np.zeros((len(own), len(others)), dtype=np.bool_)
    for i, j in agreeing(own, others, need, nearly):
        result[i, j] = True
    return result


def _needed(own: Int64, least: int, share: float = SHARE) -> Int64:
    """
    Return how many days of each meter must have the same ratio. [int64 array, n]

    That is `share` of its days with data, but at least `least` days.
    """
    many = np.ceil(share * np.count_nonzero(own > 0, axis=1)).astype(np.int64)
    needed: Int64 = np.maximum(many, least)
    return needed


def _repeats(
    item: Int64, other: Int64, nearly: float, level: float
) -> tuple[int, int, float, bool] | None:
    """
    Return the numbers of agreeing and known days, the ratio, and whether the days are equal.

    None if too few days agree, or the meter varies too little for a comparison.

    `item`, `other`: daily sums of a meter and of another one; 0 without data. [base units]
    """
    need = int(_needed(item[None], LEAST)[0])
    both = np.flatnonzero((item > 0) & (other > 0))
    if len(both) < need:
        return None
    ratios: NDArray[np.float64] = other[both] / item[both]
    ordered = np.sort(ratios)
    counts = np.searchsorted(ordered, ordered * (1 + nearly), side="right") - np.arange(len(both))
    low = ordered[np.argmax(counts)]
    agree = both[(ratios >= low) & (ratios <= low * (1 + nearly))]
    if len(agree) < need:
        return None
    poor, good = np.quantile(item[agree], [0.1, 0.9])
    if good < poor * (1 + _VARIED * level) or poor < _STEPS * np.gcd.reduce(item[agree]):
        return None
    if len(np.unique(np.log(item[agree]) // level)) < _LEVELS:
        return None
    ratio = float(np.median(other[agree] / item[agree]))
    known = int(np.count_nonzero(item > 0))
    return len(agree), known, ratio, bool((item[agree] == other[agree]).all())
