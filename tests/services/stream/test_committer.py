"""Records to rows: unreadable ones are kept and skipped, stored ones are not stored again."""

import psycopg
import pytest

from services.intake import database as writers
from services.store.offsets import FencedError
from services.stream import Record, chain
from services.stream.partitions import MissingError
from tests.derived import derived
from tests.services.poison import COLLISIONS, REFUSALS, refuse
from tests.services.stream.records import (
    FLEET,
    fleet_of,
    letters,
    minutes,
    offset,
    record,
    record_of,
)


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


def test_one_message_of_a_record_that_is_refused_costs_itself(database_url, committer, register):
    """One meter whose reading the server refuses would take a whole record of others with it."""
    devices = ("m-1", "m-2", "m-3")
    register(*devices)
    fleet = fleet_of(*devices)
    worker = committer()
    worker.take_over({0: 0}, 1)
    codes = (*REFUSALS[::20], *COLLISIONS[:1])
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
    sent = [record_of(0, 0, ("m-1", "m-2"), FLEET), Record(1, b"hello")]
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
    """An unreadable record that is repeated after another process wrote would be counted once."""
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
    """Records left over from before a rebalance would skip records that are not stored."""
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
    monkeypatch.setattr("services.stream.partitions.AHEAD_S", 0.0)
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


def test_a_worker_that_is_suspended_within_a_copy_loses_its_partition(
    database_url, committer, monkeypatch
):
    """PostgreSQL waits for the client of a COPY without any limit, and keeps its locks."""
    monkeypatch.setattr(writers, "SUSPENDED_S", 1)
    monkeypatch.setattr(chain, "LIMITS", ("lock_timeout=1s",))
    old, new = committer(), committer()
    old.take_over({0: 0}, 1)
    old.store(0, [record(0, [0])])
    with psycopg.connect(database_url, application_name="tonne worker") as suspended:
        suspended.execute("CREATE TEMPORARY TABLE copied (x int)")
        suspended.execute("SELECT FROM stream_offset FOR UPDATE")
        with (
            pytest.raises(psycopg.OperationalError, match=r"terminat|closed the connection"),
            suspended.cursor().copy("COPY copied FROM STDIN"),
        ):
            assert new.take_over({0: 0}, 1) == {0: 1}
    new.store(0, [record(1, [1])])
    assert minutes(database_url) == [0, 1]


def test_partitions_of_others_are_left_alone(database_url, committer):
    """Records that waited while their partition was reassigned belong to its new worker."""
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
    derived(database_url)
    with psycopg.connect(database_url) as connection:
        (total,) = connection.execute("SELECT sum(value) FROM interval_quantity").fetchone()
    assert total == (3 * 29 + 1) * 1_000
