"""
Energy that a register claims, held against what another channel shows of the same time.

A register may lag behind its power and catch up: it counts whole kilowatt-hours, or hangs.  It
may not be ahead of it.  So each quarter hour is held against what is shown of it and what the
register lags behind; then a running sum of each day, and one of the whole time, in which errors
of samples cancel.  Up to the tolerance nobody can say which of the two is wrong.  What is beyond
it counts as the other channel shows it, with no tolerance at all.

Source: the sum check of validating, estimating and editing (VEE) of meter data; two meters of
accuracy class 2 (IEC 62053-21) differ by 4 % at most.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ingest.model import Float64, Int64

# two meters of accuracy class 2
METERS = 0.04
# standard errors within which samples tell an integral: of a running sum, of a quarter hour
SIGMAS, SIGMAS_ALONE = 3.0, 4.0
DAY = 96
_HOUR = 4
_NOTHING = 1e-6


class Tolerance(NamedTuple):
    """A share of the energy, and what a register's own step may be. [Wh]"""

    share: float
    step_wh: float


def above(
    value_wh: Int64,
    shown_wh: Float64,
    variance: Float64,
    known: np.ndarray,
    estimated: np.ndarray,
    into_day: int,
    tolerance: Tolerance,
) -> Int64:
    """
    Energy of each quarter hour beyond what another channel shows.

    Parameters
    ----------
    value_wh : int64 array, n
        What the register rose by.
    shown_wh, variance : float64 array, n
        What the other channel shows, and how well its samples tell it. [Wh, Wh2]
    known : bool array, n
        False where it shows nothing and is not asked.
    estimated : bool array, n
        Quarter hours over which a longer step was spread: those of a day are held together.
    into_day : int
        Quarter hours from the begin of a day to the first one.
    tolerance : Tolerance

    Returns
    -------
    int64 array, n
        Never above the value; what is left is no more than what is shown. [Wh]
    """
    claimed = np.where(known, value_wh, 0)
    runs = _runs(estimated & known, into_day) if estimated.any() else None
    held = _together(claimed, runs).astype(np.float64)
    shown, variance = (np.where(known, one, 0.0) for one in (shown_wh, variance))
    days = into_day, -(into_day + len(held)) % DAY
    left, by_day, errors = (_cut(one, days) for one in (held, shown, variance))
    left = _alone(left, by_day, errors, tolerance)
    caught = _ahead(left, by_day, errors, tolerance).max(axis=1, initial=0.0) > 0
    if caught.any():
        left[caught] -= _running(left[caught] - by_day[caught])
    whole = left.ravel()[days[0] : days[0] + len(held)]
    if _ahead(whole, shown, variance, tolerance).max(initial=0.0) > 0:
        whole = whole - _running(whole - shown)
    return _apart(_up(held - whole, held), claimed, runs)


def scatter(
    value_wh: Int64,
    shown_wh: Float64,
    known: np.ndarray,
    estimated: np.ndarray,
    into_day: int,
    step_wh: float,
) -> float:
    """
    Standard error of what samples of power show, as a register tells it. [Wh]

    A register counts what the samples miss.  So its hours, scaled to the same sum, are off from
    the samples' by the samples' error, whatever share it runs fast by.  Hours begin at the
    quarter at which they are off most: samples of an hour need not be read on the hour.

    Parameters
    ----------
    value_wh, shown_wh, known, estimated, into_day
        As for `above`.
    step_wh : float
        What the register counts by: how far it is off by that is no error of samples.
    """
    runs = _runs(estimated & known, into_day)
    value, shown = (_together(np.where(known, one, 0), runs) for one in (value_wh, shown_wh))
    if not value.any():
        return 0.0
    off = np.pad(value * (shown.sum() / value.sum()) - shown, (0, _HOUR))
    whole = len(value) // _HOUR * _HOUR
    hours = [off[begin : begin + whole].reshape(-1, _HOUR).sum(axis=1) for begin in range(_HOUR)]
    counted = np.count_nonzero(value) / _HOUR * step_wh**2 / 6
    return float(np.sqrt(max(0.0, max(float(one @ one) for one in hours) - counted)))


def _runs(estimated: np.ndarray, into_day: int) -> list[tuple[int, int]]:
    """Begins and ends of runs of estimated quarter hours, cut at midnight."""
    day = (into_day + np.arange(len(estimated))) // DAY
    label = np.where(estimated, day + 1, 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], label, [0]])))
    pairs = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    return [(a, b) for a, b in pairs if label[a]]


def _together(value: Int64, runs: list[tuple[int, int]] | None) -> Int64:
    """Put what was spread over a run at its end, where the register showed it."""
    if not runs:
        return value
    found = value.copy()
    for begin, end in runs:
        found[begin:end], found[end - 1] = 0, value[begin:end].sum()
    return found


def _apart(beyond: Int64, value: Int64, runs: list[tuple[int, int]] | None) -> Int64:
    """Take what a run has beyond from all of it, in proportion."""
    for begin, end in runs or ():
        more, whole = int(beyond[end - 1]), int(value[begin:end].sum())
        if more:
            beyond[begin:end] = value[begin:end] - value[begin:end] * (whole - more) // whole
    return beyond


def _alone(value: Float64, shown: Float64, variance: Float64, tolerance: Tolerance) -> Float64:
    """Leave of each quarter hour what is shown of it, and what its register lagged behind."""
    behind = np.cumsum(shown, axis=1) - shown - np.cumsum(value, axis=1) + value
    room = shown + np.maximum(behind, 0.0)
    most = room + tolerance.share * shown + SIGMAS_ALONE * np.sqrt(variance) + tolerance.step_wh
    left: Float64 = np.where(value > most, room, value)
    return left


def _cut(values: Float64, days: tuple[int, int]) -> Float64:
    return np.pad(values, days).reshape(-1, DAY)


def _ahead(value: Float64, shown: Float64, variance: Float64, tolerance: Tolerance) -> Float64:
    """
    Return how far a running sum is ahead of what is shown with its tolerance; below 0: behind.

    The tolerance is a share of the whole: at dawn the two differ by more of what little there is.
    """
    errors = SIGMAS * np.sqrt(np.cumsum(variance, axis=-1))
    share = tolerance.share * shown.sum(axis=-1, keepdims=True)
    most = np.cumsum(shown, axis=-1) + share + errors + tolerance.step_wh
    ahead: Float64 = np.cumsum(value, axis=-1) - most
    return ahead


def _running(ahead: Float64) -> Float64:
    """What of each quarter hour puts a running sum ahead of another."""
    most = np.maximum.accumulate(np.maximum(np.cumsum(ahead, axis=-1), 0.0), axis=-1)
    found: Float64 = np.diff(most, axis=-1, prepend=0.0)
    return found


def _up(beyond: Float64, value_wh: Float64) -> Int64:
    """Whole watt-hours, rounded so that what is left is rounded down."""
    whole = np.ceil(np.maximum(beyond - _NOTHING, 0.0))
    found: Int64 = np.minimum(whole, value_wh).astype(np.int64)
    return found
