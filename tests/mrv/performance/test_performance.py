"""
Energy lost to soiling, and annual change of a ratio, compared with rdtools.

The sun on modules under a clear sky.

"""

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from mrv.exante.sun import Roof
from mrv.performance import NoEstimate, Soiling, intervals, plane_w_m2, soiling, year_on_year


def test_a_clear_day_in_hai_phong():
    """Expected power would stand an hour off the metered one, or shine at night."""
    found = plane_w_m2(Roof(20.94, 106.60, 10, 180), date(2026, 3, 20), 2)
    assert found.shape == (2, 96)
    quarters = (np.arange(96) / 4 + 7) % 24  # local time
    assert found[0][quarters < 5.5].max() == 0
    assert 900 < found[0].max() < 1100
    assert abs(quarters[found[0].argmax()] - 12) < 0.5  # noon is at 12:00 of UTC+7 there
    assert 6500 < found[0].sum() / 4 < 7800
    east = plane_w_m2(Roof(20.94, 106.60, 30, 90), date(2026, 3, 20), 1)[0]
    assert quarters[east.argmax()] < 11


# written by rdtools (MIT), which is too heavy to be installed for tests; `made_by` names the call
CASES = json.loads(Path(__file__).with_name("rdtools_srr.json").read_text())["cases"]
RECORDED = Path(__file__).parents[3] / "deploy/data/nrel_rsf2_inverter_15min.csv"
by_case = pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])


def _series(case):
    ratio = np.array(case["ratio"], dtype=float)
    return np.datetime64(case["first"]) + np.arange(len(ratio)), ratio, np.array(case["insolation"])


@by_case
def test_the_intervals_are_those_of_rdtools(case):
    """A cleaning that is not seen, or one that never was, changes every rate beside it."""
    days, ratio, _ = _series(case)
    found = intervals(ratio)
    assert [(str(days[i.first]), str(days[i.last]), i.valid) for i in found] == [
        (first, last, valid) for first, last, *_, valid in case["intervals"]
    ]
    for one, (*_, slope, low, high, _) in zip(found, case["intervals"], strict=True):
        assert (one.slope, one.low, one.high) == pytest.approx((slope, low, high), abs=2e-9)


@by_case
def test_the_loss_is_that_of_rdtools(case):
    """A crew would be sent to wash a clean plant, or a dirty one left as it is."""
    found = soiling(*_series(case))
    assert found.intervals == sum(one[-1] for one in case["intervals"])
    # both are drawn by chance
    width = case["high"] - case["low"]
    assert found.percent == pytest.approx(case["percent"], abs=0.1 * width)
    assert found.low == pytest.approx(case["low"], abs=0.15 * width)
    assert found.high == pytest.approx(case["high"], abs=0.15 * width)
    assert soiling(*_series(case)) == found  # a figure that changes with each look is none


def test_days_that_are_absent_are_days_without_a_ratio():
    """A row that the database does not have would join two intervals, or move a rate."""
    days, ratio, sun = _series(CASES[2])
    kept = np.isfinite(ratio)
    sun = np.where(kept, sun, 0.0)
    assert soiling(days[kept], ratio[kept], sun[kept]) == soiling(days, ratio, sun)


def test_what_cannot_be_told_is_not_told():
    """A wrong soiling figure would cause needless cleaning, or hide visible dirt."""
    days, ratio, sun = _series(CASES[0])
    assert soiling(days[:0], ratio[:0], sun[:0]) is NoEstimate.SHORT
    assert soiling(days[:364], ratio[:364], sun[:364]) is NoEstimate.SHORT
    assert soiling(days, np.full(len(days), np.nan), sun) is NoEstimate.SHORT
    assert isinstance(soiling(days[:365], ratio[:365], sun[:365]), Soiling)
    thin = np.where(np.arange(len(days)) % 3 == 0, ratio, np.nan)
    assert soiling(days, thin, sun) is NoEstimate.GAPS
    # a clean plant shows noise and no rate
    clean = 0.84 + np.random.default_rng(5).normal(0, 0.01, len(days))
    assert soiling(days, clean, sun) is NoEstimate.UNCLEAR
    assert soiling(days, np.full(len(days), 0.84), sun) is NoEstimate.UNCLEAR
    assert soiling(days, np.zeros(len(days)), sun) is NoEstimate.UNCLEAR


def test_five_days_of_a_real_plant_tell_nothing():
    """NREL's recording is five days of January: no soiling can be read from it."""
    with RECORDED.open() as file:
        rows = [(r[""].split()[0], float(r["ac_power_kw_1137"]), float(r["poa_irradiance__1055"]))
                for r in csv.DictReader(file)]  # fmt: skip
    power, sun = (np.array([row[k] for row in rows]).reshape(5, 96) for k in (1, 2))
    days = np.datetime64("2022-01-02") + np.arange(5)
    insolation = np.maximum(sun, 0).sum(axis=1)
    assert (
        soiling(days, np.maximum(power, 0).sum(axis=1) / insolation, insolation) is NoEstimate.SHORT
    )


# written by rdtools (MIT), which is too heavy to be installed for tests; `made_by` names the call
AGES = json.loads(Path(__file__).with_name("rdtools.json").read_text())["cases"]


@pytest.mark.parametrize("case", AGES, ids=[c["name"] for c in AGES])
def test_the_rate_is_that_of_rdtools(case):
    """Modules that age twice as fast as their warranty says would look healthy, or the reverse."""
    found = year_on_year(np.array(case["days"], "datetime64[D]"), np.array(case["ratio"]))
    assert found.percent_per_year == pytest.approx(case["percent_per_year"], abs=1e-6)
    assert found.pairs == case["pairs"]
    # both are drawn by chance
    width = case["high"] - case["low"]
    assert found.low == pytest.approx(case["low"], abs=0.15 * width)
    assert found.high == pytest.approx(case["high"], abs=0.15 * width)


def test_less_than_two_years_have_no_rate():
    """One summer against one winter would be called ageing."""
    days = np.arange("2024-01-01", "2025-12-30", dtype="datetime64[D]")
    assert year_on_year(days, np.full(days.size, 0.8)) is None
    assert year_on_year(days[:0], np.array([])) is None
    longer = np.arange("2024-01-01", "2026-01-01", dtype="datetime64[D]")
    missing = np.full(longer.size, np.nan)
    assert year_on_year(longer, missing) is None
    found = year_on_year(longer, np.full(longer.size, 0.8))
    assert (found.percent_per_year, found.low, found.high) == (0, 0, 0)
