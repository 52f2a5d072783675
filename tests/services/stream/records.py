"""Records as a bridge writes them, and their result in the database."""

import psycopg

from ingest.model import Device, Fleet
from ingest.mqtt import Router
from ingest.pipeline.admit import admit
from ingest.wire import Parcel, encode
from services.clock import now_us
from services.stream import Record
from tests.waiting import until

REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
"""
DEVICE = (
    "  - {id: %s, site: roof, class: energy_meter, profile: generic, rated_power_w: 1000000,"
    " installed: 2026-01-01T00:00:00Z}\n"
)
START_MS = 1_772_323_200_000
TOPIC = "parcels"


class DeadTopic(list):
    """Records what a worker puts into the dead-letter topic."""

    keep = list.extend


def fleet_of(*names):
    """Return meters as the registry has them."""
    return Fleet([Device(name, "roof", "energy_meter", rated_power_w=1_000_000) for name in names])


FLEET = fleet_of("m-1", "m-2")


def record(offset, minutes, device="m-1", fleet=FLEET, base=100):
    """Return a bridge's record of readings of a device at these minutes."""
    return _record(offset, fleet, [(device, m, base + m) for m in minutes])


def record_of(offset, minute, devices, fleet):
    """Return a bridge's record of one reading of each of several devices."""
    return _record(offset, fleet, [(device, minute, 7) for device in devices])


def _record(offset, fleet, readings):
    topics = [f"tonne/v1/{device}/telemetry" for device, *_ in readings]
    payloads = [
        b'{"ts": %d, "values": {"energy_import_kwh": %d}}' % (START_MS + minute * 60_000, kwh)
        for _, minute, kwh in readings
    ]
    n, received = len(readings), now_us()
    admitted = admit(fleet, Router(fleet).route, topics, payloads, [None] * n, received)
    parcel = Parcel(
        topics, payloads, [None] * n, [False] * n, admitted.codecs, received,
        admitted.frames, admitted.rejected,
    )  # fmt: skip
    return Record(offset, encode(parcel, fleet))


def made(database_url, *workers):
    """Wait until all rows are derived, while workers do their periodic work."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def waiting():
            for worker in workers:
                worker.look()
            return connection.execute("SELECT device_id FROM v_underived LIMIT 5").fetchall()

        until(lambda: not waiting(), 60, waiting, 0.02)


def minutes(database_url, device="m-1"):
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT (extract(epoch FROM time) / 60)::bigint - %s FROM reading_energy_meter"
            " WHERE device_id = %s ORDER BY 1",
            (START_MS // 60_000, device),
        ).fetchall()
    return [int(minute) for (minute,) in rows]


def letters(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT reason, topic, payload FROM dead_letter ORDER BY id"
        ).fetchall()


def offset(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute('SELECT "offset" FROM stream_offset').fetchone()[0]
