"""A fleet whose devices were all heard a moment ago."""

import psycopg
import pytest


@pytest.fixture
def conn(database_url):
    """A gateway with three meters behind it, one meter and one inverter alone; all heard now."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("INSERT INTO site VALUES ('s', 'S', 20.9, 106.6, 'Asia/Ho_Chi_Minh')")
        for name, gateway, class_id in (
            ("gw", None, "energy_meter"),
            ("a", "gw", "energy_meter"),
            ("b", "gw", "energy_meter"),
            ("c", "gw", "energy_meter"),
            ("alone", None, "energy_meter"),
            ("inv", None, "pv_inverter"),
        ):
            connection.execute(
                "INSERT INTO device (id, site, class, profile, installed, gateway)"
                " VALUES (%s, 's', %s, 'generic', '2026-01-01Z', %s)",
                [name, class_id, gateway],
            )
            if name != "gw":
                connection.execute(
                    "INSERT INTO device_seen VALUES (%s, now(), now(), '-infinity',"
                    " repeat('0', 100)::bit(100))",
                    [name],
                )
        for project, devices in (("p1", ["a", "b"]), ("p2", ["c", "alone"])):
            connection.execute(
                "INSERT INTO project (id, name, methodology, version, timezone, crediting,"
                " crediting_from, crediting_to) VALUES (%s, 'P', 'jcm-vn-am007', '1.0',"
                " 'Asia/Ho_Chi_Minh', '[2026-01-01,2036-01-01)', '2026-01-01', '2036-01-01')",
                [project],
            )
            for position, device in enumerate(devices):
                connection.execute(
                    "INSERT INTO project_device (project_id, device_id, role, position, during)"
                    " VALUES (%s, %s, 'generation', %s, '[2026-01-01,2036-01-01)')",
                    [project, device, position],
                )
        yield connection
