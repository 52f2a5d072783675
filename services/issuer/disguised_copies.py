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

from ingest.model import Int32, Int64
from mrv.accounting.disguised_series import (
    LEAST_DAYS,
    Noise,
    in_order,
    in_step,
    likely_noisy,
    may_be_parts,
    noisy,
    parts_of,
    shuffled,
    summed,
)
from services.issuer.repeated_days import AT_ONCE, Looked, near_days
from services.issuer.same_series import Agreeing, Copy, Energy, Same
from services.store.timeseries.same_energy import all_series

# by which part days of a copy under noise differ: 4 % in a quarter hour leave less than 2 %; and
# how many of them do, the largest with the largest
_NEAR, _HALF = 2.5e-2, 0.5
# so many pairs are looked at in their quarter hours, whatever their days are: a second or two
_PAIRS = 2_000
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
        for copy in (*_sums(names, own, excluded), *_sums_elsewhere(at, own, excluded)):
            excluded |= {copy.device} if copy.excluded else set()
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


def _sums_elsewhere(at: Looked, own: Int64, excluded: Collection[str]) -> Iterator[Copy]:
    """Meters of the project that are the sum of meters of other projects, or of both."""
    beside, energy = at.energy.others(at.quantity, at.names), at.energy
    names = [*at.names, *sorted(beside)]
    sums = np.concatenate([own, at.sums(names[len(own) :], [0])[:, 0]]) if beside else own
    span_us = _span(at, own)
    for i, name in enumerate(at.names):
        some = [j for j in may_be_parts(own[i], sums) if names[j] not in {name, *excluded}]
        if not any(names[j] in beside for j in some):
            continue
        read = all_series(energy.conn, [name, *(names[j] for j in some)], at.quantity, span_us)
        parts = [names[some[k]] for k in parts_of(own[i], sums[some], read[0], read[1:])]
        theirs = [one for one in parts if one in beside]
        if theirs:
            second = any(energy.is_second(name, one) for one in theirs)
            yield Copy(name, theirs[0], beside[theirs[0]], True, second, parts=tuple(parts))


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
    if np.count_nonzero(others.pairs) <= _PAIRS:  # each of them is looked at
        near = others.pairs
    else:
        near = near_days(own, others.sums, _NEAR) | _near_in_any_order(own, others.sums)
        near &= others.pairs
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
        for k, noise, moved in _noises(one, read[1][some]):
            j = theirs[some[k]]
            known = int(np.count_nonzero((own[i] > 0) & (others.sums[j] > 0)))
            days = Agreeing(known, known, 1 / noise.ratio, not moved, noise.deviation)
            yield _copy(at, others, i, j, days, equal=False)


def _near_in_any_order(own: Int64, others: Int64) -> NDArray[np.bool_]:
    """Say of which meters most sums are near, the largest with the largest."""
    ordered, there = (-np.sort(-table, axis=1) for table in (own, others))
    return near_days(ordered, there, _NEAR, _HALF)


def _noises(one: Int32, others: Int32) -> Iterator[tuple[int, Noise, bool]]:
    """Yield which of others are one under noise, and whether shifted or in another order."""
    left = np.arange(len(others))
    for moved in (others, in_step(one, others)):
        for k in left[likely_noisy(one, moved[left])].tolist():
            noise = noisy(one, moved[k])
            if noise is not None:
                left = left[left != k]
                yield k, noise, moved is not others
    for k in left.tolist():
        ordered = in_order(one, others[k])
        noise = None if ordered is None else noisy(one, ordered)
        if noise is not None:
            yield k, noise, True


def _span(at: Looked, own: Int64) -> tuple[int, int]:
    """Whole days of the period, which ones the values say. [us UTC]"""
    begin_us, end_us = at.energy.span_us
    spare = max(0, (end_us - begin_us) // _DAY_US - _DAYS)
    begin_us += crc32(own.tobytes()) % (spare + 1) * _DAY_US
    return begin_us, begin_us + min(_DAYS, (end_us - begin_us) // _DAY_US) * _DAY_US
