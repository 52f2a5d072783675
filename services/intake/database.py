"""
A connection that comes back, and work that waits for it.

What is not yet durable is held while the database is down, and tried again in
place: nobody upstream is told that it was stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import psycopg

from ingest.errors import ServerError
from services.store.pool import connect

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_T = TypeVar("_T")


class GaveUpError(Exception):
    """The process stops before a server came back; nothing was acknowledged."""


class Database:
    """The one connection of a process, as `tonne_ingest`."""

    def __init__(
        self, url: str, name: str, log: FilteringBoundLogger, stopping: threading.Event
    ) -> None:
        self._url = url
        self._name = name
        self._log = log
        self._stopping = stopping
        self._connection: Connection[TupleRow] | None = None

    def connection(self) -> Connection[TupleRow]:
        """
        Return the connection, opened again where it is gone.

        Raises
        ------
        ServerError
            When the database cannot be reached.
        """
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._url, role="tonne_ingest", name=self._name, autocommit=True
            )
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def glance(self, work: Callable[[Connection[TupleRow]], object]) -> None:
        """Do what may as well be done next time; a lost database is only noted."""
        try:
            work(self.connection())
        except (psycopg.OperationalError, ServerError) as error:
            self.close()
            self._log.warning("database lost", error=line(error))

    def hold(self, work: Callable[[Connection[TupleRow]], _T], lost: Callable[[], object]) -> _T:
        """
        Do work, however long the database takes.

        Parameters
        ----------
        work : callable
            Called with a connection, until it returns.
        lost : callable
            Called after each loss: the answer may be lost and not the commit.

        Raises
        ------
        GaveUpError
            When the process is told to stop while the database is down.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return work(self.connection())
            except (psycopg.OperationalError, ServerError) as error:
                self.close()
                lost()
                self._log.warning("database lost, holding", error=line(error), wait_s=wait_s)
                if self._stopping.wait(wait_s):
                    raise GaveUpError from None
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def line(error: BaseException) -> str:
    """Return an error's text as one line of a log."""
    return " ".join(str(error).split())[:300]
