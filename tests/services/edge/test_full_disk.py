"""
A disk filled by another program: messages are deleted by policy,
reported, and sending continues.
"""

import json
import os
import sqlite3
import subprocess
from contextlib import closing, suppress

import paho.mqtt.client as mqtt
import pytest

from ingest.addresses import close_sockets
from services.edge.metrics import summary
from services.edge.outbox import FullError, Outbox, Record
from services.local.brokers import Mosquitto
from tests.ports import give_ports
from tests.services.edge.plant import Edge, meter, one, recorded, rows, waiting
from tests.soak import SOAK
from tests.waiting import until

pytestmark = [pytest.mark.timeout(1_200)]
MB = 1 << 20


class Disk:
    """A separate file system of 24 MB that can be filled completely."""

    def __init__(self, path):
        self.path = path
        self._filler = path / "somebody-elses.log"

    def fill(self):
        """
        Write until there is no space left on the device, including space
        that a gateway released.
        """
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        while os.statvfs(self.path).f_bavail:
            for size in (MB, 4_096, 1):
                with suppress(OSError):
                    while True:
                        os.write(file, b"x" * size)
        os.close(file)

    def clear(self):
        """Free the space."""
        self._filler.unlink()


@pytest.fixture
def disk(tmp_path):
    """
    Yield a small file system; without the right to mount one, the test
    is skipped with a reason.
    """
    path = tmp_path / "disk"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tonne-test", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def _record(k):
    return Record(f"d{k % 2}", {"values": {"k": k}, "fill": "x" * 4_000})


def _held(outbox):
    found = [w for name in ("d0", "d1") for w in outbox.after(0, name, 1_000_000)]
    return sorted(json.loads(w.body)["values"]["k"] for w in found)


@pytest.mark.parametrize("policy", ["thin", "newest", "oldest"])
def test_a_full_disk_follows_the_policy_and_goes_on_after(disk, policy):
    """A log file elsewhere on the card would end the recording, or eat what was recorded."""
    path = disk.path / "outbox.db"
    outbox = Outbox(path, 64 * MB, policy)
    dropped = sum(outbox.put([_record(k)]) for k in range(300))
    assert dropped == 0
    disk.fill()
    taken, refused = list(range(300)), 0
    for k in range(300, 2_000):
        try:
            dropped += outbox.put([_record(k)])
            taken.append(k)
        except FullError:
            refused += 1
    held = _held(outbox)
    assert len(taken) - dropped == len(held)
    assert summary(path)["dropped"] == dropped
    if policy == "oldest":
        assert (held, dropped) == (taken, 0)
        assert refused > 100
    else:
        assert refused == 0
        assert held[-1] == 1_999
        assert len(held) > 200
    # receipts come though the disk is full: they make room, not errors
    for name in ("d0", "d1"):
        assert outbox.free(name, [w.id for w in outbox.after(0, name, 50)]) == 50
    assert outbox.put([_record(2_000)]) == 0
    before = _held(outbox)
    outbox.close()
    again = Outbox(path, 64 * MB, policy)  # a restart on the full disk
    assert _held(again) == before
    assert again.set_aside is None
    disk.clear()
    assert sum(again.put([_record(k)]) for k in range(3_000, 4_000)) == 0
    assert _held(again) == [*before, *range(3_000, 4_000)]
    again.close()


@pytest.mark.parametrize("policy", ["thin", "oldest"])
def test_a_small_disk_is_used_to_its_end(disk, policy):
    """A gateway that starts with ten megabytes would keep an hour where there is room for days."""
    file = os.open(disk.path / "somebody-elses.log", os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(file, 0, 14 * MB)
    os.close(file)
    with closing(Outbox(disk.path / "outbox.db", 64 * MB, policy)) as outbox:
        taken = dropped = 0
        with suppress(FullError):
            while not dropped and taken < 4_000:
                dropped += outbox.put([_record(taken)])
                taken += 1
        assert taken > 600  # of about four kilobytes
        assert len(_held(outbox)) == taken - dropped
        disk.clear()
        assert outbox.put([_record(k) for k in range(10_000, 11_000)]) == 0
        assert _held(outbox)[-1_000:] == [*range(10_000, 11_000)]


@pytest.mark.skipif(not SOAK, reason="long: `make soak` runs it")
def test_a_gateway_on_a_full_disk_tells_what_it_lost_and_keeps_what_it_can(
    pipeline, plant, disk, tmp_path
):
    """A hole in the readings that no one was informed of would be taken for a silent meter."""
    local = Mosquitto(give_ports(tmp_path / "local", "mosquitto"))
    local.start()
    listened = {"kind": "mqtt", "url": local.url, "topics": ["plant/{device}/json"]}
    edge = Edge(tmp_path, pipeline, [meter(plant, 0.01, "full-1"), listened], when_full="oldest")
    config = edge.config.read_text().replace(str(edge.outbox), str(disk.path / "outbox.db"))
    edge.config.write_text(config)
    edge.outbox = disk.path / "outbox.db"
    _watch(edge.outbox)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", local.port)
    client.loop_start()
    try:
        with edge.running():
            until(lambda: edge.outbox.exists() and recorded(edge) > 20, what=edge.log.read_text)
            disk.fill()
            # about a thousand readings: what is left of pages that the file has
            until(lambda: "cannot record" in edge.log.read_text(), 600, edge.log.read_text)
            full = recorded(edge)
            # what has a memory of its own keeps it: the broker is asked again later
            for k in range(5):
                body = {"ts": 1767225600000 + k, "values": {"energy_export_kwh": 50 + k}}
                client.publish("plant/q-2/json", json.dumps(body), qos=1).wait_for_publish(60)
            with pipeline.running(tmp_path / "run.log"):
                # tonne answers: receipts make room, though the disk is full still
                until(lambda: recorded(edge) > full + 20, what=edge.log.read_text)
                disk.clear()
                until(lambda: '"well again"' in edge.log.read_text(), what=edge.log.read_text)
                until(lambda: len(_listened(pipeline)) == 5, what=edge.log.read_text)
                edge.stop()
                rest = Edge(tmp_path, pipeline, [meter(plant, 86_400, "full-1")])
                rest.config.write_text(
                    rest.config.read_text().replace(str(rest.outbox), str(edge.outbox))
                )
                rest.outbox = edge.outbox
                with rest.running():
                    until(lambda: waiting(rest) == 0, what=rest.log.read_text)
    finally:
        client.disconnect()
        client.loop_stop()
        close_sockets(client)
        local.stop()
    words = edge.words()
    lost = max(word.get("lost", 0) for word in words)
    assert lost > 0
    assert rest.status()["lost"] == lost
    assert rest.status()["dropped"] == 0
    assert len(rows(pipeline, "energy_meter", "full-1")) == len(_seen(rest.outbox, "full-1"))
    # of the other the outbox may hold some twice: its broker sends again what it was not told of
    assert len(_listened(pipeline)) == 5
    assert one(pipeline, "SELECT count(*) FROM dead_letter WHERE device_id = 'full-1'") == (0,)


def _watch(path):
    """Let an outbox record the time of each of its messages, also of deleted ones."""
    Outbox(path, 64 * MB, "oldest").close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE seen (device, ms, PRIMARY KEY (device, ms)) WITHOUT ROWID")
        db.execute(
            "CREATE TRIGGER see AFTER INSERT ON message BEGIN"
            " INSERT OR IGNORE INTO seen VALUES (new.device, new.wall_ms); END"
        )


def _seen(path, device):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT ms FROM seen WHERE device = ?", [device]).fetchall()


def _listened(pipeline):
    return rows(pipeline, "pv_inverter", "q-2")
