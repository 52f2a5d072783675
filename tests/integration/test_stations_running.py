"""Air, noise and wastewater stations over real MQTT: hours and days that users see."""

import json

import psycopg
import pytest

from tests.bench.load import Publisher
from tests.running import Pipeline

# 2026-01-09T17:00:00Z, midnight at the site
BEGIN_MS = 1_767_978_000_000
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


def registry() -> dict:
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
            body = {"ts": BEGIN_MS + k * STEP_MS, "values": values(name, k)}
            out += [(f"tonne/v1/{name}/telemetry", json.dumps(body).encode())] * (1 + (k % 9 == 0))
    return out


def test_stations_show_their_hours_and_days(pipeline: Pipeline):
    """A city would look for its air, its nights and its canal, and find an empty table."""
    pipeline.register(registry())
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


def test_a_station_that_nobody_knows_is_named(pipeline: Pipeline):
    """An empty answer would be taken for clean air."""
    for words, says in (
        (("--device", "st-nobody"), "device 'st-nobody' is not registered"),
        (("--site", "nowhere"), "site 'nowhere' is not registered"),
        ((), "use either --device ID or --site ID"),
    ):
        with pytest.raises(RuntimeError, match=says):
            pipeline.tonne("indicators", *words, *DAY)
