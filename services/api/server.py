"""
Server of the application: uvicorn behind trusted proxies, and the limits of every request before it
is read: size, time, rate and number.

The limits are plain ASGI, so that a rejected request costs little.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import resource
import signal
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.errors import ServerError
from services.api.answers import problem
from services.api.connections import (
    MAX_CONNECTIONS,
    Lanes,
    Places,
    PromptProtocol,
    networks,
    share_of,
    stays_open,
    takes_files,
)
from services.settings import split_bind

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measures:
    """Counts and durations of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "tonne_api_requests",
            "Requests answered, by route and status",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "tonne_api_request_seconds",
            "Time to answer a request",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count an answered request."""
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)


ALIVE = "/healthz"
_BUSY = "too many requests are in progress; try again"
LARGEST_BODY = 1_048_576
# maximum size of files that a signed-in officer uploads; few at once, see `lanes`
LARGEST_UPLOAD = 10 << 20
BODY_S = 15.0
_DIGITS = 20  # maximum digits of the header `Content-Length`
_CALLERS = 20_000
_BURST_S = 2.0
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Rates:
    """
    Token buckets, one per caller; the longest inactive callers are dropped first.

    `per_s`: requests per second and caller; a burst of two seconds' requests is permitted.
    """

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._burst = per_s * _BURST_S
        self._left: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: bytes) -> float:
        """Take a token of the caller; return the time until one is free, 0 if one was taken. [s]"""
        now_s = time.monotonic()
        remaining, since_s = self._left.pop(caller, (self._burst, now_s))
        remaining = min(self._burst, remaining + (now_s - since_s) * self._per_s)
        taken = remaining >= 1
        self._left[caller] = (remaining - 1 if taken else remaining, now_s)
        if len(self._left) > _CALLERS:
            self._left.popitem(last=False)
        return 0.0 if taken else (1 - remaining) / self._per_s


class Guard:
    """Rejects requests that are too large, slow or frequent; limits parallel ones; counts all."""

    def __init__(self, app: ASGIApp, rates: Rates, lanes: Lanes, measures: Measures) -> None:
        self._app = app
        self._rates = rates
        self._lanes = lanes
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                lines = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *map(_here, message["headers"]),
                    *(header for header in _HEADERS if header[0] not in lines),
                ]
            await send(message)

        try:
            await self._serve(_as_get(scope), receive, sending)
        finally:
            self._measures.count(scope, status, time.perf_counter() - began_s)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # the health check is answered even under load, as it states that the process runs
        if scope["path"] == ALIVE:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        wait_s = max(self._rates.wait_s(caller) for caller in _callers(scope, headers))
        if wait_s:
            again = {"Retry-After": str(math.ceil(wait_s))}
            await problem(429, "too many requests; send fewer", again)(scope, receive, send)
            return
        refused = _refused(scope, headers)
        if refused is not None:
            await refused(scope, receive, send)
            return
        with ExitStack() as stack:
            for lane, turn in self._lanes.of(scope, headers):
                if not await lane.enter(turn):
                    await problem(503, _BUSY, {"Retry-After": "5"})(scope, receive, send)
                    return
                stack.callback(lane.leave, turn)

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    # the request is answered: a client that reads slowly must not count against the
                    # limit
                    stack.close()
                await send(message)

            await self._read_and_serve(scope, headers, receive, sending)

    async def _read_and_serve(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send
    ) -> None:
        maximum = _byte_limit(scope["path"])
        body = await read_body(receive, maximum) if _has_body(headers) else b""
        if body is None:
            await problem(408, f"the body did not arrive in {BODY_S:.0f} s")(scope, receive, send)
        elif len(body) > maximum:
            await _too_large(maximum)(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


def _refused(scope: Scope, headers: dict[bytes, bytes]) -> ASGIApp | None:
    """Return the rejection of invalid headers as an answer; None if they are valid."""
    for once in (b"authorization", b"host"):
        if sum(name == once for name, _ in scope["headers"]) > 1:
            # with two such headers, a proxy and this server might use different ones
            return problem(400, f"send one {once.decode().title()} header, not several")
    declared = headers.get(b"content-length", b"0")
    if (
        not declared.isdigit()
        or len(declared) > _DIGITS
        or int(declared) > _byte_limit(scope["path"])
    ):
        return _too_large(_byte_limit(scope["path"]))
    if _has_body(headers) and not _is_json(scope["path"], headers):
        return problem(415, "the body must be JSON; send it with Content-Type: application/json")
    return None


def _here(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """
    Return a redirect header limited to a path of this server, whatever host the request named.

    The router writes an absolute URL when it adds or removes a trailing slash.
    """
    name, value = header
    if name != b"location" or b"://" not in value.partition(b"?")[0]:
        return header
    parts = urlsplit(value)
    # a path that begins with two slashes would name another host
    return name, urlunsplit((b"", b"", b"/" + parts.path.lstrip(b"/"), parts.query, b""))


def _as_get(scope: Scope) -> Scope:
    """Return the scope with HEAD replaced by GET for the routes; the server omits the body."""
    if scope["method"] != "HEAD" or stays_open(scope["path"]):
        return scope
    return {**scope, "method": "GET"}


def _callers(scope: Scope, headers: dict[bytes, bytes]) -> list[bytes]:
    """Return the address and the token of a caller, both of which are limited."""
    address = share_of((scope.get("client") or ("",))[0]).encode()
    token = headers.get(b"authorization")
    return [address] if token is None else [address, hashlib.sha256(token).digest()]


def _byte_limit(path: str) -> int:
    return LARGEST_UPLOAD if takes_files(path) else LARGEST_BODY


def _has_body(headers: dict[bytes, bytes]) -> bool:
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _is_json(path: str, headers: dict[bytes, bytes]) -> bool:
    """Return whether a body is JSON for the API, and no form of a web page."""
    given = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    return not path.startswith("/v1/") or given == b"application/json"


async def read_body(receive: Receive, maximum: int) -> bytes | None:
    """Return a body, slightly longer than the maximum if too large; None if it takes too long."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while len(body) <= maximum:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receive function that yields the body already read, then what follows."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(maximum: int) -> ASGIApp:
    return problem(413, f"the body is larger than {maximum} bytes")


_CLOSING_S = 15
_FILES_BESIDE = 200  # further open files: pools, files being sent, files of libraries


class _Server(uvicorn.Server):
    """Server that disconnects viewers of the live page before it waits for running answers."""

    closing: Callable[[], object] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Start the shutdown."""
        if self.closing is not None:
            self.closing()
        super().handle_exit(sig, frame)

    def stop_early(self, sig: int, frame: FrameType | None) -> None:
        """
        Stop if uvicorn does not handle signals yet.

        Once uvicorn handles signals it ends by itself and repeats the signal; that is ignored here.
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
        # never reached, as `Places` closes idle connections before; uvicorn would answer 503
        limit_concurrency=MAX_CONNECTIONS + 1,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        timeout_graceful_shutdown=_CLOSING_S,
        **settings,
    )
    config.places = Places(networks(proxies))  # type: ignore[attr-defined]  # the protocol finds it there
    _open_files(MAX_CONNECTIONS + _FILES_BESIDE)
    server = _Server(config)
    server.closing = closing
    try:
        ours = config.bind_socket()
        ours.listen(config.backlog)  # two processes can bind one port, but only one can listen
    except (SystemExit, OSError):
        raise ServerError(
            f"{named[0]} cannot listen on {bind}; set {named[1]} to a free address"
        ) from None
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.stop_early)
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
