"""`tonne bridge`: from MQTT to Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
from aiokafka.errors import KafkaError
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.addresses import Tls
from ingest.columns import Rejected
from ingest.model import Fleet, Int32
from ingest.mqtt import Router, device_of, principal_of
from ingest.mqtt.client import Inbox
from ingest.pipeline import admit as decoding
from ingest.pipeline.admit import Admitted
from ingest.wire import Parcel, partition_of, sort
from ingest.wire import encode as encode_parcel
from services.environment import KafkaAccess
from services.intake.database import Database, Ignored, Statuses, count_lag, count_messages
from services.intake.handover import Done, Read
from services.intake.principal_quota import Limits, PrincipalQuota
from services.intake.producer import MAX_RECORD, Outgoing, Producer
from services.intake.receive import BATCH, Receive
from services.intake.registry_watch import CHECK_S, RegistryWatch, load_fleet, names_unknown
from services.intake.retry import ServerRetry, any_of, require_same_time
from services.intake.sparkplug import REBIRTH_S, claimed
from services.intake.topics import partitions
from services.intake.two_threads import TwoThreads
from services.metrics import Metrics
from services.store.principal_status import Status
from services.store.timeseries.last_seen import since_received_s

_REMEMBERED, _LONG = 200_000, 256


def admit(router: Router, inbox: Inbox, unread: Sequence[Rejected] = ()) -> Admitted:
    """Return a batch's accepted readings under a registry version; `unread` are rejected."""
    return decoding.admit(
        router.fleet,
        router.route,
        inbox.topics,
        inbox.payloads,
        inbox.content_types,
        inbox.received_us,
        unread=unread,
    )


class Partitions:
    """
    Partition of each topic, cached for one registry version.

    `count`: number of partitions of the Kafka topic; the principal determines the partition.
    """

    def __init__(self, fleet: Fleet, count: int) -> None:
        self.fleet = fleet
        self._count = count
        self._known: dict[str, int] = {}

    def of(self, topics: Sequence[str]) -> Int32:
        """Return the partition of each message, by its topic. [int32 array, n]"""
        known = self._known
        if len(known) > _REMEMBERED:
            known.clear()
        result = [known[topic] if topic in known else self._find(topic) for topic in topics]
        return np.array(result, dtype=np.int32)

    def _find(self, topic: str) -> int:
        partition = partition_of(_key(topic, self.fleet), self._count)
        if len(topic) <= _LONG:  # longer topics are not cached
            self._known[topic] = partition
        return partition


def encode(inbox: Inbox, admitted: Admitted, partitions: Partitions) -> list[Outgoing]:
    """Return the Kafka records of a batch."""
    parcel = Parcel(
        inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, admitted.codecs,
        inbox.received_us, admitted.frames, admitted.rejected,
    )  # fmt: skip
    return [
        Outgoing(record, partition)
        for partition, part in sort(parcel, partitions.of(inbox.topics)).items()
        for record in fitting(part, partitions.fleet)
    ]


def _key(topic: str, fleet: Fleet) -> str:
    """Return a topic's record key: the principal, so that one worker gets all its messages."""
    principal = principal_of(topic)
    if principal:
        return principal
    name = device_of(topic, fleet) or topic
    index = fleet.by_id.get(name)
    return name if index is None else fleet.devices[index].gateway or name


def fitting(parcel: Parcel, fleet: Fleet) -> Iterator[bytes]:
    """Yield a parcel as records within Kafka's size limit, divided if necessary."""
    record = encode_parcel(parcel, fleet)
    if len(record) <= MAX_RECORD or len(parcel) == 1:
        yield record
        return
    for half in parcel.halves():
        yield from fitting(half, fleet)


class BridgeChain:
    """Steps of the sending thread, applied to each batch."""

    def __init__(
        self,
        database_url: str,
        kafka: KafkaAccess,
        topic: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        rebirth_s: float = REBIRTH_S,
        limits: Limits | None = None,
    ) -> None:
        self._quota = PrincipalQuota(limits)
        self._database = Database(database_url, "tonne bridge", log, stopping, pulse=metrics.pulse)
        away = any_of(KafkaError, OSError)
        self._retry = ServerRetry("kafka", away, log, stopping, metrics.pulse)
        self._producer = Producer(kafka, topic, log, stopping)
        self._kafka, self._topic = kafka, topic
        self._metrics = metrics
        self._log = log
        self._watch = RegistryWatch()
        self._current: Router | None = None
        self._ignored = Ignored(log)
        self._statuses = Statuses(log)
        self._count = 0
        self._partitions = Partitions(Fleet([]), 0)
        self._rebirth_s = rebirth_s
        self._requested_s = 0.0

    def open(self) -> None:
        """
        Read the registry, and the topic's number of partitions.

        Raises ServerError when a server cannot be reached at the start.
        Raises InputError when the topic does not exist, or the clock is wrong.
        """
        self._count = partitions(self._kafka, self._topic)
        try:
            connection = self._database.connection()
            require_same_time(connection)
            self._refresh(connection)
            self._quota.note_pause(since_received_s(connection))
        except BaseException:
            self._database.close()
            raise

    @property
    def fleet(self) -> Fleet:
        """Return the fleet of the current registry version."""
        return self._router.fleet

    @property
    def _router(self) -> Router:
        if self._current is None:
            raise RuntimeError("the registry was not read; call open() first")
        return self._current

    def read(self, inbox: Inbox) -> Read:
        """Return a batch read by the current registry version."""
        router = self._router
        unread = self._quota.over(router, inbox)
        return Read(router, unread, admit(router, inbox, unread))

    def store(self, inbox: Inbox, read: Read | None = None) -> Done:
        """
        Store a batch in Kafka, waiting for Kafka if necessary; return its receipts.

        Raises GaveUpError when the process is stopped while Kafka is unreachable.
        """
        if self._watch.due():
            self._look()
        read = read or self.read(inbox)
        router, admitted = read.router, read.admitted
        if admitted is not None and names_unknown(admitted.rejected):
            self._look()
        if admitted is None or self._router is not router:
            router = self._router
            admitted = admit(router, inbox, read.unread)
        began_s = time.monotonic()
        self._produce(inbox, admitted)
        self._quota.stored(time.monotonic() - began_s)
        return Done.of(inbox, router, admitted)

    def _produce(self, inbox: Inbox, admitted: Admitted) -> None:
        while True:
            records = encode(inbox, admitted, self._partitions)
            with self._retry:
                self._producer.send(records)
                break
            # Kafka may have stored the batch: the worker then checks for duplicates before it
            # stores a rejection
            inbox.repeated = [True] * len(inbox)
        count_messages(self._metrics, admitted.codecs, admitted.rejected, "forwarded")
        count_lag(self._metrics, admitted.frames, inbox.received_us)
        self._ignored.log_new(admitted)

    def _look(self) -> None:
        """Load a new registry version; keep the current one while the database is unreachable."""
        with self._database.if_connected() as connection:
            if connection is not None:
                self._refresh(connection)

    def _refresh(self, connection: Connection) -> None:
        if self._watch.newer(connection, None if self._current is None else self._current.fleet):
            fleet = load_fleet(connection, None if self._current is None else self._current.fleet)
            self._current, self._partitions = Router(fleet), Partitions(fleet, self._count)
            self._log.info("registry", version=fleet.version, devices=len(fleet))

    def between(self, node_messages: list[list[Status]]) -> list[tuple[str, bytes]]:
        """
        Store status messages between batches; return rebirth requests (topic, payload) to publish.

        Workers request rebirths through the database, as they have no MQTT connection. A failure is
        retried later.
        """
        asking = time.monotonic() - self._requested_s > CHECK_S
        if not node_messages and not asking:
            return []
        with self._database.if_connected() as connection:
            if connection is not None:
                for node_message in node_messages:
                    self._statuses.keep(connection, self.fleet, node_message)
                if asking:
                    return self._claimed(connection)
        return []

    def _claimed(self, connection: Connection) -> list[tuple[str, bytes]]:
        self._requested_s = time.monotonic()
        result = claimed(connection, self._rebirth_s)
        for topic, _ in result:
            self._log.info("rebirth requested", topic=topic)
        return result

    def idle(self) -> None:
        """Load a new registry version while no batch arrives."""
        self._look()

    def close(self) -> None:
        """Disconnect from both servers."""
        self._producer.close()
        self._database.close()


# minimum time between batches [s]: the fixed cost of a batch equals that of a hundred messages; see
# docs/benchmarks.md
EVERY_S = 0.03


class Bridge(TwoThreads):
    """
    Pipeline from MQTT to Kafka: one thread receives and acknowledges, one sends.

    `database_url`: database with the registry, and with rebirth requests to edge nodes.
    `client_id`: name of the persistent session at the broker; unique per bridge.
    `share`: name of the shared subscription of several bridges.
    `rebirth_s`: minimum time between two rebirth requests to a Sparkplug edge node. [s]
    `host_id`: name of this Sparkplug host application; for one bridge only.
    `tls`: TLS identity at the broker.
    `wait_s`: maximum waiting time for unreachable servers at the start. [s]
    `limits`: quota of one principal per minute.
    """

    def __init__(
        self,
        database_url: str,
        mqtt_url: str,
        kafka: KafkaAccess,
        topic: str,
        client_id: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        batch: int = BATCH,
        share: str | None = None,
        *,
        rebirth_s: float = REBIRTH_S,
        host_id: str | None = None,
        tls: Tls | None = None,
        wait_s: float = 0.0,
        limits: Limits | None = None,
    ) -> None:
        stopping = threading.Event()
        receive = Receive(
            mqtt_url, client_id, metrics, log, batch, share,
            host_id=host_id, tls=tls, every_s=EVERY_S, single=True,
        )  # fmt: skip
        chain = BridgeChain(database_url, kafka, topic, metrics, log, stopping, rebirth_s, limits)
        super().__init__(receive, chain, "database or Kafka", stopping, metrics, log, wait_s=wait_s)
