"""
The Sparkplug nodes of a process and of the database are equal, whatever
a transaction's outcome.
"""

from dataclasses import replace

import psycopg
import pytest

from ingest.model import Device, Fleet
from ingest.mqtt.client import Inbox
from ingest.sparkplug import Rules
from services.intake.sparkplug import SparkplugNodes, Turn
from services.store.postgres.pool import connect
from tests.sparkplug_edge import T0_MS, EdgeNode

E = "energy_export_kwh"
FLEET = Fleet(
    [Device("n-1", "s", "energy_meter"), Device("m-1", "s", "pv_inverter", gateway="n-1")]
)


@pytest.fixture
def connection(database_url):
    """Return the pipeline's own login."""
    with connect(database_url, role="tonne_ingest", autocommit=True) as found:
        yield found


def _inbox(*messages):
    topics, payloads = zip(*messages, strict=True)
    n = len(messages)
    received_us = (T0_MS + 600_000) * 1000
    return Inbox(
        0, list(topics), list(payloads), [None] * n, [0] * n, [False] * n, received_us=received_us
    )


def _take(nodes, connection, *messages, failing=False):
    """Accept messages as one batch in a transaction; return their content, and the refused ones."""
    turn = Turn(nodes, connection)
    given = turn.decode_again(FLEET, _inbox(*messages), range(len(messages)))
    with connection.transaction(), connection.cursor() as cursor:
        turn.write(cursor)
        if failing:
            cursor.execute("SELECT 1 / 0")
    turn.keep()
    values = [list(line.numbers) for one in given for line in one.lines]
    return values, [r.reason for r in turn.outcome.rejected]


def _as_stored(nodes, connection):
    """Return the nodes in memory, and those that a newly started process would have."""
    fresh = SparkplugNodes(Rules()).load(connection)
    held = {name: replace(n, rewritten=set()) for name, n in nodes.load(connection).items()}
    return held, fresh


def test_a_restart_knows_what_was_known(connection):
    """A process that starts again would ask every node for a rebirth, or read by other aliases."""
    nodes, edge = SparkplugNodes(Rules()), EdgeNode()
    for batch in (
        [edge.connect(), edge.birth("m-1")],
        [edge.data("m-1", {E: 1.0})],
        [edge.data("m-1", {E: 2.0}), edge.death("m-1"), edge.birth("m-1")],
    ):
        _take(nodes, connection, *batch)
        held, fresh = _as_stored(nodes, connection)
        assert fresh == held
    edge.data("m-1", {E: 3.0})  # lost
    _take(nodes, connection, edge.data("m-1", {E: 4.0}))
    held, fresh = _as_stored(nodes, connection)
    assert fresh == held
    assert len(fresh["n-1"].waiting_messages) == 1
    restarted = SparkplugNodes(Rules())
    found = _take(restarted, connection, edge.rebirth(), edge.birth("m-1"))
    assert found == ([[4.0]], [])
    held, fresh = _as_stored(restarted, connection)
    assert fresh == held
    _take(restarted, connection, edge.will())
    held, fresh = _as_stored(restarted, connection)
    assert fresh == held
    assert not fresh["n-1"].live


def test_a_transaction_that_fails_leaves_no_trace(connection):
    """After a database error, messages taken again would look like a gap, and cost a rebirth."""
    nodes, edge = SparkplugNodes(Rules()), EdgeNode()
    _take(nodes, connection, edge.connect(), edge.birth("m-1"))
    batch = [edge.data("m-1", {E: 1.0}), edge.data("m-1", {E: 2.0})]
    with pytest.raises(psycopg.errors.DivisionByZero):
        _take(nodes, connection, *batch, failing=True)
    assert _take(nodes, connection, *batch) == ([[1.0], [2.0]], [])
    held, fresh = _as_stored(nodes, connection)
    assert fresh == held


def test_a_commit_whose_answer_is_lost_is_no_gap(connection):
    """A connection that breaks at the wrong moment would cost a rebirth of every node."""
    nodes, edge = SparkplugNodes(Rules()), EdgeNode()
    batch = [edge.connect(), edge.birth("m-1"), edge.data("m-1", {E: 1.0})]
    _take(nodes, connection, *batch)
    nodes.forget()
    assert _take(nodes, connection, *batch) == ([[1.0]], [])
    assert _take(nodes, connection, edge.data("m-1", {E: 2.0})) == ([[2.0]], [])
    assert nodes.commands(connection) == []


def test_a_rebirth_is_asked_for_once_in_a_while(connection):
    """A node that is slow to answer would be flooded with requests, by every process there is."""
    nodes, edge = SparkplugNodes(Rules()), EdgeNode()
    edge.connect(), edge.birth("m-1")
    assert _take(nodes, connection, edge.data("m-1", {E: 1.0}))[1] == ["birth_missing"]
    connection.execute("UPDATE sparkplug_node SET wanted = now()")  # tests' nodes live in the past
    (first,) = nodes.commands(connection)
    assert first[0] == "spBv1.0/G/NCMD/n-1"
    assert nodes.commands(connection) == []
    connection.execute("UPDATE sparkplug_node SET rebirth_sent = now() - INTERVAL '31 seconds'")
    assert len(nodes.commands(connection)) == 1
    _take(nodes, connection, edge.rebirth(), edge.birth("m-1"))
    connection.execute("UPDATE sparkplug_node SET rebirth_sent = NULL")
    assert nodes.commands(connection) == []
