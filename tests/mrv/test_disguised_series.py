"""Copies with their days in another order, or with added noise, must be detected."""

import csv
from pathlib import Path

import numpy as np
import pytest

from mrv.accounting.disguised_series import (
    in_order,
    in_step,
    likely_noisy,
    may_be_parts,
    noisy,
    parts_of,
    shuffled,
    summed,
)

DATA = Path(__file__).parents[1] / "data"
DAYS, DAY = 28, 96


def _draw(seed):
    return np.random.default_rng(seed)


def _sunny(seed, peak=20_000):
    """Return 15-minute energies of a plant with clouds that last about an hour each."""
    draw = _draw(seed)
    sun = np.maximum(np.sin(((np.arange(DAY) + 0.5) / 4 - 6) / 12 * np.pi), 0)
    clouds = np.repeat(draw.uniform(0.2, 1, (DAYS, DAY // 4)), 4, axis=1)
    return np.rint(peak * sun * clouds * draw.uniform(0.5, 1, (DAYS, 1))).astype(np.int32)


def _scattered(values, share, seed=1, by=1.0):
    more = np.clip(1 + share * _draw(seed).standard_normal(values.shape), 0, None)
    return np.rint(values * by * more).astype(np.int32)


def _neighbour(values, seed):
    """Return a nearby plant that some clouds reach earlier: it differs most while they pass."""
    draw = _draw(seed)
    passing = draw.random(values.shape) < 0.3
    off = np.where(passing, 0.12, 0.012) * draw.standard_normal(values.shape)
    return np.rint(values * np.clip(1 + off, 0.2, None)).astype(np.int32)


def _recorded():
    """Return two weeks of NREL's SERF East array."""
    with (DATA / "nrel_serf_east_15min.csv").open(encoding="utf-8") as file:
        values = [float(row[1] or 0) for row in list(csv.reader(file))[1:]]
    whole = np.clip(values[: len(values) // DAY * DAY], 0, None) * 0.25
    return np.rint(whole).astype(np.int32).reshape(-1, DAY)


def _flat(values):
    return values.reshape(-1)


@pytest.mark.parametrize("share", [0.01, 0.02, 0.04, 0.06])
def test_noise_over_a_copy_is_seen(share):
    """A meter that does not exist, drawn from another one with noise, would be credited."""
    for values in (_sunny(3), _recorded()):
        copy = _scattered(values, share, by=0.9)
        found = noisy(_flat(values), _flat(copy))
        assert found is not None
        assert found.ratio == pytest.approx(0.9, rel=0.01)
        assert found.deviation == pytest.approx(share, rel=0.15)
        assert likely_noisy(_flat(values), _flat(copy)[None]).all()


def test_neighbours_are_no_copies_under_noise():
    """An honest plant would be asked for its nameplates because it has a neighbour."""
    values = _sunny(5)
    for seed in range(5):
        assert noisy(_flat(values), _flat(_neighbour(values, seed))) is None
        assert noisy(_flat(values), _flat(_sunny(seed + 10))) is None
    # the whole kilowatt hours of two like plants differ by the rounding alone
    coarse = [np.diff(np.cumsum(_flat(v)) // 1_000, prepend=0) * 1_000
              for v in (values, _neighbour(values, 9))]  # fmt: skip
    assert noisy(*(v.astype(np.int32) for v in coarse)) is None
    # one load that hardly varies, measured twice
    steady = np.full((DAYS, DAY), 20_000, dtype=np.int32)
    two = [_scattered(steady, 0.02, seed) for seed in (1, 2)]
    assert noisy(_flat(two[0]), _flat(two[1])) is None
    # each reading came some seconds early or late
    late = _draw(4).normal(0, 0.05, values.size + 1).clip(-0.4, 0.4)
    stands = np.concatenate([[0], np.cumsum(_flat(values))])
    read = np.interp(np.arange(values.size + 1) + late, np.arange(values.size + 1), stands)
    assert noisy(_flat(values), np.diff(read).astype(np.int32)) is None


@pytest.mark.parametrize("lag", [-13, -4, 1, 4, 12])
def test_a_copy_under_noise_that_is_shifted_is_seen(lag):
    """A bus that never drives would report another one's kilometres an hour later."""
    for values in (_flat(_sunny(3)), _flat(_recorded())):
        copy = np.roll(_scattered(values, 0.03, by=0.9), lag)
        assert noisy(values, copy) is None
        (moved,) = in_step(values, copy[None])
        assert noisy(values, moved).ratio == pytest.approx(0.9, rel=0.01)
        assert likely_noisy(values, moved[None]).all()


@pytest.mark.parametrize("share", [0.01, 0.04])
def test_days_in_another_order_under_noise_are_seen(share):
    """A plant that does not exist would report the days of another one, shuffled and blurred."""
    for values in (_sunny(3), _recorded()):
        copy = _scattered(_draw(2).permutation(values), share, by=0.9)
        assert noisy(_flat(values), _flat(copy)) is None
        ((_, ordered),) = in_order(_flat(values), _flat(copy)[None])
        found = noisy(_flat(values), ordered)
        assert found.ratio == pytest.approx(0.9, rel=0.01)
        assert found.deviation == pytest.approx(share, rel=0.15)


def test_neighbours_are_no_copies_however_they_are_moved():
    """Two honest plants always agree best at some shift or order; that alone is no copy."""
    values = _sunny(5)
    others = [_neighbour(values, seed) for seed in range(5)]
    others += [_sunny(seed + 10) for seed in range(5)]
    others += [_draw(seed).permutation(_neighbour(values, seed)) for seed in range(5)]
    for one, moved in zip(others, in_step(_flat(values), np.stack(others).reshape(15, -1)),
                          strict=True):  # fmt: skip
        assert noisy(_flat(values), moved) is None
        for _, ordered in in_order(_flat(values), _flat(one)[None]):
            assert noisy(_flat(values), ordered) is None
    # buses of one timetable: each day is like each other one
    drives = np.where(np.arange(DAY) % 6 < 4, 9_000, 0)
    line = [_scattered(np.tile(drives, (DAYS, 1)), 0.01, seed) for seed in (1, 2)]
    assert not [*in_order(_flat(line[0]), _flat(line[1])[None])]
    assert noisy(_flat(line[0]), in_step(_flat(line[0]), _flat(line[1])[None])[0]) is None


def test_a_sum_of_meters_of_other_places_is_found_among_many():
    """A third project would claim what the meters of two others report together."""
    many = np.stack([_flat(_sunny(seed)) for seed in range(60)])
    whole = many[[7, 31, 40]].sum(axis=0) + _draw(1).integers(-1, 2, many.shape[1])
    days = many.reshape(60, DAYS, DAY).sum(axis=2).astype(np.int64)
    sums = whole.reshape(DAYS, DAY).sum(axis=1).astype(np.int64)
    some = may_be_parts(sums, days)
    found, equal = parts_of(sums, days[some], whole.astype(np.int32), many[some])
    assert sorted(some[k] for k in found) == [7, 31, 40]
    assert equal
    # the main meter of two, behind a line
    behind = np.rint(0.985 * many[[7, 31]].sum(axis=0)).astype(np.int32)
    sums = behind.reshape(DAYS, DAY).sum(axis=1).astype(np.int64)
    some = may_be_parts(sums, days)
    found, equal = parts_of(sums, days[some], behind, many[some])
    assert sorted(some[k] for k in found) == [7, 31]
    assert not equal
    # two plants of half its size beside it, under one sky
    sky = _sunny(50)
    halves = np.stack([_flat(_neighbour(sky // 2, seed)) for seed in (1, 2)])
    sums, theirs = (
        one.reshape(-1, DAYS, DAY).sum(axis=2).astype(np.int64) for one in (sky, halves)
    )
    assert parts_of(sums[0], theirs, _flat(sky), halves) == ([], False)
    # a meter of its own weather is no sum
    other = _flat(_sunny(99, peak=60_000))
    theirs = other.reshape(DAYS, DAY).sum(axis=1).astype(np.int64)
    some = may_be_parts(theirs, days)
    assert parts_of(theirs, days[some], other, many[some]) == ([], False)


def test_too_little_says_nothing():
    """A meter of some days would be called a copy by chance."""
    values = _sunny(6)
    copy = _scattered(values, 0.04)
    few = slice(0, 7 * DAY)
    assert noisy(_flat(values)[few], _flat(copy)[few]) is None
    nothing = np.zeros(DAYS * DAY, dtype=np.int32)
    assert noisy(nothing, nothing) is None
    assert not likely_noisy(nothing, nothing[None]).any()


def _pairs(own, others):
    own, others = np.atleast_2d(own), np.atleast_2d(others)
    pairs = np.ones((len(own), len(others)), dtype=np.bool_)
    return list(shuffled(own.astype(np.int64), others.astype(np.int64), pairs))


@pytest.mark.parametrize("by", [1, 0.83, 1.4])
@pytest.mark.parametrize("lost", [0, 2])
def test_days_in_another_order_are_seen(by, lost):
    """A meter that has the days of another one in another order would be credited."""
    sums = _sunny(7).sum(axis=1)
    copy = np.rint(_draw(2).permutation(sums) * by)
    copy[:lost] = [1_000_000, 1_300_000][:lost]
    many = np.stack([_sunny(seed).sum(axis=1) for seed in range(20, 60)] + [copy])
    (found,) = _pairs(sums, many)
    assert (found.other, found.days, found.known) == (40, DAYS - lost, DAYS)
    assert found.ratio == pytest.approx(by, rel=1e-4)
    assert found.equal is (by == 1)


def test_sums_that_are_few_or_alike_mean_nothing():
    """Lamps, engines and small plants that count kilowatt hours would be copies of each other."""
    sums = _sunny(8).sum(axis=1)
    assert _pairs(np.full(DAYS, 400_000), np.full(DAYS, 400_000)) == []
    week = np.where(np.arange(DAYS) % 7 < 5, 180_000, 120_000)
    assert _pairs(week, np.roll(week, 3)) == []
    small = np.rint(sums / sums.max() * 40) * 1_000
    assert _pairs(small, _draw(1).permutation(small)) == []
    assert _pairs(sums[:10], sums[:10][::-1]) == []
    half = np.where(np.arange(DAYS) < DAYS // 2, sums, _sunny(9).sum(axis=1))
    assert _pairs(sums, half) == []
    for seed in range(8):
        near = _neighbour(_sunny(8), seed).sum(axis=1)
        assert _pairs(sums, near) == []


def test_a_meter_that_is_the_sum_of_others_is_seen():
    """A plant's total meter, bound in addition to its inverters, would double the energy."""
    parts = np.stack([_sunny(seed).sum(axis=1) for seed in range(30, 34)]).astype(np.int64)
    whole = np.vstack([parts, parts[[0, 2, 3]].sum(axis=0) + _draw(1).integers(-2, 3, DAYS)])
    assert list(summed(whole)) == [(4, (0, 2, 3))]
    # more meters than days: all of them
    many = np.stack([_sunny(seed).sum(axis=1) for seed in range(40)]).astype(np.int64)
    assert list(summed(np.vstack([many, many.sum(axis=0)]))) == [(40, tuple(range(40)))]
    assert list(summed(many)) == []


def test_inverters_that_share_a_sky_are_no_sums():
    """Of three inverters the largest would be excluded as the sum of the other two."""
    values = _sunny(50)
    half = [_neighbour(values // 2, seed).sum(axis=1) for seed in (1, 2)]
    own = np.stack([values.sum(axis=1), *half]).astype(np.int64)
    assert list(summed(own)) == []
    assert list(summed(np.stack([values.sum(axis=1)] * 2).astype(np.int64))) == []
    # a main meter, which shows what the lines lose
    main = np.stack([*half, (half[0] + half[1]) * 0.99]).astype(np.int64)
    assert list(summed(main)) == []
