"""
Time that meters served together: meters side by side, and meters that follow each other.

A meter that is replaced by a device with an id of its own leaves two devices in one role, each
with a part of the period.  What a plant was built for is of the time of both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored


def together_us(some: Sequence[Monitored], first: int, last: int) -> int:
    """
    Return the time in which at least one of some devices served.

    Parameters
    ----------
    first, last : int
        Interval numbers, half-open: no more than within them. [intervals]

    Returns
    -------
    int
        [us]
    """
    covered, reached = 0, first
    for begin, end in sorted(_within(some, first, last)):
        covered += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return covered * INTERVAL_US


def successive(some: Sequence[Monitored], first: int, last: int) -> bool:
    """
    Say whether devices of each role follow each other without overlap or gap.

    Where several places change their meters, as many serve at any time.  Two may meet within an
    interval: the project's side has all of it, and the baseline nothing.

    Parameters
    ----------
    some : sequence of Monitored
        Each of which served a part of the time only.
    first, last : int
        Interval numbers, half-open.
    """
    ordered = sorted(some, key=lambda m: m.bound.role)
    by_role = (list(of) for _, of in groupby(ordered, key=lambda m: m.bound.role))
    return all(_steady(_within(of, first, last), first, last) for of in by_role)


def served(some: Iterable[Monitored], first: int, last: int) -> int:
    """Add up the time of each of some devices within intervals [first, last). [intervals]"""
    return sum(end - begin for begin, end in _within(some, first, last))


def _within(some: Iterable[Monitored], first: int, last: int) -> list[tuple[int, int]]:
    cut = [
        (max(m.service.first, first), min(m.service.first + m.service.intervals, last))
        for m in some
    ]
    return [(begin, end) for begin, end in cut if begin < end]


def _steady(spans: Sequence[tuple[int, int]], first: int, last: int) -> bool:
    """Whether each that leaves before the end is followed, and each that comes follows one."""
    left = sorted(end for _, end in spans if end < last)
    came = sorted(begin for begin, _ in spans if begin > first)
    return len(left) == len(came) and all(
        abs(end - begin) <= 1 for end, begin in zip(left, came, strict=True)
    )
