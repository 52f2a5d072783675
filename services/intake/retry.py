"""
Waiting for servers: at the start, and repetition of work until it succeeds.

After a power cut everything starts at once, and a database may take minutes to recover. Refusals
and missing registry data are reported at once.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from services.clock import now_us
from services.scraping import Pulse
from services.store.postgres.columnstore import Verdict, verdict

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
PULSE = "storing"


class GaveUpError(Exception):
    """The process was stopped before a server came back; nothing was acknowledged."""


class ServerRetry:
    """
    Repetition of work with one server.

    One attempt is a `with` block.  If the server is lost inside, the block ends early and the code
    after it runs after the waiting time:

        while True:
            with retry:
                return send(records)
            # the server was lost; the operation may have succeeded

    `server`: name of the server in the log.
    `lost`: returns whether an error means that the server is lost.
    `pulse`: health signal, given while waiting.
    """

    def __init__(
        self,
        server: str,
        lost: Callable[[BaseException], bool],
        log: FilteringBoundLogger,
        stopping: threading.Event,
        pulse: Pulse | None = None,
    ) -> None:
        self.server = server
        self._lost = lost
        self._log = log
        self._stopping = stopping
        self._pulse = pulse
        self._wait_s = _FIRST_WAIT_S

    def __enter__(self) -> None:
        """Start an attempt."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """
        End an attempt; after a loss of the server wait, and return True for another attempt.

        Raises GaveUpError when the process is stopped while the server is unreachable.
        """
        if error is None:
            self._note_answer()
        if error is None or not self._lost(error):
            return False
        self.wait(error)
        return True

    def _note_answer(self) -> None:
        self._wait_s = _FIRST_WAIT_S
        away_s = None if self._pulse is None else self._pulse.back(self.server)
        if away_s is not None:
            self._log.info(f"{self.server} back", after_s=round(away_s))

    def wait(self, error: BaseException) -> None:
        """
        Wait after a loss, longer after each consecutive loss.

        Raises GaveUpError when the process is stopped while the server is unreachable.
        """
        since_s = 0.0
        if self._pulse is not None:
            self._pulse.beat(PULSE)
            self._pulse.lost(self.server)
            since_s = self._pulse.waiting_s(self.server)
        self._log.warning(
            f"{self.server} lost, holding",
            error=line(error),
            wait_s=self._wait_s,
            since_s=round(since_s),
        )
        if self._stopping.wait(self._wait_s):
            raise GaveUpError from None
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)


def any_of(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    """Return a function that recognises errors of these types."""
    return lambda error: isinstance(error, kinds)


def line(error: BaseException, *, name: bool = True) -> str:
    """Return an error's text as one line of a log, with the name of its type or without."""
    text = f"{type(error).__name__} {error}" if name else str(error)
    return " ".join(text.split())[:300]


_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_TURN_S = 0.0005
_T = TypeVar("_T")


def take_turns_often() -> None:
    """
    Let a thread continue soon after a server's answer, although another thread is reading messages.

    Storing a batch needs some twenty answers of the database.  At the default switch interval each
    of them may wait 5 ms for the interpreter.
    """
    sys.setswitchinterval(_TURN_S)


def wait_for_server(
    server: str,
    begin: Callable[[], _T],
    wait_s: float,
    stopping: threading.Event,
    log: FilteringBoundLogger,
) -> _T:
    """
    Return the result of `begin`, repeated until the server is reachable.

    `server`: name of the server in the log.
    `wait_s`: maximum waiting time. [s]
    Raises ServerError when the server is still unreachable; in one line.
    Raises GaveUpError when the process is stopped meanwhile.
    """
    until_s = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return begin()
        except (ServerError, psycopg.Error) as error:
            if not _is_away(error):
                raise
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                waited = f"; waited {wait_s:g} s" if wait_s else ""
                raise ServerError(line(error, name=False) + waited) from error
            log.warning("not there yet", server=server, error=line(error), left_s=round(left_s, 1))
        if stopping.wait(min(pause_s, max(left_s, 0.0))):
            raise GaveUpError
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _is_away(error: BaseException) -> bool:
    """Return whether an error means that the server is unreachable, and not a refusal."""
    if isinstance(error, psycopg.Error):
        return verdict(error) is Verdict.WAIT
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        return verdict(cause) is Verdict.WAIT
    # the error of a failed connection has a cause; that of a lock held by another process has none
    return cause is not None


@contextmanager
def quiet_stop() -> Iterator[None]:
    """Context that handles an interruption during the start like a stop of the running process."""
    try:
        yield
    except GaveUpError:
        return


APART_US = 30_000_000


def database_offset_us(connection: Connection[Any]) -> int:
    """Return how far the database's clock is ahead of the machine's. [us]"""
    row = connection.execute(
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    ).fetchone()
    return abs(now_us() - int(row[0])) if row else 0


def require_same_time(connection: Connection[Any]) -> None:
    """
    Refuse to start with a wrong clock.

    Raises InputError when it differs by more than half a minute from the database's.
    """
    apart = database_offset_us(connection)
    if apart > APART_US:
        raise InputError(
            f"this machine's clock and the database's are {apart / 1e6:.0f} s apart; readings "
            "would be checked against a wrong time. Synchronise both: timedatectl set-ntp true"
        )
