"""
Detection of identical or proportional series of two meters: one meter with two ids, or a copy.

Two real meters side by side differ in every interval by more than their resolution. Series that are
equal, or proportional except for little noise or a few intervals, are copies.  Example: NREL's
record of a roof of 207 kW (PVDAQ, RSF II, five days of 2022).  One inverter differs from its share
of the roof by at most half a percent in 5 % of the intervals, and by at most two percent in 16 %.
Its DC side differs from its AC side by at most two percent in 28 %.

For many meters, such as a project's against a city's, a sample of intervals is compared first
(`agreeing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int32, Int64

Series = Int32 | Int64
# units whose series are compared; hours are not, as all lamps of a street have the same
MEASURED = ("Wh", "mL", "m", "g")
# maximum lag between two series [intervals]
LAGS = 4
# number of meters above which only series that are equal throughout are detected
MANY = 200
# minimum number of intervals with a quantity: a day
MIN_VALUES = 96
# the same minimum for two meters with different service times
FEW = 24
# minimum number of equal intervals that is significant for values of coarse resolution
_SURE = 2 * MIN_VALUES
# sample for likely pairs: intervals, tolerance, share within it, minimum number of intervals
_LOOKED_AT, _LIKELY, _LIKELY_SHARE, _TOO_FEW = 64, 0.03, 0.6, 12
# value from which a difference of one unit is due to rounding
_ROUNDED = 100
_SAME_SHARE = 0.95
_CORRELATED = 0.9999
# minimum correlation of series that differ by one or two percent
_CORRELATED_INSIDE = 0.9995
# tolerance of the intervals of a copy
NEARLY = 5e-3
# tolerance within a project, where the finding is a clarification request without deduction
NEARLY_INSIDE = 2e-2
_CONSTANT = 1e-12
# intervals that differ by more than this share do not determine the scale of a copy
_ROUGHLY = 0.02
# maximum clock error of a copy [intervals], and minimum common share of the series
FAR_LAGS = 8
_COVERED = 0.5
# equal values are significant only if the series varies by this share of its mean, and if no value
# is more frequent than this (a small plant's register of whole kilowatt hours repeats values)
_VARIED, _COMMON = 0.02, 0.2
# number of series compared together, and of ratios of an interval: sizes that fit in the cache
_AT_ONCE, _RATIOS = 16, 16_384
# share of equal intervals below which comparing neighbouring intervals excludes too few pairs
_FEW_PAIRS = 0.25
# error of a difference of two logarithms in single precision
_SINGLE = 2e-5


class Twins(NamedTuple):
    """Pair of copied series, the lag of the second one [intervals], and whether they are equal."""

    first: int
    other: int
    lag: int
    equal: bool


def twins(series: Sequence[Series], nearly: float = NEARLY) -> Iterator[Twins]:
    """
    Yield pairs of proportional or identical series.

    Parameters
    ----------
    series : sequence of integer array, n each
        Quantity of each interval of the period, of meters of one quantity. [base units]
    nearly : float
        Permitted relative difference of intervals. [1]
    """
    moved = [i for i, s in enumerate(series) if np.count_nonzero(s) >= MIN_VALUES]
    if len(moved) > MANY:
        first: dict[bytes, int] = {}
        for i in moved:
            value = first.setdefault(sha256(series[i].tobytes()).digest(), i)
            if value != i:
                yield Twins(value, i, 0, True)
        return
    if len(moved) < 2:  # noqa: PLR2004 - a pair
        return
    least = _CORRELATED_INSIDE if nearly > NEARLY else _CORRELATED
    table = np.array([series[i] for i in moved], dtype=np.float64)
    remaining = np.triu(np.ones((len(moved), len(moved)), dtype=np.bool_), 1)
    for lag in range(-LAGS, LAGS + 1):
        if not remaining.any():
            return
        before, after = _shifted(table, lag)
        result = _correlated(before, after, least) & remaining
        for i in np.flatnonzero(result.any(axis=1)).tolist():
            for j, kind in _kinds(before[i], after, np.flatnonzero(result[i]), nearly):
                remaining[i, j] = False
                yield Twins(moved[i], moved[j], lag, kind)


def twins_between(
    subset: Sequence[Series], others: Sequence[Series], *, closely: bool = True
) -> Iterator[Twins]:
    """
    Yield pairs of proportional or identical series, one of each group.

    Also yields series that are equal in all intervals in which both metered a quantity.  A series
    of less than two days has to vary, and its copy may differ by half a percent.

    Parameters
    ----------
    subset, others : sequence of integer array, n each
        Quantity of each interval of the time in which both groups are installed. [base units]
    closely : bool
        Whether each pair is compared; else only those that are equal throughout.
    """
    if not closely:
        known = {
            entry.tobytes(): i
            for i, entry in reversed(list(enumerate(subset)))
            if np.count_nonzero(entry) >= FEW and _telling(entry[entry > 0])
        }
        for j, other in enumerate(others):
            if (same := known.get(other.tobytes())) is not None:
                yield Twins(same, j, 0, True)
        return
    table, there = (np.array(group, dtype=np.int64) for group in (subset, others))
    # seeded by all values, so that a forger cannot place noise on the compared intervals
    chosen = np.random.default_rng(crc32(there.tobytes(), crc32(table.tobytes())))
    for i, item in enumerate(table):
        result = set[int]()
        for j, lag in _likely(item, there, chosen):
            kind = None if j in result else _moves(item, there[j], lag)
            if kind is not None:
                result.add(j)
                yield Twins(i, j, lag, kind)


def _likely(own: Int64, others: Int64, chosen: np.random.Generator) -> list[tuple[int, int]]:
    """
    Return (index in `others`, lag) of series that may be copies, smallest lag first. [intervals]

    A sample of intervals is compared.  A pair with too few common intervals in the sample is
    returned as well; if `own` has too few intervals itself, nothing is returned.
    """
    n = len(own)
    at = np.flatnonzero(own[LAGS : n - LAGS] > 0) + LAGS
    if len(at) + 2 * LAGS < FEW:
        return []
    if len(at) > _LOOKED_AT:
        at = chosen.choice(at, _LOOKED_AT, replace=False)
    lags = np.array(sorted(range(-LAGS, LAGS + 1), key=abs))
    mine, there = own[at].astype(np.float64), others[:, lags[:, None] + at].astype(np.float64)
    both = there > 0
    count = np.count_nonzero(both, axis=2)
    ratio = np.sort(np.where(both, there / mine, np.inf), axis=2)
    middle = np.take_along_axis(ratio, np.maximum(count - 1, 0)[:, :, None] // 2, axis=2)
    with np.errstate(invalid="ignore"):
        near = both & (np.abs(there - middle * mine) <= _LIKELY * there)
    likely = np.count_nonzero(near, axis=2) >= _LIKELY_SHARE * count
    result = np.argwhere(likely | (count < _TOO_FEW)).tolist()
    return [(j, int(lags[k])) for j, k in sorted(result, key=lambda pair: pair[1])]


def _moves(own: Series, other: Series, lag: int) -> bool | None:
    """Return True if two series are equal at a lag, False if nearly so; else None."""
    n = len(own)
    before, after = own[max(0, -lag) : n - max(0, lag)], other[max(0, lag) : n - max(0, -lag)]
    both = (before > 0) & (after > 0)
    count = np.count_nonzero(both)
    if count < FEW:
        return None
    first, second = before[both], after[both]
    telling = _telling(first)
    if count < _SURE and not telling:
        return None
    # registers with different start values are rounded differently: by one unit, or a thousandth
    room = np.where(first >= _ROUNDED, np.maximum(first // 1000, 1), 0)
    if telling and np.count_nonzero(np.abs(second - first) <= room) >= _SAME_SHARE * count:
        return True
    tables = before[None].astype(np.float64), after[None].astype(np.float64)
    if not _correlated(*tables, _CORRELATED_INSIDE).any():
        return None
    nearly = NEARLY_INSIDE if count >= _SURE else NEARLY
    kinds = _kinds(tables[0][0], tables[1], np.array([0]), nearly)
    return next((equal for _, equal in kinds), None)


def _telling(series: Series | NDArray[np.float64]) -> bool:
    """Return whether values vary so much that equal ones are significant."""
    if series.std() < _VARIED * series.mean():
        return False
    return bool(np.unique(series, return_counts=True)[1].max() <= _COMMON * len(series))


def copied(own: Series, other: Series) -> Twins | None:
    """
    Return the pair if two series are copies of each other where both have data; else None.

    Gaps, a late start, and a clock offset of up to two hours are allowed; half of the shorter
    series must be common to both.

    Parameters
    ----------
    own, other : integer array, n each
        Quantity of each interval of the period, of two meters of one quantity. [base units]
    """
    least = max(MIN_VALUES, _COVERED * min(np.count_nonzero(own), np.count_nonzero(other)))
    if len(own) < least:
        return None
    table = np.array([own, other], dtype=np.float64)
    for lag in sorted(range(-FAR_LAGS, FAR_LAGS + 1), key=abs):
        before, after = _shifted(table, lag)
        both = (before[0] > 0) & (after[1] > 0)
        first, second = before[0, both], after[1, both]
        if len(first) < least or not _telling(first):
            continue
        if np.count_nonzero(first == second) >= _SAME_SHARE * len(first):
            return Twins(0, 1, lag, equal=True)
        rough = np.abs(second - np.median(second / first) * first) <= _ROUGHLY * second
        if np.count_nonzero(rough) < _SAME_SHARE * len(first):
            continue
        scale = second[rough] @ first[rough] / (first[rough] @ first[rough])
        near = np.abs(second - scale * first) <= np.maximum(NEARLY * second, 1)
        share = np.count_nonzero(near) / len(first)
        # agreement within half a percent is not significant for a nearly constant series, so the
        # agreeing intervals must correlate as well
        if share >= _SAME_SHARE and _correlated(first[None, near], second[None, near]).all():
            return Twins(0, 1, lag, equal=False)
    return None


def _shifted(table: NDArray[np.float64], lag: int) -> tuple[NDArray[np.float64], ...]:
    n = table.shape[1]
    return table[:, max(0, -lag) : n - max(0, lag)], table[:, max(0, lag) : n - max(0, -lag)]


def _correlated(
    before: NDArray[np.float64], after: NDArray[np.float64], least: float = _CORRELATED
) -> NDArray[np.bool_]:
    """Return a mask of pairs of whole numbers whose Pearson correlation is nearly 1."""
    n = before.shape[1]
    subset = np.flatnonzero(before.any(axis=0) & after.any(axis=0))
    product = before[:, subset] @ after[:, subset].T
    totals, spreads = zip(*(_spread(table) for table in (before, after)), strict=True)
    shared = product - np.outer(*totals) / n
    varied = np.outer(spreads[0] > 0, spreads[1] > 0)
    result: NDArray[np.bool_] = varied & (shared > least * np.outer(*spreads))
    return result


def _spread(table: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sums of series, and the roots of their summed squares about the mean."""
    total = table.sum(axis=1)
    squares = np.einsum("ij,ij->i", table, table)
    about = squares - total * total / table.shape[1]
    # the variance of a constant series is rounding
    return total, np.sqrt(np.where(about > _CONSTANT * squares, about, 0.0))


def _kinds(
    item: NDArray[np.float64], others: NDArray[np.float64], places: NDArray[np.intp], nearly: float
) -> Iterator[tuple[int, bool]]:
    """Yield the index of each series that is equal (True) or proportional (False) to `item`."""
    own = item != 0
    for begin in range(0, len(places), _AT_ONCE):
        some_places = places[begin : begin + _AT_ONCE]
        other = others[some_places]
        subset = own | (other != 0)
        count = np.count_nonzero(subset, axis=1)
        equal = np.count_nonzero(subset & (item == other), axis=1) / count >= _SAME_SHARE
        kept = np.flatnonzero(~equal)
        scaled = np.zeros(len(equal), dtype=np.bool_)
        if len(kept):
            scale = other[kept] @ item / (item @ item)
            off = np.abs(other[kept] - scale[:, None] * item)
            near = (off <= np.maximum(nearly * other[kept], 1)) & subset[kept]
            scaled[kept] = np.count_nonzero(near, axis=1) / count[kept] >= _SAME_SHARE
        for k in np.flatnonzero(equal | scaled).tolist():
            yield int(some_places[k]), bool(equal[k])


def agreeing(own: Int64, others: Int64, need: Int64, nearly: float) -> list[tuple[int, int]]:
    """
    Return pairs of meters with a constant ratio in enough intervals.

    Memory: about three times that of `others`, for any number of meters.  If enough intervals have
    to agree, ratios of neighbouring intervals are compared first; then ratios in single precision;
    then exact ratios of the remaining pairs.

    Parameters
    ----------
    own : int64 array, n x k
        Quantities of n meters in k intervals; 0 without data. [base units]
    others : int64 array, m x lags x k
        Quantities of m other meters in the same intervals, and in earlier or later ones.
    need : int64 array, n
        Required number of intervals with a constant ratio; 0: the meter is not compared.
    nearly : float
        Relative tolerance of two equal ratios. [1]

    Returns
    -------
    list of tuple of int, int
        Indices of a meter of `own` and one of `others`, ascending; each pair once.
    """
    many, lags, intervals = others.shape
    # an interval without quantity has no ratio and is sorted last
    table = np.where(others > 0, others, np.inf).reshape(many * lags, intervals)
    sketch, room = np.log(table, dtype=np.float32), np.float32(np.log1p(nearly) + _SINGLE)
    columns, base = sketch.T.copy(), np.zeros(0, dtype=np.intp)
    steps = columns[:0]
    result = []
    for i, values in enumerate(own):
        subset, wanted = np.flatnonzero(values > 0), int(need[i])
        if not 0 < wanted <= len(subset):
            continue
        # each differing interval breaks two pairs of neighbours
        pairs = 2 * wanted - len(subset)
        telling = pairs > _FEW_PAIRS * len(subset)
        if telling and not np.array_equal(subset, base):
            base, steps = subset, _steps(columns[subset])
        mine = np.log(values[subset], dtype=np.float32)
        near = np.zeros(len(table), dtype=np.bool_)
        for begin in range(0, len(near), _RATIOS):
            theirs = sketch[begin : begin + _RATIOS]
            at = np.arange(begin, begin + len(theirs))
            if telling:
                off = steps[:, begin : begin + _RATIOS] - _steps(mine[:, None])
                np.abs(off, out=off)
                close = (off <= room).view(np.int8)
                at = np.flatnonzero(close.sum(axis=0, dtype=np.int16) >= pairs) + begin
                theirs = sketch[at]
            with np.errstate(invalid="ignore"):  # of nothing
                low, high = _edges(theirs[:, subset] - mine, wanted)
                at = at[(high - low <= room).any(axis=1)]
            low, high = _edges(table[np.ix_(at, subset)] / values[subset], wanted)
            near[at] = ((high <= low * (1 + nearly)) & np.isfinite(high)).any(axis=1)
        result += [(i, j) for j in np.flatnonzero(near.reshape(many, lags).any(axis=1)).tolist()]
    return result


def _steps(sketch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the difference of each row to the one before it, and of the first to the last."""
    with np.errstate(invalid="ignore"):  # of nothing
        return sketch - np.roll(sketch, 1, axis=0)


def _edges(ratios: NDArray[Any], need: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the smallest and largest of each `need` successive sorted ratios, by row."""
    ordered = np.sort(ratios, axis=1)
    return ordered[:, : ordered.shape[1] - need + 1], ordered[:, need - 1 :]
