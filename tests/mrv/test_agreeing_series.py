"""
The fast comparison of series must find every pair, else a meter counts in two projects.

One meter with several ids and overlapping service counts once; a replacement of meters stays.
"""

from pathlib import Path

import numpy as np
import pytest

from mrv.accounting.twin_series import agreeing, twins_between
from tests.mrv import plant

DAY = plant.DAY
DAYS = 28
COUNT = DAYS * DAY
ROOF = Path(__file__).parents[2] / "deploy/data/nrel_rsf2_inverter_15min.csv"


def sun(seed=1):
    """Return the energy of some weeks with clouds. [Wh per 15-minute interval]"""
    rng = np.random.default_rng(seed)
    hour = np.arange(COUNT) % DAY / 4
    day = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    return (day * (1 - 0.6 * rng.random(COUNT)) * 20_000).astype(int)


def test_two_inverters_of_one_roof_are_two():
    """Recorded inverters of one roof must not be reported as copies of each other."""
    table = np.genfromtxt(ROOF, delimiter=",", skip_header=1, usecols=(1, 3))
    own = np.nan_to_num(table[:, 1] / 4)
    rest = np.nan_to_num(table[:, 0] * 1000 / 4 - own)
    for days in (1, 2, 3):
        for begin in range(0, len(own) - days * DAY + 1, DAY):
            some = [v[begin:][: days * DAY].clip(0).astype(np.int32)[None] for v in (own, rest)]
            assert not list(twins_between(*some))


def test_days_of_a_meter_under_one_id_are_not_held_against_each_other():
    """A device that leaves a project and returns has two times of service."""
    one = [sun()[:DAY].astype(np.int32)]
    assert not list(twins_between(one, [sun(2)[:DAY].astype(np.int32)]))
    assert [t.equal for t in twins_between(one, one)] == [True]


NEARLY = 8e-3


def _plainly(own, others, need):
    """Return the same result, calculated pair by pair."""
    for i, mine in enumerate(own.tolist()):
        for j, lags in enumerate(others.tolist()):
            if any(_agree(mine, lag, need[i]) for lag in lags):
                yield i, j


def _agree(mine, lag, need):
    ratios = sorted(b / a for a, b in zip(mine, lag, strict=True) if a > 0 and b > 0)
    return need > 0 and any(
        high <= low * (1 + NEARLY) for low, high in zip(ratios, ratios[need - 1 :], strict=False)
    )


def _fleet(draw):
    """
    Return meters under one sky, and others: noisy, scaled, late or incomplete copies; unrelated
    ones.
    """
    intervals = int(draw.integers(0, 13))
    sky = draw.uniform(0.2, 1, intervals + 2)
    own = _metered(draw, sky[1:-1], int(draw.integers(0, 6)))
    others = []
    for _ in range(int(draw.integers(0, 12))):
        copied = len(own) and draw.random() < 0.7
        base = own[draw.integers(len(own))] if copied else _metered(draw, sky[1:-1], 1)[0]
        noise = draw.choice([0, 1e-4, 3e-3, 5e-3, 8e-3, 0.02])
        copy = base * draw.choice([1, 0.5, 1.3]) * (1 + draw.uniform(-noise, noise, intervals))
        lags = np.stack([np.roll(copy, k) for k in draw.permutation([-1, 0, 1])])
        others.append(np.where(draw.random(lags.shape) < 0.1, 0, np.rint(lags)))
    table = np.array(others, dtype=np.int64).reshape(len(others), 3, intervals)
    return own, table


def _metered(draw, sky, many):
    values = sky * draw.uniform(0.97, 1.03, (many, len(sky))) * draw.choice([300, 20_000])
    return np.rint(np.where(draw.random(values.shape) < 0.1, 0, values)).astype(np.int64)


@pytest.mark.parametrize("at_once", [1, 5, 16_384])
def test_arrays_find_the_pairs_of_a_plain_loop(monkeypatch, at_once):
    """A copy would pass where its column is the last of a block, or an interval is missing."""
    monkeypatch.setattr("mrv.accounting.twin_series._RATIOS", at_once)
    draw = np.random.default_rng(18)
    found = 0
    for _ in range(120):
        own, others = _fleet(draw)
        need = draw.integers(0, own.shape[1] + 2, len(own))
        pairs = agreeing(own, others, need, NEARLY)
        assert pairs == list(_plainly(own, others, need))
        found += len(pairs)
    assert found > 100


def test_ratios_at_the_edge_are_taken_as_division_gives_them():
    """Ratios exactly at the tolerance would be judged differently by two methods."""
    own = np.full((1, 7), 125_000, dtype=np.int64)
    others = np.stack([own + k * (np.arange(7) == 3) for k in (999, 1000, 1001)])
    need = np.array([7])
    found = agreeing(own, others, need, NEARLY)
    assert found == list(_plainly(own, others, need)) == [(0, 0), (0, 1)]
