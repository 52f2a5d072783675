"""Where a device's time went.

What a project gains counts only while what it costs is metered; a year is held to its limits.
"""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.accounting.coverage import gaps, service
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.errors import PeriodError
from mrv.methodologies import find
from mrv.model import GAINING
from mrv.registry.project import ProjectDevice
from mrv.rules.account import parts_of_years
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.plant import BUS, CERTIFICATES, DAY, FLEET, FROM, full

DAY_US = DAY * INTERVAL_US
HALF_US = DAY_US // 2
ROWS = IntervalRows.concat(
    [full("ch-1", "energy_import", DAY, 500), full("bus-1", "distance", DAY, 1000)]
)
BOOK = factors.load()


def _bus(*devices):
    return replace(BUS, devices=devices)


def _closed(project, rows=ROWS):
    return close(project, FLEET, CERTIFICATES, rows, FROM, FROM + DAY_US, BOOK)


def _km(result):
    return sum(float(d.counted) for d in result.devices if d.role == "vehicle") / 1000


@pytest.mark.parametrize(
    ("begin", "end", "km"),
    [(0, None, 96), (FROM + HALF_US, None, 48), (0, FROM + HALF_US, 48), (FROM + DAY_US, None, 0)],
)
def test_buses_gain_only_while_a_charger_is_bound(begin, end, km):
    """Taking the chargers out of the project would make its buses free of emissions."""
    charger = ProjectDevice("ch-1", "charging", from_us=begin, to_us=end)
    project = _bus(charger, ProjectDevice("bus-1", "vehicle"))
    result = _closed(project)
    assert _km(result) == km
    # what was driven beside is told, and the dashboard shows no more than it
    (bus,) = [d for d in result.devices if d.role == "vehicle"]
    assert bus.outside_service == (96 - km) * 1000
    live = account(ROWS, compile_bindings([project], FLEET, BOOK))
    assert int(live.baseline_ug.sum()) <= result.gross.baseline.ug


def test_between_one_charger_and_the_next_nothing_is_gained():
    """Buses that went on driving meanwhile would be free of emissions."""
    quarter = DAY_US // 4
    first = ProjectDevice("ch-1", "charging", to_us=FROM + quarter)
    second = ProjectDevice("ch-2", "charging", from_us=FROM + 3 * quarter)
    rows = IntervalRows.concat([ROWS, full("ch-2", "energy_import", DAY, 500)])
    project = _bus(first, second, ProjectDevice("bus-1", "vehicle"))
    result = _closed(project, rows)
    assert _km(result) == 48
    buses = [d for d in result.devices if d.role == "vehicle"]
    assert sum(d.outside_service for d in buses) == 48_000
    assert [(d.from_us - FROM, d.to_us - FROM) for d in buses] == [
        (0, quarter),
        (3 * quarter, DAY_US),
    ]
    live = account(rows, compile_bindings([project], FLEET, BOOK))
    # live rows round down, each by less than a microgram
    assert 0 <= result.gross.baseline.ug - int(live.baseline_ug.sum()) < DAY


def test_a_base_load_counts_from_the_first_day_of_its_meter():
    """A building would be credited for the months before anyone measured it."""
    method, begin = find("ams-ii-e"), FROM + HALF_US
    fleet = Fleet([Device("m-1", "s", "energy_meter", installed_us=FROM)])
    building = _bus(ProjectDevice("m-1", "power", from_us=begin))
    (part,) = parts_of_years(building, method, fleet, (FROM, FROM + DAY_US))[2026]
    assert part.value == Fraction(1, 365)
    assert part.params == {GAINING: Fraction(1, 730)}
    (earlier,) = parts_of_years(building, method, fleet, (FROM, begin))[2026]
    assert earlier.params == {GAINING: 0}
    assert parts_of_years(BUS, find("ams-iii-c"), FLEET, (FROM, begin)) == {}


FIRST = plant.FROM // INTERVAL_US
THIRD = INTERVAL_US // 3


def laid(*given_rows, count=8):
    rows = plant.rows(*(("inv-1", "energy_export", *r) for r in given_rows))
    return service(rows, FIRST, FIRST + count, "inv-1")


def test_gaps_are_runs_with_their_own_time():
    """Each gap has its exact start and end."""
    part = laid(
        (0, 5),
        (1, 5, THIRD, 0, 2 * THIRD),
        (2, 0, 0, 0, INTERVAL_US),
        (3, 5, THIRD, THIRD, 0),
        (6, 5),
        (7, 5),
    )
    found = [
        (g.kind, (g.start_us - plant.FROM) // INTERVAL_US, (g.end_us - g.start_us) // INTERVAL_US)
        for g in gaps(part)
    ]
    assert found == [("unknown", 1, 2), ("missing", 3, 3)]
    assert [g.time_us for g in gaps(part)] == [5 * THIRD, 7 * THIRD]


def test_rows_outside_of_service_are_set_apart():
    """Readings outside the installed time of a device are listed separately."""
    part = laid((-2, 7), (0, 1), (8, 11))
    assert part.value.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert part.outside == 18
    nothing = laid((0, 1), count=0)
    assert (len(nothing), nothing.outside, gaps(nothing)) == (0, 1, [])


@pytest.mark.parametrize(
    ("given_rows", "says"),
    [
        ([(0, 1), (0, 1)], "appears twice"),
        ([(0, -1)], "negative value"),
        ([(0, 1, INTERVAL_US, 1, 0)], "more than its 15 minutes"),
        ([(0, 1, -1, 0, 0)], "inv-1: the interval at"),
    ],
)
def test_inconsistent_rows_are_refused(given_rows, says):
    """A doubled or impossible interval would be credited."""
    with pytest.raises(PeriodError, match=says):
        laid(*given_rows)


times = st.tuples(*[st.integers(0, THIRD)] * 3)


@given(st.dictionaries(st.integers(0, 7), times))
def test_every_microsecond_is_accounted_for(known):
    """Metered time and gaps add up to the whole period."""
    part = laid(*((place, 1, *three) for place, three in known.items()))
    sums = [
        int(column.sum())
        for column in (part.measured_us, part.estimated_us, part.unknown_us, part.missing_us)
    ]
    assert sum(sums) == 8 * INTERVAL_US
    found = gaps(part)
    assert sum(g.time_us for g in found if g.kind == "unknown") == sums[2]
    assert sum(g.time_us for g in found if g.kind == "missing") == sums[3]
