"""
Meters that are copies in disguise: days in another order, noise over them, or a sum of meters.

`repeated_days` compares each day with the same day of other meters, and finds what is all but
equal.  Here the sums of days are compared in any order; and where most days are near, the quarter
hours say whether what differs is noise or weather.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ingest.model import Int64
from mrv.accounting.disguised_series import LEAST_DAYS, likely_noisy, noisy, shuffled, summed
from services.issuer.repeated_days import AT_ONCE, Looked, near_days
from services.issuer.same_series import Agreeing, Copy, Energy, Same
from services.store.timeseries.same_energy import all_series

# by which part days of a copy under noise differ: of 4 % in each quarter hour less than 2 % is left
_NEAR = 2.5e-2
# days of which quarter hours are looked at
_DAYS, _DAY_US = 62, 86_400_000_000


class _Others(NamedTuple):
    """Meters, their sums of days, and which pairs with the project's are compared."""

    names: Sequence[str]
    sums: Int64
    pairs: NDArray[np.bool_]
    projects: Mapping[str, str]


def disguised(energy: Energy, same: Same, repeated: Sequence[Copy]) -> list[Copy]:
    """
    Compare the days of a project's meters with those of all meters, in any order and under noise.

    Parameters
    ----------
    same : Same
        What the comparison of quarter hours found.
    repeated : sequence of Copy
        What the comparison of days found.
    """
    known = same.pairs | {(one.device, one.other) for one in repeated}
    excluded = same.excluded() | {one.device for one in repeated if one.excluded}
    found = list[Copy]()
    for quantity, names in energy.measured:
        at = Looked.of(energy, quantity, names)
        own = at.sums(names, [0])[:, 0]
        if np.count_nonzero(own, axis=1).max() < LEAST_DAYS:
            continue
        for copy in _sums(names, own, excluded):
            excluded.add(copy.device)
            found.append(copy)
        for others in _groups(at, own):
            for copy in (*_in_any_order(at, own, others), *_under_noise(at, own, others)):
                name, other = copy.device, copy.other
                if name in excluded or {(name, other), (other, name)} & known:
                    continue
                if copy.equal and copy.project is not None and not energy.is_second(name, other):
                    continue
                known.add((name, other))
                found.append(copy._replace(excluded=copy.equal))
                if copy.equal:
                    excluded.add(name)
    return found


def _sums(names: Sequence[str], own: Int64, excluded: Collection[str]) -> list[Copy]:
    """Meters of the project that are the sum of others of it."""
    left = [i for i, name in enumerate(names) if name not in excluded]
    found = []
    for one in summed(own[left]):
        parts = tuple(names[left[i]] for i in one.others)
        found.append(Copy(names[left[one.one]], parts[0], None, True, excluded=True, parts=parts))
    return found


def _groups(at: Looked, own: Int64) -> Iterator[_Others]:
    """The project's own meters, and then those of other projects, some at once."""
    inside = np.triu(np.ones((len(own), len(own)), dtype=np.bool_), 1)
    yield _Others(at.names, own, inside, {})
    beside = at.energy.others(at.quantity, at.names)
    every = sorted(beside)
    for begin in range(0, len(every), AT_ONCE):
        some = every[begin : begin + AT_ONCE]
        pairs = np.ones((len(own), len(some)), dtype=np.bool_)
        yield _Others(some, at.sums(some, [0])[:, 0], pairs, beside)


def _copy(at: Looked, others: _Others, i: int, j: int, days: Agreeing, *, equal: bool) -> Copy:
    name, other = at.names[i], others.names[j]
    if not others.projects and not at.energy.came_later(name, other):
        return Copy(other, name, None, equal, by_day=days._replace(ratio=1 / days.ratio))
    return Copy(name, other, others.projects.get(other), equal, by_day=days)


def _in_any_order(at: Looked, own: Int64, others: _Others) -> Iterator[Copy]:
    for one in shuffled(own, others.sums, others.pairs):
        days = Agreeing(one.days, one.known, 1 / one.ratio, ordered=False)
        yield _copy(at, others, one.one, one.other, days, equal=one.equal)


def _under_noise(at: Looked, own: Int64, others: _Others) -> Iterator[Copy]:
    """Meters most of whose days are near, and what differs in their quarter hours is even."""
    near = near_days(own, others.sums, _NEAR) & others.pairs
    mine, theirs = (np.flatnonzero(near.any(axis=axis)).tolist() for axis in (1, 0))
    if not mine:
        return
    span_us = _span(at, own)
    read = [
        all_series(at.energy.conn, [names[i] for i in some], at.quantity, span_us)
        for names, some in ((at.names, mine), (others.names, theirs))
    ]
    for one, i in zip(read[0], mine, strict=True):
        some = np.flatnonzero(near[i, theirs])
        for k in some[likely_noisy(one, read[1][some])].tolist():
            j = theirs[k]
            noise = noisy(one, read[1][k])
            if noise is not None:
                known = int(np.count_nonzero((own[i] > 0) & (others.sums[j] > 0)))
                days = Agreeing(known, known, 1 / noise.ratio, noise=noise.deviation)
                yield _copy(at, others, i, j, days, equal=False)


def _span(at: Looked, own: Int64) -> tuple[int, int]:
    """Whole days of the period, which ones the values say. [us UTC]"""
    begin_us, end_us = at.energy.span_us
    spare = max(0, (end_us - begin_us) // _DAY_US - _DAYS)
    begin_us += crc32(own.tobytes()) % (spare + 1) * _DAY_US
    return begin_us, begin_us + min(_DAYS, (end_us - begin_us) // _DAY_US) * _DAY_US
