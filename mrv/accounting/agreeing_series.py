"""
Which of many series agree, but for a scale, in some of their intervals.

A first look, in arrays, at what is too much to be compared in whole: each meter of a project with
each other one of a city.  What agrees is compared interval by interval afterwards
(`twin_series`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int64

# ratios of an interval that are held at once: those of ten intervals stay in the cache
_AT_ONCE = 16_384


def agreeing(own: Int64, others: Int64, need: Int64, nearly: float) -> list[tuple[int, int]]:
    """
    Find pairs of meters of which the ratio is one in some intervals.

    Beside twice the room of `others` it takes a few megabytes, however many meters there are.

    Parameters
    ----------
    own : int64 array, n x k
        What n meters measured in k intervals; 0 where they measured nothing. [base unit]
    others : int64 array, m x lags x k
        What m other meters measured in the same intervals, and in some earlier or later.
    need : int64 array, n
        In how many intervals the ratio of each meter is to be one; 0: it is not looked at.
    nearly : float
        Part by which two values of one ratio may differ. [1]

    Returns
    -------
    list of tuple of int, int
        Numbers of a meter and of another one, in order; each pair once.
    """
    many, lags, intervals = others.shape
    # nothing is no ratio: it stands behind all others
    table = np.where(others > 0, others, np.inf).reshape(many * lags, intervals).T.copy()
    found = []
    for i, values in enumerate(own):
        some = np.flatnonzero(values > 0)
        near = np.zeros(many * lags, dtype=np.bool_)
        for begin in range(0, len(near), _AT_ONCE):
            block = slice(begin, begin + _AT_ONCE)
            near[block] = _one_ratio(table[some, block], values[some], int(need[i]), nearly)
        found += [(i, j) for j in np.flatnonzero(near.reshape(many, lags).any(axis=1)).tolist()]
    return found


def _one_ratio(
    others: NDArray[np.float64], own: Int64, need: int, nearly: float
) -> NDArray[np.bool_]:
    """Columns of which enough values have one ratio to a meter's own."""
    found = np.zeros(others.shape[1], dtype=np.bool_)
    if 0 < need <= len(own):
        ratios = _sorted(list(others / own[:, None]))
        for low, high in zip(ratios, ratios[need - 1 :], strict=False):
            found |= (high <= low * (1 + nearly)) & np.isfinite(high)
    return found


def _sorted(rows: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Sort each column; whole rows are compared at once, which is ten times faster."""
    for i, j in _exchanges(len(rows)):
        rows[i], rows[j] = np.minimum(rows[i], rows[j]), np.maximum(rows[i], rows[j])
    return rows


@cache
def _exchanges(n: int) -> tuple[tuple[int, int], ...]:
    """Return the comparisons of Batcher's merge exchange sort (Knuth, TAOCP 3, 5.2.2, M)."""
    found = []
    p = 1 << max(n - 1, 0).bit_length() >> 1
    top = p
    while p:
        q, r, d = top, 0, p
        while True:
            found += [(i, i + d) for i in range(n - d) if i & p == r]
            if q == p:
                break
            q, r, d = q >> 1, p, q - p
        p >>= 1
    return tuple(found)
