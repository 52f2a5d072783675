"""
HTTP endpoint of a process: metrics for Prometheus, and whether it moves.

Knows no series: a gateway in the field that has few of its own need not load those of a
pipeline.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client import start_http_server

from ingest.errors import ServerError
from services.environment import split_bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry

    from services.pulse import Pulse


@contextmanager
def serving(registry: CollectorRegistry, pulse: Pulse, bind: str) -> Iterator[None]:
    """
    Answer scrapes at `bind` while the block runs, and `/healthz`: 200 while work goes on.

    Parameters
    ----------
    registry : CollectorRegistry
    pulse : Pulse
    bind : str
        `host:port`; empty serves nothing.

    Raises
    ------
    ServerError
        When the address cannot be bound.
    """
    if not bind:
        yield
        return
    host, port = split_bind(bind)
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ServerError(
            f"metrics cannot listen on {bind}: {error.strerror or error}; "
            "set TONNE_METRICS_BIND to a free address, or to nothing to switch them off"
        ) from error
    server.set_app(_with_health(server.get_app(), pulse))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def _with_health(scraped: Any, pulse: Pulse) -> Callable[[Any, Any], Iterable[bytes]]:
    """Return a WSGI application that answers `/healthz` itself."""

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/healthz":
            found: Iterable[bytes] = scraped(environ, start_response)
            return found
        trouble = pulse.trouble()
        status = "503 Service Unavailable" if trouble else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{trouble or 'ok'}\n".encode()]

    return answer
