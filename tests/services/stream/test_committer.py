"""Records to rows: what cannot be read is kept and passed over, what was stored is not again."""

import random
import threading
import time

import numpy as np
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from ingest.model import Device, Fleet
from ingest.mqtt.topics import Router
from ingest.pipeline.admit import admit
from ingest.wire import Parcel, encode, partition_of
from mrv import factors
from services.clock import now_us
from services.logs import get_logger
from services.metrics import Metrics
from services.processing.registry_import import import_registry
from services.registry.files import read_files
from services.settle import Plan
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.stream.offsets import FencedError
from services.store.stream.topic_source import Source
from services.stream.chain import StreamChain
from services.stream.partition_map import Homes
from services.stream.records import Record
from services.stream.replay import Replayer
from services.stream.sequence import MissingError
from tests.integration import stored
from tests.services.poison import COLLISIONS, REFUSALS, refuse
from tests.soak import often

pytestmark = pytest.mark.integration
REGISTRY = """
sites:
  - {id: roof, name: Roof, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
"""
DEVICE = (
    "  - {id: %s, site: roof, class: energy_meter, profile: generic, rated_power_w: 1000000,"
    " installed: 2026-01-01T00:00:00Z}\n"
)
FLEET = Fleet(
    [
        Device("m-1", "roof", "energy_meter", rated_power_w=1_000_000),
        Device("m-2", "roof", "energy_meter", rated_power_w=1_000_000),
    ]
)
START_MS = 1_772_323_200_000
TOPIC = "parcels"
MINUTES = 35  # past two ends of a quarter hour


class DeadTopic(list):
    """Keeps what a worker puts into the dead-letter topic."""

    keep = list.extend


@pytest.fixture
def register(database_url, tmp_path):
    """Import a registry of the devices named."""

    def devices(*names):
        file = tmp_path / "registry.yaml"
        file.write_text(REGISTRY + "".join(DEVICE % name for name in names), encoding="utf-8")
        with connect(database_url) as connection:
            planned = import_registry(connection, read_files([file]), author="tester")
        assert not planned.refused, planned.results

    devices("m-1")
    return devices


@pytest.fixture
def committer(database_url, register):
    """Make committers on one database; `spoiled` is what they gave to the dead-letter topic."""
    made = []

    def another(partitions=1, topic=TOPIC):
        spoiled = DeadTopic()
        one = StreamChain(
            database_url,
            Source(topic, partitions),
            spoiled,
            Metrics(CollectorRegistry()),
            get_logger("test"),
            threading.Event(),
        )
        one.spoiled = spoiled
        made.append(one)
        return one

    yield another
    for one in made:
        one.close()


def record(offset, minutes, device="m-1", fleet=FLEET, base=100):
    """A bridge's record of readings at these minutes."""
    topics = [f"tonne/v1/{device}/telemetry"] * len(minutes)
    payloads = [
        b'{"ts": %d, "values": {"energy_import_kwh": %d}}' % (START_MS + m * 60_000, base + m)
        for m in minutes
    ]
    n, received = len(minutes), now_us()
    admitted = admit(fleet, Router(fleet).route, topics, payloads, [None] * n, received)
    parcel = Parcel(
        topics, payloads, [None] * n, [False] * n, admitted.codecs, received,
        admitted.frames, admitted.rejected,
    )  # fmt: skip
    return Record(offset, encode(parcel, fleet))


def minutes(database_url, device="m-1"):
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT (extract(epoch FROM time) / 60)::bigint - %s FROM reading_energy_meter"
            " WHERE device_id = %s ORDER BY 1",
            (START_MS // 60_000, device),
        ).fetchall()
    return [int(minute) for (minute,) in rows]


def letters(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute(
            "SELECT reason, topic, payload FROM dead_letter ORDER BY id"
        ).fetchall()


def offset(database_url):
    with psycopg.connect(database_url) as connection:
        return connection.execute('SELECT "offset" FROM stream_offset').fetchone()[0]


def visits(database_url, partition):
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "SELECT visits FROM stream_offset WHERE partition = %s", [partition]
        )
        return found.fetchone()[0]


def test_records_that_cannot_be_read_do_not_stop_the_partition(database_url, committer):
    """One foreign record would keep a whole partition's devices from ever being stored."""
    worker = committer()
    assert worker.take_over({0: 0}, 1) == {0: 0}
    cut = record(2, [2]).value[:-20]
    worker.store(0, [record(0, [0]), Record(1, b"hello"), Record(2, cut), record(3, [3])])
    assert minutes(database_url) == [0, 3]
    assert letters(database_url) == [
        ("foreign_record", "kafka:parcels", b"hello"),
        ("damaged_record", "kafka:parcels", cut),
    ]
    assert offset(database_url) == 4


def record_of(offset, minute, devices, fleet):
    """A bridge's record of one reading of each of several devices."""
    topics = [f"tonne/v1/{device}/telemetry" for device in devices]
    ts = START_MS + minute * 60_000
    payloads = [b'{"ts": %d, "values": {"energy_import_kwh": 7}}' % ts for _ in devices]
    n, received = len(devices), now_us()
    admitted = admit(fleet, Router(fleet).route, topics, payloads, [None] * n, received)
    parcel = Parcel(
        topics, payloads, [None] * n, [False] * n, admitted.codecs, received,
        admitted.frames, admitted.rejected,
    )  # fmt: skip
    return Record(offset, encode(parcel, fleet))


def test_one_message_of_a_record_that_is_refused_costs_itself(database_url, committer, register):
    """One meter whose reading the server refuses would take a whole record of others with it."""
    devices = ("m-1", "m-2", "m-3")
    register(*devices)
    fleet = Fleet(
        [Device(name, "roof", "energy_meter", rated_power_w=1_000_000) for name in devices]
    )
    worker = committer()
    worker.take_over({0: 0}, 1)
    codes = (*REFUSALS[::5], *COLLISIONS[:1])
    for k, code in enumerate(codes):
        refuse(database_url, "m-2", code)
        worker.store(0, [record_of(2 * k + n, 2 * k + n, devices, fleet) for n in (0, 1)])
        assert offset(database_url) == 2 * k + 2, code
    every = list(range(2 * len(codes)))
    assert minutes(database_url, "m-1") == minutes(database_url, "m-3") == every
    assert minutes(database_url, "m-2") == []
    kept = letters(database_url)
    assert [reason for reason, *_ in kept] == ["unstorable"] * 2 * len(codes)
    assert {topic for _, topic, _ in kept} == {"tonne/v1/m-2/telemetry"}
    assert all(payload.startswith(b'{"ts"') for *_, payload in kept)


def test_a_worker_that_ends_between_parts_keeps_a_refusal_once(database_url, committer, register):
    """A refusal kept without its offset would be kept again by the successor."""
    register("m-1", "m-2")
    names = ("m-1", "m-2")
    fleet = Fleet([Device(name, "roof", "energy_meter", rated_power_w=1_000_000) for name in names])
    sent = [record_of(0, 0, names, fleet), Record(1, b"hello")]
    refuse(database_url, "m-2", REFUSALS[0])
    worker = committer()
    worker.take_over({0: 0}, 1)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION end_of_worker() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF EXISTS (SELECT FROM dead_letter) THEN RAISE 'no offset moves'; END IF;"
            " RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER end_of_worker BEFORE UPDATE ON stream_offset FOR EACH ROW"
            ' WHEN (NEW."offset" > OLD."offset") EXECUTE FUNCTION end_of_worker()'
        )
        with pytest.raises(psycopg.Error, match="no offset moves"):
            worker.store(0, sent)
        assert (minutes(database_url, "m-1"), letters(database_url)) == ([], [])
        connection.execute("DROP TRIGGER end_of_worker ON stream_offset")
    worker.store(0, sent)  # it remembers nothing that was taken back
    assert minutes(database_url, "m-1") == [0]
    assert sorted(reason for reason, *_ in letters(database_url)) == [
        "foreign_record",
        "unstorable",
    ]
    assert offset(database_url) == 2


def test_a_visit_hides_no_refusal(database_url, committer):
    """The same bad bytes sent once more, just after a visit, would be counted once."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [Record(0, b"hello")])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE stream_offset SET visits = visits + 1")
    worker.store(0, [Record(1, b"hello")])
    assert [payload for *_, payload in letters(database_url)] == [b"hello", b"hello"]


def test_records_that_were_stored_are_dropped(database_url, committer):
    """Kafka delivers again after a restart; a refusal kept twice would look like two."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    records = [record(0, [0]), Record(1, b"hello"), record(2, [1])]
    worker.store(0, records)
    worker.store(0, records)
    successor = committer()
    assert successor.take_over({0: 0}, 1) == {0: 3}
    successor.store(0, [*records, record(3, [2])])
    assert minutes(database_url) == [0, 1, 2]
    assert len(letters(database_url)) == 1


def test_records_that_come_before_their_turn_wait_for_it(database_url, committer, monkeypatch):
    """What is left over from before a rebalance would jump over records that nobody stored."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    sent = [record(k, [k]) for k in range(6)]
    worker.store(0, sent[3:5])
    assert minutes(database_url) == []
    assert offset(database_url) == 0
    worker.store(0, [sent[4], sent[0], Record(1, b"hello"), sent[2], Record(1, b"hello"), sent[5]])
    assert minutes(database_url) == [0, 2]
    assert len(letters(database_url)) == 1
    worker.store(0, sent)
    assert minutes(database_url) == [0, 2, 3, 4, 5]
    worker.store(0, [record(9, [9])])
    monkeypatch.setattr("services.stream.sequence.AHEAD_S", 0.0)
    with pytest.raises(MissingError, match="record 6 of partition 0"):
        worker.store(0, [record(9, [9])])
    assert worker.take_over({0: 8}, 1) == {0: 8}  # what Kafka no longer has cannot come
    worker.store(0, [record(8, [8]), record(9, [9])])
    assert minutes(database_url) == [0, 2, 3, 4, 5, 8, 9]


def test_a_worker_that_was_replaced_stores_nothing(database_url, committer):
    """A paused worker that wakes up would write from marks that are long out of date."""
    old, new = committer(), committer()
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0])])
    new.take_over({0: 0}, 1)
    with pytest.raises(FencedError):
        old.store(0, [record(1, [1])])
    assert minutes(database_url) == [0]
    new.store(0, [record(1, [1])])
    assert minutes(database_url) == [0, 1]


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
    """Import a version in which m-1 stands at another index, and have it looked for at once."""
    before = worker._held.fleet
    register("m-0", "m-1")
    monkeypatch.setattr(type(worker._watch), "due", lambda _: True)
    return before


def test_storing_goes_on_while_a_newer_registry_is_read(
    database_url, committer, register, monkeypatch
):
    """A change of one meter among a hundred thousand would hold up the readings of all."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [record(0, [0])])
    before = _newer_registry(worker, register, monkeypatch)
    with psycopg.connect(database_url) as blocking:
        blocking.execute("LOCK TABLE device IN ACCESS EXCLUSIVE MODE")
        for k in range(1, 20):
            worker.store(0, [record(k, [k])])
            worker.look()
        assert worker._held.fleet is before
        assert minutes(database_url) == list(range(20))
    k = 20
    while worker._held.fleet is before:
        worker.store(0, [record(k, [k])])
        k += 1
    fleet = worker._held.fleet
    index = fleet.by_id["m-1"]
    assert (fleet.version, index) == (before.version + 1, 1)
    # at another index than before, and known all the same
    assert worker._held.store.state.loaded[index]
    for more in range(k, k + 20):
        worker.store(0, [record(more, [more])])
    assert minutes(database_url) == list(range(k + 20))
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT sum(value), sum(measured_us) FROM interval_quantity WHERE device_id = 'm-1'"
        ).fetchone()
    assert rows == ((k + 19) * 1000, (k + 19) * 60_000_000)


def test_a_takeover_drops_what_was_prepared_before_it(
    database_url, committer, register, monkeypatch
):
    """Another worker's readings of the time between would be metered by what we remember."""
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
    assert worker._held.fleet.version == before.version + 1
    worker.store(0, [record(2, [4])])
    assert minutes(database_url) == [0, 1, 2, 3, 4]
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT sum(value), sum(measured_us) FROM interval_quantity WHERE device_id = 'm-1'"
        ).fetchone()
    assert rows == (4_000, 240_000_000)


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


def test_partitions_of_others_are_left_alone(database_url, committer):
    """Records that waited while their partition went elsewhere are their new worker's."""
    worker = committer()
    worker.take_over({}, 1)
    worker.store(0, [record(0, [0])])
    assert minutes(database_url) == []


def test_records_of_one_transaction_are_metered_as_one(database_url, committer):
    """Records that each began from the same mark would count the same energy again and again."""
    worker = committer()
    worker.take_over({0: 0}, 1)
    worker.store(0, [record(0, [0])])
    worker.store(0, [record(k, [3 * k, 3 * k + 1]) for k in range(1, 30)])
    with psycopg.connect(database_url) as connection:
        (total,) = connection.execute("SELECT sum(value) FROM interval_quantity").fetchone()
    assert total == (3 * 29 + 1) * 1_000


def moved(from_, to):
    """A device's name whose partition changes with their number, and its new partition."""
    names = (f"m-{k}" for k in range(1, 100))
    return next(
        (name, partition_of(name, to))
        for name in names
        if partition_of(name, from_) == 0 != partition_of(name, to)
    )


@pytest.mark.parametrize("seed", range(often(2, 4)))
def test_two_partitions_may_hold_one_device(database_url, committer, register, seed):
    """A device that moved would be counted from two marks until its old records are through."""
    device, home = moved(1, 2)
    register("m-1", device)
    chance = random.Random(seed)  # noqa: S311 - the same order each time
    fleet = Fleet([Device(device, "roof", "energy_meter", rated_power_w=1_000_000)])
    old, new = committer(1), committer(2)
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0], device, fleet)])
    new.take_over({home: 0}, 2)
    at = {0: 1, home: 0}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        plan = Plan.of(registry.load_fleet(connection), [], factors.load())
        for minute in range(1, MINUTES):
            worker, partition = chance.choice([(old, 0), (new, home)])
            # the register of a meter that starts anew now and then
            sent = record(at[partition], [minute], device, fleet, base=900 - 97 * (minute // 7))
            worker.store(partition, [sent])
            at[partition] += 1
            stored.check(connection, plan)
    assert min(at.values()) > 5
    assert minutes(database_url, device) == list(range(MINUTES))


def one_stored(committer, register):
    """A device that a second partition will move; one worker has stored of it, one is to come."""
    device, home = moved(1, 2)
    register("m-1", device)
    fleet = Fleet([Device(device, "roof", "energy_meter", rated_power_w=1_000_000)])
    old, new = committer(1), committer(2)
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0], device, fleet)])
    return device, home, fleet, old, new


def test_a_worker_that_was_cut_off_hears_that_partitions_were_added(
    database_url, committer, register
):
    """It would store a device that moved as its own, by marks its new partition left behind."""
    device, home, fleet, old, new = one_stored(committer, register)
    _cut_off(database_url)
    new.take_over({home: 0}, 2)  # the number grows while the other has no connection
    new.store(home, [record(0, [10], device, fleet)])
    old.store(0, [record(1, [20], device, fleet)])
    new.store(home, [record(1, [30], device, fleet, base=60)])  # a register that starts anew
    old.store(0, [record(2, [40], device, fleet, base=60)])
    with psycopg.connect(database_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        stored.check(connection, Plan.of(registry.load_fleet(connection), [], factors.load()))
    assert minutes(database_url, device) == [0, 10, 20, 30, 40]


def _cut_off(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'tonne worker%' AND datname = current_database()"
        )


def test_a_replay_that_was_cut_off_hears_that_partitions_were_added(
    database_url, committer, register
):
    """It would tell the wrong worker of what it stored; the right one would write over it."""
    device, home, fleet, _, new = one_stored(committer, register)
    replayer = Replayer(database_url, Source(TOPIC, 1), get_logger("test"), threading.Event())
    replayer.store(0, [record(0, [0], device, fleet)])
    _cut_off(database_url)
    new.take_over({home: 0}, 2)
    new.store(home, [record(0, [30], device, fleet)])
    before = visits(database_url, home)
    replayer.store(0, [record(1, [31], device, fleet)])  # lost from a backup, say
    replayer.close()
    assert visits(database_url, home) == before + 1
    new.store(home, [record(1, [50], device, fleet)])
    with psycopg.connect(database_url) as connection:
        connection.execute("SET timezone = 'UTC'")
        stored.check(connection, Plan.of(registry.load_fleet(connection), [], factors.load()))
    assert minutes(database_url, device) == [0, 30, 31, 50]
