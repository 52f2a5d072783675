"""
Parts of a process that run beside its work: background threads, and its HTTP endpoint.

The endpoint has `/metrics` for Prometheus, and `/healthz`.  It defines no series, so that gateways
load little.  Connections have a deadline, and the oldest is closed for a new one if there are too
many.  `Pulse` tracks whether each part of the process makes progress or waits for a server.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import Any, ClassVar, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from ingest.errors import ServerError
from services.environment import split_bind

STILL_S = 120.0


class Pulse:
    """
    Health of a process: when each part last worked, or had nothing to do.

    `still_s`: time without a signal after which a part is considered stuck. [s]
    """

    def __init__(self, still_s: float = STILL_S) -> None:
        self._still_s = still_s
        self._beats: dict[str, float] = {}
        self._waited_for: dict[str, float] = {}
        self._faults: dict[str, str] = {}

    def lost(self, server: str) -> None:
        """Record that a server does not answer, from the first consecutive failure."""
        self._waited_for.setdefault(server, time.time())

    def back(self, server: str) -> float | None:
        """Record that a server answers; return how long it had not answered, None if it had. [s]"""
        since = self._waited_for.pop(server, None)
        return None if since is None else time.time() - since

    def waiting_s(self, server: str) -> float:
        """Return how long a server has not answered; 0 while it answers. [s]"""
        since = self._waited_for.get(server)
        return 0.0 if since is None else max(0.0, time.time() - since)

    def set_fault(self, server: str, what: str) -> None:
        """Record a fault of an answering server that a restart would not fix; "" ends it."""
        self._faults[server] = what

    def waiting(self) -> str | None:
        """
        Return a text on the servers that do not answer, each with the time of the first failure,
        and on faults of the others; None if there are none.
        """
        waited = [
            f"waiting for {server} since {_time_text(since)}"
            for server, since in sorted(self._waited_for.items())
        ]
        return (
            "; ".join(waited + [text for _, text in sorted(self._faults.items()) if text]) or None
        )

    def beat(self, part: str) -> None:
        """Record that a part works; safe from any thread."""
        self._beats[part] = time.monotonic()

    def pause(self, part: str, pause_s: float, stopping: threading.Event) -> None:
        """Wait between two rounds of work, or until asked to stop."""
        end_s = time.monotonic() + pause_s
        while not stopping.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self.beat(part)
            stopping.wait(min(left_s, self._still_s / 4))

    def trouble(self) -> str | None:
        """Return the name of a part of the process that is stuck; None if all work."""
        if not self._beats:
            return "starting"
        now = time.monotonic()
        still = {part: now - at for part, at in self._beats.items() if now - at > self._still_s}
        return "; ".join(f"{part}: nothing for {s:.0f} s" for part, s in still.items()) or None


def _time_text(time_s: float) -> str:
    """Return a time as text, in UTC."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


MAX_CONNECTIONS = 32
ANSWER_S = 10.0


class _Handler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep scrapes out of the log."""


class _Server(ThreadingMixIn, WSGIServer):
    """HTTP server with a thread per connection, a maximum number, and a deadline."""

    daemon_threads = True
    # queue for connections that arrive together; a client that finds no space waits a second, then
    # longer
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = addresses[0][0]
        self._lock = threading.Lock()
        self._open: OrderedDict[Any, threading.Timer] = OrderedDict()
        super().__init__(addresses[0][4][:2], _Handler)  # type: ignore[arg-type]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and close the oldest if there are too many."""
        clock = threading.Timer(ANSWER_S, _hang_up, [request])
        clock.daemon = True
        clock.start()
        with self._lock:
            self._open[request] = clock
            # removed from the list here, so that parallel new connections close different old ones
            oldest = self._open.popitem(last=False) if len(self._open) > MAX_CONNECTIONS else None
        if oldest is not None:
            oldest[1].cancel()
            _hang_up(oldest[0])
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            clock = self._open.pop(request, None)
        if clock is not None:
            clock.cancel()
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore callers that close, or were disconnected."""


def _hang_up(request: socket.socket) -> None:
    with suppress(OSError):  # the connection has ended already
        request.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(registry: CollectorRegistry, pulse: Pulse, bind: str) -> Iterator[None]:
    """
    Serve metrics at `bind` while the block runs, and `/healthz`: 200 while work continues.

    `bind`: `host:port`; empty serves nothing.
    Raises ServerError when the address cannot be bound.
    """
    if not bind:
        yield
        return
    host, port = split_bind(bind)
    try:
        server = _Server(host, port)
    except OSError as error:
        raise ServerError(
            f"metrics cannot listen on {bind}: {error.strerror or error}; "
            "set TONNE_METRICS_BIND to a free address, or leave it empty for no metrics"
        ) from error
    server.set_app(_with_health(make_wsgi_app(registry), pulse))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _with_health(scraped: Any, pulse: Pulse) -> Callable[[Any, Any], Iterable[bytes]]:
    """Return a WSGI application with the additional path `/healthz`."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            chunks: Iterable[bytes] = scraped(environ, start_response)
            return chunks
        trouble = pulse.trouble()
        status = "503 Service Unavailable" if trouble else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{trouble or pulse.waiting() or 'ok'}\n".encode()]

    return answer


class Background:
    """
    Run functions in threads of their own inside a `with` block.

    `works`: functions by thread name; each ends soon after `_stopping` is set.
    `patience_s`: longest wait for each thread at the end; None: no limit. [s]
    """

    patience_s: ClassVar[float | None] = 5

    def __init__(self, works: Mapping[str, Callable[[], None]]) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()
        ]

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the threads; work that does not end in time is repeated at the next start."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=self.patience_s)

    def wait(self) -> None:
        """Block until `stop` is called."""
        self._stopping.wait()

    def stop(self) -> None:
        """End `wait`; safe in a signal handler."""
        self._stopping.set()
