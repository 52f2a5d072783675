"""Work that the database throws out is done again on another connection.

Connections to Kafka end with the work that made them, by TLS too, and however they were lost.
"""

import asyncio
import gc
import select
import ssl
import threading
from contextlib import suppress

import pytest

from services.intake.database import Database
from services.intake.kafka_client import run_once
from services.logs import get_logger
from tests.integration.test_kafka_tls import Authority

PATIENCE_S = 60


class _Heard(asyncio.Protocol):
    """Tells when it is connected no more."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()


def test_a_broker_that_closes_by_tls_does_not_stop_the_next_connection(tmp_path):
    """A bridge whose broker was restarted would never connect again."""
    authority = Authority(tmp_path)
    here = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_cert_chain(*authority.issue("broker")[:2])
    trusting = ssl.create_default_context(cafile=authority.file)

    async def serve(_reader, writer):
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def work():
        loop, lost = asyncio.get_running_loop(), 0
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=here)
        async with server:
            port = server.sockets[0].getsockname()[1]
            for _ in range(3):
                _, heard = await loop.create_connection(
                    _Heard, "127.0.0.1", port, ssl=trusting, server_hostname="localhost"
                )
                await asyncio.wait_for(heard.lost.wait(), PATIENCE_S)
                lost += 1
        return lost

    assert run_once(work()) == 3
    gc.collect()  # what was left open would be told here


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
    """A worker that wakes up would end in a traceback, and stay away where no one restarts it."""
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
