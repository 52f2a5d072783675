"""
A registry that changes while a worker stores: it is applied meanwhile, and nothing is lost.

How workers detect unassigned partitions, and let the group redistribute them.
"""

import random
import time

import numpy as np
import psycopg
import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from ingest.model import Device, Fleet
from services.stream import Homes
from services.stream.partitions import Sharing
from tests.derived import derived
from tests.services.stream.records import letters, minutes, record


class Cluster(ClusterMetadata):
    """A cluster with a number of partitions."""

    def partitions_for_topic(self, topic):
        """Return five."""
        return set(range(5))


def test_a_share_says_over_how_many_partitions_it_is():
    """A worker could not notice that its group's leader left partitions unassigned."""
    leader, other = Sharing("parcels"), Sharing("parcels")
    members = {name: one.metadata(["parcels"]) for name, one in (("a", leader), ("b", other))}
    shares = leader.assign(Cluster(), members)
    assert sorted(tp.partition for s in shares.values() for tp in s.partitions()) == [0, 1, 2, 3, 4]
    assert other.covered is None
    other.on_assignment(type(shares["b"]).decode(shares["b"].encode()))
    assert other.covered == 5
    # an older worker leads, and says nothing
    members = {"a": ConsumerProtocolMemberMetadata(0, ["parcels"], b"")}
    other.on_assignment(RoundRobinPartitionAssignor.assign(Cluster(), members)["a"])
    assert other.covered is None


def test_who_asks_for_another_share_joins_with_another_mark():
    """Kafka gives a member that rejoins unchanged its previous partitions."""
    asked = []
    one = Sharing("parcels")
    one.joined_by(lambda: asked.append("again"))
    before = one.metadata(["parcels"]).encode()
    assert one.metadata(["parcels"]).encode() == before
    one.reassign()
    assert asked == ["again"]
    assert one.metadata(["parcels"]).encode() != before


def test_a_device_newer_than_the_worker_is_looked_up(database_url, committer, register):
    """A device that the bridge knew first would lose its first readings."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [record(0, [0])])
    register("m-1", "m-2")
    worker.store(0, [record(1, [0], "m-2")])
    assert minutes(database_url, "m-2") == [0]
    assert letters(database_url) == []


def _newer_registry(worker, register, monkeypatch):
    """Import a version in which m-1 has another index, and let it be found at once."""
    before = worker._current.fleet
    register("m-0", "m-1")
    monkeypatch.setattr(type(worker._watch), "due", lambda _: True)
    return before


def _metered(database_url):
    derived(database_url)
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT sum(value), sum(measured_us) FROM interval_quantity WHERE device_id = 'm-1'"
        ).fetchone()


def test_storing_goes_on_while_a_newer_registry_is_read(
    database_url, committer, register, monkeypatch
):
    """A change of one meter among a hundred thousand would hold up the readings of all."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [record(0, [0])])
    before = _newer_registry(worker, register, monkeypatch)
    with psycopg.connect(database_url) as blocking:
        blocking.execute("LOCK TABLE device_quality IN ACCESS EXCLUSIVE MODE")
        for k in range(1, 20):
            worker.store(0, [record(k, [k])])
            worker.look()
        assert worker._current.fleet is before
        assert minutes(database_url) == list(range(20))
    k = 20
    while worker._current.fleet is before:
        worker.store(0, [record(k, [k])])
        k += 1
    fleet = worker._current.fleet
    index = fleet.by_id["m-1"]
    assert (fleet.version, index) == (before.version + 1, 1)
    # at another index than before, and known all the same
    assert worker._current.store.deriver.state.loaded[index]
    for more in range(k, k + 20):
        worker.store(0, [record(more, [more])])
    assert minutes(database_url) == list(range(k + 20))
    assert _metered(database_url) == ((k + 19) * 1000, (k + 19) * 60_000_000)


def test_a_takeover_drops_what_was_prepared_before_it(
    database_url, committer, register, monkeypatch
):
    """Readings stored by another worker meanwhile would be metered from an outdated state."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [record(0, [0])])
    before = _newer_registry(worker, register, monkeypatch)
    worker.look()
    while not worker._newer.ready:
        time.sleep(0.01)
    other = committer()
    other.take_over({0: 0}, 1)
    other.store(0, [record(1, [1, 2, 3])])
    worker.take_over({0: 0}, 1)
    assert not worker._newer.ready
    assert worker._current.fleet.version == before.version + 1
    worker.store(0, [record(2, [4])])
    assert minutes(database_url) == [0, 1, 2, 3, 4]
    assert _metered(database_url) == (4_000, 240_000_000)


@pytest.mark.parametrize("seed", range(5))
def test_homes_follow_a_changed_registry(seed):
    """A worker would store a device whose home another worker holds, or leave out its own."""
    rng = random.Random(seed)  # noqa: S311

    def fleet(names):
        gateways = [rng.choice((None, "g-1", "g-2")) for _ in names]
        return Fleet(
            [
                Device(name, "roof", "energy_meter", gateway=gateway)
                for name, gateway in zip(names, gateways, strict=True)
            ]
        )

    every = [f"m-{k:02}" for k in range(40)]
    held = fleet(sorted(rng.sample(every, 25)))
    homes = Homes.of_fleet(held, 7)
    for _ in range(4):
        newer = fleet(sorted(rng.sample(every, 25)))
        homes = homes.moved(newer, *newer.unchanged(held))
        held = newer
        everyone = np.arange(len(held), dtype=np.int32)
        assert homes.of(everyone) == Homes.of_fleet(held, 7).of(everyone)
        assert [homes.of(everyone[k : k + 1]) for k in everyone] == [
            Homes.of_fleet(held, 7).of(everyone[k : k + 1]) for k in everyone
        ]
