"""
Meters of which the sums of days repeat those of another meter, or of another time.

A sum of a day is the same where its quarter hours are moved by hours, read on another grid or
turned round, and a little noise leaves it nearly so.  What makes real sums differ is the weather:
so days that agree count only where they differ among each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int64
from mrv.accounting.agreeing_series import agreeing

# part of a meter's days that have to agree, and how many at least
SHARE, LEAST = 0.7, 10
# days that are looked at first, and how many of them at least have to agree
_LOOK, _LEAST_LOOKED = 16, 6
# of the days that agree, the best tenth is above the poorest one by so much, and they have so
# many levels of two per cent: an engine that runs by the week has one or two
_VARIED, _LEVELS, _LEVEL = 1.25, 6, 0.02
# steps of its register in a meter's day: small plants that count whole kilowatt hours are equal
_STEPS = 300


class Repeated(NamedTuple):
    """
    Two meters, how many of the days that are known agree, and by which ratio.

    `time` numbers that of the other one.  `equal` where each of the days that agree is the same
    to the base unit.
    """

    one: int
    other: int
    time: int
    days: int
    known: int
    ratio: float
    equal: bool


def repeated_days(
    own: Int64,
    others: Int64,
    nearly: float,
    pairs: NDArray[np.bool_] | None = None,
    done: Collection[int] = (),
) -> Iterator[Repeated]:
    """
    Find meters of which the sums of days have one ratio to those of others.

    Parameters
    ----------
    own : int64 array, n x days
        Sums of the days of n meters; 0 where they measured nothing. [base unit]
    others : int64 array, m x times x days
        Sums of as many days of m meters, at one time or at several.
    nearly : float
        Part by which ratios of days that agree may differ. [1]
    pairs : bool array, n x m, optional
        Which of them are compared; all without it.
    done : collection of int
        Meters of the n that are looked at no more; it may grow meanwhile.
    """
    if pairs is not None and not pairs.any():
        return
    some = np.unique(np.linspace(0, own.shape[1] - 1, _LOOK).round().astype(np.intp))
    need = _needed(own[:, some], _LEAST_LOOKED)
    for i, j in agreeing(own[:, some], others[:, :, some], need, nearly):
        if i in done or (pairs is not None and not pairs[i, j]):
            continue
        for time in range(others.shape[1]):
            found = _repeats(own[i], others[j, time], nearly)
            if found is not None:
                yield Repeated(i, j, time, *found)
                break


def _needed(own: Int64, least: int) -> Int64:
    """Of how many days the ratio is to be one; more than there are where they are too few."""
    many = np.ceil(SHARE * np.count_nonzero(own > 0, axis=1)).astype(np.int64)
    needed: Int64 = np.maximum(many, least)
    return needed


def _repeats(one: Int64, other: Int64, nearly: float) -> tuple[int, int, float, bool] | None:
    """How many days agree, by which ratio, and whether they are equal; None where they do not."""
    need = int(_needed(one[None], LEAST)[0])
    both = np.flatnonzero((one > 0) & (other > 0))
    if len(both) < need:
        return None
    ratios: NDArray[np.float64] = other[both] / one[both]
    ordered = np.sort(ratios)
    counts = np.searchsorted(ordered, ordered * (1 + nearly), side="right") - np.arange(len(both))
    low = ordered[np.argmax(counts)]
    agree = both[(ratios >= low) & (ratios <= low * (1 + nearly))]
    if len(agree) < need:
        return None
    poor, good = np.quantile(one[agree], [0.1, 0.9])
    if good < poor * _VARIED or poor < _STEPS * np.gcd.reduce(one[agree]):
        return None
    if len(np.unique(np.log(one[agree]) // _LEVEL)) < _LEVELS:
        return None
    ratio = float(np.median(other[agree] / one[agree]))
    known = int(np.count_nonzero(one > 0))
    return len(agree), known, ratio, bool((one[agree] == other[agree]).all())
