"""One meter under several ids whose services overlap counts once; a change of meters stays."""

from pathlib import Path

import numpy as np

from mrv.accounting.twin_series import twins_between
from tests.mrv import plant

DAY = plant.DAY
DAYS = 28
COUNT = DAYS * DAY
ROOF = Path(__file__).parents[2] / "deploy/data/nrel_rsf2_inverter_15min.csv"


def sun(seed=1):
    """Energy of some weeks behind clouds. [Wh per quarter hour]"""
    rng = np.random.default_rng(seed)
    hour = np.arange(COUNT) % DAY / 4
    day = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    return (day * (1 - 0.6 * rng.random(COUNT)) * 20_000).astype(int)


def test_two_inverters_of_one_roof_are_two():
    """NREL's RSF II, five days of 2022: one inverter, and the others of that roof."""
    table = np.genfromtxt(ROOF, delimiter=",", skip_header=1, usecols=(1, 3))
    own = np.nan_to_num(table[:, 1] / 4)
    rest = np.nan_to_num(table[:, 0] * 1000 / 4 - own)
    for days in (1, 2, 3):
        for begin in range(0, len(own) - days * DAY + 1, DAY):
            some = [v[begin:][: days * DAY].clip(0).astype(np.int32)[None] for v in (own, rest)]
            assert not list(twins_between(*some))


def test_days_of_a_meter_under_one_id_are_not_held_against_each_other():
    """A device that leaves and comes back has two services."""
    one = [sun()[:DAY].astype(np.int32)]
    assert not list(twins_between(one, [sun(2)[:DAY].astype(np.int32)]))
    assert [t.equal for t in twins_between(one, one)] == [True]
