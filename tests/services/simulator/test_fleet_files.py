"""Fleet and registry files."""

from pathlib import Path

import numpy as np
import pytest

from services.registry.files import read_files, sections
from services.registry.workbook import write_workbook
from services.simulator import SimulatorError
from services.simulator.fleet import leave_out, read_fleet
from services.simulator.simulated import MODELS, Simulated

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog"


def written(tmp_path, text):
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_fleet_file_counts_devices(tmp_path):
    """A load test would run with other devices than it says."""
    path = written(
        tmp_path,
        "fleet:\n"
        "  - {class: vehicle, count: 2, prefix: bus-, cadence_s: 10, gateway: depot}\n"
        "  - {class: pv_inverter, ids: [a, b], rated_power_w: 5000,"
        " site: {latitude: 1, longitude: 2}}\n",
    )
    bus, _, first, _ = read_fleet(path)
    assert (bus.id, bus.cadence_s) == ("bus-001", 10)
    assert bus.topic == "tonne/v1/depot/bus-001/telemetry"
    assert first.topic == "tonne/v1/a/telemetry"
    assert (first.rated_power_w, first.latitude, first.longitude) == (5_000, 1.0, 2.0)
    assert {device.cadence_s for device in read_fleet(path, 7)} == {7}


def test_the_registry_file_is_a_fleet_file():
    """One would have to write every device twice: to import it and to simulate it."""
    devices = read_fleet(CATALOG / "demo-fleet.yaml")
    inverter = next(device for device in devices if device.id == "demo-pv-1")
    assert (inverter.latitude, inverter.rated_power_w) == (20.94, 100_000)


def test_a_folder_is_one_fleet_of_every_class():
    """A system of the programme would have no device that speaks for it."""
    devices = read_fleet(CATALOG / "haiphong")
    assert {device.device_class for device in devices} == set(MODELS)
    castings = next(device for device in devices if device.id == "md-castings")
    assert (castings.latitude, castings.per_day) == (20.97, 24_000)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("fleet: []", "no device"),
        ("{", "not YAML"),
        ("fleet: [{class: submarine}]", "submarine"),
        ("fleet: [{class: vehicle, cuont: 2}]", "cuont"),
        ("fleet: [{class: vehicle, ids: [a, a]}]", "2 devices with the id 'a'"),
        ("fleet: [{class: vehicle, ids: ['a/b']}]", "topic"),
        ("fleet: [{class: vehicle, cadence_s: 0}]", "at least 1"),
        ("devices: [{id: a}]", "class"),
    ],
)
def test_a_wrong_file_is_refused_with_its_reason(tmp_path, text, says):
    """A typing error would silently simulate something else."""
    with pytest.raises(SimulatorError, match=says) as caught:
        read_fleet(written(tmp_path, text))
    assert "fleet.yaml" in str(caught.value)


def test_a_device_that_replays_can_be_left_out():
    """One device would send two series: the recorded power and a simulated one."""
    devices = read_fleet(CATALOG / "demo-fleet.yaml")
    kept = leave_out(devices, ("demo-pv-1",))
    assert {device.id for device in devices} - {device.id for device in kept} == {"demo-pv-1"}
    with pytest.raises(SimulatorError, match="demo-pv-9"):
        leave_out(devices, ("demo-pv-9",))
    with pytest.raises(SimulatorError, match="excludes all devices"):
        leave_out(devices, tuple(device.id for device in devices))


def test_a_workbook_is_a_fleet_file(tmp_path):
    """Anyone who fills in a workbook would have to write every device again to try it."""
    city = CATALOG / "freiburg"
    held = sections(read_files([city]).registry)
    (tmp_path / "city.xlsx").write_bytes(write_workbook(held))
    expected = sorted(read_fleet(city), key=lambda one: one.id)
    for path in (tmp_path / "city.xlsx", tmp_path):
        assert sorted(read_fleet(path), key=lambda one: one.id) == expected
    (tmp_path / "city.xlsx").write_bytes(b"PK none")
    with pytest.raises(SimulatorError, match="not an XLSX workbook"):
        read_fleet(tmp_path / "city.xlsx")


def test_a_meter_of_generation_generates(tmp_path):
    """A solar plant that is metered would be shown as a load, and its first preview below zero."""
    path = tmp_path / "city.yaml"
    path.write_text(
        "sites: [{id: s, latitude: 30.4, longitude: -9.6}]\n"
        "devices: [{id: pv, site: s, class: energy_meter},"
        " {id: load, site: s, class: energy_meter}]\n"
        "projects: [{id: p, devices: [{device: pv, role: generation}]}]\n",
        encoding="utf-8",
    )
    start_ms = 1_780_272_000_000
    for device in read_fleet(path, 900):
        *_, block = Simulated(device, 1, start_ms, start_ms + 86_400_000).blocks()
        export, consumed = (
            np.ptp(block.registers.get(f"energy_{way}_kwh", np.zeros(1)))
            for way in ("export", "import")
        )
        assert (export > consumed) == (device.id == "pv")
        assert set(block.gauges) <= {"active_power_kw", "voltage_v", "frequency_hz", "power_factor"}
