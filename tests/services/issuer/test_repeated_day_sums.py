"""Copies that a comparison of 15-minute intervals does not find must still be detected."""

import numpy as np
import pytest

from mrv.accounting.twin_series import Twins, copied
from services.issuer.repeated_days import near_in_any_order, repeated_days

DAYS, DAY = 31, 96
APART, ONE_SKY = 2.5e-3, 1e-4


def _city(seed, many, own=0.03):
    """
    Return 15-minute energies of a month of plants in a city: its
    clouds, and each plant's own.
    """
    draw = np.random.default_rng(seed)
    hour = (np.arange(DAY) + 0.5) / 4
    sun = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    city = draw.uniform(0.3, 1, DAYS)
    local = 1 + own * draw.standard_normal((many, DAYS))
    flicker = 1 + 0.01 * draw.standard_normal((many, DAYS, DAY))
    values = np.maximum(20_000 * sun * flicker * (city * local)[:, :, None], 0)
    return np.rint(values).astype(np.int64)


def _noisy(values, part, seed=1):
    noise = np.random.default_rng(seed).uniform(-part, part, values.shape)
    return np.rint(values * (1 + noise)).astype(np.int64)


def _pairs(own, others, nearly):
    found = repeated_days(own.sum(axis=2), others.sum(axis=2)[:, None], nearly)
    return [(one.first, one.other, one.equal) for one in found]


COPIES = {
    "a little noise": (lambda v: _noisy(v, 0.003), False),
    "one per cent of noise": (lambda v: _noisy(v, 0.01), False),
    "larger": (lambda v: np.rint(v * 1.4).astype(np.int64), False),
    "turned round": (lambda v: v[:, ::-1], True),
    "two hours late": (lambda v: np.roll(v, 8, axis=1), True),
    "by the hour": (lambda v: np.repeat(v.reshape(DAYS, 24, 4).sum(axis=2) // 4, 4, axis=1), None),
    "since the fifteenth": (lambda v: np.where(np.arange(DAYS)[:, None] < 15, 0, v), True),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_has_the_days_of_its_meter(how):
    """A copy that was moved by hours, turned round or given noise would count again."""
    city = _city(4, 30)
    change, equal = COPIES[how]
    found = _pairs(change(city[7])[None], city, APART)
    assert [(one, other) for one, other, _ in found] == [(0, 7)]
    if equal is not None:
        assert found[0][2] is equal


def test_days_of_last_year_are_found_at_their_time():
    """A history that is sent a second time would be credited a second time."""
    before, now = _city(11, 5), _city(12, 5)
    sums = np.stack([now[0].sum(axis=1), _noisy(before[3], 0.02).sum(axis=1)])
    times = np.stack([_city(13, 5).sum(axis=2), before.sum(axis=2)], axis=1)
    (found,) = repeated_days(sums, times, 5e-3)
    assert (found.first, found.other, found.time, found.equal) == (1, 3, 1, False)
    assert found.days >= 22
    assert abs(found.ratio - 1) < 5e-3


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_days_in_another_order_are_compared_by_size(lost):
    """A shuffled copy under noise that leaves some days out would never be looked at."""
    draw = np.random.default_rng(21)
    many = np.concatenate([_city(seed, 1) for seed in range(40)])
    copy = draw.permutation(_noisy(many[7], 0.05), axis=0) * 9 // 10
    copy[draw.permutation(DAYS)[:lost]] = 0
    found = near_in_any_order(copy.sum(axis=1)[None], many.sum(axis=2), 2.5e-2)
    assert found[0, 7]
    assert np.count_nonzero(found) <= 2  # plants under skies of their own are rarely looked at


@pytest.mark.parametrize("seed", range(4))
def test_honest_neighbours_have_days_of_their_own(seed):
    """Plants of a city, of one roof or with coarse registers would be taken for copies."""
    city = _city(seed, 60)
    other = _city(seed, 60)[:, ::-1]  # the same ones, in other weather
    assert _pairs(city, other, APART) == []
    for many, own, nearly in ((city, city, APART), (_city(seed, 60, 0.003), None, ONE_SKY)):
        others = many if own is None else own
        assert [p for p in _pairs(many, others, nearly) if p[0] != p[1]] == []
    small = np.rint(_city(seed, 40, 0.0005).sum(axis=2) / 20_000).astype(np.int64) * 1_000
    assert [p for p in repeated_days(small, small[:, None], ONE_SKY) if p.first != p.other] == []
    week = np.where(np.arange(DAYS) % 7 < 5, 9_000_000, 6_000_000)
    engines = week + np.random.default_rng(seed).integers(-9_000, 9_000, (20, DAYS))
    assert list(repeated_days(engines, np.roll(engines, 7, axis=1)[:, None], 5e-3)) == []
    clear = np.full((20, DAYS), 125_000) + np.random.default_rng(seed).integers(0, 90, (20, DAYS))
    assert list(repeated_days(clear, clear[:, None], APART)) == []


def _series(values):
    return values.reshape(-1).astype(np.int32)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v, Twins(0, 1, 0, equal=True)),
        (lambda v: np.where(np.arange(len(v)) < 2_000, 0, v), Twins(0, 1, 0, equal=True)),
        (lambda v: np.where(np.arange(len(v)) // DAY % 3 == 0, 0, v), Twins(0, 1, 0, equal=True)),
        (
            lambda v: np.where(np.arange(len(v)) % DAY > 72, 0, np.roll(v, 8)),
            Twins(0, 1, 8, equal=True),
        ),
        (lambda v: np.rint(v * 0.7).astype(np.int32), Twins(0, 1, 0, equal=False)),
        (
            lambda v: np.rint(v * np.where(np.arange(len(v)) % 30, 0.7, 0.5)),
            Twins(0, 1, 0, equal=False),
        ),
        (lambda v: _noisy(v, 0.004).astype(np.int32), Twins(0, 1, 0, equal=False)),
        (lambda v: _noisy(v, 0.03).astype(np.int32), None),
    ],
)
def test_a_copy_is_seen_where_it_is_there(change, said):
    """A copy with gaps, of half a month, or cut by the night would count again."""
    truth = _series(_city(21, 1)[0])
    assert copied(truth, change(truth).astype(np.int32)) == said


def test_neighbours_are_no_copies_where_both_are_there():
    """Two small plants that count whole kilowatt hours would be one, or two at their limit."""
    one, other = _city(22, 2, 0.005)
    assert copied(_series(one), _series(other)) is None
    coarse = [_series(np.diff(v.cumsum() // 16_000, prepend=0) * 1_000) for v in (one, other)]
    assert copied(*coarse) is None
    assert copied(_series(one)[40:46], _series(one)[40:46]) is None  # an hour and a half
    limit = [_series(np.minimum(v * 3, 12_500)) for v in (one, other)]
    assert copied(*limit) is None
