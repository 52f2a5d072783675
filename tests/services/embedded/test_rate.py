"""A meter that sends too much is limited alone; a patient one loses nothing."""

import json
import threading
import time

import psycopg
import pytest

from ingest.mqtt.client import Inbox
from ingest.sparkplug import Rules
from services.clock import now_us
from services.embedded import EmbeddedChain
from services.intake.principal_quota import Limits
from services.intake.receive import Receipts
from services.intake.sparkplug import SparkplugNodes
from services.logs import get_logger
from tests.registering import register

START_MS = 1_772_323_200_000
MOST = 4_000
REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: mad, site: roof, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z}
  - {id: meek, site: roof, class: energy_meter, profile: generic, installed: 2026-01-01T00:00:00Z}
"""


@pytest.fixture
def chain(database_url, tmp_path, metrics):
    """Yield the chain; a principal's dead letters may have 100 kB per day."""
    register(database_url, tmp_path, REGISTRY)
    opened(database_url, metrics).close()
    # what it heard last was a moment ago, so that next to nothing waited for it
    made = opened(database_url, metrics)
    yield made
    made.close()


def opened(database_url, metrics):
    """Return a pipeline that has stored a reading of `meek`."""
    made = EmbeddedChain(
        database_url,
        metrics,
        get_logger("test"),
        threading.Event(),
        SparkplugNodes(Rules()),
        letter_bytes=100_000,
        limits=Limits(MOST, 0),
    )
    made.open()
    made.store(batch([("meek", 1, 0)]))
    return made


def batch(of):
    """Return messages, a second apart: (device, number, first second)."""
    found = Inbox(0, received_us=now_us())
    for device, count, first in of:
        for k in range(first, first + count):
            found.topics.append(f"tonne/v1/{device}/telemetry")
            found.payloads.append(
                b'{"ts": %d, "id": %d, "values": {"energy_import_kwh": %d}}'
                % (START_MS + k * 1000, k, k)
            )
            found.content_types.append(None)
            found.repeated.append(False)
            found.mids.append(len(found.mids) + 1)
    return found


def rows(database_url, query):
    with psycopg.connect(database_url) as connection:
        return connection.execute(query).fetchall()


def receipts(done):
    """Return the ids in receipts, and their reasons, by device."""
    told = Receipts()
    told.add(done.fleet, done.seen, time.monotonic(), done.refused)
    found = {}
    for _, payload in told.due(float("inf")):
        body = json.loads(payload)
        ids, reasons = found.setdefault(body["device"], (set(), set()))
        ids.update(body["ids"])
        reasons.update(one["reason"] for one in body["refused"])
    return found


def test_a_mad_meter_costs_itself_alone(database_url, chain, metrics):
    """A faulty device does not delay or lose data of others."""
    sent = 2 * MOST
    told = receipts(chain.store(batch([("mad", sent, 0), ("meek", 5, 1)])))
    assert told["meek"] == ({1, 2, 3, 4, 5}, set())
    listed, reasons = told["mad"]
    assert reasons == {"rate"}
    (stored, meek) = rows(
        database_url,
        "SELECT count(*) FROM reading_energy_meter GROUP BY device_id ORDER BY device_id",
    )
    assert listed == set(range(stored[0])), "a receipt for what is not stored"
    assert MOST <= stored[0] < MOST + 2_000
    assert meek == (6,)
    ((kept, size),) = rows(
        database_url, "SELECT count(*), sum(length(payload)) FROM dead_letter WHERE reason = 'rate'"
    )
    ((left_out, beginning),) = rows(
        database_url, "SELECT letters, beginning FROM dead_letter_excess WHERE reason = 'rate'"
    )
    assert stored[0] + kept + left_out == sent
    assert 0 < size < 100_000
    assert bytes(beginning).startswith(b'{"ts"')
    counted = metrics.registry.get_sample_value("tonne_dead_letters_total", {"reason": "rate"})
    assert counted == kept + left_out


def test_what_is_sent_again_later_is_stored(database_url, chain):
    """Readings resent after an outage are stored."""
    wanted, listed = set(range(MOST + 300)), set()
    for _ in range(30):
        listed |= receipts(chain.store(batch([("mad", len(wanted - listed), len(listed))])))["mad"][
            0
        ]
        if listed == wanted:
            break
        time.sleep(0.5)  # some 33 messages' worth
    assert listed == wanted
    assert rows(
        database_url, "SELECT count(*) FROM reading_energy_meter WHERE device_id = 'mad'"
    ) == [(len(wanted),)]
