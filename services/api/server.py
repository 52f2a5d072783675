"""Serve the application: uvicorn, with connection limits, behind trusted proxies."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from ingest.errors import ServerError
from services.api.connections import MOST, Places, PromptProtocol, networks
from services.settings import split_bind

_CLOSING_S = 15
_FILES_BESIDE = 200  # pools, files that are sent, what libraries keep open


class _Server(uvicorn.Server):
    """Server that disconnects viewers of the live page before it waits for running answers."""

    closing: Callable[[], object] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown."""
        if self.closing is not None:
            self.closing()
        super().handle_exit(sig, frame)

    def hear(self, sig: int, frame: FrameType | None) -> None:
        """
        Stop if uvicorn does not handle signals yet.

        Later uvicorn ends by itself and repeats the signal, which is then ignored.
        """
        del sig, frame
        if not self.started:
            self.should_exit = True


def serve(app: FastAPI, bind: str, proxies: str, listening: Callable[[], object]) -> None:
    """Serve the API until SIGTERM or SIGINT; see `answer`."""
    answer(
        app,
        bind,
        proxies,
        listening,
        ("the API", "TONNE_API_BIND"),
        app.state.live.close,
        lifespan="on",
    )


def answer(
    app: ASGIApp,
    bind: str,
    proxies: str,
    listening: Callable[[], object],
    named: tuple[str, str],
    closing: Callable[[], object] | None = None,
    *,
    lifespan: Literal["on", "off"] = "off",
) -> None:
    """
    Answer at an address until SIGTERM or SIGINT, completing started requests.

    `proxies`: trusted proxies, whose `X-Forwarded-For` and `X-Forwarded-Proto` are used: addresses
    and networks, separated by commas.
    `listening`: called once the address is bound.
    `named`: name of the service, and the setting of its address, for errors.
    `closing`: called when it begins to stop.
    Raises ServerError when the address cannot be bound.
    """
    host, port = split_bind(bind)
    settings: dict[str, Any] = {"host": host, "port": port}
    config = uvicorn.Config(
        app,
        http=PromptProtocol,
        loop="uvloop",
        ws="none",
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        # `Places` keeps below it: nobody is answered 503 for another one's idle sockets
        limit_concurrency=MOST + 1,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=_CLOSING_S,
        **settings,
    )
    config.places = Places(networks(proxies))  # type: ignore[attr-defined]  # the protocol finds it there
    _open_files(MOST + _FILES_BESIDE)
    server = _Server(config)
    server.closing = closing
    try:
        ours = config.bind_socket()
        ours.listen(config.backlog)  # two may be bound to one port; one listens there
    except (SystemExit, OSError):
        raise ServerError(
            f"{named[0]} cannot listen on {bind}; set {named[1]} to a free address"
        ) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.hear)
    listening()
    server.run(sockets=[ours])
    if not server.started:
        raise ServerError(f"{named[0]} could not start; see its log")


def _open_files(wanted: int) -> None:
    """Raise the process's limit of open files to one per connection, as far as permitted."""
    now, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = wanted if maximum == resource.RLIM_INFINITY else min(wanted, maximum)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, maximum))
