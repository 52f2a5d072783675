"""
HTTP server of a witness: cosigns heads consistent with earlier ones (c2sp.org/tlog-witness).

    POST /add-checkpoint             cosign a head
    GET  /<SHA-256 of the origin>/checkpoint
                                     the last cosigned head of a log
    GET  /vkeys                      the witness's public keys

A rewritten or split log, a smaller head, an unknown log or an invalid signature is refused;
contradicting signed heads are stored.
"""

from __future__ import annotations

import asyncio
import math
import re
import sqlite3
from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError
from mrv.errors import LogError, SignatureError, WitnessRefusedError
from mrv.log import DASH, Vkey, signature_lines
from mrv.log.entries import read_head
from mrv.log.witness import Request, cosign, judge_request, parse_request
from mrv.signatures.ed25519 import encode_base64
from services.api.connections import share_of
from services.api.server import Rates, read_body
from services.witness_state import Contradiction, State, WitnessKeys

_UNAVAILABLE, _CONFLICT, _MALFORMED, _FALSE = 503, 409, 400, 422
# maximum size of a request: 63 hashes, and a head with 16 signatures of 5 kB, and some room [bytes]
LARGEST_BODY = 131_072
_AT_ONCE = 16
_WAITING = 200
_HEAD = re.compile(r"/([0-9a-f]{64})/checkpoint")
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


class Cosigner:
    """Witness with keys, state, and clock. `now_s`: returns the time. [s since 1970 UTC]"""

    def __init__(self, keys: WitnessKeys, state: State, now_s: Callable[[], int]) -> None:
        self.keys, self.state = keys, state
        self._now_s = now_s

    def add_checkpoint(self, body: bytes) -> tuple[str, int, str]:
        """
        Cosign the head of a request.

        Raises WitnessRefusedError with an HTTP status.

        Returns `origin`, `size`, `lines`: the head, and the witness's signature lines.
        """
        request, origin = _read(body)
        try:
            with self.state.changing():
                return self._cosigned(request, origin)
        except WitnessRefusedError as error:
            # with these statuses the signature of the log was valid
            if error.status in (_FALSE, _CONFLICT):
                self._note(request, origin, error)
            raise
        except (sqlite3.Error, InputError) as error:
            raise WitnessRefusedError(_UNAVAILABLE, f"the witness's state: {error}") from error

    def _cosigned(self, request: Request, origin: str) -> tuple[str, int, str]:
        seen = self.state.seen(origin)
        last = None if seen is None else seen.head
        head, signers = judge_request(request, self.state.keys(origin), last)
        now_s = self._now_s()
        if seen is not None and now_s < seen.time_s:
            # a cosignature states that its witness had seen no larger head by that time
            raise WitnessRefusedError(
                _UNAVAILABLE,
                f"the witness's clock shows {now_s}, before its last cosignature at "
                f"{seen.time_s}; set the clock",
            )
        note = request.checkpoint
        lines = "".join(
            cosign(note, self.keys.name, key, now_s)
            for key in (self.keys.ed25519, self.keys.ml_dsa)
        )
        self.state.keep(head, now_s, _signed_only(note, signers) + lines)
        return head.origin, head.size, lines

    def _note(self, request: Request, origin: str, error: WitnessRefusedError) -> None:
        """Store known and new head if both are signed by the log and contradict each other."""
        seen = self.state.seen(origin)
        if seen is None:
            return
        head = read_head(signature_lines(request.checkpoint)[0])
        if head.size == seen.head.size and head.root != seen.head.root:
            why = f"two heads over {head.size} entries"
        elif error.status == _FALSE:
            why = f"no proof that the log of {head.size} entries extends that of {seen.head.size}"
        else:
            return
        self.state.keep_contradiction(
            Contradiction(origin, self._now_s(), why, seen.note, request.checkpoint)
        )


def _read(body: bytes) -> tuple[Request, str]:
    try:
        request = parse_request(body.decode())
        return request, read_head(signature_lines(request.checkpoint)[0]).origin
    except (UnicodeDecodeError, LogError, SignatureError) as error:
        raise WitnessRefusedError(_MALFORMED, str(error)) from error


def _signed_only(note: str, signers: list[Vkey]) -> str:
    """Return a note with the signatures of the log's trusted keys only."""
    text, lines = signature_lines(note)
    known = {(key.name, key.key_id) for key in signers}
    kept = [
        f"{DASH}{name} {encode_base64(raw)}\n" for name, raw in lines if (name, raw[:4]) in known
    ]
    return f"{text}\n" + "".join(kept)


class Witness:
    """ASGI application of a witness. `rate_per_s`: maximum requests per second and address."""

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
            return _text(
                405, f"allowed here: {', '.join(allowed)}\n", {"Allow": ", ".join(allowed)}
            )
        if "POST" in allowed:
            return await self._bounded(scope, receive)
        return await self._read(path)

    async def _read(self, path: str) -> Response:
        if path == "/vkeys":
            return _text(200, "".join(f"{key}\n" for key in self._cosigner.keys.vkeys))
        match = _HEAD.fullmatch(path)
        note = None
        if match is not None:
            note = await asyncio.to_thread(self._cosigner.state.by_hash, match[1])
        return _text(404, "nothing here\n") if note is None else _text(200, note)

    async def _bounded(self, scope: Scope, receive: Receive) -> ASGIApp:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > LARGEST_BODY:
            return _text(413, f"a request has {LARGEST_BODY} bytes at most\n")
        if self._inside >= _WAITING:
            return _text(
                503,
                "the maximum number of requests is being processed; try again\n",
                {"Retry-After": "5"},
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
                # media type without a charset, as the protocol requires
                kind = {"Content-Type": "text/x.tlog.size"}
                return Response(f"{error.size}\n", error.status, _HEADERS | kind)
            return _text(error.status, f"{error}\n")
        self._log.info("cosigned", log=origin, entries=size)
        return _text(200, lines)


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, _HEADERS | (headers or {}))
