"""A message that the server refuses is the only one that is not stored."""

import threading
import time

import psycopg

from ingest.mqtt.client import Inbox
from services.clock import now_us
from services.intake.receive import Receipts
from services.processing import batch
from services.store.postgres.columnstore import Verdict, verdict
from tests.derived import derived
from tests.services.poison import AWAY, COLLISIONS, REFUSALS, refuse
from tests.soak import SOAK
from tests.waiting import until

DEVICES = tuple(f"m-{k}" for k in range(1, 6))
SICK = "m-2"
START_MS = 1_772_323_200_000
REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
""" + "".join(
    f"  - {{id: {name}, site: roof, class: energy_meter, profile: generic,"
    " installed: 2026-01-01T00:00:00Z}\n"
    for name in DEVICES
)


def inbox(minute, devices=DEVICES, value=100):
    """Return one message of each device."""
    found = Inbox(0, received_us=now_us())
    for k, device in enumerate(devices):
        ts = START_MS + minute * 60_000
        found.topics.append(f"tonne/v1/{device}/telemetry")
        found.payloads.append(
            b'{"ts": %d, "values": {"energy_import_kwh": %d}}' % (ts, value + minute)
        )
        found.content_types.append(None)
        found.repeated.append(False)
        found.mids.append(k + 1)
    return found


def stored(database_url, minute):
    """Return the devices that have a reading of this minute."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT device_id FROM reading_energy_meter WHERE time = to_timestamp(%s) ORDER BY 1",
            [START_MS / 1000 + 60 * minute],
        ).fetchall()
    return [name for (name,) in rows]


def letters(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT reason, device_id, detail, payload FROM dead_letter ORDER BY id"
        ).fetchall()


def others():
    return [name for name in DEVICES if name != SICK]


def test_each_class_of_errors_is_tried():
    """One meter of an unforeseen class would stop the whole pipeline."""
    known = {
        kind.sqlstate: kind
        for kind in vars(psycopg.errors).values()
        if isinstance(kind, type) and issubclass(kind, psycopg.Error) and kind.sqlstate
    }
    assert len(known) > 200
    tried = {code[:2] for code in REFUSALS + COLLISIONS + AWAY}
    assert {code[:2] for code in known} - tried == set()
    waits = {code for code, kind in known.items() if verdict(kind()) is Verdict.WAIT}
    assert {code[:4] for code in waits} == {"0800", "2500", "25P0", "5310", "5320", "5330", "57P0"}
    again = {code for code, kind in known.items() if verdict(kind()) is Verdict.AGAIN}
    assert again == set(COLLISIONS)


def test_no_refusal_holds_up_others(database_url, chain, metrics, monkeypatch):
    """One meter whose reading the server refuses would halt the city, or end the process."""
    monkeypatch.setattr(batch, "_FIRST_PAUSE_S", 0.001)
    codes = (REFUSALS + COLLISIONS)[:: 1 if SOAK else 3]
    for minute, code in enumerate(codes):
        refuse(database_url, SICK, code)
        sent = inbox(minute)
        done = chain.store(sent)
        assert stored(database_url, minute) == others(), code
        receipts = Receipts()
        receipts.add(done.fleet, done.seen, time.monotonic())
        told = [topic for topic, _ in receipts.due(float("inf"))]
        assert all(any(name in topic for topic in told) for name in others()), code
    kept = letters(database_url)
    assert len(kept) == len(codes)
    for (reason, device, detail, payload), code in zip(kept, codes, strict=True):
        assert (reason, device) == ("unstorable", SICK)
        assert "not this one" in detail
        assert f"SQLSTATE {code}" in detail
        assert payload.startswith(b'{"ts"')
    counted = metrics.registry.get_sample_value(
        "tonne_dead_letters_total", {"reason": "unstorable"}
    )
    assert counted == len(kept)


def test_a_device_is_stored_again_once_its_cause_is_gone(database_url, chain):
    """A device that was refused once would be refused permanently."""
    refuse(database_url, SICK, "53400")
    chain.store(inbox(0))
    refuse(database_url, "nobody", "53400")
    chain.store(inbox(1))
    assert stored(database_url, 0) == others()
    assert stored(database_url, 1) == sorted(DEVICES)


def rows(database_url):
    """Return the devices that have intervals."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SELECT DISTINCT device_id FROM interval_quantity").fetchall()
    return sorted(name for (name,) in found)


def test_rows_that_are_refused_hold_up_no_others_and_no_reading(database_url, chain):
    """One meter whose intervals the server refuses would block those of all others."""
    refuse(database_url, SICK, "22003", table="interval_quantity")
    chain.store(inbox(0))
    chain.store(inbox(16))
    assert stored(database_url, 16) == sorted(DEVICES)
    until(lambda: rows(database_url) == others(), 60, lambda: rows(database_url), 0.05)
    assert letters(database_url) == []
    with psycopg.connect(database_url) as connection:
        waiting = connection.execute("SELECT DISTINCT device_id FROM v_underived").fetchall()
    assert waiting == [(SICK,)]
    refuse(database_url, "nobody", "22003", table="interval_quantity")
    derived(database_url)
    assert rows(database_url) == sorted(DEVICES)


def test_a_server_that_is_away_is_waited_for(database_url, chain):
    """A full disk or a restart would fill the dead letters with good readings."""
    for minute, code in enumerate(AWAY):
        refuse(database_url, SICK, code)
        healed = threading.Timer(0.2, refuse, (database_url, "nobody", code))
        healed.start()
        chain.store(inbox(minute))
        healed.join()
        assert stored(database_url, minute) == sorted(DEVICES), code
    assert letters(database_url) == []
