"""`tonne quality` on a real database."""

import json

import numpy as np
import psycopg
import pytest
from click.testing import CliRunner

from services.cli.main import main
from services.registry.files import read_files
from services.store.pool import connect
from services.store.registry_import import import_registry

REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: inv-1, site: roof, class: pv_inverter, profile: generic, rated_power_w: 1000,
     installed: 2026-01-01T00:00:00Z}
"""


@pytest.fixture
def tonne(database_url, tmp_path, monkeypatch):
    """Run a command on a database with one inverter: a spike at noon and a gap behind it."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    file = tmp_path / "registry.yaml"
    file.write_text(REGISTRY, encoding="utf-8")
    with connect(database_url) as conn:
        import_registry(conn, read_files([file]), author="tester")
    # 09:00 to 15:00 in Hai Phong, every five minutes, then one at 17:00
    minutes = [*range(0, 360, 5), 480]
    power = [500.0 + 3 * m**0.5 + (500 if m == 180 else 0) for m in minutes]
    times = np.datetime64("2026-03-20T02:00") + np.array(minutes, dtype="timedelta64[m]")
    with psycopg.connect(database_url) as conn:
        conn.cursor().executemany(
            "INSERT INTO reading_pv_inverter (device_id, time, active_power_w) "
            "VALUES ('inv-1', %s::timestamptz, %s)",
            [(f"{t}Z", w) for t, w in zip(times, power, strict=True)],
        )
    return lambda *args: CliRunner().invoke(main, list(args))


SPAN = ("--from", "2026-03-20", "--to", "2026-03-21")


def test_what_is_unusual_is_told_with_its_time(tonne):
    """A technician would look through a day's readings for the one that is wrong."""
    told = tonne("quality", "--device", "inv-1", *SPAN)
    assert told.exit_code == 0, told.output
    assert "73 readings of inv-1" in told.output
    assert "spike" in told.output
    assert "2026-03-20T05:00" in told.output


def test_marked_readings_as_json(tonne):
    """A script could not act on what was found."""
    told = tonne("quality", "--device", "inv-1", *SPAN, "--json")
    found = {(row["test"], row["channel"], row["time"][:16]) for row in json.loads(told.output)}
    assert found == {
        ("spike", "active_power_w", "2026-03-20T05:00"),
        ("time_gap", "time", "2026-03-20T10:00"),
    }


def test_a_device_that_is_not_there_is_named(tonne):
    """A slip in an id would look like a device without faults."""
    told = tonne("quality", "--device", "inv-9", *SPAN)
    assert told.exit_code == 2
    assert "inv-9" in str(told.exception or "") + told.output
