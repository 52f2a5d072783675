"""A fleet whose devices all sent a moment ago."""

import psycopg
import pytest

from tests.services.store import placed


@pytest.fixture
def conn(database_url):
    """Return a gateway with three meters, one meter and one inverter alone, all just received."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        placed.site(connection)
        placed.device(connection, "gw", "energy_meter")
        for name in ("a", "b", "c"):
            placed.device(connection, name, "energy_meter", gateway="gw")
        placed.device(connection, "alone", "energy_meter")
        placed.device(connection, "inv")
        for name in ("a", "b", "c", "alone", "inv"):
            placed.heard(connection, name, 0)
        for project, devices in (("p1", ["a", "b"]), ("p2", ["c", "alone"])):
            placed.project(connection, project)
            for position, device in enumerate(devices):
                placed.serve(connection, project, device, position)
        yield connection
