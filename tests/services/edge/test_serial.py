"""Meters on a serial line, as most meters in the field."""

import pytest

from tests.services.edge.plant import Edge, one, rows
from tests.services.edge.serial_line import BAUD, INVERTER, METER, Line
from tests.waiting import until

pytestmark = pytest.mark.timeout(1_200)


@pytest.fixture
def line():
    """Yield a serial line with two devices."""
    found = Line()
    yield found
    found.close()


def _sources(line):
    shared = {"line": line.near, "baud": BAUD, "timeout_s": 0.5, "every_s": 0.3}
    return [
        {"kind": "modbus-rtu", "device": "rtu-1", "class": "energy_meter", "unit": METER,
         "profile": "eastron-sdm630", **shared},
        {"kind": "sunspec-rtu", "device": "rtu-2", "unit": INVERTER, **shared},
        {"kind": "modbus-rtu", "device": "rtu-3", "class": "energy_meter", "unit": 9,
         "profile": "eastron-sdm630", **shared},
    ]  # fmt: skip


def test_two_devices_of_one_line_arrive_and_a_third_is_away(pipeline, line, tmp_path):
    """A meter on RS-485 would be left out, or one dead address would silence its line."""
    edge = Edge(tmp_path, pipeline, _sources(line))
    with edge.running(), pipeline.running(tmp_path / "run.log"):
        for class_, device in (("energy_meter", "rtu-1"), ("pv_inverter", "rtu-2")):
            until(lambda c=class_, d=device: len(rows(pipeline, c, d)) > 3, what=edge.log.read_text)
        line.cut()
        until(lambda: _told(edge, "rtu-1"), what=edge.log.read_text)
        held = len(rows(pipeline, "energy_meter", "rtu-1"))
        line.mend()
        until(
            lambda: len(rows(pipeline, "energy_meter", "rtu-1")) > held + 2, what=edge.log.read_text
        )
    # none twice and none between: each reading of the register stands once.  One that was
    # answered later than the gateway waits is no reading, and the register goes on
    least, most, count = one(
        pipeline,
        "SELECT min(energy_import_wh), max(energy_import_wh), count("
        "DISTINCT energy_import_wh) FROM reading_energy_meter"
        " WHERE device_id = 'rtu-1'",
    )
    assert (least - 1_000_000) % 125 == (most - least) % 125 == 0
    assert least > 1_000_000
    assert count == len(rows(pipeline, "energy_meter", "rtu-1"))
    assert most >= least + 125 * (count - 1)
    found = one(
        pipeline,
        "SELECT max(energy_export_wh), min(energy_export_wh), max(active_power_w)"
        " FROM reading_pv_inverter WHERE device_id = 'rtu-2'",
    )
    assert found == (654_321, 654_321, 4_200.0)
    assert _told(edge, "rtu-3")  # the address that nobody answers at
    assert one(pipeline, "SELECT count(*) FROM dead_letter WHERE device_id LIKE 'rtu-%%'") == (0,)


def _told(edge, source):
    """Return whether the log reports a fault of this source."""
    return any((w["event"], w.get("source")) == ("fault", source) for w in edge.words())
