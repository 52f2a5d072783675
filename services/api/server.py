"""
Serve the application: uvicorn, with a limit on how long a caller may take to ask.

uvicorn waits for a request's head without end; a caller that sends a byte a minute
would hold a connection for ever.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest.errors import ServerError
from services.settings import split_bind

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType

    from fastapi import FastAPI

HEAD_S = 10.0
_CONNECTIONS = 2_000
_CLOSING_S = 15
_SAID = (
    b'{"type":"about:blank","title":"Request Timeout","status":408,'
    b'"detail":"the request did not come to its end in time"}'
)
_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-type: application/problem+json\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(_SAID), _SAID)
)


class PromptProtocol(HttpToolsProtocol):
    """HTTP/1.1 that hangs up on a request whose head does not come to its end."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_S, self._hang_up)

    def on_message_begin(self) -> None:
        """Wait for the end of a later head; the first is waited for already."""
        super().on_message_begin()
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self._hang_up)

    def on_headers_complete(self) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _hang_up(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.write(_SLOW)
            self.transport.close()


class _Server(uvicorn.Server):
    """Sends watchers of the live view away before it waits for answers to end."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        self.config.app.state.live.close()  # type: ignore[union-attr]  # the application of `serve`
        super().handle_exit(sig, frame)

    def hear(self, sig: int, frame: FrameType | None) -> None:
        """
        Leave, if uvicorn does not listen to signals yet.

        Once it does it ends by itself, and then sends us the signal again: that one is done with.
        """
        del sig, frame
        if not self.started:
            self.should_exit = True


def serve(app: FastAPI, bind: str, listening: Callable[[], object]) -> None:
    """
    Answer at an address until SIGTERM or SIGINT, finishing what was begun.

    `listening` is called once the address is ours.

    Raises
    ------
    ServerError
        When the address cannot be bound.
    """
    host, port = split_bind(bind)
    settings: dict[str, Any] = {"host": host, "port": port}
    config = uvicorn.Config(
        app,
        http=PromptProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_CLOSING_S,
        **settings,
    )
    server = _Server(config)
    try:
        ours = config.bind_socket()
        ours.listen(config.backlog)  # two may be bound to one port; one listens there
    except (SystemExit, OSError):
        raise ServerError(
            f"the API cannot listen on {bind}; set TONNE_API_BIND to a free address"
        ) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.hear)
    listening()
    server.run(sockets=[ours])
    if not server.started:
        raise ServerError("the API could not start; its log says why")
