"""
Two meters that say the same: one meter with two ids, or one copied from the other.

Two real meters side by side differ in every quarter hour by more than their resolution.
Series that are equal, or equal but for a scale and a few quarter hours, are one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ingest.model import Int32

# quarter hours that one may be behind the other
LAGS = 4
# above so many meters each pair is no longer looked at, only those that are equal throughout
MANY = 200
# a day's worth of quarter hours in which something was metered
LEAST = 96
_SAME_SHARE = 0.95
_CORRELATED = 0.9999
_NEARLY = 1e-4


class Twins(NamedTuple):
    """Two series, by how many intervals the second is behind, and whether they are equal."""

    one: int
    other: int
    lag: int
    equal: bool


def twins(series: Sequence[Int32]) -> Iterator[Twins]:
    """
    Find series that move as one.

    Parameters
    ----------
    series : sequence of int32 array, n each
        Quantity of each interval of the period, of meters of one quantity. [base units]
    """
    moved = [i for i, s in enumerate(series) if np.count_nonzero(s) >= LEAST]
    if len(moved) > MANY:
        yield from _equal(series, moved)
        return
    if len(moved) < 2:  # noqa: PLR2004 - a pair
        return
    table = np.array([series[i] for i in moved], dtype=np.float64)
    seen = set()
    for lag in range(-LAGS, LAGS + 1):
        before, after = _shifted(table, lag)
        for i, j in _correlated(before, after):
            if i < j and (i, j) not in seen:
                kind = _kind(before[i], after[j])
                if kind is not None:
                    seen.add((i, j))
                    yield Twins(moved[i], moved[j], lag, kind)


def _equal(series: Sequence[Int32], moved: Sequence[int]) -> Iterator[Twins]:
    """Series that are equal in every interval, found by their bytes."""
    first: dict[bytes, int] = {}
    for i in moved:
        one = first.setdefault(sha256(series[i].tobytes()).digest(), i)
        if one != i:
            yield Twins(one, i, 0, True)


def _shifted(table: NDArray[np.float64], lag: int) -> tuple[NDArray[np.float64], ...]:
    n = table.shape[1]
    return table[:, max(0, -lag) : n - max(0, lag)], table[:, max(0, lag) : n - max(0, -lag)]


def _correlated(
    before: NDArray[np.float64], after: NDArray[np.float64]
) -> Iterator[tuple[int, int]]:
    """Pairs whose Pearson correlation is all but 1."""
    found = np.nonzero(_unit(before) @ _unit(after).T > _CORRELATED)
    yield from zip(*(some.tolist() for some in found), strict=True)


def _unit(table: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = table - table.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    found: NDArray[np.float64] = centred / np.where(length > 0, length, 1)
    return found


def _kind(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool | None:
    """Whether two series are equal (True), equal but for a scale (False), or neither."""
    some = (one != 0) | (other != 0)
    if np.mean(one[some] == other[some]) >= _SAME_SHARE:
        return True
    scale = one @ other / (one @ one)
    near = np.abs(other - scale * one) <= np.maximum(_NEARLY * other, 1)
    return False if np.mean(near[some]) >= _SAME_SHARE else None
