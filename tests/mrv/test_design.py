"""Output above the design earns nothing, and what feeds it still costs."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import ProjectDevice
from mrv.rules.closing import close
from tests.mrv.plant import BUS, CERTIFICATES, DAY, FLEET, FROM, full

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


@settings(max_examples=25, deadline=None)
@given(small=st.integers(0, 60_000), more=st.integers(0, 60_000))
def test_a_larger_design_never_earns_less(small, more):
    """A cap that turned around would reward a small one."""
    low, high = _closed(cap=small), _closed(cap=small + more)
    assert low.net.reduction.ug <= high.net.reduction.ug <= _closed().net.reduction.ug
