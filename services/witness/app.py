"""
The witness over HTTP (c2sp.org/tlog-witness), bounded as the API is.

    POST /add-checkpoint             cosign a head
    GET  /<SHA-256 of the origin>/checkpoint
                                     the last head cosigned of a log
    GET  /vkeys                      the witness's keys
    GET  /healthz                    that the process lives
"""

from __future__ import annotations

import asyncio
import math
import re

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from mrv.errors import WitnessRefusedError
from services.api.connections import share_of
from services.api.guard import Rates, read_body
from services.witness.cosigner import Cosigner

# 63 hashes, and a head with 16 signatures of 5 kB, with room
LARGEST_BODY = 131_072
_AT_ONCE = 16
_WAITING = 200
_HEAD = re.compile(r"/([0-9a-f]{64})/checkpoint")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


class Witness:
    """
    The application.

    Parameters
    ----------
    cosigner : Cosigner
    rate_per_s : float
        Requests a second that one address may make.
    """

    def __init__(self, cosigner: Cosigner, rate_per_s: float, log: FilteringBoundLogger) -> None:
        self._cosigner, self._log = cosigner, log
        self._rates = Rates(rate_per_s)
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            await (await self._answer(scope, receive))(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        path, method = scope["path"], scope["method"]
        if path == "/healthz":
            return _text(200, "ok\n")
        address = share_of((scope.get("client") or ("",))[0])
        if wait_s := self._rates.wait_s(address.encode()):
            again = {"Retry-After": str(math.ceil(wait_s))}
            return _text(429, "too many requests; slow down\n", again)
        allowed = ("POST",) if path == "/add-checkpoint" else ("GET", "HEAD")
        if method not in allowed:
            return _text(405, f"{', '.join(allowed)} here\n", {"Allow": ", ".join(allowed)})
        if "POST" in allowed:
            return await self._bounded(scope, receive)
        return await self._read(path)

    async def _read(self, path: str) -> Response:
        if path == "/vkeys":
            return _text(200, "".join(f"{key}\n" for key in self._cosigner.keys.vkeys))
        found = _HEAD.fullmatch(path)
        note = None
        if found is not None:
            note = await asyncio.to_thread(self._cosigner.state.by_hash, found[1])
        return _text(404, "nothing here\n") if note is None else _text(200, note)

    async def _bounded(self, scope: Scope, receive: Receive) -> ASGIApp:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > LARGEST_BODY:
            return _text(413, f"a request has {LARGEST_BODY} bytes at most\n")
        if self._inside >= _WAITING:
            return _text(
                503, "as much is done at once as can be; try again\n", {"Retry-After": "5"}
            )
        self._inside += 1
        try:
            body = await read_body(receive, LARGEST_BODY)
            if body is None:
                return _text(408, "the body did not arrive in time\n")
            if len(body) > LARGEST_BODY:
                return _text(413, f"a request has {LARGEST_BODY} bytes at most\n")
            async with self._turns:
                return await asyncio.to_thread(self._cosign, body)
        finally:
            self._inside -= 1

    def _cosign(self, body: bytes) -> Response:
        try:
            origin, size, lines = self._cosigner.add_checkpoint(body)
        except WitnessRefusedError as error:
            loud = self._log.error if error.status == 422 else self._log.info  # noqa: PLR2004
            loud("refused", status=error.status, why=str(error)[:300])
            if error.size is not None:
                # as the protocol writes it, without a charset
                kind = {"Content-Type": "text/x.tlog.size"}
                return Response(f"{error.size}\n", error.status, _HEADERS | kind)
            return _text(error.status, f"{error}\n")
        self._log.info("cosigned", log=origin, entries=size)
        return _text(200, lines)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, _HEADERS | (headers or {}))
