"""Kafka's topics, as `tonne doctor` looks at them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from ingest.errors import InputError, ServerError
from services.cli.local.doctor_finding import Finding
from services.cli.pipeline.kafka_options import load
from services.kafka_access import KafkaAccess
from services.store.postgres.pool import connect
from services.store.stream import offsets
from services.store.stream import topic_source as source
from services.store.stream.topic_source import Source

_TOPIC = "tonne-parcels"
_GROUP = "tonne-worker"


def topics(kafka: KafkaAccess, database_url: str | None, group: str = _GROUP) -> Iterator[Finding]:
    """
    Look at the topic that workers of the database read, and at its dead-letter topic.

    Before the first worker that is the usual one.
    """
    read, stored = _read(database_url)
    topic = read.topic if read else _TOPIC
    try:
        count, name = (load("services.intake.topics", n) for n in ("partitions", "dead"))
        held, dead = count(kafka, topic), name(topic)
        count(kafka, dead)
    except (InputError, ServerError) as error:
        fix = "`tonne topics apply`, if bridges and workers are to run here"
        yield Finding("Kafka topics", "wrong" if read else "missing", str(error), fix)
        return
    if read and held < read.partitions:
        found = f"{topic!r} has {held} partitions; workers knew it with {read.partitions}"
        yield Finding("Kafka topics", "wrong", found, "it was made again: use a new --topic")
        return
    done = sum(stored.values())
    found = f"{topic!r} with {held} partitions, {done} records stored; {dead!r}"
    yield Finding("Kafka topics", "ok", found)
    if read is not None:
        yield from _workers(kafka, topic, stored, group)


def _workers(
    kafka: KafkaAccess, topic: str, stored: dict[int, int], group: str
) -> Iterator[Finding]:
    """Compare what Kafka holds with what is stored, and say which partitions have no worker."""
    try:
        state = load("services.stream.topic_state", "topic_state")(kafka, topic, stored, group)
    except ServerError as error:
        yield Finding("Kafka workers", "wrong", str(error), "look at Kafka first")
        return
    if state.cut:
        found = ", ".join(f"partition {p} ends at {end}" for p, end in state.cut.items())
        fix = "the topic was made again, or its log was cut: use a new --topic"
        yield Finding("Kafka workers", "wrong", f"{found}, before what is stored", fix)
        return
    waiting = {p: lag for p, lag in state.lag.items() if lag}
    behind = f"{sum(waiting.values())} records not stored"
    if waiting:
        behind += f", the oldest for {state.oldest_s:.0f} s"
    if state.unassigned is None:
        yield Finding("Kafka workers", "missing", f"{behind}; who has which: {state.untold}")
    elif state.unassigned:
        named = ", ".join(str(p) for p in state.unassigned)
        fix = f"start workers of the group {group!r}; running ones take them within a minute"
        yield Finding("Kafka workers", "wrong", f"no worker has partitions {named}; {behind}", fix)
    else:
        yield Finding("Kafka workers", "ok", f"every partition has a worker; {behind}")


def _read(database_url: str | None) -> tuple[Source | None, dict[int, int]]:
    """Return the partitions that workers read and the offsets stored; empty without a database."""
    if database_url is None:
        return None, {}
    try:
        with connect(database_url, autocommit=True) as connection:
            held = source.read(connection)
            return held, offsets.stored(connection, held.topic) if held else {}
    except (psycopg.Error, ServerError):
        return None, {}
