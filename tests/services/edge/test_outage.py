"""Field conditions of a gateway: days without network, a wrong clock, a second gateway."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ingest.addresses import Tls
from services.identity.principals import IdentityFolder
from tests.security.probe import Probe
from tests.services.edge.plant import (
    DEVICES,
    GATEWAY,
    OTHER,
    Edge,
    freed_to,
    meter,
    one,
    recorded,
    registry,
    rows,
    waiting,
)
from tests.waiting import until

DAYS = 10 if float(os.environ.get("FAULT_ROUNDS", "0.1")) >= 1 else 3
MINUTES = 1 if DAYS == 10 else 15
AWAY = [f"away-{k}" for k in range(5)]
DAY_S = 86_400
_PATIENCE_S = 900  # of a day that a clock is off: what lies between is how slow all is
FAKETIME = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]


def _export(folder, device, since):
    """Write days of readings as a logger's program does; return their times."""
    count = DAYS * 1_440 // MINUTES
    moments = [since + timedelta(minutes=MINUTES * k) for k in range(count)]
    lines = ["time,kwh", *(f"{m.isoformat()},{1_000 + k / 10}" for k, m in enumerate(moments))]
    (folder / f"{device}.csv").write_text("\n".join(lines) + "\n")
    return moments


def test_days_without_network_arrive_once_it_is_back(pipeline, tmp_path, capsys):
    """A storm takes the line for days; what the plant produced meanwhile must be claimed."""
    since = datetime(2026, 3, 1, tzinfo=UTC)
    sources, sent = [], {}
    for device in AWAY:
        folder = tmp_path / device
        folder.mkdir()
        sent[device] = _export(folder, device, since)
        sources.append({"kind": "csv", "folder": str(folder), "device": device, "every_s": 0.5,
                        "columns": {"kwh": "energy_import_kwh"}})  # fmt: skip
    edge = Edge(tmp_path, pipeline, sources)
    broker = pipeline.stack.mosquitto
    broker.stop()
    try:
        with edge.running():
            until(
                lambda: all((tmp_path / d / "done" / f"{d}.csv").exists() for d in AWAY),
                what=edge.log.read_text,
            )
            backlog = waiting(edge)
            assert backlog == sum(map(len, sent.values()))
            edge.kill()
            edge.start()
            broker.start()
            with pipeline.running(tmp_path / "run.log"):
                until(lambda: waiting(edge) < backlog * 2 // 3, 300, edge.log.read_text)
                edge.kill()  # and a power cut in the midst of it
                edge.start()
                until(lambda: waiting(edge) == 0, 300, edge.log.read_text)
    finally:
        broker.start()
    for device, moments in sent.items():
        assert [r[1] for r in rows(pipeline, "energy_meter", device)] == moments
        letters = "SELECT count(*) FROM dead_letter WHERE device_id = %s"
        assert one(pipeline, letters, device) == (0,)
    with capsys.disabled():
        print(f"\n  {DAYS} days of {len(AWAY)} devices: {backlog} arrived, each once")  # noqa: T201


@pytest.fixture
def wrong_clock():
    """Return the environment of a process with a wrong clock and no other change."""
    if not FAKETIME:
        if os.environ.get("CI"):
            pytest.fail("libfaketime is not installed: sh deploy/test_packages.sh")
        pytest.skip("libfaketime is not installed: sh deploy/test_packages.sh")
    return lambda offset: {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME": offset,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.parametrize(("offset", "seconds"), [("+1d", DAY_S), ("-1d", -DAY_S)])
def test_a_clock_off_by_a_day_is_seen_through_and_told(
    pipeline, plant, tmp_path, wrong_clock, offset, seconds
):
    """A day's energy on the wrong day, or refused as of the future, and no one knows why."""
    broker = pipeline.stack.mosquitto
    broker.stop()
    edge = Edge(tmp_path, pipeline, [meter(plant, 0.2, "clock-1")], wrong_clock(offset))
    began = datetime.now(UTC)
    before = {r[1] for r in rows(pipeline, "energy_meter", "clock-1")}
    try:
        with edge.running():
            # recorded before anybody could tell it the time
            until(lambda: waiting(edge) > 5, what=edge.log.read_text)
            stamped = _stamped(edge)
            assert abs((stamped - began).total_seconds() - seconds) < _PATIENCE_S
            _of_an_earlier_boot(edge, 2)
            backlog = recorded(edge)
            broker.start()
            with pipeline.running(tmp_path / "run.log"):
                until(
                    lambda: recorded(edge) > backlog + 5 and freed_to(edge, backlog + 5),
                    what=edge.log.read_text,
                )
                until(lambda: _clock(pipeline) is not None, what=edge.log.read_text)
                until(
                    lambda: abs(_clock(pipeline) - seconds) < _PATIENCE_S, what=edge.log.read_text
                )
                edge.stop()
    finally:
        broker.start()
    fresh = sorted({r[1] for r in rows(pipeline, "energy_meter", "clock-1")} - before)
    late = [t for t in fresh if t < began - timedelta(hours=1)]
    right = [t for t in fresh if t not in late]
    assert len(right) > 5
    ended, near = datetime.now(UTC), timedelta(minutes=1)
    assert all(began - near < t < ended + near for t in right)
    # what is from before the machine last started stays as it was stamped: a day ahead it is
    # refused and kept, anew each time that it is sent, a day behind it is a late reading like any
    letters = one(
        pipeline,
        "SELECT count(DISTINCT sha256) FROM dead_letter WHERE device_id = 'clock-1'"
        " AND reason = 'time_future' AND received > %s",
        began,
    )
    assert (len(late), letters) == ((0, (2,)) if seconds > 0 else (2, (0,)))
    told = edge.words()
    answer = next(w for w in told if w["event"] == "tonne answers")
    assert answer["level"] == "warning"
    assert abs(answer["clock_ahead_s"] - seconds) < _PATIENCE_S
    if seconds > 0:
        assert "time_future" in pipeline.tonne("deadletter", "count")


def _stamped(edge):
    with closing(sqlite3.connect(f"file:{edge.outbox}?mode=ro", uri=True)) as db:
        (wall,) = db.execute("SELECT min(wall_ms) FROM message").fetchone()
    return datetime.fromtimestamp(wall / 1_000, UTC)


def _of_an_earlier_boot(edge, count):
    """Mark these as recorded before the machine's last start."""
    with closing(sqlite3.connect(edge.outbox, timeout=60)) as db, db:
        db.execute(
            "UPDATE message SET boot = 'earlier' WHERE seq IN"
            " (SELECT seq FROM message ORDER BY seq LIMIT ?)",
            [count],
        )


def _clock(pipeline):
    """Return the offset of the gateway's clock in the operator's list. [s]"""
    listed = json.loads(pipeline.tonne("devices", "list", "--json"))
    (row,) = [row for row in listed if row["device"] == GATEWAY]
    return row["clock_offset_s"]


def test_two_gateways_that_claim_one_device(pipeline, plant, tmp_path):
    """A gateway that was replaced and left running would count its meter twice."""
    before = {r[1] for r in rows(pipeline, "energy_meter", "meter-2")}
    right = Edge(_folder(tmp_path, "right"), pipeline, [meter(plant, 0.3, "meter-2")])
    theirs = str(pipeline.home / "identity" / "devices" / OTHER)
    wrong = Edge(
        _folder(tmp_path, "wrong"),
        pipeline,
        [meter(plant, 0.3, "meter-2")],
        gateway=OTHER,
        identity=theirs,
    )
    with pipeline.running(tmp_path / "run.log"), right.running(), wrong.running():
        until(
            lambda: len(rows(pipeline, "energy_meter", "meter-2")) > len(before) + 10,
            what=right.log.read_text,
        )
        until(lambda: _claims(pipeline), what=wrong.log.read_text)
    # in the other's name it cannot speak at all: the broker knows it
    handed = IdentityFolder(pipeline.home / "identity").device(OTHER)
    probe = Probe(pipeline.stack.mosquitto.port, Tls.of(handed).context(), OTHER)
    assert probe.open()
    assert not probe.publish(f"tonne/v1/{GATEWAY}/meter-2/telemetry", b"{}")
    probe.close()
    (claim,) = _claims(pipeline)
    assert (claim["device"], claim["principal"], claim["speaker"]) == ("meter-2", OTHER, GATEWAY)
    claims = [line.split() for line in pipeline.tonne("devices", "claims").splitlines()]
    assert ["meter-2", "gw-2", "gw-1"] in [words[:3] for words in claims]
    # nothing of the wrong one is stored, and it holds what it recorded
    with psycopg.connect(pipeline.urls.database_url) as conn:
        refused = conn.execute(
            "SELECT DISTINCT reason, principal FROM dead_letter WHERE topic LIKE %s",
            [f"tonne/v1/{OTHER}/%"],
        ).fetchall()
    assert refused == [("not_your_device", OTHER)]
    assert waiting(wrong) > 0
    # where the newcomer is right the registry says so, and nobody is told of it any more
    moved = [{**d, "gateway": OTHER} if d["id"] == "meter-2" else d for d in DEVICES]
    pipeline.register(registry(*moved))
    assert _claims(pipeline) == []


def test_the_registry_takes_one_gateway_a_device(pipeline, tmp_path):
    """Two rows of one meter, each behind a gateway of its own: which of them counts?"""
    header = "id,site,class,profile,gateway,installed"
    row = "meter-9,s,energy_meter,generic,{},2025-01-01T00:00:00Z"
    file = tmp_path / "twice.csv"
    file.write_text("\n".join([header, row.format(GATEWAY), row.format(OTHER)]) + "\n")
    with pytest.raises(RuntimeError, match="meter-9"):
        pipeline.tonne("registry", "import", str(file))
    assert one(pipeline, "SELECT count(*) FROM device WHERE id = 'meter-9'") == (0,)


def _claims(pipeline):
    return json.loads(pipeline.tonne("devices", "claims", "--json"))


def _folder(parent, name):
    path = parent / name
    path.mkdir()
    return path
