"""Connections to Kafka end with the work that made them, by TLS too, and however they were lost."""

from __future__ import annotations

import asyncio
import gc
import ssl
from contextlib import suppress

from services.intake.kafka_client import run_once
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
