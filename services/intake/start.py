"""
Servers that are not there yet when a process starts are waited for, as long as it was instructed.

After a power cut everything starts at once, and a database that recovers takes minutes.
What a server refuses, or a registry lacks, is said at once.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from services.intake.retry import GaveUpError, line
from services.store.postgres.columnstore import Verdict, verdict

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_SELDOM = 20_000
_T = TypeVar("_T")


def collect_seldom() -> None:
    """
    Set Python to search for reference cycles rarely, excluding modules loaded so far.

    A message makes few objects and no cycle: at the default rate a seventh of a storing process's
    time went into searching the registry and all modules again and again.
    """
    gc.freeze()
    gc.set_threshold(_SELDOM)


def wait_for_server(
    what: str,
    begin: Callable[[], _T],
    wait_s: float,
    stopping: threading.Event,
    log: FilteringBoundLogger,
) -> _T:
    """
    Return what `begin` returns, once the server is there.

    Parameters
    ----------
    what : str
        The server, as a log names it.
    wait_s : float
        How long it is tried again. [s]

    Raises
    ------
    ServerError
        When the server is not there by then; in one line.
    GaveUpError
        When the process is asked to stop meanwhile.
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
    """Whether the server is away, and not one that refuses us."""
    if isinstance(error, psycopg.Error):
        return verdict(error) is Verdict.WAIT
    cause = error.__cause__
    if isinstance(cause, psycopg.Error):
        return verdict(cause) is Verdict.WAIT
    # a lock that another process holds has no cause; a socket that nobody opened has
    return cause is not None


@contextmanager
def quiet_stop() -> Iterator[None]:
    """End a start that was stopped while it waited, like a running process."""
    try:
        yield
    except GaveUpError:
        return
