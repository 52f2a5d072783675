"""Energy a kilometre: of days on which all chargers and vehicles of a project were metered."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from tests.services.store import placed

QUARTER_US = 900_000_000


@pytest.fixture
def conn(database_url):
    """A depot with two chargers and a bus, and a project of chargers alone."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        placed.site(connection)
        for project in ("depot", "kerb"):
            placed.project(connection, project, "ams-iii-c", "16.0")
        for position, (name, project, role) in enumerate(
            (
                ("chg-1", "depot", "charging"),
                ("chg-2", "depot", "charging"),
                ("bus-1", "depot", "vehicle"),
                ("kerb-1", "kerb", "charging"),
            )
        ):
            placed.device(connection, name, "vehicle" if role == "vehicle" else "ev_charger")
            placed.serve(connection, project, name, position, role)
        yield connection


def _metered(conn, name, begin, value, kind="measured", quarters=range(96)):
    """Put 15-minute intervals of a day that begins at local midnight."""
    time = dict.fromkeys(("measured", "estimated", "unknown"), 0) | {kind: QUARTER_US}
    quantity = "distance" if name.startswith("bus") else "energy_import"
    with conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO interval_quantity (device_id, quantity, start, value, measured_us,"
            " estimated_us, unknown_us) VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (name, quantity, begin + timedelta(minutes=15 * k), value, *time.values())
                for k in quarters
            ],
        )


def test_a_day_without_a_charger_has_no_figure(conn, database_url):
    """A silent charger would look like a fleet that drives on less, a silent bus like waste."""
    # local midnights some days ago; Viet Nam is seven hours before UTC all year
    ago = datetime.now(UTC).replace(hour=17, minute=0, second=0, microsecond=0) - timedelta(days=9)
    begins = [ago + timedelta(days=k) for k in range(7)]
    whole, silent, made_up, broken, parked, joined, bus_silent = begins
    for begin in begins:
        _metered(conn, "kerb-1", begin, 500)
        _metered(conn, "chg-1", begin, 600)
        if begin != bus_silent:
            _metered(conn, "bus-1", begin, 1000, "estimated" if begin == parked else "measured")
    for begin in (whole, parked, joined, bus_silent):
        _metered(conn, "chg-2", begin, 400)
    # heard until nine, and not again that day
    _metered(conn, "chg-2", silent, 400, quarters=range(36))
    # it came back with its register: what it made is known, not when
    _metered(conn, "chg-2", made_up, 400, "estimated")
    _metered(conn, "chg-2", broken, 400, quarters=range(4, 96))
    _metered(conn, "chg-2", broken, 0, "unknown", quarters=range(4))
    conn.execute(
        "UPDATE project_device SET during = tstzrange(%s, '2040-01-01') WHERE device_id = 'chg-1'",
        [joined + timedelta(hours=12)],
    )
    conn.execute(
        "INSERT INTO project_device (project_id, device_id, role, position, during)"
        " VALUES ('kerb', 'chg-1', 'charging', 9, tstzrange('2020-01-01', %s))",
        [whole],
    )
    conn.execute(
        "INSERT INTO project_device (project_id, device_id, role, position, during)"
        " VALUES ('depot', 'chg-1', 'charging', 9, tstzrange(%s, %s))",
        [whole, joined],
    )
    conn.execute("SELECT pg_stat_force_next_flush()")
    with connect(database_url, role="tonne_mrv", autocommit=True) as watching:
        refresh_days(watching)
    with connect(database_url, role="tonne_grafana", autocommit=True) as reader:
        found = {
            row[0].astimezone(UTC): row[1:]
            for row in reader.execute(
                "SELECT time, kwh_per_km, not_metered, meters FROM v_day_energy_per_km"
                " WHERE project_id = 'depot' AND time < now() - INTERVAL '30 hours'"
            )
        }
        kerb = reader.execute(
            "SELECT count(*) FROM v_day_energy_per_km WHERE project_id = 'kerb'"
        ).fetchone()
    assert kerb == (0,)
    # 96 quarter hours of 600 and 400 Wh, and of a kilometre
    assert found[whole] == (1, None, 3)
    assert found[made_up] == (1, None, 3)
    assert found[parked] == (1, None, 3)
    assert found[silent] == (None, ["chg-2"], 3)
    assert found[broken] == (None, ["chg-2"], 3)
    assert found[joined][:2] == (None, ["chg-1"])
    assert found[bus_silent] == (None, ["bus-1"], 3)
