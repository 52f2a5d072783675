"""A change of the registry is taken up beside storing."""

import psycopg
from psycopg import sql

from ingest.mqtt.client import Inbox
from services.clock import now_us
from tests.derived import derived
from tests.registering import register
from tests.waiting import until

START_MS = 1_772_323_200_000
REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: m-2, site: roof, class: energy_meter, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}
"""
METER = (
    "  - {id: %s, site: roof, class: energy_meter, profile: generic,"
    " installed: 2026-01-01T00:00:00Z}\n"
)


def inbox(minute, device="m-2"):
    """A message of one device."""
    found = Inbox(0, received_us=now_us())
    ts = START_MS + minute * 60_000
    found.topics.append(f"tonne/v1/{device}/telemetry")
    found.payloads.append(b'{"ts": %d, "values": {"energy_import_kwh": %d}}' % (ts, 100 + minute))
    found.content_types.append(None)
    found.repeated.append(False)
    found.mids.append(1)
    return found


def count(database_url, device):
    """How many readings of a device are stored, and how many intervals."""
    derived(database_url)
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT (SELECT count(*) FROM reading_energy_meter WHERE device_id = %(id)s),"
            " (SELECT count(*) FROM interval_quantity WHERE device_id = %(id)s)",
            {"id": device},
        ).fetchone()


def test_storing_goes_on_while_a_newer_registry_is_read(database_url, tmp_path, chain, monkeypatch):
    """A change of one meter among a hundred thousand would hold up the readings of all."""
    for minute in range(3):
        chain.store(inbox(minute))
    # rows that are requested, as at a start, wait for the newest registry; readings in order do not
    derived(database_url)
    before = chain.fleet
    register(database_url, tmp_path, REGISTRY + METER % "m-1" + METER % "m-3")
    # as if the last look were a while ago
    monkeypatch.setattr(type(chain._watch), "due", lambda _: True)
    with psycopg.connect(database_url) as blocking:
        blocking.execute("LOCK TABLE device_quality IN ACCESS EXCLUSIVE MODE")
        for minute in range(3, 40):
            chain.store(inbox(minute))
        assert chain.fleet is before
        assert count(database_url, "m-2") == (40, 3)
    while chain.fleet is before:
        chain.store(inbox(40))
    assert chain.fleet.version == before.version + 1
    # at another index than before, and known all the same
    held = chain._version.store.deriver.state
    index = chain.fleet.by_id["m-2"]
    assert index != before.by_id["m-2"]
    assert held.loaded[index]
    # rows are made behind the commit that stored the last reading
    until(lambda: held.last_us[index] == (START_MS + 40 * 60_000) * 1000)
    for minute in range(41, 80):
        chain.store(inbox(minute))
        chain.store(inbox(minute, "m-1"))
    assert count(database_url, "m-2") == (80, 6)
    assert count(database_url, "m-1") == (39, 4)
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT sum(value), sum(measured_us) FROM interval_quantity WHERE device_id = 'm-2'"
        ).fetchone()
    assert rows == (79_000, 79 * 60_000_000)


def test_an_unknown_device_waits_for_the_newer_registry(database_url, tmp_path, chain):
    """The first message of a new meter would be refused, and sent again by hand."""
    chain.store(inbox(0))
    register(database_url, tmp_path, REGISTRY + METER % "m-1")
    chain.store(inbox(0, "m-1"))
    assert count(database_url, "m-1")[0] == 1
    assert "m-1" in chain.fleet.by_id


def test_only_the_meter_that_changed_is_looked_up_again(database_url, tmp_path, chain):
    """A new rating of one meter would send the whole fleet to the database at once."""
    others = METER % "m-1" + METER % "m-3"
    register(database_url, tmp_path, REGISTRY + others)
    names = ("m-1", "m-2", "m-3")
    for minute in range(20):
        for name in names:
            chain.store(inbox(minute, name))
    before = chain.fleet
    register(database_url, tmp_path, (REGISTRY + others).replace("100000", "90000"))
    chain.idle()
    held = chain._version.store.deriver.state
    assert chain.fleet.by_id is before.by_id
    assert [bool(held.loaded[chain.fleet.by_id[name]]) for name in names] == [True, False, True]
    for minute in range(20, 40):
        for name in names:
            chain.store(inbox(minute, name))
    assert {count(database_url, name) for name in names} == {(40, 3)}
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT sum(value), sum(measured_us) FROM interval_quantity WHERE device_id = 'm-2'"
        ).fetchone()
    assert rows == (39_000, 39 * 60_000_000)


def test_a_time_limit_of_the_login_stops_no_storing(database_url, tmp_path, chain):
    """Anyone who limits questions to the database by a login's setting would stop the city."""
    chain.close()
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET statement_timeout = '1ms'").format(
                sql.Identifier(connection.info.dbname)
            )
        )
    chain.open()
    for minute in range(10):
        chain.store(inbox(minute))
    with psycopg.connect(database_url, options="-c statement_timeout=0") as connection:
        assert connection.execute("SELECT count(*) FROM reading_energy_meter").fetchone() == (10,)
