"""
Copies of a meter's series in disguise: with its days in another order, or with noise laid over it.

Days in another order have the same sums.  Sums of two real meters that differ from day to day do
not agree to a ten thousandth, in whatever order they are put.

Noise that is laid over a copy is the same in each quarter hour, in relation to its value: it does
not know the weather.  Neighbours differ little for hours and then by much, where a cloud or a gust
reaches one of them first.  Of the relative differences of two meters the largest twentieth begins
at 2.9 times the median where they are normal noise, and at less where the noise is even.  It begins
at 4.0 times or more for all 233 pairs of real inverters that differ by less than nine per cent
(22 of a plant in India, 34 days of 2020, Kaggle "Solar Power Generation Data"; two pairs of a roof
in La Reunion, 15 days of 2022, TwInSolar), and turbines side by side differ by 14 % and more (La
Haute Borne, four turbines, 2014 and 2015, ENGIE).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int32, Int64
from mrv.accounting.twin_series import agreeing

# sums that have to agree in any order: how many, which part of them, how nearly
LEAST_DAYS, _ORDER_SHARE, _EXACTLY = 14, 0.9, 1e-4
# of sums by size: how many are looked at, how many of them agree, and how many places apart
_RANKS, _RANKS_AGREE, _PLACES = 8, 4, 2
# sums that differ by this part are two; steps of a register in a day
_DISTINCT, _STEPS = 5e-4, 300
# part of the largest value from which on values are compared, and how many are enough
_LARGE, _ENOUGH = 0.1, 480
# noise of a copy: its least and its most, the beginning of its largest twentieth in medians, how
# one difference may go with the next one, and how much more the meter itself varies
_QUIET, _LOUD, _TAIL, _NEXT, _OWN = 2.5e-3, 0.08, 3.5, 0.15, 1.5
# the median of the differences of normal noise is this part of its deviation
_MEDIAN = 0.6745
# quarter hours that are looked at first, and how much wider the limits are there
_LOOKED_AT, _WIDER = 300, 1.3
_DAY = 96
# quarter hours that are taken together, as meters are read
_TOGETHER = (1, 2, 4)


class Shuffled(NamedTuple):
    """Two meters, how many of the known days agree in another order, the ratio, whether equal."""

    one: int
    other: int
    days: int
    known: int
    ratio: float
    equal: bool


def shuffled(own: Int64, others: Int64, pairs: NDArray[np.bool_]) -> Iterator[Shuffled]:
    """
    Find meters whose sums of days are those of others in whatever order, but for a scale.

    Parameters
    ----------
    own, others : int64 arrays, n x days and m x days
        Sums of days; 0 where nothing was measured. [base unit]
    pairs : bool array, n x m
        Which of them are compared.
    """
    days = own.shape[1]
    if days < LEAST_DAYS:
        return
    ranks = np.linspace(_PLACES, days - 1 - _PLACES, _RANKS).round().astype(np.intp)
    moved = np.arange(-_PLACES, _PLACES + 1)[:, None] + ranks
    ordered, there = (-np.sort(-table, axis=1) for table in (own, others))
    need = np.where([_telling(row) for row in ordered], _RANKS_AGREE, 0)
    for i, j in agreeing(ordered[:, ranks], there[:, moved], need, _EXACTLY):
        found = _same_sums(ordered[i], there[j]) if pairs[i, j] else None
        if found is not None:
            yield Shuffled(i, j, *found)


def _telling(ordered: Int64) -> bool:
    """Say whether sums, in order, differ so that equal ones mean something."""
    some = ordered[ordered > 0]
    if len(some) < LEAST_DAYS or some[-1] < _STEPS * np.gcd.reduce(some):
        return False
    return bool(np.count_nonzero(-np.diff(some) > _DISTINCT * some[:-1]) >= LEAST_DAYS - 1)


def _same_sums(one: Int64, other: Int64) -> tuple[int, int, float, bool] | None:
    """How many of the known sums agree, and by which ratio; None where too few do."""
    first, second = one[one > 0], other[other > 0]
    need = max(LEAST_DAYS, int(np.ceil(_ORDER_SHARE * len(first))))
    if len(second) < need:
        return None
    ratios = np.sort((second / first[:, None]).reshape(-1))
    counts = np.searchsorted(ratios, ratios * (1 + _EXACTLY), side="right") - np.arange(len(ratios))
    best = int(np.argmax(counts))
    ratio = float(np.median(ratios[best : best + counts[best]]))
    pairs = _matched(first * ratio, second)
    agree = first[[i for i, _ in pairs]]
    if len(pairs) < need or not _telling(agree):
        return None
    equal = all(first[i] == second[j] for i, j in pairs)
    return len(pairs), len(first), ratio, equal


def _matched(first: NDArray[np.float64], second: Int64) -> list[tuple[int, int]]:
    """Pairs of two descending lists that agree, each value once."""
    found, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        room = max(_EXACTLY * first[i], 1)
        if abs(first[i] - second[j]) <= room:
            found.append((i, j))
            i, j = i + 1, j + 1
        elif first[i] > second[j]:
            i += 1
        else:
            j += 1
    return found


class Noise(NamedTuple):
    """How many times the first the second is, and by which part they differ evenly."""

    ratio: float
    deviation: float


def noisy(one: Int32, other: Int32) -> Noise | None:
    """
    Say whether one series is another one under noise.

    The differences have to be even, and none may go with the next one; and the series have to vary
    by more than that beyond what they do at the same time of each day.

    Parameters
    ----------
    one, other : int32 array, n
        Quantity of each quarter hour of whole days, of two meters of one quantity. [base units]
    """
    for together in _TOGETHER:
        first, second = (
            values.reshape(-1, _DAY // together, together).sum(axis=2, dtype=np.float64)
            for values in (one, other)
        )
        large = (first > _LARGE * first.max()) & (second > 0)
        if np.count_nonzero(large) < _ENOUGH:
            return None
        off = np.full(first.shape, np.nan)
        off[large] = np.log(second[large] / first[large])
        middle = float(np.median(off[large]))
        off -= middle
        deviation = even(off[large])
        if deviation is not None and _unlinked(off, deviation):
            own = np.where(large, np.log(np.where(large, first, 1)), np.nan)
            if _varies(own, large) >= _OWN * deviation:
                return Noise(float(np.exp(middle)), deviation)
    return None


def likely_noisy(one: Int32, others: Int32) -> NDArray[np.bool_]:
    """
    Say which series may be another one under noise, by some of its quarter hours.

    Parameters
    ----------
    one : int32 array, k
        Quantity of each quarter hour. [base units]
    others : int32 array, m x k
        Quantities of m other meters. [base units]
    """
    at = np.flatnonzero(one > _LARGE * one.max(initial=0))
    if len(at) < _ENOUGH // max(_TOGETHER):
        return np.zeros(len(others), dtype=np.bool_)
    # of all values, so that nobody can leave the noise out where it is looked at
    chosen = np.random.default_rng(crc32(one.tobytes()))
    at = np.sort(chosen.choice(at, min(len(at), _LOOKED_AT), replace=False))
    with np.errstate(divide="ignore"):
        off = np.log(others[:, at] / one[at])
    off[~np.isfinite(off)] = np.log(np.finfo(np.float64).tiny)
    size = np.abs(off - np.median(off, axis=1)[:, None])
    middle, most = np.quantile(size, [0.5, 0.95], axis=1)
    found: NDArray[np.bool_] = (middle <= _WIDER * _MEDIAN * _LOUD) & (
        most <= _WIDER * _TAIL * middle
    )
    return found


def even(off: NDArray[np.float64]) -> float | None:
    """Return the deviation of relative differences that are even; None where they are not."""
    size = np.abs(off)
    middle, most = np.quantile(size, [0.5, 0.95])
    deviation = float(middle) / _MEDIAN
    return deviation if _QUIET <= deviation <= _LOUD and most <= _TAIL * middle else None


def _unlinked(off: NDArray[np.float64], deviation: float) -> bool:
    """Say whether no difference goes with the next one."""
    off = np.clip(off, -3 * deviation, 3 * deviation)
    first, second = off[:, :-1], off[:, 1:]
    both = ~(np.isnan(first) | np.isnan(second))
    if np.count_nonzero(both) < _ENOUGH // 2:
        return False
    return bool(abs(np.corrcoef(first[both], second[both])[0, 1]) <= _NEXT)


def _varies(own: NDArray[np.float64], large: NDArray[np.bool_]) -> float:
    """By which part a series differs from what it is at the same time of other days."""
    held = own[:, large.any(axis=0)]
    off = held - np.nanmedian(held, axis=0)
    return float(np.nanmedian(np.abs(off))) / _MEDIAN
