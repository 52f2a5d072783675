"""
Emissions per interval: exact where additive, otherwise conservative.

A period's account by its local days.
"""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, IntervalRows
from mrv import factors
from mrv.accounting.emission_rows import Counted, Sums, by_day
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.calendar import instant_us
from mrv.errors import MethodologyError
from mrv.registry.project import ProjectDevice
from mrv.rounding import LIMIT
from tests.mrv import plant

ZONE = "Asia/Ho_Chi_Minh"
BEGIN_US = instant_us("2026-03-01T06:00:00+07:00", ZONE)
DAYS = 3
END_US = BEGIN_US + DAYS * 96 * INTERVAL_US
micrograms = st.integers(-(10**18), 10**18)


def _rows(*values):
    """Return the quantity of a device by day, each day's in its first 15-minute interval."""
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


BOOK = factors.load()
BOTH = compile_bindings([plant.PV, plant.BUS], plant.FLEET, BOOK)


def test_solar_intervals_are_exact_by_case():
    """A factor of the wrong case, or a rounded one, would show only in the yearly sum."""
    found = account(
        plant.rows(("inv-2", "energy_export", 1, 3), ("inv-1", "energy_export", 0, 25_001)), BOTH
    )
    assert [BOTH.projects[p] for p in found.project] == ["pv", "pv"]
    assert found.device.tolist() == [1, 0]
    assert found.baseline_ug.tolist() == [3 * 533_000, 25_001 * 333_000]
    assert found.reduction_ug.tolist() == found.baseline_ug.tolist()
    assert found.project_ug.tolist() == found.leakage_ug.tolist() == [0, 0]
    assert BOTH.sources[found.source[0]] == ("jcm-vn-am007@1.0", "jcm-vn-am007-case-3")


def test_bus_intervals_round_against_the_claimant():
    """The live figure would promise more than the statement can hold."""
    found = account(
        plant.rows(("bus-1", "distance", 0, 12_345), ("ch-1", "energy_import", 0, 7_001)), BOTH
    )
    per_m = Fraction("910.00728") * Fraction("0.99") * 1000  # 2026, one year after the baseline
    per_wh = Fraction("0.6592") / (1 - Fraction("0.0615")) * 10**6
    assert found.baseline_ug.tolist() == [(12_345 * per_m).__floor__(), 0]
    assert found.project_ug.tolist() == [0, (7_001 * per_wh).__ceil__()]
    assert found.reduction_ug.tolist() == [found.baseline_ug[0], -found.project_ug[1]]


@pytest.mark.parametrize("years", [0, 9])
def test_the_baseline_bus_improves_by_local_calendar_year(years):
    """A bus that would have been replaced long since would go on earning credits."""
    last = plant.us(2026 + years, 12, 31, 16, 45)  # 23:45 in Hai Phong
    now = plant.rows(("bus-1", "distance", 0, 20_000))
    pair = [replace(now, start_us=np.array([t])) for t in (last, last + INTERVAL_US)]
    got = [account(r, BOTH).baseline_ug.tolist() for r in pair]
    rate = Fraction("910.00728") * 1000 * 20_000
    want = [[(rate * Fraction("0.99") ** (years + k)).__floor__()] for k in (1, 2)]
    assert got == (want if years < 9 else [want[0], []])


def test_rows_that_serve_no_project_earn_nothing():
    """Energy before the crediting period, or of an unbound quantity, would be claimed."""
    early = plant.rows(("inv-1", "energy_export", -1, 10))
    other = plant.rows(("inv-1", "energy_import", 0, 10), ("ch-2", "energy_import", 0, 10))
    for given_rows in (early, other, IntervalRows.empty()):
        assert len(account(given_rows, BOTH)) == 0
    none = compile_bindings([], plant.FLEET, BOOK)
    assert len(account(plant.rows(("inv-1", "energy_export", 0, 10)), none)) == 0


def test_an_interval_cut_by_a_hand_over_goes_to_the_costly_side():
    """Minutes before a device joined would be credited, or its charging forgotten."""
    join, leave = plant.FROM + INTERVAL_US // 2, plant.FROM + 5 * INTERVAL_US // 2
    cut = [
        replace(
            project, devices=tuple(replace(d, from_us=join, to_us=leave) for d in project.devices)
        )
        for project in (plant.PV, plant.BUS)
    ]
    bound = compile_bindings(cut, plant.FLEET, BOOK)
    places = range(4)
    baseline = account(plant.rows(*(("inv-1", "energy_export", i, 1) for i in places)), bound)
    project = account(plant.rows(*(("ch-1", "energy_import", i, 1) for i in places)), bound)
    assert ((baseline.start_us - plant.FROM) // INTERVAL_US).tolist() == [1]
    assert ((project.start_us - plant.FROM) // INTERVAL_US).tolist() == [0, 1, 2]


def test_a_value_that_is_no_measurement_cannot_earn_nor_stop_the_stream():
    """One absurd register would wrap around into credits, or end the pipeline."""
    huge = 2**62 - 1
    found = account(
        plant.rows(("inv-1", "energy_export", 0, huge), ("ch-1", "energy_import", 0, huge)), BOTH
    )
    assert found.baseline_ug.tolist() == [0, 0]
    assert found.project_ug.tolist() == [0, LIMIT]
    assert found.reduction_ug.tolist() == [0, -LIMIT]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"methodology": "x"}, "methodology 'x' is unknown"),
        ({"version": "9"}, "no version '9'"),
        ({"devices": (ProjectDevice("inv-9", "generation", {"case": 1}),)}, "inv-9 is not in"),
        ({"devices": (ProjectDevice("inv-1", "sun", {"case": 1}),)}, "role 'sun' is unknown"),
        ({"devices": (ProjectDevice("inv-1", "generation"),)}, "'case' is missing"),
        ({"parameters": {"tdl": 0.1}}, "unknown key 'tdl'"),
    ],
)
def test_a_project_that_cannot_be_counted_is_refused(change, says):
    """
    Devices of an ineligible project would run for months before anyone sees that they get no
    credits.
    """
    with pytest.raises(MethodologyError, match=says):
        compile_bindings([replace(plant.PV, **change)], plant.FLEET, BOOK)
