"""Corroboration of a register's energy by power, sun and daily sums, by 15-minute intervals."""

import numpy as np
import pytest

from ingest.model import HOUR_US, INTERVAL_US
from ingest.quality import energy_budget
from ingest.quality.energy_budget import Tolerance, integral

HALONG = (20.95, 107.07)
NOON = 20_454 * 96 + 20  # 12:00 in Hai Phong on 1 January 2026, in quarter hours
NONE = np.zeros(96, dtype=np.bool_)
TIGHT = Tolerance(0.0, 0.0)


def _at(*quarters):
    return np.array(quarters, dtype=np.int64) * INTERVAL_US


def test_power_is_integrated_over_the_quarter_hours_that_it_crosses():
    """A step over two 15-minute intervals would show all of its energy in one of them."""
    at = _at(0, 2, 4) + INTERVAL_US // 2
    shown = integral(at, np.array([0.0, 4_000.0, -9_000.0]), at, 0, 6)
    assert shown.energy_wh == pytest.approx([250, 500, 500, 500, 250, 0])
    assert shown.known.tolist() == [False, True, True, True, False, False]
    assert shown.variance[1] > 0


def test_silence_shows_nothing_and_power_that_is_left_out_is_sampled_more_seldom():
    """A gateway that reports by exception cost a plant 12 %; an omission would be an outage."""
    at, watts = _at(0, 1, 21, 22), np.array([1_000.0, 1_000, 3_000, 3_000])
    silent = integral(at, watts, at, 0, 22)
    assert silent.known.tolist() == [True] + [False] * 20 + [True]
    found = integral(at, watts, _at(*range(23)), 0, 22)
    assert found.known.all()
    assert found.energy_wh == pytest.approx([250] + [500] * 20 + [750])
    assert (found.variance[8:12] > 0).all()
    # of more than a day: its channel is out of order, and asked for by a finding
    mute = integral(_at(0, 1, 101, 102), watts, _at(*range(103)), 0, 102)
    assert mute.known.tolist() == [True] + [False] * 100 + [True] == (~mute.left_out).tolist()
    before = integral(_at(40, 41), np.array([500.0, 500.0]), _at(*range(50)), 0, 48)
    assert before.known.all()
    assert before.energy_wh[:40].tolist() == [0.0] * 40


def test_power_that_is_sent_once_an_hour_is_left_out_only_beyond_that():
    """A logger of hourly power lost a sixth of its energy, under a corrective action request."""
    hours = np.arange(0, 48, 4)
    watts = 1_000.0 + 500 * (hours % 8 == 0)
    sent = integral(_at(*hours), watts, _at(*range(45)), 0, 44)
    assert sent.known.all()
    assert sent.energy_wh.sum() == pytest.approx(11 * 1_250)
    assert (sent.variance > 0).all()
    # three hours of it are missing, while the register is read
    kept = np.delete(np.arange(12), [5, 6])
    missing = integral(_at(*hours[kept]), watts[kept], _at(*range(45)), 0, 44)
    assert missing.known.all()
    assert missing.energy_wh[16:28].sum() == pytest.approx(3 * 1_250)


def test_a_register_within_the_tolerance_of_a_day_loses_nothing():
    """A meter of class 3 % lost 2 % of a month for differences of tenths of a percent at dawn."""
    shown = np.concatenate([np.full(20, 100.0), np.full(56, 2_000.0), np.zeros(20)])
    value = np.where(np.arange(96) < 20, 105, shown * 1.03).astype(np.int64)
    tolerance = Tolerance(0.04, 1.0)
    zeros = np.zeros(96)
    assert not energy_budget.above(value, shown, zeros, ~NONE, NONE, 0, tolerance).any()
    more = (shown * 1.05).astype(np.int64)
    left = more - energy_budget.above(more, shown, zeros, ~NONE, NONE, 0, tolerance)
    assert left.sum() <= shown.sum() * 1.001


def test_one_sample_is_no_integral():
    """A single reading of power would be compared with all of a register's energy."""
    assert not integral(_at(1), np.array([5.0]), _at(1), 0, 4).known.any()


@pytest.mark.parametrize("seed", range(30))
def test_what_is_left_is_shown(seed):
    """Energy that no channel shows would be credited, or more deducted than was claimed."""
    rng = np.random.default_rng(seed)
    n, into_day = int(rng.integers(1, 500)), int(rng.integers(0, 96))
    value = rng.integers(0, 3_000, n) * (rng.random(n) < 0.6)
    shown = rng.uniform(0, 2_500, n) * (rng.random(n) < 0.6)
    known, estimated = rng.random(n) < 0.9, rng.random(n) < 0.2
    beyond = energy_budget.above(value, shown, 0 * shown, known, estimated, into_day, TIGHT)
    assert ((beyond >= 0) & (beyond <= value)).all()
    assert (beyond[~known] == 0).all()
    left = np.where(known, value - beyond, 0)
    day = (into_day + np.arange(n)) // 96
    asked = np.bincount(day, np.where(known, shown, 0))
    assert (np.bincount(day, left) <= asked + 1e-3).all()


def test_a_register_that_lags_behind_loses_nothing_and_one_ahead_does():
    """
    A meter that counts whole kilowatt-hours would lose each 15-minute
    interval in which it does.
    """
    shown = np.full(96, 250.0)
    late = np.zeros(96, dtype=np.int64)
    late[3::4] = 1_000
    assert not energy_budget.above(late, shown, 0 * shown, ~NONE, NONE, 0, TIGHT).any()
    early = np.roll(late, 1)
    assert energy_budget.above(early, shown, 0 * shown, ~NONE, NONE, 0, TIGHT).any()
    step = Tolerance(0.0, 1_000.0)
    assert not energy_budget.above(early, shown, 0 * shown, ~NONE, NONE, 0, step).any()


def test_a_catch_up_that_was_spread_is_held_as_one():
    """A register that hung all morning would lose what was spread over its first hours."""
    shown = np.concatenate([np.zeros(40), np.arange(20) * 100.0, np.zeros(36)])
    value = np.zeros(96, dtype=np.int64)
    value[40:60] = int(shown.sum()) // 20
    spread = value > 0
    assert not energy_budget.above(value, shown, 0 * shown, ~NONE, spread, 0, TIGHT).any()
    found = energy_budget.above(value * 2, shown, 0 * shown, ~NONE, spread, 0, TIGHT)
    assert found.sum() == int(shown.sum())


def test_the_sun_makes_most_at_noon_and_nothing_by_night():
    """The clear-sky irradiance would be too low, and honest mornings would get deductions."""
    share = energy_budget.max_share_of_rated(*HALONG, NOON - 48, NOON + 48)
    assert share[48] == energy_budget.MAX_SHARE_OF_RATED
    assert share[0] == share[-1] == 0
    assert (np.diff(share[20:48]) >= 0).all()
    # direct beam at air mass 1.5 is about 850 W/m2 (Meinel), and a tenth of sky
    assert energy_budget.irradiance(np.array([41.8]))[0] == pytest.approx(
        1353 * 0.7**1.316 * 1.1, 0.01
    )


def test_a_day_that_the_sun_cannot_have_made_is_no_evidence():
    """
    A false register at its rating from dawn to dusk would be
    credited for the hours around noon.
    """
    most = np.concatenate([np.zeros(30), np.full(36, 1_000.0), np.zeros(30)])
    honest = most.astype(np.int64) * 9 // 10
    assert not energy_budget.above_maximum(honest, most, NONE, 0, 0.0).any()
    false = honest + np.where(np.arange(96) == 20, 3_000, 0)
    assert (energy_budget.above_maximum(false, most, NONE, 0, 0.0) == false).all()
    little = honest + np.where(np.arange(96) == 20, 500, 0)
    assert energy_budget.above_maximum(little, most, NONE, 0, 0.0).sum() == 500
    assert energy_budget.above_maximum(little, most, NONE, 0, 1_000.0).sum() == 0
    spread = np.zeros(96, dtype=np.int64)
    spread[20:40] = 900
    found = energy_budget.above_maximum(spread, most, spread > 0, 0, 0.0)
    assert spread.sum() - found.sum() <= 10_000
    assert HOUR_US == 4 * INTERVAL_US
