"""`tonne run` on real servers: faulty senders, new devices, stops and starts."""

import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.bench.load import Publisher
from tests.running import Pipeline
from tests.waiting import until

from . import field


@contextmanager
def running(pipeline: Pipeline, *words: str):
    """Yield a `tonne run` that already receives: its process and its log."""
    log = pipeline.home / f"run-{time.monotonic_ns()}.log"
    with pipeline.running(log, *words) as process:
        pipeline.receiving_since(log)
        yield process, log


def query(pipeline: Pipeline, statement: str, *values):
    return pipeline.ask(statement, values)


def letters(pipeline: Pipeline, name: str) -> list[tuple[str, bytes, str | None]]:
    """Return reason, bytes and content type of the refused messages on a device's topic."""
    statement = "SELECT reason, payload, content_type FROM dead_letter WHERE topic = %s ORDER BY id"
    return [(r, bytes(p), c) for r, p, c in query(pipeline, statement, field.topic(name))]


NOW_MS = int(time.time() * 1000)
YEAR_2036_MS = 2_098_000_000_000


def said(ts=field.START_MS, **values) -> bytes:
    return json.dumps({"ts": ts, "values": values or {"active_power_kw": 1}}).encode()


BAD = [
    (b"", "empty_payload"),
    (b"[]", "empty_payload"),
    (b'{"ts": 1767225600000, "val', "malformed_json"),
    (b'{"ts": 1767225600000, "values": {"active_power_kw": NaN}}', "not_finite"),
    (b'{"ts": 1767225600000, "values": {"active_power_kw": "42"}}', "not_a_number"),
    (b'{"values": {"active_power_kw": 42}}', "time_missing"),
    (b'{"ts": 1767225600000, "values": {"\xc3\x28": 1}}', "invalid_utf8"),
    (said(nobody_knows_this=1), "no_known_channel"),
    (said(NOW_MS + 3_600_000), "time_future"),
    (said(YEAR_2036_MS), "time_future"),
    (said(0), "time_too_old"),
    (said(NOW_MS // 1000), "time_in_seconds"),
    (said("2026-01-01 00:00"), "time_invalid"),
    (said(active_power_kw=42_000), "out_of_range"),
    (said(energy_export_kwh=-1), "out_of_range"),
    (said(energy_export_kwh=1_000_000_000), "implausible_register"),
    (b"x" * 1_048_576, "payload_too_large"),
]


def test_each_bad_message_is_kept_with_its_reason(pipeline):
    """A technician must find every refused message, and the others must not notice."""
    good, bad = field.fresh(2)
    pipeline.register(field.registry([good, bad]))
    with running(pipeline), field.client(pipeline.stack.mosquitto.port) as device:
        eventually_known(pipeline)
        for k, (body, _) in enumerate(BAD):
            field.publish(device, field.topic(bad), body)
            field.publish(device, field.topic(good), field.payload(k))
        field.publish(device, field.topic(bad), said(), "application/x-unheard-of")
        field.publish(device, f"tonne/v1/{bad}/{good}/telemetry", said())
        field.publish(device, field.topic(f"{bad}-unregistered"), said())
        until(lambda: pipeline.counted("tonne_dead_letters_total") >= len(BAD) + 3)
        until(lambda: len(field.stored_in(pipeline, good)) >= len(BAD))
        assert pipeline.counted("tonne_dead_letters_total") == len(BAD) + 3
    assert field.stored_in(pipeline, good) == field.expected(len(BAD))
    assert field.stored_in(pipeline, bad) == []
    assert Counter(letters(pipeline, bad)) == Counter(
        [
            *((reason, body, None) for body, reason in BAD),
            ("content_type_unknown", said(), "application/x-unheard-of"),
        ]
    )
    assert [r for r, _, _ in letters(pipeline, f"{bad}-unregistered")] == ["unknown_device"]
    assert query(
        pipeline,
        "SELECT reason, device_id FROM dead_letter WHERE topic LIKE %s",
        f"%/{bad}/{good}/%",
    ) == [("not_your_device", good)]


def eventually_known(pipeline: Pipeline) -> None:
    """Wait until the exporter answers: counters start from 0 only then."""
    until(lambda: pipeline.counted("tonne_build_info") == 1)


def test_whoever_waits_for_receiving_is_heard(pipeline, mqtt_broker, monkeypatch):
    """The first reading after the tutorial's "go on" would be lost: no broker kept it yet."""
    (name,) = field.fresh(1)
    pipeline.register(field.registry([name]))
    monkeypatch.setitem(pipeline.environment, "TONNE_MQTT_URL", mqtt_broker.url)
    with field.client(mqtt_broker.port) as device, running(pipeline):
        field.publish(device, field.topic(name), field.payload(0))
        until(lambda: field.stored_in(pipeline, name) == field.expected(1))


def test_a_flood_of_garbage_leaves_a_good_device_alone(pipeline):
    """One device gone mad must not cost the others a single reading."""
    good, mad = field.fresh(2)
    pipeline.register(field.registry([good, mad]))
    flood = [(field.topic(mad), b"\x00garbage %d" % k) for k in range(4_000)]
    for k in range(100):
        flood.insert(k * 40, (field.topic(good), field.payload(k)))
    with running(pipeline):
        eventually_known(pipeline)
        publisher = Publisher(pipeline.stack.mosquitto.port)
        publisher.send(flood)
        publisher.close()
        pipeline.wait_for("tonne_ingest_messages_total", len(flood))
    assert field.stored_in(pipeline, good) == field.expected(100)
    assert query(
        pipeline,
        "SELECT count(*), count(DISTINCT payload) FROM dead_letter WHERE device_id = %s",
        mad,
    ) == [(4_000, 4_000)]


def test_an_unknown_channel_is_reported_once(pipeline):
    """A firmware that adds a channel must be reported once, not fill the log."""
    (name,) = field.fresh(1)
    pipeline.register(field.registry([name]))
    with running(pipeline) as (_, log), field.client(pipeline.stack.mosquitto.port) as device:
        for k in range(5):
            body = said(field.START_MS + k * 60_000, active_power_kw=1, brand_new=k)
            field.publish(device, field.topic(name), body)
        until(lambda: len(field.stored_in(pipeline, name)) == 5)
    assert log.read_text().count("brand_new") == 1
    assert letters(pipeline, name) == []


def test_receipts_name_exactly_what_is_stored(pipeline):
    """
    A device deletes its copies by the receipt, which must be
    timely and name only stored readings.
    """
    (name,) = field.fresh(1)
    pipeline.register(field.registry([name]))
    named: list[int] = []
    subscribed = threading.Event()

    def heard(_client, _data, message):
        named.extend(json.loads(message.payload)["ids"])

    with running(pipeline), field.client(pipeline.stack.mosquitto.port, on_message=heard) as device:
        device.on_subscribe = lambda *_: subscribed.set()
        device.subscribe(f"tonne/v1/{name}/receipt", qos=1)
        assert subscribed.wait(60)
        for k in range(50):
            field.publish(device, field.topic(name), field.payload(k))
        until(lambda: len(named) >= 50)
        assert {k for k, _ in field.stored_in(pipeline, name)} == set(named)
    assert sorted(named) == list(range(50))


@pytest.mark.parametrize("batch", ["10000", "50"])
def test_stopping_under_load_loses_and_repeats_nothing(pipeline, batch):
    """An upgrade in daylight must not cost a reading, nor store one twice."""
    names = field.fresh(20)
    pipeline.register(field.registry(names))
    sent, halt = count(), threading.Event()

    def load():
        publisher = Publisher(pipeline.stack.mosquitto.port)
        while not halt.is_set():
            k = next(sent)
            publisher.send([(field.topic(name), field.payload(k)) for name in names])
            halt.wait(0.005)  # what gathers while a busy machine starts a process must come in time
        publisher.close()

    sender = threading.Thread(target=load, daemon=True)
    rows = "SELECT count(*) FROM reading_pv_inverter WHERE device_id = ANY(%s)"
    with running(pipeline, "--batch", batch) as (process, _):
        sender.start()
        until(lambda: query(pipeline, rows, names)[0][0] > 2_000)
    assert process.returncode == 0
    before = query(pipeline, rows, names)[0][0]
    with running(pipeline, "--batch", batch):
        eventually_known(pipeline)
        until(lambda: query(pipeline, rows, names)[0][0] > before)
        halt.set()
        sender.join()
        total = next(sent)
        until(lambda: query(pipeline, rows, names)[0][0] == total * len(names))
        pipeline.wait_for("tonne_ingest_messages_total", total * len(names) - before)
        assert pipeline.counted("tonne_ingest_messages_total") == total * len(names) - before
        assert pipeline.counted("tonne_late_readings_total") == 0
    for name in names:
        assert field.stored_in(pipeline, name) == field.expected(total)


def until_read(port: int) -> None:
    """Wait until nothing has been in transit between a broker and its clients for a second."""
    still = 0
    while still < 10:
        time.sleep(0.1)
        rows = [line.split() for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
        at = f":{port:04X}"
        queued = [row[4] for row in rows if row[1].endswith(at) or row[2].endswith(at)]
        still = still + 1 if set(queued) == {"00000000:00000000"} else 0


def test_a_broker_that_stands_still_at_the_stop_gets_every_acknowledgement(pipeline):
    """A broker busy with its disk must not deliver again what is stored already."""
    names = field.fresh(20)
    pipeline.register(field.registry(names))
    minutes = [[(field.topic(name), field.payload(k)) for name in names] for k in range(160)]
    publisher = Publisher(pipeline.stack.mosquitto.port)
    later = threading.Thread(target=lambda: [publisher.send(batch) for batch in minutes[120:]])
    broker = pipeline.stack.mosquitto.pid
    with running(pipeline), psycopg.connect(pipeline.urls.database_url) as hold:
        hold.execute("LOCK TABLE reading_pv_inverter IN SHARE MODE")
        for batch in minutes[:120]:
            publisher.send(batch)
        until_read(pipeline.stack.mosquitto.port)
        os.kill(broker, signal.SIGSTOP)
        later.start()
        hold.rollback()
        goes_on = threading.Timer(7, os.kill, (broker, signal.SIGCONT))
        goes_on.start()
    goes_on.join()
    later.join()
    publisher.close()
    with running(pipeline):
        eventually_known(pipeline)
        rows = "SELECT count(*) FROM reading_pv_inverter WHERE device_id = ANY(%s)"
        until(lambda: query(pipeline, rows, names)[0][0] == 160 * len(names))
        pipeline.wait_for("tonne_ingest_messages_total", 40 * len(names))
        assert pipeline.counted("tonne_ingest_messages_total") == 40 * len(names)
