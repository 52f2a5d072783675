"""A period's account by its local days."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, IntervalRows
from mrv.accounting.emission_rows import Counted, Sums, by_day
from mrv.calendar import instant_us

ZONE = "Asia/Ho_Chi_Minh"
BEGIN_US = instant_us("2026-03-01T06:00:00+07:00", ZONE)
DAYS = 3
END_US = BEGIN_US + DAYS * 96 * INTERVAL_US
micrograms = st.integers(-(10**18), 10**18)


def _rows(*values):
    """A device's quantity of the days, each day's in its first quarter hour."""
    n = len(values)
    zero = np.zeros(n, dtype=np.int64)
    start = BEGIN_US + np.arange(n) * 96 * INTERVAL_US
    fields = dict.fromkeys(IntervalRows.__dataclass_fields__, zero)
    return IntervalRows(**{**fields, "start_us": start, "value": np.array(values, dtype=np.int64)})


def _spread(sums, counted, rows):
    return by_day(sums, counted, rows, BEGIN_US, END_US, ZONE)


@given(
    st.builds(Sums, micrograms, micrograms, micrograms, micrograms),
    st.lists(st.tuples(st.sampled_from(["baseline", "project"]), micrograms), max_size=3),
    st.lists(st.integers(0, 10**12), min_size=DAYS, max_size=DAYS),
)
def test_days_add_up_to_their_period(sums, counted, values):
    """A month on a board would be another figure than the statement of it."""
    made = [Counted(0, 0, side, ug) for side, ug in counted]
    found = _spread(sums, made, _rows(*values))
    assert [one.day for one in found] == [f"2026-03-0{d}" for d in (1, 2, 3, 4)]
    assert (found[0].begin_us, found[-1].end_us) == (BEGIN_US, END_US)
    for k in range(4):
        assert sum(one.sums[k] for one in found) == sums[k]


def test_what_a_device_counted_goes_by_its_days_and_the_rest_by_time():
    """A plant that stood still for a day would have made its tonnes of that day all the same."""
    rows = _rows(100, 0, 300)
    found = _spread(Sums(4400, 400, 0, 4000), [Counted(0, 0, "baseline", 4000)], rows)
    # of the period 18, 24, 24 and 6 hours lie on the days
    assert [one.sums.baseline_ug for one in found] == [1100, 133, 3133, 34]
    assert [one.sums.project_ug for one in found] == [100, 133, 133, 34]
    assert [one.sums.reduction_ug for one in found] == [1000, 0, 3000, 0]


@pytest.mark.parametrize("reduction", [0, 1000, -500])
def test_what_does_not_count_is_taken_off_every_day(reduction):
    """A statement without its invoices would save on some days and lose it on others."""
    found = _spread(
        Sums(4000, 2000, 0, reduction), [Counted(0, 0, "baseline", 4000)], _rows(1, 1, 2)
    )
    days = [one.sums.reduction_ug for one in found]
    assert sum(days) == reduction
    assert days == [0, 0, 0, 0] if reduction == 0 else days != [0, 0, 0, 0]
