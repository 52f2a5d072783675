"""
Waiting for servers at the start of a process.

After a power cut everything starts at once, and a database may take minutes to recover. Refusals
and missing registry data are reported at once.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from services.clock import now_us
from services.intake.retry import GaveUpError, line
from services.store.postgres.columnstore import Verdict, verdict

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_TURN_S = 0.0005
_T = TypeVar("_T")


def take_turns_often() -> None:
    """
    Let a thread that a server has answered go on soon, though another one is reading messages.

    Storing a batch takes some twenty answers of the database: at the default interval, each may
    wait 5 ms for the interpreter.
    """
    sys.setswitchinterval(_TURN_S)


def wait_for_server(
    what: str,
    begin: Callable[[], _T],
    wait_s: float,
    stopping: threading.Event,
    log: FilteringBoundLogger,
) -> _T:
    """
    Return the result of `begin`, repeated until the server is reachable.

    Parameters
    ----------
    what : str
        Name of the server in the log.
    wait_s : float
        Maximum waiting time. [s]

    Raises
    ------
    ServerError
        When the server is still unreachable; in one line.
    GaveUpError
        When the process is stopped meanwhile.
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
            log.warning("not there yet", server=what, error=line(error), left_s=round(left_s, 1))
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
    # a lock that another process holds has no cause; a socket that nobody opened has
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

    Raises
    ------
    InputError
        When it differs by more than half a minute from the database's.
    """
    apart = database_offset_us(connection)
    if apart > APART_US:
        raise InputError(
            f"this machine's clock and the database's are {apart / 1e6:.0f} s apart; readings "
            "would be checked against a wrong time. Synchronise both: timedatectl set-ntp true"
        )
