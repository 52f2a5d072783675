"""What a project gains counts only while what it costs is metered; a year is held to its limits."""

from dataclasses import replace
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.methodologies import find
from mrv.model import GAINING
from mrv.registry.project import ProjectDevice
from mrv.rules.account import parts_of_years
from mrv.rules.closing import close
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
    """A building would be credited for the months before anybody measured it."""
    method, begin = find("ams-ii-e"), FROM + HALF_US
    fleet = Fleet([Device("m-1", "s", "energy_meter", installed_us=FROM)])
    building = _bus(ProjectDevice("m-1", "power", from_us=begin))
    (part,) = parts_of_years(building, method, fleet, (FROM, FROM + DAY_US))[2026]
    assert part.value == Fraction(1, 365)
    assert part.params == {GAINING: Fraction(1, 730)}
    (earlier,) = parts_of_years(building, method, fleet, (FROM, begin))[2026]
    assert earlier.params == {GAINING: 0}
    assert parts_of_years(BUS, find("ams-iii-c"), FLEET, (FROM, begin)) == {}
