"""Work that the database throws out is done again on another connection."""

import select
import threading

import pytest

from services.intake.database import Database
from services.logs import get_logger


@pytest.fixture
def database(database_url):
    """A process's connection, thrown out after a tenth of a second idle in a transaction."""
    limits = ("idle_in_transaction_session_timeout=100ms",)
    held = Database(database_url, "test", get_logger("test"), threading.Event(), limits)
    yield held
    held.close()


def paused(connection):
    """Begin a transaction and stand still until it is over, as a process stopped in it."""
    connection.execute("BEGIN")
    connection.execute("SELECT 1")
    # the server's farewell makes the socket readable
    assert select.select([connection], [], [], 60)[0]
    connection.execute("SELECT 1")


def demoted(connection):
    """Write to a server that has become a standby."""
    connection.execute("SET default_transaction_read_only = on")
    connection.execute("INSERT INTO site (id, name, timezone) VALUES ('x', 'X', 'UTC')")


@pytest.mark.parametrize("spoil", [paused, demoted])
def test_work_is_held_when_the_database_throws_it_out(database, spoil):
    """A worker that wakes up would end in a traceback, and stay away where nobody restarts it."""
    tries, losses = [], []

    def work(connection):
        tries.append(connection)
        if len(tries) == 1:
            spoil(connection)
        return connection.execute("SELECT 42").fetchone()[0]

    while True:
        with database.attempt() as connection:
            found = work(connection)
            break
        losses.append(1)
    assert found == 42
    assert (len(tries), len(losses)) == (2, 1)
    assert tries[0] is not tries[1]
