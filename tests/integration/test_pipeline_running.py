"""
`tonne run` on real servers: faulty senders, stops and starts.

Air, noise and wastewater stations: hours and days that users see.
"""

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


# 2026-01-09T17:00:00Z, midnight at the site
DAY_MS = 1_767_978_000_000
STEP_MS = 10 * 60_000
DAY = ("--from", "2026-01-10", "--to", "2026-01-11")
SITE = {
    "id": "port",
    "name": "Port",
    "latitude": 20.9,
    "longitude": 106.7,
    "timezone": "Asia/Ho_Chi_Minh",
}
STATIONS = {
    "st-air": ("air_station", {}),
    "st-noise": ("noise_station", {"limits": {"standard": "qcvn-26-2010", "area": "ordinary"}}),
    "st-plant": (
        "wastewater_plant",
        {"limits": {"standard": "qcvn-40-2011", "column": "B", "kq": 0.9, "kf": 1.0}},
    ),
}


def stations() -> dict:
    """Return a registry with one station of each class at one site."""
    return {
        "sites": [SITE],
        "devices": [
            {
                "id": name,
                "site": "port",
                "class": class_id,
                "profile": "generic",
                "installed": "2025-01-01T00:00:00Z",
            }
            | ({"attributes": attributes} if attributes else {})
            for name, (class_id, attributes) in STATIONS.items()
        ],
    }


def values(name: str, k: int) -> dict[str, float]:
    """Return the k-th ten-minute values of a station: noisy nights, a plant at 800 m3 a day."""
    if name == "st-air":
        return {"pm2_5_ug_m3": 40.0, "pm10_ug_m3": 60.0, "no2_ug_m3": 118.7}
    if name == "st-noise":
        return {"laeq_dba": 60.0 + k % 2}
    return {"flow_total_m3": 1000 + k * 800 / 144, "cod_out_mg_l": 140.0, "ph": 7.0}


def sent(count: int) -> list[tuple[str, bytes]]:
    """Return the messages of all stations, some of them twice."""
    out = []
    for k in range(count):
        for name in STATIONS:
            body = {"ts": DAY_MS + k * STEP_MS, "values": values(name, k)}
            out += [(f"tonne/v1/{name}/telemetry", json.dumps(body).encode())] * (1 + (k % 9 == 0))
    return out


def test_stations_show_their_hours_and_days(pipeline: Pipeline):
    """A city would look for its air, its nights and its canal, and find an empty table."""
    pipeline.register(stations())
    messages = sent(145)
    log = pipeline.home / "stations.log"
    with pipeline.running(log):
        pipeline.receiving_since(log)
        publisher = Publisher(pipeline.stack.mosquitto.port)
        publisher.send(messages[200:])  # the morning comes late
        publisher.send(messages[:200])
        publisher.close()
        pipeline.wait_for("tonne_ingest_messages_total", len(messages))
        pipeline.wait_for("tonne_commit_rows_total", len(messages) + 1)
        pipeline.derived()

    shown = json.loads(pipeline.tonne("indicators", "--site", "port", *DAY, "--json"))
    hours = [r for r in shown if r["period"] == "hour"]
    aqi = [r for r in hours if r["indicator"] == "vn-aqi-hourly"]
    assert [(r["value"], r["grade"]) for r in aqi] == [(80.0, "Trung binh")] * 23
    assert aqi[0]["start"] == "2026-01-09T18:00:00Z"  # one hour of dust is no NowCast
    day = {(r["device"], r["indicator"]): r for r in shown if r["period"] == "day"}
    assert day["st-air", "qcvn-05-2023"]["detail"] == {"exceeded": ["24h.no2"]}
    assert day["st-noise", "limits"]["detail"]["exceeded"] == ["night"]
    assert day["st-plant", "cod_load_kg_d"]["value"] == pytest.approx(112.0)
    assert day["st-plant", "limits"]["detail"]["exceeded"] == ["cod"]
    text = pipeline.tonne("indicators", "--device", "st-noise", *DAY, "--period", "day")
    assert "lden_dba" in text
    assert "st-plant" not in text

    with psycopg.connect(pipeline.urls.database_url) as connection:
        query = "SELECT count(*) FROM v_indicator_hour WHERE device_id = ANY(%s)"
        seen = connection.execute(query, [list(STATIONS)]).fetchone()
        assert seen[0] == len(hours)
    pipeline.tonne("rebuild", "--from", "2026-01-01", "--to", "2026-02-01", "--check")


def test_an_unregistered_station_is_named(pipeline: Pipeline):
    """An empty answer would be taken for clean air."""
    for words, says in (
        (("--device", "st-nobody"), "device 'st-nobody' is not registered"),
        (("--site", "nowhere"), "site 'nowhere' is not registered"),
        ((), "use either --device ID or --site ID"),
    ):
        with pytest.raises(RuntimeError, match=says):
            pipeline.tonne("indicators", *words, *DAY)
