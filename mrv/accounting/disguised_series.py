"""
Detection of disguised copies: days in another order, added noise, or the sum of several meters.

A series that is the sum of other meters, such as a display of the whole plant, is found by least
squares.  A copy with its days in another order has the same daily sums; the daily sums of two real
meters do not agree to a ten thousandth in any order.

Noise added to a copy is uniform relative to the value and independent of the weather.  Real
neighbours differ little for hours and then strongly, when a cloud or gust reaches one first.  So
the ratio of the 95th percentile of relative differences to their median is tested.  This ratio is
2.9 for normal noise (at most 3.2 in a sample), and less for uniform noise.  It is 4.0 or more for
all 233 pairs of real inverters that differ by less than nine per cent: 22 inverters in India (34
days of 2020, Kaggle "Solar Power Generation Data"), and two pairs in La Reunion (15 days of 2022,
TwInSolar).  Neighbouring turbines differ by 14 % and more (La Haute Borne, four turbines, 2014 and
2015, ENGIE).

A shifted copy is first shifted back (`in_step`), and days in another order are reordered
(`in_order`): each day of a copy resembles only one day of the other meter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int32, Int64
from mrv.accounting.twin_series import agreeing

# days in another order: minimum number of days, share of daily sums that agree, relative tolerance
MIN_DAYS, _ORDER_SHARE, _EXACTLY = 14, 0.9, 1e-4
# first test by sorted sums: number compared, minimum that agree, maximum difference of rank
_RANKS, _RANKS_AGREE, _PLACES = 8, 4, 2
# relative difference of two distinct sums; minimum steps of a register in a day
_DISTINCT, _STEPS = 5e-4, 300
# line losses between a main meter and its parts: maximum, scatter, and share of days within it
_LINE, _NEARLY, _QUANTILE = 0.03, 1e-2, 0.75
# series that is a sum: minimum number of parts; days needed in addition to one per candidate;
# tolerance of the weights, which are 0 or 1
_PARTS, _SPARE_DAYS, _WHOLE = 2, 4, 0.05
# minimum value compared, as a share of the largest; minimum number of such intervals
_LARGE, _ENOUGH = 0.1, 480
# noise of a copy: minimum and maximum deviation; minimum ratio of the meter's own variation to that
# deviation
_QUIET, _LOUD, _OWN = 2.5e-3, 0.08, 1.5
# intervals added together: maximum 95th percentile of the differences [medians], and maximum
# autocorrelation.  Noise is below all of them; a register of large steps only in single intervals
_SCALES = ((1, 3.5, 0.15), (2, 3.6, 0.2), (4, 3.7, 0.25))
# maximum ratio of the differences at small and at large values, and of those of two days
_LEVELS, _DAYS = 1.4, 2.2
# median of the absolute differences of normal noise [standard deviations]
_MEDIAN = 0.6745
# samples that are compared first: number of intervals, and factor on the limits
_LOOKED_AT = ((64, 1.7), (400, 1.25))
# margin for rounding at a limit
_ROUNDING = 1 + 1e-9
# intervals of a day; minimum number of them for a difference of that day
_DAY, _OF_A_DAY = 96, 12
# maximum shift of a copy with noise, and number of intervals that determine it
_FAR, _SHIFTED_BY = 16, 400
# days in another order: minimum share of resembling days; maximum ratio of the best difference to
# the second best
_IN_ORDER, _LIKE = 0.75, 0.5
# maximum number of candidates for parts of a sum; minimum weight of a part
_MAX_PARTS, _PART = 400, 0.5


class Shuffled(NamedTuple):
    """Pair of meters whose days agree in another order: days, ratio, and whether they are equal."""

    first: int
    other: int
    days: int
    known: int
    ratio: float
    equal: bool


def shuffled(own: Int64, others: Int64, pairs: NDArray[np.bool_]) -> Iterator[Shuffled]:
    """
    Yield pairs of meters whose daily sums in any order are equal or proportional.

    Parameters
    ----------
    own, others : int64 arrays, n x days and m x days
        Daily sums; 0 without data. [base unit]
    pairs : bool array, n x m
        Mask of the pairs of meters that are compared.
    """
    days = own.shape[1]
    if days < MIN_DAYS:
        return
    ranks = np.linspace(_PLACES, days - 1 - _PLACES, _RANKS).round().astype(np.intp)
    moved = np.arange(-_PLACES, _PLACES + 1)[:, None] + ranks
    ordered, there = (-np.sort(-table, axis=1) for table in (own, others))
    need = np.where([_telling(row) for row in ordered], _RANKS_AGREE, 0)
    for i, j in agreeing(ordered[:, ranks], there[:, moved], need, _EXACTLY):
        result = _same_sums(ordered[i], there[j]) if pairs[i, j] else None
        if result is not None:
            yield Shuffled(i, j, *result)


def _telling(ordered: Int64) -> bool:
    """Return whether descending sums vary so much that equal ones are significant."""
    subset = ordered[ordered > 0]
    if len(subset) < MIN_DAYS or subset[-1] < _STEPS * np.gcd.reduce(subset):
        return False
    return bool(np.count_nonzero(-np.diff(subset) > _DISTINCT * subset[:-1]) >= MIN_DAYS - 1)


def _same_sums(own: Int64, other: Int64) -> tuple[int, int, float, bool] | None:
    """
    Return a comparison of the daily sums of two meters, in any order.

    It consists of the number of sums with a common ratio, the number of days of `own`, the ratio,
    and whether these sums are equal.  None if too few sums have a common ratio.
    """
    first, second = own[own > 0], other[other > 0]
    need = max(MIN_DAYS, int(np.ceil(_ORDER_SHARE * len(first))))
    if len(second) < need:
        return None
    ratios = np.sort((second / first[:, None]).reshape(-1))
    counts = np.searchsorted(ratios, ratios * (1 + _EXACTLY), side="right") - np.arange(len(ratios))
    best = int(np.argmax(counts))
    ratio = float(np.median(ratios[best : best + counts[best]]))
    scaled: NDArray[np.float64] = first.astype(np.float64) * ratio
    pairs = _matched(scaled, second)
    agree = first[[i for i, _ in pairs]]
    if len(pairs) < need or not _telling(agree):
        return None
    equal = all(first[i] == second[j] for i, j in pairs)
    return len(pairs), len(first), ratio, equal


def _matched(first: NDArray[np.float64], second: Int64) -> list[tuple[int, int]]:
    """
    Return the pairs of indices at which two descending lists have equal values,
    each index once.
    """
    result, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        room = max(_EXACTLY * first[i], 1)
        if abs(first[i] - second[j]) <= room:
            result.append((i, j))
            i, j = i + 1, j + 1
        elif first[i] > second[j]:
            i += 1
        else:
            j += 1
    return result


class Summed(NamedTuple):
    """Meter whose daily sums are those of other meters together."""

    first: int
    others: tuple[int, ...]


def summed(own: Int64) -> Iterator[Summed]:
    """
    Yield meters whose series is the sum of others; at most as many meters as days.

    Parameters
    ----------
    own : int64 array, n x days
        Daily sums of the meters of a project; 0 without data. [base units]
    """
    for i, values in enumerate(own):
        known = values > 0
        others = np.delete(np.arange(len(own)), i)
        if len(others) < _PARTS or not _telling(-np.sort(-values[known])):
            continue
        table = own[others][:, known].astype(np.float64)
        weights = np.ones(len(others))
        if len(others) + _SPARE_DAYS <= table.shape[1]:
            weights = np.linalg.lstsq(table.T, values[known], rcond=None)[0]
        parts = np.rint(weights)
        whole = (np.abs(weights - parts) <= _WHOLE).all() and np.isin(parts, (0, 1)).all()
        if whole and _adds_up(values, own[others[parts == 1]]):
            yield Summed(i, tuple(others[parts == 1].tolist()))


def _adds_up(values: Int64, parts: Int64) -> bool:
    """Return whether the daily sums of several meters add up to those of another one."""
    known = values > 0
    if len(parts) < _PARTS or not _telling(-np.sort(-values[known])):
        return False
    room = np.maximum(_EXACTLY * values[known], len(parts) + 1)
    agree = np.abs(parts[:, known].sum(axis=0) - values[known]) <= room
    return bool(np.count_nonzero(agree) >= max(MIN_DAYS, _ORDER_SHARE * len(agree)))


def may_be_parts(values: Int64, others: Int64) -> list[int]:
    """
    Return the indices of meters that may be parts of a sum, the largest first.

    On nearly all days a part is at most the sum.  Empty if the sum has few days or hardly varies.

    `values`: daily sums of the possible sum, one per day.  `others`: those of m meters, m x days.
    [base units]
    """
    known = values > 0
    if np.count_nonzero(known) < MIN_DAYS or not _telling(-np.sort(-values[known])):
        return []
    below = others[:, known] <= values[known] * (1 + _LINE)
    whole = others.sum(axis=1)
    fits = (np.count_nonzero(below, axis=1) >= _ORDER_SHARE * below.shape[1]) & (whole > 0)
    result = np.flatnonzero(fits)
    largest: list[int] = result[np.argsort(-whole[result], kind="stable")][:_MAX_PARTS].tolist()
    return largest


def parts_of(values: Int64, others: Int64, own: Int32, there: Int32) -> tuple[list[int], bool]:
    """
    Return the meters whose sum is the given meter, and whether the sum is exact; empty without any.

    Between a main meter and its parts a line loses a nearly constant share.

    Parameters
    ----------
    values, others : int64 arrays, days and m x days
        Daily sums, compared first. [base unit]
    own, there : int32 arrays, k and m x k
        Quantities of intervals, which determine the result. [base unit]
    """
    subset = np.arange(len(others))
    for weight in (
        _PART / 2,
        _PART,
    ):  # two passes, as similar candidates share the weight in the first one
        table = there[subset].T.astype(np.float64)
        if len(subset) < _PARTS or np.count_nonzero(table.any(axis=1)) < len(subset):
            return [], False
        weights = np.linalg.lstsq(table, own, rcond=None)[0]
        subset = subset[weights > weight]
    if _adds_up(values, others[subset]):
        return subset.tolist(), True
    large = own > _LARGE * own.max()
    ratio = there[subset][:, large].sum(axis=0) / own[large]
    middle = np.median(ratio)
    loses = len(subset) >= _PARTS and len(ratio) >= _ENOUGH and abs(middle - 1) <= _LINE
    constant = loses and np.quantile(np.abs(ratio / middle - 1), _QUANTILE) <= _NEARLY
    return (subset.tolist() if constant else []), False


class Noise(NamedTuple):
    """Ratio of two series, and the relative standard deviation of their differences. [1]"""

    ratio: float
    deviation: float


def noisy(own: Int32, other: Int32) -> Noise | None:
    """
    Return the noise between two series if one is a noisy copy of the other; else None.

    The differences must be uniform in intervals of 15 minutes and of an hour, at small and large
    values, on each day, and without autocorrelation.  The series must deviate from the mean of the
    time of day by more than these differences.

    Parameters
    ----------
    own, other : int32 array, n
        Quantity of each interval of whole days, of two meters of one quantity. [base units]
    """
    noise = None
    for together, tail, link in _SCALES:
        first, second = (
            values.reshape(-1, _DAY // together, together).sum(axis=2, dtype=np.float64)
            for values in (own, other)
        )
        large = (first > _LARGE * first.max()) & (second > 0)
        if np.count_nonzero(large) < _ENOUGH // together:
            return None
        off = np.full(first.shape, np.nan)
        off[large] = np.log(second[large] / first[large])
        middle = float(np.median(off[large]))
        off -= middle
        size = np.abs(off[large])
        typical, maximum = np.quantile(size, [0.5, 0.95])
        deviation = float(typical) / _MEDIAN
        if maximum > tail * typical or _linked(off, deviation) > link:
            return None
        if noise is None:
            if not (_QUIET <= deviation <= _LOUD and _alike(np.abs(off), first, large)):
                return None
            if _varies(first, large) < _OWN * deviation:
                return None
            noise = Noise(float(np.exp(middle)), deviation)
    return noise


def likely_noisy(own: Int32, others: Int32) -> NDArray[np.bool_]:
    """
    Return a mask of series that may be noisy copies of another, by a sample of intervals.

    Parameters
    ----------
    own : int32 array, k
        Quantity of each interval. [base units]
    others : int32 array, m x k
        Quantities of m other meters. [base units]
    """
    at = np.flatnonzero(own > _LARGE * own.max(initial=0))
    if len(at) < _ENOUGH:
        return np.zeros(len(others), dtype=np.bool_)
    chosen = _chosen(own, at)
    remaining = np.arange(len(others))
    for count, wider in _LOOKED_AT:
        subset = np.sort(chosen[:count])
        ratio = others[remaining[:, None], subset] / own[subset]
        remaining = remaining[_scattered(ratio, wider)]
    result = np.zeros(len(others), dtype=np.bool_)
    result[remaining] = True
    return result


def _chosen(own: Int32, at: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return positions in an order seeded by all values, which a forger cannot foresee."""
    return np.random.default_rng(crc32(own.tobytes())).permutation(at)


def _scattered(ratio: NDArray[np.float64], wider: float) -> NDArray[np.bool_]:
    """Return a mask of rows whose ratios scatter like noise, by limits times `wider`."""
    half, maximum = ratio.shape[-1] // 2, int(0.95 * ratio.shape[-1])
    middle = np.sort(ratio, axis=-1)[..., [half]]
    size = np.abs(ratio - middle)
    result: NDArray[np.bool_] = _count(size <= wider * _MEDIAN * _LOUD * middle) > half
    size = np.sort(size[result], axis=-1)
    result[result] = size[:, maximum] <= wider * _SCALES[0][1] * size[:, half]
    return result


def _count(mask: NDArray[np.bool_]) -> Int64:
    """Return the number of true values along the last axis."""
    count: Int64 = np.count_nonzero(mask, axis=-1)
    return count


def in_step(own: Int32, others: Int32) -> Int32:
    """
    Return the other series, each shifted by up to four hours to the best agreement with `own`.

    A series that `likely_noisy` excludes at every shift is returned unshifted.
    """
    at = np.flatnonzero(own[_FAR:-_FAR] > _LARGE * own.max(initial=0)) + _FAR
    if len(at) < _ENOUGH or not len(others):
        return others
    result, lags = others.copy(), np.array(sorted(range(-_FAR, _FAR + 1), key=abs))
    count, wider = _LOOKED_AT[0]
    first = np.sort(_chosen(own, np.flatnonzero(own > _LARGE * own.max()))[:count])
    ratio = others[:, (first + lags[:, None]) % len(own)] / own[first]
    likely = np.flatnonzero(_scattered(ratio, wider).any(axis=1))
    at = np.sort(_chosen(own, at)[:_SHIFTED_BY])
    off = np.stack([_off(others[likely[:, None], at + lag] / own[at]) for lag in lags])
    for k, best in zip(likely.tolist(), off.argmin(axis=0), strict=True):
        result[k] = np.roll(others[k], -lags[best])
    return result


def _off(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median relative difference of ratios from the median of their row. [1]"""
    whole = _median(ratio)
    size = _median(np.abs(ratio - whole[..., None]))
    result: NDArray[np.float64] = np.where(whole > 0, size / np.where(whole > 0, whole, 1), np.inf)
    return result


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median along the last axis; few values are sorted faster than partitioned."""
    half, ordered = values.shape[-1] // 2, np.sort(values, axis=-1)
    if values.shape[-1] % 2:
        return ordered[..., half]
    middle: NDArray[np.float64] = (ordered[..., half - 1] + ordered[..., half]) / 2
    return middle


def in_order(own: Int32, others: Int32) -> Iterator[tuple[int, Int32]]:
    """Yield meters whose days resemble those of `own` in another order, with reordered days."""
    own = own.reshape(-1, _DAY)
    there = others.reshape(len(others), *own.shape)
    large = own > _LARGE * own.max(initial=0)
    days = np.flatnonzero(np.count_nonzero(large, axis=1) >= _OF_A_DAY)
    if len(days) < MIN_DAYS:
        return
    step = len(days) // _RANKS
    remaining = _resembling(own, there, large, days[::step])
    if not len(remaining):
        return
    table = there[remaining]
    off = np.stack([_off(table[..., large[d]] / own[d, large[d]]) for d in days], axis=1)
    least = off.min(axis=2)
    likely = np.maximum(*(np.median(some, axis=1) for some in (least[:, ::step], least)))
    for k in np.flatnonzero(likely <= _MEDIAN * _LOUD).tolist():
        result = _ordered(table[k], days, off[k])
        if result is not None:
            yield int(remaining[k]), result


def _resembling(
    own: Int32, there: Int32, large: NDArray[np.bool_], days: NDArray[np.intp]
) -> NDArray[np.intp]:
    """
    Return the indices of the meters with a similar day for at least half of `days`.

    A meter is excluded as soon as more than half of the days have none; in general after a few.
    """
    remaining, missed = np.arange(len(there)), np.zeros(len(there), dtype=np.int64)
    for day in days:
        ratio = there[remaining][..., large[day]] / own[day, large[day]]
        whole = _median(ratio)[..., None]
        near = np.abs(ratio - whole) <= _ROUNDING * _MEDIAN * _LOUD * whole
        like = 2 * _count(near & (whole > 0)) >= ratio.shape[-1]
        missed += ~like.any(axis=1)
        kept = missed <= len(days) // 2
        remaining, missed = remaining[kept], missed[kept]
    return remaining


def _ordered(there: Int32, days: NDArray[np.intp], off: NDArray[np.float64]) -> Int32 | None:
    """Return a meter's days in the order of `days`; None if too few resemble exactly one day."""
    best = off.argmin(axis=1)
    least, next_ = np.sort(off, axis=1)[:, :2].T
    like = least <= _LOOKED_AT[1][1] * _MEDIAN * _LOUD
    in_order_already = (best == days).mean() > _LIKE
    if in_order_already or len(np.unique(best[like])) < _IN_ORDER * len(days):
        return None
    if np.median(least[like] / next_[like]) > _LIKE:  # each day resembles several others
        return None
    result = np.zeros_like(there)
    result[days[like]] = there[best[like]]
    return result.reshape(-1)


def _linked(off: NDArray[np.float64], deviation: float) -> float:
    """Return the absolute autocorrelation of differences. [1]"""
    off = np.clip(off, -3 * deviation, 3 * deviation)
    first, second = off[:, :-1], off[:, 1:]
    both = ~(np.isnan(first) | np.isnan(second))
    if deviation == 0 or np.count_nonzero(both) < _OF_A_DAY:
        return 1.0
    return float(abs(np.corrcoef(first[both], second[both])[0, 1]))


def _alike(
    size: NDArray[np.float64], values: NDArray[np.float64], large: NDArray[np.bool_]
) -> bool:
    """
    Return whether each day's relative differences are equally large at small and at
    large values.
    """
    low, high = np.quantile(values[large], [1 / 3, 2 / 3])
    small, great = (np.median(size[large & part]) for part in (values <= low, values >= high))
    if not small <= _LEVELS * great or not great <= _LEVELS * small:
        return False
    whole = np.count_nonzero(large, axis=1) >= _OF_A_DAY
    by_day = np.nanmedian(np.where(large, size, np.nan)[whole], axis=1)
    if not len(by_day):
        return False
    least, maximum = np.quantile(by_day, [0.1, 0.9])
    return bool(maximum <= _DAYS * least)


def _varies(values: NDArray[np.float64], large: NDArray[np.bool_]) -> float:
    """Return the relative deviation of values from the mean of the same time of day. [1]"""
    times = np.count_nonzero(large, axis=0) > 1
    own = np.where(large, np.log(np.where(large, values, 1)), np.nan)[:, times]
    off = own - np.nanmedian(own, axis=0)
    return float(np.nanmedian(np.abs(off))) / _MEDIAN
