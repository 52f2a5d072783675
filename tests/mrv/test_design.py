"""Output above the design earns nothing, and what feeds it still costs."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from tests.mrv.plant import BUS, CERTIFICATES, DAY, FLEET, FROM, full, us

DAY_US = DAY * 900_000_000
BUS_2 = replace(FLEET.devices[FLEET.by_id["bus-1"]], id="bus-2")
BUSES = replace(BUS, devices=(*BUS.devices, ProjectDevice("bus-2", "vehicle")))
WIDER = Fleet([*FLEET.devices, BUS_2])
METRES = 1000  # an interval


def _closed(cap=None, metres=METRES, days=1, begin=FROM):
    """Two buses, the second at half the distance; a charger beside them."""
    rows = IntervalRows.concat(
        [
            full("bus-1", "distance", DAY * days, metres),
            _of("bus-2", full("bus-1", "distance", DAY * days, metres // 2)),
            full("ch-1", "energy_import", DAY * days, 500),
        ]
    )
    rows.start_us += begin - FROM
    more = {} if cap is None else {"service_km_per_year": cap}
    project = replace(BUSES, parameters={**BUS.parameters, **more})
    certificates = {**CERTIFICATES, "bus-2": CERTIFICATES["bus-1"]}
    return close(project, WIDER, certificates, rows, begin, begin + DAY_US * days, factors.load())


def _of(device, rows):
    rows.device[:] = WIDER.by_id[device]
    return rows


def _km(result):
    return sum(Fraction(d.counted) for d in result.devices if d.role == "vehicle") / 1000


def test_what_is_beyond_the_baselines_service_earns_nothing():
    """A new line would be credited as if diesel buses had driven it."""
    free = _closed()
    assert _km(free) == 144
    held = _closed(cap=36_500)
    assert _km(held) == pytest.approx(100)
    cut = {d.device: d for d in held.deductions}
    assert {d.device: d.quantity for d in held.deductions} == {
        "bus-1": "29333.333334",
        "bus-2": "14666.666667",
    }
    assert "above the design of 2026: service_km_per_year" in str(cut["bus-1"].reason)
    assert Fraction(cut["bus-1"].percent) == pytest.approx(Fraction(4400, 144), rel=1e-6)
    assert held.net.baseline.ug < free.net.baseline.ug
    assert held.net.project.ug == free.net.project.ug
    assert held.gross.baseline.ug == free.gross.baseline.ug
    assert ("service_km_per_year", "36500", "km/year") in {
        (p.name, p.value, p.unit) for p in held.parameters
    }


def test_a_design_that_is_not_reached_changes_nothing():
    """A quiet year would be credited less for a large design."""
    assert replace(_closed(cap=10**6), parameters=()) == replace(_closed(), parameters=())


def test_each_year_has_its_own_design():
    """A period over New Year would use up the next year's kilometres."""
    begin = us(2026, 12, 30, 17)
    result = _closed(cap=36_500, days=3, begin=begin)
    assert _km(result) == pytest.approx(300)
    assert {str(d.reason).split(":")[0] for d in result.deductions} == {
        "above the design of 2026",
        "above the design of 2027",
    }


@settings(max_examples=25, deadline=None)
@given(small=st.integers(0, 60_000), more=st.integers(0, 60_000))
def test_a_larger_design_never_earns_less(small, more):
    """A cap that turned around would reward a small one."""
    low, high = _closed(cap=small), _closed(cap=small + more)
    assert low.net.reduction.ug <= high.net.reduction.ug <= _closed().net.reduction.ug
