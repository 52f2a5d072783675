"""The same rows in every digit, whether one process or many, with or without Kafka."""

import json
from contextlib import ExitStack

import psycopg
import pytest

from tests.bench.load import Publisher
from tests.fix_timescale import _fresh
from tests.integration import kafka_path
from tests.integration.kafka_path import (
    Processes,
    embedded,
    ended_records,
    held,
    put,
    register,
    statements,
    stored_records,
    tables,
    traffic,
)
from tests.running import open_session
from tests.soak import SOAK
from tests.waiting import until

PARTITIONS, HOURS = 3, 6 if SOAK else 2
SOON = ("--session", "6")


@pytest.fixture
def database_urls(timescale, migrated_template):
    """Return the URLs of three fresh databases."""
    with ExitStack() as open_:
        fresh = [_fresh(timescale, migrated_template) for _ in range(3)]
        for one in fresh:
            open_.callback(next, one, None)
        yield [next(one) for one in fresh]


def shares(log):
    """Return whether a worker has some of the partitions, and not all."""
    return 0 < len(taken(log)) < PARTITIONS


def taken(log):
    """Return the partitions that a worker was last assigned."""
    told = [json.loads(line) for line in log.splitlines() if '"event": "partitions"' in line]
    return list(told[-1]["offsets"]) if told else []


def wait_stored(processes, database_url, least):
    kafka_path.wait_stored(database_url, least, 120, processes.logs)


def agree(urls):
    """Check that the tables and statements of every path equal those of the first."""
    rows_agree(urls)
    signed = [statements(url, HOURS) for url in urls]
    assert len(signed[0]) == 3
    assert all(one == signed[0] for one in signed)


def rows_agree(urls):
    """Check that the tables of every path equal those of the first."""
    expected = tables(urls[0])
    assert len(expected["interval_quantity"]) > 80 * HOURS
    assert len(expected["interval_emission"]) > 30 * HOURS
    assert len(expected["indicator_value"]) > 15 * HOURS
    assert len(expected["dead_letter"]) > 3 * HOURS
    for url in urls[1:]:
        found = tables(url)
        for name, rows in expected.items():
            assert found[name] == rows, name


@pytest.mark.timeout(900)
def test_paths_agree_though_workers_are_killed(
    tmp_path, database_urls, mqtt_broker, kafka_url, topic
):
    """A city that moves from one process to many would find other tonnes than before."""
    sent = traffic(HOURS)
    half = len(sent) // 2
    for url in database_urls:
        register(url)
    alone, one, three = database_urls
    embedded(alone, sent)

    many = Processes(tmp_path, three, mqtt_broker.url, kafka_url, topic)
    single = many.beside("single", one)
    made = many.run("topics", "apply", "--partitions", str(PARTITIONS))
    assert made.returncode == 0, made.stderr
    open_session(mqtt_broker.url, "tonne-bridge")
    publisher = Publisher(mqtt_broker.port)

    with many.running("bridge", "--batch", "60"), single.running("worker", "--group", "one", *SOON):
        publisher.send(sent[:half])
        with many.doomed("worker", *SOON):
            wait_stored(many, three, 5)  # killed with most of it before it
        with (
            many.running("worker", *SOON) as first,
            many.running("worker", *SOON) as second,
            many.doomed("worker", *SOON) as third,
        ):
            until(lambda: shares(many.log_of(third)), 120, many.logs)
            publisher.send(sent[half:])
            wait_stored(many, three, stored_records(three) + 5)
            third.kill()  # with its share before it
            until(lambda: many.forwarded() == len(sent), 120, many.logs)
            ended = ended_records(kafka_url, topic, PARTITIONS)
            for processes, url in ((many, three), (single, one)):
                wait_stored(processes, url, ended)
            left = [first, second]
            until(
                lambda: len([p for one in left for p in taken(many.log_of(one))]) == PARTITIONS,
                120,
                many.logs,
            )
            for url in (three, one):
                kafka_path.wait_derived(url, 120, many.logs)
    publisher.close()
    agree(database_urls)
    check_replay(many, three, database_urls)
    check_spoiled(many, three)


def check_replay(processes, database_url, database_urls):
    """Check that storing the records again changes nothing, and that lost rows return."""
    # where a worker goes on stands in the database: a group of its own begins there, too.  The
    # test's broker now and then lets nobody into a group again that ended in a rebalance
    with processes.running("worker", "--group", "again", *SOON) as worker:
        until(lambda: taken(processes.log_of(worker)), 120, processes.logs)
        done = processes.run("worker", "--from-offset", "0", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["records"] == stored_records(database_url)
        assert told["messages"] > 800 * HOURS
        assert told["changed"] == {}
        rows_agree(database_urls)
    lose(database_url)
    done = processes.run("worker", "--from-time", "2026-01-01T00:00:00Z", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changed"]["reading_pv_inverter"] > 80 * HOURS
    agree([database_urls[0], database_url])
    done = processes.run("worker", "--from-time", "2100-01-01T00:00:00Z")
    assert done.stdout == "0 messages in 0 records; changed: nothing\n"


def lose(database_url):
    """Delete the readings of inverters after some hour, as an older backup would lack them."""
    after = f">= '2026-03-01T0{HOURS // 2}:00Z'"
    with psycopg.connect(database_url) as connection:
        for table in ("interval_emission", "interval_quantity"):
            connection.execute(
                f"DELETE FROM {table} WHERE start {after}"
                " AND device_id IN (SELECT id FROM device WHERE class = 'pv_inverter')"
            )
        connection.execute(
            f"DELETE FROM arrival_count WHERE made {after}"
            " AND device_id IN (SELECT id FROM device WHERE class = 'pv_inverter')"
        )
        connection.execute("SET session_replication_role = replica")  # past the triggers
        connection.execute(f"DELETE FROM reading_pv_inverter WHERE time {after}")


def check_spoiled(processes, database_url):
    """
    Check that unreadable records are kept in table and topic, can be sent
    again, and stop nothing.
    """
    kafka_url, topic = processes.kafka_url, processes.topic
    (_, whole), *_ = held(kafka_url, topic)
    newer = whole[:4] + b"\x00\x63" + whole[6:]
    spoiled = [b"hello", whole[:-9], newer]
    before = len(tables(database_url)["dead_letter"])
    put(kafka_url, topic, [(0, record) for record in [*spoiled, whole]])
    with processes.running("worker", "--group", "last", *SOON):
        wait_stored(processes, database_url, ended_records(kafka_url, topic, PARTITIONS))
        assert sorted(value for _, value in held(kafka_url, topic + "-dead")) == sorted(spoiled)
        with psycopg.connect(database_url) as connection:
            kept = connection.execute(
                "SELECT reason, payload FROM dead_letter WHERE topic = %s ORDER BY id",
                [f"kafka:{topic}"],
            ).fetchall()
            connection.execute(  # what a worker kept that was older than its bridge
                "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload,"
                " sha256) VALUES (now(), %s, '', 'unknown_schema',"
                " 'partition 1 offset 7: schema 1', %s, sha256(%s))",
                [f"kafka:{topic}", whole, whole],
            )
        reasons = ["foreign_record", "damaged_record", "unknown_schema"]
        assert kept == list(zip(reasons, spoiled, strict=True))
        done = processes.run("deadletter", "replay", "--reason", "unknown_schema")
        assert done.stdout == "2 dead letters sent again\n", done.stderr
        wait_stored(processes, database_url, ended_records(kafka_url, topic, PARTITIONS))
    # one was still unreadable, and the whole one held nothing new
    assert len(tables(database_url)["dead_letter"]) == before + 3 + 1 + 1
