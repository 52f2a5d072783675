"""If a topic gets more partitions, devices move to others, and their rows stay the same."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from ingest.errors import ServerError
from ingest.mqtt import Router, device_of
from ingest.pipeline.admit import admit
from ingest.wire import Parcel, encode, partition_of, sort
from services.clock import now_us
from services.intake import database as writers
from services.logs import get_logger
from services.metrics import Metrics
from services.store.offsets import Source
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.stream import Record
from services.stream.chain import StreamChain
from tests.fix_timescale import _fresh
from tests.integration.kafka_path import embedded, register, tables, traffic
from tests.services.stream.records import made
from tests.soak import SOAK

TOPIC = "parcels"


@pytest.fixture
def other_database_url(timescale, migrated_template):
    """Return the URL of a second fresh database."""
    yield from _fresh(timescale, migrated_template)


class Log:
    """Partitions of a topic as a bridge fills them."""

    def __init__(self, database_url: str) -> None:
        with connect(database_url) as connection:
            self._fleet = registry.load_fleet(connection)
        self.partitions: dict[int, list[Record]] = {}

    def put(self, sent: list[tuple[str, bytes]], partitions: int) -> None:
        """Append messages as a bridge does that knows a number of partitions."""
        todo, fleet = iter(sent), self._fleet
        while batch := list(islice(todo, 60)):
            topics, payloads = (list(column) for column in zip(*batch, strict=True))
            none, received = [None] * len(batch), now_us()
            admitted = admit(fleet, Router(fleet).route, topics, payloads, none, received)
            parcel = Parcel(
                topics, payloads, none, [False] * len(batch), admitted.codecs, received,
                admitted.frames, admitted.rejected,
            )  # fmt: skip
            keys = [device_of(topic, fleet) or topic for topic in topics]
            where = np.array([partition_of(key, partitions) for key in keys], np.int32)
            for partition, part in sort(parcel, where).items():
                held = self.partitions.setdefault(partition, [])
                held.append(Record(len(held), encode(part, fleet)))


class Unread:
    """A dead-letter topic that no one reads."""

    def keep(self, records):
        """Delete records."""


def worker(database_url: str, partitions: int, topic: str = TOPIC) -> StreamChain:
    """Yield the storing part of a worker that knows a number of partitions."""
    return StreamChain(
        database_url,
        Source(topic, partitions),
        Unread(),
        Metrics(CollectorRegistry()),
        get_logger("test"),
        threading.Event(),
    )


def store_all(one: StreamChain, shares: dict[int, list[Record]], seed: int) -> None:
    """Store partitions, a few records of each in turn."""
    chance = random.Random(seed)  # noqa: S311 - the same order each time
    at = dict.fromkeys(shares, 0)
    while todo := [p for p in shares if at[p] < len(shares[p])]:
        partition = chance.choice(todo)
        count = chance.randint(1, 6)
        one.store(partition, shares[partition][at[partition] : at[partition] + count])
        at[partition] += count


def test_devices_that_move_to_another_partition_lose_and_double_nothing(
    database_url, other_database_url
):
    """A city that grows past its partitions would find other kilowatt hours from then on."""
    sent = traffic(hours=8 if SOAK else 3)
    for url in (database_url, other_database_url):
        register(url)
    embedded(database_url, sent)
    log = Log(other_database_url)
    third = len(sent) // 3
    log.put(sent[:third], 2)
    old = worker(other_database_url, 2)
    old.take_over({0: 0, 1: 0}, 2)
    for partition in (0, 1):  # it stops with records before it
        old.store(partition, log.partitions[partition][:3])
    log.put(sent[third : 2 * third], 2)
    log.put(sent[2 * third :], 5)  # bridges see the new partitions first
    new = worker(other_database_url, 5)
    new.take_over({2: 0, 3: 0, 4: 0}, 5)
    with ThreadPoolExecutor(2) as both:
        shares = ({p: log.partitions[p] for p in (0, 1)}, {p: log.partitions[p] for p in (2, 3, 4)})
        for done in (
            both.submit(store_all, old, shares[0], 1),
            both.submit(store_all, new, shares[1], 2),
        ):
            done.result()
    made(other_database_url, old, new)
    old.close()
    new.close()
    expected, found = tables(database_url), tables(other_database_url)
    assert len(expected["interval_quantity"]) > 200
    for name, rows in expected.items():
        assert found[name] == rows, name


def test_writers_that_would_not_see_each_other_are_refused(database_url, monkeypatch):
    """Two workers would each meter a device from their own register state: twice the energy."""
    monkeypatch.setattr(writers, "PREDECESSOR_S", 1)
    register(database_url)
    first, second = worker(database_url, 2), worker(database_url, 2)
    first.open()
    second.open()  # workers of one topic share
    other = worker(database_url, 4, "parcels-2")
    with pytest.raises(ServerError, match=r"of 'parcels' writes .* of 'parcels-2'"):
        other.open()
    with pytest.raises(ServerError, match="a `tonne worker` of 'parcels' writes"):
        embedded(database_url, [])
    first.close()
    second.close()
    other.open()
    other.close()
    with connect(database_url, autocommit=True) as run:
        writers.alone(run)
        with pytest.raises(ServerError, match="another `tonne run` writes"):
            worker(database_url, 2).open()
