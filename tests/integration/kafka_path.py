"""Recorded messages, and the processes that transport them over Kafka."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from itertools import islice
from pathlib import Path

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from ingest.model import HOUR_US
from ingest.mqtt.client import Inbox
from ingest.sparkplug import Rules
from services.clock import now_us
from services.embedded import EmbeddedChain
from services.environment import KafkaAccess
from services.intake.kafka_client import run_once
from services.intake.sparkplug import SparkplugNodes
from services.logs import get_logger
from services.metrics import Metrics
from services.simulator.fleet import read_fleet
from services.simulator.flow import Faults, messages
from services.store.postgres.pool import connect
from services.store.statements.statements import latest
from tests import commands
from tests.ports import free_port
from tests.registering import imported
from tests.services.issuer.sealed import close_period
from tests.waiting import until as wait_until

CATALOG = Path(__file__).parents[2] / "deploy/catalog/demo.yaml"
START_US = 1_772_323_200_000_000  # 2026-03-01T00:00:00Z
FAULTS = Faults(
    duplicates=0.02,
    disorder=0.05,
    late=0.03,
    dropout=0.01,
    glitch=0.005,
    jitter=0.005,
    units=0.002,
    garbage=0.005,
    reset=1,
)
_WINDOW = 1_500
TABLES = {
    "interval_quantity": "SELECT * FROM interval_quantity ORDER BY device_id, quantity, start",
    "interval_emission": "SELECT * FROM interval_emission ORDER BY project_id, device_id, start",
    "quality_flag": "SELECT * FROM quality_flag ORDER BY device_id, time, channel, test",
    "indicator_value": "SELECT * FROM indicator_value ORDER BY device_id, start, indicator",
    "dead_letter": "SELECT topic, principal, device_id, reason, detail, payload, content_type"
    " FROM dead_letter ORDER BY topic, reason, detail, payload",
    "readings": "SELECT device_id, time, energy_export_wh, active_power_w, flags"
    " FROM reading_pv_inverter ORDER BY device_id, time",
}


def traffic(hours: int, seed: int = 11) -> list[tuple[str, bytes]]:
    """
    Return the messages of a fleet with faults, shuffled within windows,
    with whole repetitions.
    """
    chance = random.Random(seed)  # noqa: S311 - the same order each time
    sent = [
        (topic, payload)
        for _, topic, payload, _ in messages(
            read_fleet(CATALOG), START_US, hours * HOUR_US, seed, FAULTS
        )
    ]
    out = []
    for at in range(0, len(sent), _WINDOW):
        window = sent[at : at + _WINDOW]
        window += chance.sample(sent[: at + _WINDOW], 20)
        chance.shuffle(window)
        out += window
    return out


def register(database_url: str) -> None:
    """Import the registry of the demonstration."""
    planned = imported(database_url, CATALOG)
    assert not planned.refused, planned.results


def embedded(database_url: str, sent: list[tuple[str, bytes]]) -> None:
    """Store messages as `tonne run` does, in batches as they arrive."""
    metrics = Metrics(CollectorRegistry())
    nodes = SparkplugNodes(Rules())
    chain = EmbeddedChain(database_url, metrics, get_logger("test"), threading.Event(), nodes)
    chain.open()
    todo = iter(sent)
    while batch := list(islice(todo, 700)):
        n = len(batch)
        topics, payloads = (list(column) for column in zip(*batch, strict=True))
        chain.store(
            Inbox(0, topics, payloads, [None] * n, list(range(1, n + 1)), [False] * n, now_us())
        )
    chain.close()


def tables(database_url: str) -> dict[str, list[tuple]]:
    """Return the tables that a path left in its database."""
    with psycopg.connect(database_url) as connection:
        return {name: connection.execute(query).fetchall() for name, query in TABLES.items()}


def statements(database_url: str, hours: int) -> dict[str, bytes]:
    """Return the draft statement of each project's whole period, as bytes."""
    found = {}
    with connect(database_url, role="tonne_mrv", autocommit=True) as connection:
        for (project,) in connection.execute("SELECT id FROM project ORDER BY id").fetchall():
            span = (START_US, START_US + hours * HOUR_US)
            close_period(connection, project, *span, "tester")
            last = latest(connection, project, *span)
            assert last is not None
            found[project] = last.body
    return found


def stored_records(database_url: str) -> int:
    """Return the number of records that the worker has stored, over all partitions."""
    with psycopg.connect(database_url) as connection:
        return _stored_records(connection)


def _stored_records(connection: psycopg.Connection) -> int:
    row = connection.execute('SELECT coalesce(sum("offset"), 0) FROM stream_offset').fetchone()
    return int(row[0])


def wait_stored(database_url: str, least: int, patience_s: float, log: Callable[[], str]) -> None:
    """Wait until a number of records is stored, through one connection: opening one takes 20 ms."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(lambda: _stored_records(connection) >= least, patience_s, log, 0.05)


def wait_derived(database_url: str, patience_s: float, log: Callable[[], str]) -> None:
    """Wait until all derived rows exist: a worker that stops leaves them to the next one."""
    waiting = "SELECT EXISTS (SELECT FROM underived) OR EXISTS (SELECT FROM remake_request)"
    with psycopg.connect(database_url, autocommit=True) as connection:
        wait_until(
            lambda: connection.execute(waiting).fetchone() == (False,), patience_s, log, 0.05
        )


def servers(kafka_url: str) -> list[str]:
    """Return `host:port` of each broker of a URL."""
    return KafkaAccess.of(kafka_url).bootstrap


def ended_records(kafka_url: str, topic: str, partitions: int) -> int:
    """Return the number of records in the topic, over all partitions."""
    return sum(ends(kafka_url, topic, partitions).values())


def ends(kafka_url: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the end offset of each partition of the topic."""
    wanted = [TopicPartition(topic, partition) for partition in range(partitions)]
    found = run_once(_ended(servers(kafka_url), wanted))
    return {tp.partition: end for tp, end in found.items()}


async def _ended(servers: list[str], wanted: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers)
    try:
        await consumer.start()
        return dict(await consumer.end_offsets(wanted))
    finally:
        await consumer.stop()


def put(kafka_url: str, topic: str, records: list[tuple[int, bytes]]) -> None:
    """Put records into partitions, as a program other than tonne could."""
    run_once(_put(servers(kafka_url), topic, records))


async def _put(servers: list[str], topic: str, records: list[tuple[int, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    try:
        await producer.start()
        for partition, value in records:
            await producer.send_and_wait(topic, value, partition=partition)
    finally:
        await producer.stop()


def held(kafka_url: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Return key and value of every record of a topic's first partition."""
    return run_once(_held(servers(kafka_url), TopicPartition(topic, 0)))


async def _held(
    servers: list[str], wanted: TopicPartition
) -> list[tuple[bytes | None, bytes | None]]:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([wanted])
        end = (await consumer.end_offsets([wanted]))[wanted]
        found: list[tuple[bytes | None, bytes | None]] = []
        while len(found) < end:
            got = await consumer.getmany(wanted, timeout_ms=1_000)
            found += [(m.key, m.value) for m in got.get(wanted, ())]
        return found
    finally:
        await consumer.stop()


class Processes:
    """
    Commands on one set of servers, with their output in files.

    Topic and worker group are used by this test only, since other tests use the same broker.
    """

    def __init__(
        self,
        folder: Path,
        database_url: str,
        mqtt_url: str,
        kafka_url: str,
        topic: str,
        **settings: str,
    ) -> None:
        self._folder, self.kafka_url, self.topic = folder, kafka_url, topic
        self._environment = {
            **os.environ,
            "TONNE_HOME": str(folder / "home"),
            "TONNE_DATABASE_URL": database_url,
            "TONNE_MQTT_URL": mqtt_url,
            "TONNE_KAFKA_URL": kafka_url,
            "TONNE_METRICS_BIND": "",
            **settings,
        }
        self._metrics = f"127.0.0.1:{free_port()}"
        self._logs: dict[int, Path] = {}

    def beside(self, name: str, database_url: str) -> Processes:
        """
        Return the same servers with another database; the first broker in
        the list does not answer.
        """
        folder = self._folder / name
        folder.mkdir()
        other = Processes(folder, database_url, "", "", self.topic)
        other._environment = {
            **self._environment,
            "TONNE_HOME": str(folder / "home"),
            "TONNE_DATABASE_URL": database_url,
            "TONNE_KAFKA_URL": f"kafka://127.0.0.1:1,{servers(self.kafka_url)[0]}",
        }
        return other

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends."""
        return commands.run(
            self._own(words), env=self._environment, capture_output=True, text=True, check=False
        )

    def _own(self, words: Sequence[str]) -> list[str]:
        """Return a command with the test's topic and group."""
        found = list(words)
        if words[0] in {"bridge", "worker", "topics"}:
            found += ["--topic", self.topic]
        if words[0] == "worker":
            name = words[words.index("--group") + 1] if "--group" in words else "workers"
            found += ["--group", f"{name}-{self.topic}"]  # the last one holds
        return found

    def start(self, *words: str, bind: str = "") -> subprocess.Popen[bytes]:
        """Start a command with its output in a file; the bridge serves its metrics."""
        bind = bind or (self._metrics if words[0] == "bridge" else "")
        settings = {"TONNE_METRICS_BIND": bind}
        log = self._folder / f"{len(self._logs)}-{words[0]}.log"
        with log.open("wb") as out:
            process = commands.start(
                self._own(words), env=self._environment | settings, stdout=out, stderr=out
            )
        self._logs[process.pid] = log
        return process

    def log_of(self, process: subprocess.Popen[bytes]) -> str:
        """Return the output of one process so far."""
        return self._logs[process.pid].read_text()

    @contextmanager
    def doomed(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command, and end it by SIGKILL."""
        process = self.start(*words)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command, and end it by SIGTERM; it must stop in order."""
        process = self.start(*words)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            code = process.wait(120)
        assert code == 0, self.logs()

    def forwarded(self) -> int:
        """
        Return the number of messages that the bridge has put into Kafka; 0 while it serves no
        metrics.
        """
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=30) as page:
                text = page.read().decode()
        except (OSError, HTTPException):
            return 0
        found = re.findall(r"^tonne_ingest_messages_total{[^}]*} (\S+)$", text, re.MULTILINE)
        return int(sum(float(value) for value in found))

    def logs(self) -> str:
        """Return all output so far."""
        return "\n".join(
            f"--- {file.name}\n{file.read_text()}" for file in sorted(self._folder.glob("*.log"))
        )
