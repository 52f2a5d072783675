"""
Limits of parallel requests: by address, and for long ones.

Requests wait here, before they need one of the few threads and database connections, so that many
writes or reports, or one address, leave room for others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from starlette.types import Scope

from mrv.report import MEDIA_TYPES
from services.api.connections import share_of
from services.api.negotiation import STATEMENT_FORMS, Preferences, media_type
from services.api.problems import ProblemError

OF_ADDRESS = 6
# a step of a statement's life may wait for the signer: whoever revokes a key does not wait with it
WRITES, STEPS, FILES = 4, 4, 2
# a query by SensorThings may take seconds: most of the connections that read stay free
SENSING = 3
# what people hand in is held in memory until it is read
UPLOADS = 2
WAIT_S = 30.0
_UPLOADS = ("/registry", "/registry/take", "/documents", "/documents/invoice")
_FILES = ("/evidence", ".pdf", ".xlsx", ".zip", "/file")


class Lane:
    """
    Limited number of parallel requests; others wait in order.

    Parameters
    ----------
    maximum : int
        Number of requests admitted per name.
    """

    def __init__(self, maximum: int) -> None:
        self._most = maximum
        self._inside: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def enter(self, turn: str) -> bool:
        """Wait for a place; return whether it was free in time."""
        if self._inside[turn] < self._most:
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
        """Free the place for the next request."""
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
        """Return the limits of a request, with the names under which it counts."""
        path: str = scope["path"]
        if stays_open(path):  # has a limit of its own
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
    """Return whether an address answers with a stream of events."""
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
        return False  # it is made elsewhere; nobody unknown is given that
    return path.endswith(_FILES) or (path.startswith("/v1/statements/") and _chooses_a_file(scope))


def _chooses_a_file(scope: Scope) -> bool:
    """Return whether the route will choose a report by the same content negotiation."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"]
    try:
        return media_type(", ".join(values) or None, STATEMENT_FORMS) in MEDIA_TYPES.values()
    except ProblemError:  # none suits, and the route will say so
        return False
