"""
Whether readings confirm that meters of a project hang beneath another one (BND-01).

A meter upstream of others measures what they take and what else it supplies.  So it measures no
less than they do together, hour by hour, and it moves when they move.  A meter beside them that
the project leaves out does neither, but for one that takes several times as much: that one is the
owner's word, as its reason is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ingest.classes import QUANTITIES
from ingest.model import HOUR_US, Float64, IntervalRows

# part of what meters took by which the one upstream may be below them: two of class 2, and clocks
_BELOW = 0.05
# how much of their steps it shows at the least: other loads may move against them
_SHOWN = 0.5
# standard errors of that share
_SURE = 3


class Beneath(NamedTuple):
    """
    A meter and those beneath it, in the hours of which all is known. [base units]

    Attributes
    ----------
    quantity : str
        Of which both have a register.
    measured, took : int
        By the meter upstream, and by those beneath it together.
    below : int
        By how much it measured less than they, in hours in which it did.
    steps : bool
        Whether it shows the steps of those beneath, as far as that can be seen.
    """

    quantity: str
    measured: int
    took: int
    below: int
    steps: bool

    @property
    def covers(self) -> bool:
        """Whether it measured no less than those beneath it, but for what meters differ by."""
        return self.below <= _BELOW * self.took

    @property
    def holds(self) -> bool:
        """Whether readings confirm that the meter is upstream."""
        return self.took > 0 and self.covers and self.steps


def beneath(
    rows: IntervalRows, upstream: int, others: Sequence[int], quantities: Collection[str]
) -> tuple[Beneath, ...]:
    """Compare a meter with those that are named as beneath it, by index, in each quantity."""
    known = rows.take(rows.unknown_us == 0)
    found = []
    for number in (i for i, one in enumerate(QUANTITIES) if one.name in quantities):
        of = known.take(known.quantity == number)
        main, under = (of.take(np.isin(of.device, some)) for some in ([upstream], others))
        if not len(main.value):
            continue
        both = np.isin(under.start_us, main.start_us)
        hours, place = np.unique(main.start_us // HOUR_US, return_inverse=True)
        # a quarter hour in which nothing of those beneath came says nothing of the meter
        told = np.isin(main.start_us, under.start_us)
        ours = np.bincount(place[told], main.value[told], len(hours))
        at = np.searchsorted(hours, under.start_us[both] // HOUR_US)
        theirs = np.bincount(at, under.value[both], len(hours))
        below = np.maximum(theirs - ours, 0).sum()
        found.append(
            Beneath(
                QUANTITIES[number].name,
                round(float(ours.sum())),
                round(float(theirs.sum())),
                round(float(below)),
                _follows(np.diff(ours).astype(np.float64), np.diff(theirs).astype(np.float64)),
            )
        )
    return tuple(found)


def _follows(mine: Float64, steps: Float64) -> bool:
    """Whether a meter may show the steps of others, by the regression of its own on theirs."""
    squares = float(np.dot(steps, steps))
    if not squares:
        return True
    share = float(np.dot(mine, steps)) / squares
    error = float(np.sqrt(np.mean((mine - share * steps) ** 2) / squares))
    return share + _SURE * error >= _SHOWN
