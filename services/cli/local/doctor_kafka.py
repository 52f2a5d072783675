"""Kafka's topics, as `tonne doctor` looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from ingest.errors import InputError, ServerError
from services.cli.local.doctor_finding import Finding
from services.cli.pipeline.kafka_options import load
from services.store.postgres.pool import connect
from services.store.stream import offsets
from services.store.stream import topic_source as source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.store.stream.topic_source import Source

_TOPIC = "tonne-parcels"


def topics(kafka_url: str, database_url: str | None) -> Iterator[Finding]:
    """
    Look at the topic that workers of the database read, and at its dead-letter topic.

    Before the first worker that is the usual one.
    """
    read, stored = _read(database_url)
    topic = read.topic if read else _TOPIC
    try:
        count, name = (load("services.intake.topics", n) for n in ("partitions", "dead"))
        held, dead = count(kafka_url, topic), name(topic)
        count(kafka_url, dead)
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


def _read(database_url: str | None) -> tuple[Source | None, dict[int, int]]:
    """Return what workers read, and how far it is stored; nothing where the database cannot say."""
    if database_url is None:
        return None, {}
    try:
        with connect(database_url, autocommit=True) as connection:
            held = source.read(connection)
            return held, offsets.stored(connection, held.topic) if held else {}
    except (psycopg.Error, ServerError):
        return None, {}
