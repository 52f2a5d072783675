"""
The Faust app of `tonne worker`: one agent, no tables, nothing declared.

As Faust 0.15 behaves, `take` acknowledges what failed, and a failed event is
not seen again by the same process.  So: acknowledged by us, one list at a time,
retried in place, and a process that ends when anything else goes wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import faust
from faust.auth import OAuthCredentials

from services.intake.kafka_client import Tokens
from services.kafka_access import TOKEN, KafkaAccess
from services.stream.commit_thread import Storing
from services.stream.consumer import TakeOver, transport
from services.stream.gathering import gathered
from services.stream.records import Record
from services.stream.sharing import Sharing
from services.stream.topic_view import FRESH_MS

GROUP = "tonne-worker"
SESSION_S = 30.0
RECORDS = 64


def build_app(
    kafka: KafkaAccess,
    home: Path,
    topic: str,
    storing: Storing,
    take_over: TakeOver,
    sharing: Sharing,
    *,
    group: str = GROUP,
    session_s: float = SESSION_S,
    instance: str | None = None,
) -> faust.App:
    """
    Return the app that stores a topic's parcels.

    Parameters
    ----------
    home : Path
        Data folder.
    storing : Storing
        Where records go.
    take_over : callable
        Makes partitions ours; see `consumer.transport`.
    sharing : Sharing
        How the group shares the topic.
    group : str
        Consumer group; all workers of a topic have the same.
    session_s : float
        After so long a silence a worker is thought dead. [s]
    instance : str, optional
        A name that stays over restarts: back within the session, no rebalance.
    """
    data = home / "worker"  # Faust wants a folder, though nothing of ours is in it
    data.mkdir(parents=True, exist_ok=True)
    brokers = [f"kafka://{server}" for server in kafka.bootstrap]
    options = _options(data, session_s, instance)
    app = faust.App(group, broker=brokers, broker_credentials=_credentials(kafka), **options)
    app.transport = transport(app.conf.broker_consumer, app, take_over, sharing)
    parcels = app.topic(topic, value_serializer="raw", key_serializer="raw")

    @app.agent(parcels, concurrency=1, name="store")
    async def store(stream: Any) -> AsyncIterator[None]:
        async for events in gathered(stream, RECORDS):
            await storing.store(_by_partition(events))
            for event in events:
                await stream.ack(event)
            yield

    return app


def _credentials(kafka: KafkaAccess) -> Any:
    """Return how to speak to brokers and who we are, as Faust wants it; None in plain text."""
    context = kafka.context()
    if kafka.user is None:
        return None if context is None else faust.SSLCredentials(context)
    if kafka.mechanism == TOKEN:
        return OAuthCredentials(oauth_cb=Tokens(kafka), ssl_context=context)
    return faust.SASLCredentials(
        username=kafka.user, password=kafka.password, ssl_context=context, mechanism=kafka.mechanism
    )


def _options(data: Path, session_s: float, instance: str | None) -> dict[str, Any]:
    return {
        "version": 1,
        "autodiscover": False,
        "datadir": str(data),
        "store": "memory://",
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "table_standby_replicas": 0,  # without tables, Kafka's own assignor does
        "consumer_auto_offset_reset": "earliest",
        "consumer_metadata_max_age_ms": FRESH_MS,  # how soon a leader sees new partitions
        "consumer_group_instance_id": instance,  # an empty name would be one name for all
        "broker_session_timeout": session_s,
        # a group waits no longer for a member to join again than for a sign of life
        "broker_rebalance_timeout": session_s,
        "broker_heartbeat_interval": session_s / 6,
        "broker_max_poll_interval": 600,
        "broker_commit_interval": 1.0,
        "stream_buffer_maxsize": RECORDS,  # a worker stores all of it before it lets go
        "stream_wait_empty": True,
        "processing_guarantee": "at_least_once",
        "agent_supervisor": "mode.CrashingSupervisor",
        "web_enabled": False,  # our own exporter has the metrics
    }


def _by_partition(events: Sequence[Any]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for event in events:
        message = event.message
        found.setdefault(message.partition, []).append(Record(message.offset, message.value or b""))
    return found
