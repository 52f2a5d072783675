"""
The sending half of `tonne bridge`: batches to Kafka, each until Kafka has it.

The registry decides what is admitted.  While its database is away the version
in use goes on, since Kafka is there to outlast the database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from ingest.mqtt.topics import Router, device_of, principal_of
from ingest.wire import Parcel, encode, sort
from services.intake.batch_metrics import Ignored, Statuses, count_lag, count_messages
from services.intake.clock_check import require_same_time
from services.intake.database import Database
from services.intake.producer import MAX_RECORD, Outgoing, Producer
from services.intake.registry_watch import CHECK_S, Registered, admit_inbox
from services.intake.retry import Patience
from services.intake.sink import Done
from services.intake.sparkplug import REBIRTH_S, claimed
from services.intake.topics import partitions
from services.store.registry import load as registry

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

    from ingest.model import Fleet
    from ingest.mqtt.inbox import Inbox
    from ingest.pipeline import Admitted
    from services.metrics import Metrics
    from services.store.messages.principal_status import Said


@dataclass(frozen=True, slots=True)
class _Version:
    """What one registry version is to this process."""

    router: Router

    @property
    def fleet(self) -> Fleet:
        return self.router.fleet


class Forwarder:
    """Admits batches and sends them, a parcel a partition."""

    def __init__(
        self,
        database_url: str,
        kafka_url: str,
        topic: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        rebirth_s: float = REBIRTH_S,
    ) -> None:
        self._database = Database(database_url, "tonne bridge", log, stopping)
        self._patience = Patience("kafka", (KafkaError, OSError), log, stopping)
        self._producer = Producer(kafka_url, topic, log)
        self._kafka_url, self._topic = kafka_url, topic
        self._metrics = metrics
        self._log = log
        self._registered = Registered(self._take_up)
        self._ignored = Ignored(log)
        self._statuses = Statuses(log)
        self._partitions = 0
        self._rebirth_s = rebirth_s
        self._asked_s = 0.0

    def open(self) -> None:
        """
        Read the registry, and the topic's number of partitions.

        Raises
        ------
        ServerError
            When a server cannot be reached at start.
        InputError
            When the topic is not there, or our clock is off.
        """
        self._partitions = partitions(self._kafka_url, self._topic)
        require_same_time(self._database.connection())
        self._registered.refresh(self._database.connection())

    @property
    def fleet(self) -> Fleet:
        """The fleet of the registry version that is in use."""
        return self._registered.held.fleet

    def look(self) -> None:
        """Take up a new registry version while no message comes."""
        self._database.glance(self._registered.refresh)

    def store(self, inbox: Inbox) -> Done:
        """
        Make a batch durable in Kafka, however long it takes.

        Raises
        ------
        GaveUpError
            When the process is told to stop while Kafka is away.
        """
        admitted = admit_inbox(self._registered, self._database.glance, inbox)
        held = self._registered.held

        def lost() -> None:
            # Kafka may have it all: the worker then looks before it keeps a refusal twice
            self._producer.drop()
            inbox.repeated = [True] * len(inbox)
            self._metrics.pulse.beat("storing")  # a server that is waited for is no standstill

        self._patience.hold(
            lambda: self._producer.send(list(self._records(held.fleet, inbox, admitted))), lost
        )
        count_messages(self._metrics, admitted.codecs, admitted.rejected, "forwarded")
        count_lag(self._metrics, admitted.frames, inbox.received_us)
        self._ignored.tell(admitted)
        route = held.router.route
        seen = [(route(inbox.topics[k]), found) for k, found in admitted.seen.items()]
        return Done(inbox, held.fleet, seen)

    def _records(self, fleet: Fleet, inbox: Inbox, admitted: Admitted) -> Iterator[Outgoing]:
        parcel = Parcel(
            inbox.topics, inbox.payloads, inbox.content_types, inbox.repeated, admitted.codecs,
            inbox.received_us, admitted.frames, admitted.rejected,
        )  # fmt: skip
        keys = [_key(topic, fleet) for topic in inbox.topics]
        for partition, part in sort(parcel, keys, self._partitions).items():
            for record in fitting(part, fleet):
                yield Outgoing(record, partition)

    def _take_up(self, connection: Connection[TupleRow]) -> _Version:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            fleet = registry.load_fleet(connection)
        self._log.info("registry", version=fleet.version, devices=len(fleet))
        return _Version(Router(fleet))

    def hear(self, said: list[Said]) -> None:
        """Keep what principals say of themselves; a lost database misses it."""
        self._database.glance(lambda connection: self._statuses.keep(connection, self.fleet, said))

    def commands(self) -> list[tuple[str, bytes]]:
        """Return what workers want edge nodes to be told: a worker speaks to no broker."""
        found: list[tuple[str, bytes]] = []
        if time.monotonic() - self._asked_s > CHECK_S:
            self._asked_s = time.monotonic()
            self._database.glance(lambda c: found.extend(claimed(c, self._rebirth_s)))
        return found

    def close(self) -> None:
        """Let go of both servers."""
        self._producer.close()
        self._database.close()


def _key(topic: str, fleet: Fleet) -> str:
    """Say what a message is sorted by: who speaks, so that a worker hears all that it says."""
    principal = principal_of(topic)
    if principal:
        return principal
    name = device_of(topic, fleet) or topic
    index = fleet.by_id.get(name)
    return name if index is None else fleet.devices[index].gateway or name


def fitting(parcel: Parcel, fleet: Fleet) -> Iterator[bytes]:
    """Encode a parcel as records that Kafka takes: one, or halves of it."""
    record = encode(parcel, fleet)
    if len(record) <= MAX_RECORD or len(parcel) == 1:
        yield record
        return
    for half in parcel.halves():
        yield from fitting(half, fleet)
