"""Workers and bridges while an operator changes, stops or repairs Apache Kafka."""

import json
import signal
import time
import urllib.request
from contextlib import contextmanager, suppress

import psycopg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from services.cli.local.doctor_checks import topics as looked_at
from services.environment import KafkaAccess
from services.intake.kafka_client import run_once
from services.intake.topics import Topic, administering, apply, dead
from services.local import is_free
from services.stream.partitions import topic_state
from tests.apache_kafka import APACHE, WHY
from tests.bench.load import Publisher
from tests.faults.killing import report
from tests.integration.kafka_path import (
    Processes,
    put,
    register,
    stored_records,
    wait_stored,
    wait_until,
)
from tests.ports import free_port
from tests.soak import SOAK

pytestmark = [pytest.mark.faults, pytest.mark.skipif(APACHE is None, reason=WHY)]
LONG = pytest.mark.skipif(not SOAK, reason="long: `make soak` runs it")
SOON = ("--session", "6")
LEAVES_S = 45  # of the 75 that Compose gives
AWAY_S = 150  # above the two minutes after which a part that stands still is told


def make(kafka_url, topic, partitions):
    """Create a topic and its dead-letter topic."""
    access = KafkaAccess.of(kafka_url)
    apply(access, Topic(topic, partitions, 1, 24))
    with suppress(Exception):
        apply(access, Topic(dead(topic), 1, 1, 24, compact=True))


def administer(kafka_url, work):
    """Call the administration client."""

    async def _work():
        async with administering(KafkaAccess.of(kafka_url)) as admin:
            return await work(admin)

    return run_once(_work())


def offsets(connection):
    return dict(connection.execute('SELECT partition, "offset" FROM stream_offset').fetchall())


def health(bind):
    with suppress(OSError), urllib.request.urlopen(f"http://{bind}/healthz", timeout=30) as page:
        return page.status, page.read().decode()
    return 0, ""


def metrics(bind):
    with urllib.request.urlopen(f"http://{bind}/metrics", timeout=30) as page:
        return page.read().decode()


def lines(processes, process):
    """Return the lines of a process's log, all of which must be JSON."""
    return [
        json.loads(line)
        for line in processes.log_of(process).splitlines()
        if not line.startswith("tonne: ")  # the sentence that a command ends with
    ]


def said(processes, process, event):
    return any(event in line["event"] for line in lines(processes, process))


def leaves(process):
    """End a process by SIGTERM; return how long it took."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    return time.monotonic() - began


@pytest.fixture
def processes(tmp_path, database_url, mqtt_broker, own_kafka, topic):
    """Yield commands on the servers of this file."""
    register(database_url)
    found = Processes(tmp_path, database_url, mqtt_broker.url, own_kafka.url, topic)
    yield found
    own_kafka.start()


@contextmanager
def ended(*started):
    """Kill the processes that the block has not ended."""
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_partitions_that_are_added_are_stored_whoever_was_restarted(
    processes, database_url, own_kafka, topic
):
    """Readings would lie in a new partition that no worker reads, with their receipts given."""
    make(own_kafka.url, topic, 2)
    names = [("worker", "--instance", f"w-{k}", "--session", "20") for k in (0, 1)]
    workers = [processes.start(*words) for words in names]
    for process in workers:
        wait_until(lambda p=process: said(processes, p, "partitions"), 120, processes.logs, 0.2)
    bind = f"127.0.0.1:{free_port()}"
    for k, words in enumerate(names):  # any rollout does that
        leaves(workers[k])
        workers[k] = processes.start(*words, bind=bind if k == 0 else "")
        wait_until(lambda k=k: said(processes, workers[k], "partitions"), 120, processes.logs, 0.2)
    with ended(*workers), psycopg.connect(database_url, autocommit=True) as connection:
        administer(own_kafka.url, lambda admin: admin.create_partitions({topic: NewPartitions(5)}))
        put(own_kafka.url, topic, [(partition, b"hello") for partition in range(5)])
        wait_until(
            lambda: offsets(connection) == dict.fromkeys(range(5), 1), 120, processes.logs, 0.2
        )
        wait_until(lambda: "unassigned 0.0" in metrics(bind), 60, lambda: metrics(bind), 0.5)
        access, stored = KafkaAccess.of(own_kafka.url), offsets(connection)
        state = topic_state(access, topic, stored, f"workers-{topic}")
        assert (sum(state.lag.values()), state.unassigned, state.cut) == (0, (), {})
        found = list(looked_at(access, database_url, f"workers-{topic}"))
        assert [one.state for one in found] == ["ok", "ok"], found
        *_, found = looked_at(access, database_url, "nobody")
        assert (found.state, "partitions 0, 1, 2, 3, 4" in found.found) == ("wrong", True), found
        state = topic_state(access, topic, {0: 9}, "nobody")
        assert (sum(state.lag.values()), state.unassigned) == (4, (0, 1, 2, 3, 4))
        assert (state.cut, 0 < state.oldest_s < 600) == ({0: 1}, True)
        for process in workers:
            assert leaves(process) < LEAVES_S
            assert process.returncode == 0, processes.logs()


def test_kafka_away_is_waited_for_and_told(processes, mqtt_broker, own_kafka, topic):
    """A supervisor would restart a process with a permanent error, or wait a minute for its end."""
    make(own_kafka.url, topic, 2)
    _holds_and_tells(processes, mqtt_broker, own_kafka)
    _a_start_ends_at_once(processes)
    _a_start_waits_and_ends_with_one_line(processes, own_kafka)


def _holds_and_tells(processes, mqtt_broker, own_kafka):
    binds = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    worker = processes.start("worker", *SOON, bind=binds[0])
    bridge = processes.start("bridge", bind=binds[1])
    with ended(worker, bridge):
        wait_until(lambda: said(processes, worker, "partitions"), 120, processes.logs, 0.2)
        wait_until(lambda: said(processes, bridge, "receiving"), 120, processes.logs, 0.2)
        own_kafka.kill()
        publisher = Publisher(mqtt_broker.port)
        publisher.send([("tonne/v1/nobody/telemetry", b"{}")])
        publisher.close()
        for bind in binds:
            wait_until(
                lambda b=bind: "waiting for kafka since" in health(b)[1], 120, processes.logs, 0.5
            )
            assert health(bind)[0] == 200
        for process, code in ((worker, 0), (bridge, 3)):
            wait_until(
                lambda p=process: said(processes, p, "kafka lost, holding"),
                120,
                processes.logs,
                0.2,
            )
            assert leaves(process) < LEAVES_S
            assert process.returncode == code, processes.logs()
            assert "Traceback" not in processes.log_of(process)
    *_, last = processes.log_of(bridge).splitlines()
    assert last == "tonne: stopped while a server was down; nothing was lost"


def _a_start_ends_at_once(processes):
    """
    Check that a start stops at once on SIGTERM: Compose kills after 75 s
    and reports a failure.
    """
    started = [processes.start(*words) for words in (("worker", *SOON), ("bridge",))]
    with ended(*started):
        for process in started:
            wait_until(
                lambda p=process: said(processes, p, "not there yet"), 120, processes.logs, 0.2
            )
        _leave_in_time(processes, started)


def _leave_in_time(processes, started):
    for process in started:
        assert leaves(process) < LEAVES_S
        assert process.returncode in {0, 3}, processes.logs()
        assert "Traceback" not in processes.log_of(process)
        assert "was destroyed" not in processes.log_of(process)


def _a_start_waits_and_ends_with_one_line(processes, own_kafka):
    """
    Check that a start waits for a server, then stops with one line: it
    must not retry without end.
    """
    done = processes.run("worker", "--wait", "2")
    assert done.returncode == 3
    *before, last = done.stderr.splitlines()
    assert "no Kafka broker answers" in last
    assert all(json.loads(line) for line in before)
    worker = processes.start("worker", *SOON)
    with ended(worker):
        wait_until(lambda: said(processes, worker, "not there yet"), 120, processes.logs, 0.2)
        own_kafka.start()
        wait_until(lambda: said(processes, worker, "partitions"), 120, processes.logs, 0.2)
        assert leaves(worker) < LEAVES_S


@LONG
def test_kafka_away_for_more_than_two_minutes_is_no_standstill(
    processes, mqtt_broker, own_kafka, topic, capsys
):
    """Compose and Kubernetes would start processes again and again until Kafka is back."""
    make(own_kafka.url, topic, 2)
    binds = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    worker = processes.start("worker", *SOON, bind=binds[0])
    bridge = processes.start("bridge", bind=binds[1])
    with ended(worker, bridge):
        wait_until(lambda: said(processes, worker, "partitions"), 120, processes.logs, 0.2)
        wait_until(lambda: said(processes, bridge, "receiving"), 120, processes.logs, 0.2)
        own_kafka.kill()
        before = [len(lines(processes, process)) for process in (worker, bridge)]
        publisher = Publisher(mqtt_broker.port)
        publisher.send([("tonne/v1/nobody/telemetry", b"{}")])
        publisher.close()
        away = time.monotonic()
        waiting = [0, 0]
        while (gone_s := time.monotonic() - away) < AWAY_S:
            for k, bind in enumerate(binds):
                status, page = health(bind)
                assert status == 200, (gone_s, page)
                waiting[k] += "waiting for kafka since" in page
                assert gone_s < 40 or "waiting for kafka since" in page, (gone_s, page)
            time.sleep(1)
        gauge = [float(_gauge(metrics(bind), "tonne_kafka_waiting_seconds")) for bind in binds]
        assert min(gauge) > AWAY_S - 45, gauge
        told = [
            len(lines(processes, process)) - count
            for process, count in zip((worker, bridge), before, strict=True)
        ]
        assert max(told) < AWAY_S, told  # one line a second at most
        own_kafka.start()
        wait_until(lambda: said(processes, bridge, "kafka back"), 120, processes.logs, 0.5)
        wait_until(
            lambda: processes.forwarded() or "}" in metrics(binds[1]), 120, processes.logs, 1
        )
        for bind in binds:
            wait_until(lambda b=bind: "waiting" not in health(b)[1], 120, processes.logs, 0.5)
        for process in (worker, bridge):
            assert leaves(process) < LEAVES_S
            assert process.returncode == 0, processes.logs()
            assert "Traceback" not in processes.log_of(process)
    report(
        capsys,
        f"away {AWAY_S} s: /healthz 200 throughout, and told {waiting} times that it waits;"
        f" {told} lines of log; the gauge {gauge}",
    )


def _gauge(page, name):
    return next(line.split()[1] for line in page.splitlines() if line.startswith(name))


@LONG
def test_records_that_kafka_deleted_are_told_and_passed_over(
    processes, database_url, own_kafka, topic
):
    """A worker that was away for longer than the retention would never start again."""
    make(own_kafka.url, topic, 1)
    part = TopicPartition(topic, 0)
    put(own_kafka.url, topic, [(0, b"hello")] * 2)
    with processes.running("worker", *SOON):
        wait_until(lambda: stored_records(database_url) == 2, 120, processes.logs, 0.2)
    put(own_kafka.url, topic, [(0, b"hello")] * 4)
    administer(own_kafka.url, lambda admin: admin.delete_records({part: RecordsToDelete(5)}))
    with processes.running("worker", *SOON) as worker:
        wait_until(lambda: stored_records(database_url) == 6, 120, processes.logs, 0.2)
    (gone,) = [one for one in lines(processes, worker) if "no longer had" in one["event"]]
    assert (gone["first"], gone["count"]) == (2, 3)
    administer(own_kafka.url, lambda admin: admin.delete_records({part: RecordsToDelete(6)}))
    with processes.running("worker", *SOON) as worker:
        wait_until(lambda: said(processes, worker, "past its retention"), 120, processes.logs, 0.2)
        put(own_kafka.url, topic, [(0, b"hello")])
        wait_until(lambda: stored_records(database_url) == 7, 120, processes.logs, 0.2)


@LONG
def test_a_log_that_lost_its_end_ends_the_worker(processes, database_url, own_kafka, topic):
    """Records removed by an outdated leader would count as stored, and so would later ones."""
    make(own_kafka.url, topic, 1)
    for record in (b"one", b"two", b"three"):
        put(own_kafka.url, topic, [(0, record)])
    worker = processes.start("worker", *SOON)
    with ended(worker):
        wait_until(lambda: stored_records(database_url) == 3, 120, processes.logs, 0.2)
        own_kafka.kill()
        _cut(own_kafka.folder / "data" / f"{topic}-0", batches=1)
        wait_until(lambda: is_free(own_kafka.port), 20, processes.logs, 0.1)  # it dies slowly
        own_kafka.start()
        wait_until(lambda: worker.poll() is not None, 120, processes.logs, 0.2)
        assert worker.returncode == 3, processes.logs()
        *_, last = processes.log_of(worker).splitlines()
        assert "ends at 1, but 3 records of it are stored" in last
        assert "its log was truncated" in last
        assert "Traceback" not in processes.log_of(worker)
    put(own_kafka.url, topic, [(0, b"other")] * 3)  # it grew past what was stored
    done = processes.run("worker", *SOON)
    assert (done.returncode, stored_records(database_url)) == (3, 3), done.stderr
    assert "record 2 of partition 0" in done.stderr


def _cut(folder, batches):
    """Truncate a partition's log after a number of batches, as an outdated leader does."""
    log = folder / f"{0:020d}.log"
    data, at = log.read_bytes(), 0
    for _ in range(batches):
        at += 12 + int.from_bytes(data[at + 8 : at + 12], "big")
    assert 0 < at < len(data)
    log.write_bytes(data[:at])
    for index in (
        *folder.glob("*index"),
        *folder.glob("*.snapshot"),
        *folder.glob("leader-epoch*"),
    ):
        index.unlink()


def test_a_topic_that_was_made_again_ends_the_worker(processes, database_url, own_kafka, topic):
    """New records would be taken for stored ones, and skipped."""
    make(own_kafka.url, topic, 1)
    worker = processes.start("worker", *SOON)
    with ended(worker):
        put(own_kafka.url, topic, [(0, b"hello"), (0, b"world")])
        wait_stored(database_url, 2, 120, processes.logs)
        administer(own_kafka.url, lambda admin: admin.delete_topics([topic]))
        wait_until(
            lambda: topic not in administer(own_kafka.url, lambda admin: admin.list_topics()),
            60, processes.logs, 0.2,
        )  # fmt: skip
        make(own_kafka.url, topic, 1)
        assert worker.wait(120) == 3, processes.logs()
        *_, last = processes.log_of(worker).splitlines()
        assert "the topic was created again" in last
        assert "Traceback" not in processes.log_of(worker)
    put(own_kafka.url, topic, [(0, b"other")] * 4)  # it has grown past what was stored
    done = processes.run("worker", *SOON)
    assert done.returncode == 3, done.stderr
    assert "record 1 of partition 0" in done.stderr
    assert "--topic" in done.stderr.splitlines()[-1]
    assert stored_records(database_url) == 2
