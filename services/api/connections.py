"""
Limits of HTTP connections (idle time, header size, number per address) and of parallel requests.

uvicorn waits for headers without limit of time and size.  Here headers have a deadline and a
maximum size; if all places are taken an idle connection is closed for a new one, and each address
has a maximum number.  Connections that keep sending unneeded data, or do not read answers, are
closed.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mrv.report import MEDIA_TYPES
from services.api.answers import STATEMENT_FORMS, Preferences, ProblemError, media_type

HEAD_S = 10.0
HEAD_BYTES = 65_536
# time for which a client may continue to send the body of a request that is already answered [s]
LINGER_S = 2.0
# time in which 48 KiB of an answer must be read [s]
READ_ANSWER_S = 60.0
LINE_BYTES = 16_384
HEAD_LINES = 100
MAX_CONNECTIONS = 2_000
MAX_PER_ADDRESS = 200
# limits apply to the network of an IPv6 address, as a customer has a network of addresses
_NETWORK_6 = 64
_STATUS = {
    408: "the request did not arrive completely in time",
    414: f"the address is longer than {LINE_BYTES} bytes",
    431: f"the request headers have more than {HEAD_LINES} lines, {LINE_BYTES} "
    f"bytes in one of them, or {HEAD_BYTES} bytes",
}


class TooLargeError(Exception):
    """Request headers exceed a limit; the parser stops."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def refusal(status: int) -> bytes:
    """Return the bytes of an HTTP rejection."""
    phrase = HTTPStatus(status).phrase
    message = (
        f'{{"type":"about:blank","title":"{phrase}","status":{status},'
        f'"detail":"{_STATUS[status]}"}}'
    )
    return (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/problem+json\r\n"
        f"connection: close\r\ncontent-length: {len(message)}\r\n\r\n{message}"
    ).encode()


def share_of(address: str) -> str:
    """Return the unit for limits per address: the address itself, or for IPv6 its network."""
    try:
        ip_address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip_address, ipaddress.IPv6Address):
        if ip_address.ipv4_mapped is not None:
            return str(ip_address.ipv4_mapped)
        return str(ipaddress.ip_network((ip_address, _NETWORK_6), strict=False))
    return str(ip_address)


class Places:
    """
    Places for connections: a total number, and a number per address.

    `proxies` (sequence of networks): trusted proxies, whose addresses have no individual limit.
    """

    def __init__(
        self, proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    ) -> None:
        self._proxies = proxies
        self._of: Counter[str] = Counter()
        self._taken = 0
        # connections that wait for headers, longest first
        self._waiting: OrderedDict[PromptProtocol, None] = OrderedDict()

    def take(self, address: str) -> bool:
        """Take a place, closing an idle connection if necessary; return False if none is free."""
        share = share_of(address)
        if self._of[share] >= MAX_PER_ADDRESS and not self._speaks_for_others(share):
            return False
        if self._taken >= MAX_CONNECTIONS:
            if not self._waiting:
                return False
            self._waiting.popitem(last=False)[0].end()
        self._taken += 1
        self._of[share] += 1
        return True

    def give_back(self, address: str) -> None:
        """Free the place for another connection."""
        share = share_of(address)
        self._taken -= 1
        self._of[share] -= 1
        if not self._of[share]:
            del self._of[share]

    def waits(self, prompt_protocol: PromptProtocol) -> None:
        """Record that a connection waits for headers."""
        self._waiting[prompt_protocol] = None
        self._waiting.move_to_end(prompt_protocol)

    def works(self, prompt_protocol: PromptProtocol) -> None:
        """Record that a connection no longer waits."""
        self._waiting.pop(prompt_protocol, None)

    def _speaks_for_others(self, share: str) -> bool:
        try:
            address = ipaddress.ip_address(share.partition("/")[0])
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


class PromptProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits to headers, to data after an answer, and to connections."""

    _late: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None
    _unfinished = False
    _bytes_after_answer = 0
    _address: str | None = None
    _head = 0
    _refused = 0

    @property
    def _places(self) -> Places:
        places: Places = self.config.places  # type: ignore[attr-defined]  # set by `serve`
        return places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place and wait for the first headers, or close the connection."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        if not self._places.take(address):
            transport.abort()
            return
        self._address = address
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Parse received data while headers are within their limit."""
        if self.transport.is_closing() or self._sends_on(len(data)):
            return
        self._head += len(data)
        super().data_received(data)
        if self._head > HEAD_BYTES and not self.transport.is_closing():
            self._hang_up(431)

    def on_message_begin(self) -> None:
        """Start the time limit of a further request's headers; the first one is already running."""
        super().on_message_begin()
        if self._late is None:
            self._wait()

    def on_url(self, url: bytes) -> None:
        """Collect a part of the URL."""
        if len(self.url) + len(url) > LINE_BYTES:
            self._refuse(414)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header line, or a line of a body's trailer."""
        if len(self.headers) >= HEAD_LINES or len(name) + len(value) > LINE_BYTES:
            self._refuse(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the deadline of the headers."""
        self._stop_waiting()
        self._head = 0
        self._unfinished = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass on a part of the body, which does not count as headers."""
        self._head = max(0, self._head - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Start counting the header bytes of the next request."""
        self._head = 0
        self._unfinished = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Start the deadline of the next headers, within uvicorn's keep-alive time."""
        super().on_response_complete()
        if self.timeout_keep_alive_task is not None:
            self._places.waits(self)
        closing = self.transport.is_closing()
        if self._unfinished and self.cycle.response_complete and not closing:
            self._bytes_after_answer = 0
            self._late = self.loop.call_later(LINGER_S, self.end)

    def pause_writing(self) -> None:
        """Start the deadline for a client that does not read its answer."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(READ_ANSWER_S, self.end)

    def resume_writing(self) -> None:
        """Cancel the deadline when the client has read enough."""
        self._taken()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Reject a request with invalid or too large headers."""
        if self._refused:
            self._hang_up(self._refused)
        else:
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop_waiting()
        self._taken()
        if self._address is not None:
            self._places.give_back(self._address)
            self._address = None
        super().connection_lost(exc)

    def end(self) -> None:
        """Close the connection at once, without an answer."""
        self._stop_waiting()
        self.transport.abort()

    def _wait(self) -> None:
        self._places.waits(self)
        self._late = self.loop.call_later(HEAD_S, self._hang_up, 408)

    def _stop_waiting(self) -> None:
        self._places.works(self)
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _sends_on(self, count: int) -> bool:
        """Return whether the client sends too much of the body after the answer."""
        if not self._unfinished or not self.cycle.response_complete:
            return False
        self._bytes_after_answer += count
        if self._bytes_after_answer <= HEAD_BYTES:
            return False
        self.flow.pause_reading()
        return True

    def _taken(self) -> None:
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _refuse(self, status: int) -> None:
        self._refused = status
        raise TooLargeError(status)

    def _hang_up(self, status: int) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self.transport.write(refusal(status))
            self.transport.close()


def networks(text: str) -> list[Any]:
    """Return addresses and networks, separated by commas. Raises ValueError for any other value."""
    parts = [part.strip() for part in text.split(",")]
    return [ipaddress.ip_network(part) for part in parts if part]


OF_ADDRESS = 6
# a step of a statement may wait for the signer; the revocation of a key must not wait with it
WRITES, STEPS, FILES = 4, 4, 2
# a SensorThings query may take seconds: most reading connections stay free
SENSING = 3
# uploads are held in memory until read
UPLOADS = 2
WAIT_S = 30.0
_UPLOADS = ("/registry", "/registry/take", "/documents", "/documents/invoice")
_FILES = ("/evidence", ".pdf", ".xlsx", ".zip", "/file")


class Lane:
    """
    Limit of parallel requests, separate for each counter; further requests wait in order.

    `maximum`: number of requests admitted per counter.
    """

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def enter(self, turn: str) -> bool:
        """Wait for a place of the counter `turn`; return whether one was free within `WAIT_S`."""
        if self._inside[turn] < self._maximum:
            self._inside[turn] += 1
            return True
        place = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(turn, deque()).append(place)
        try:
            async with asyncio.timeout(WAIT_S):
                await place
        except TimeoutError:
            return self._gone(turn, place)
        except asyncio.CancelledError:
            if self._gone(turn, place):
                self.leave(turn)
            raise
        return True

    def leave(self, turn: str) -> None:
        """Give the place to the next waiting request of the counter `turn`, or free it."""
        waiting = self._waiting.get(turn)
        while waiting:
            place = waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._waiting.pop(turn, None)
        self._inside[turn] -= 1
        if not self._inside[turn]:
            del self._inside[turn]

    def _gone(self, turn: str, place: asyncio.Future[None]) -> bool:
        """Stop waiting; return whether the place was granted at the same moment."""
        if place.done() and not place.cancelled():
            return True
        waiting = self._waiting.get(turn)
        if waiting is not None and place in waiting:
            waiting.remove(place)
            if not waiting:
                del self._waiting[turn]
        return False


class Lanes:
    """The limits that apply to a request: of its address, then of its kind."""

    def __init__(self) -> None:
        self._addresses = Lane(OF_ADDRESS)
        self._writes = Lane(WRITES)
        self._steps = Lane(STEPS)
        self._files = Lane(FILES)
        self._sensing = Lane(SENSING)
        self._uploads = Lane(UPLOADS)

    def of(self, scope: Scope, headers: dict[bytes, bytes]) -> list[tuple[Lane, str]]:
        """Return the limits that apply to a request, each with the name of its counter."""
        path: str = scope["path"]
        if stays_open(path):  # a stream of events has its own limit
            return []
        address = share_of((scope.get("client") or ("",))[0])
        result = [(self._addresses, address)]
        if scope["method"] not in {"GET", "HEAD"} and path.startswith("/v1/"):
            result.append((self._steps if _is_step(path) else self._writes, ""))
        elif scope["method"] == "POST" and takes_files(path):
            result.append((self._uploads, ""))
        elif path.startswith("/v1/sensorthings/"):
            result.append((self._sensing, ""))
        elif _makes_a_file(scope, headers):
            result.append((self._files, ""))
        return result


def stays_open(path: str) -> bool:
    """Return whether the answer of a path is a stream of events."""
    return path.startswith("/console/") and path.endswith("/live/events")


def takes_files(path: str) -> bool:
    """Return whether a page accepts file uploads."""
    return path.startswith("/console/") and path.endswith(_UPLOADS)


def _is_step(path: str) -> bool:
    return path.startswith("/v1/statements/") or path.endswith(("/periods", "/v1/status-list"))


def _makes_a_file(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    path: str = scope["path"]
    prefer = Preferences.of([headers.get(b"prefer", b"").decode("latin-1")])
    if prefer.respond_async and b"authorization" in headers:
        return False  # the file is generated by another process, and only for identified callers
    return path.endswith(_FILES) or (path.startswith("/v1/statements/") and _chooses_a_file(scope))


def _chooses_a_file(scope: Scope) -> bool:
    """Return whether content negotiation selects a PDF or workbook."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    try:
        return media_type(", ".join(values) or None, STATEMENT_FORMS) in MEDIA_TYPES.values()
    except ProblemError:  # no requested format is available; the route answers with 406
        return False
