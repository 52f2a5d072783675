"""Annual change of a ratio, compared with rdtools."""

import json
from pathlib import Path

import numpy as np
import pytest

from mrv.performance import year_on_year

# written by rdtools (MIT), which is too heavy to be installed for tests; `made_by` names the call
CASES = json.loads(Path(__file__).with_name("rdtools.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[c["name"] for c in CASES])
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
