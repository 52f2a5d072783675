"""A connection that comes back, and work that waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import psycopg

from ingest.errors import ServerError
from services.intake.retry import Patience, line
from services.store.postgres.pool import connect

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from typing import LiteralString

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from structlog.typing import FilteringBoundLogger

_BLIND_S = 5.0
_T = TypeVar("_T")
# by these the server is gone, or has thrown us out: after a pause in the middle of a
# transaction, or when another server has become the one that writes
LOST: tuple[type[Exception], ...] = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
    ServerError,
)


class Database:
    """
    The one connection of a process, as `tonne_ingest`.

    Parameters
    ----------
    url, name : str
        Where, and what `pg_stat_activity` shows.
    limits : sequence of str, optional
        Server settings of the connection, such as `statement_timeout = '5min'`.
    join : callable, optional
        What each new connection does to be a writer beside others, or alone: see
        `services.intake.writer_lock`.  Raising leaves no connection.
    opened : callable, optional
        Called with each new connection: what was known before may be out of date.
    """

    def __init__(
        self,
        url: str,
        name: str,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        limits: Sequence[LiteralString] = (),
        *,
        join: Callable[[Connection[TupleRow]], object] = lambda _: None,
        opened: Callable[[], object] = lambda: None,
    ) -> None:
        self._url = url
        self._name = name
        self._log = log
        self._limits = limits
        self._join = join
        self._opened = opened
        self._patience = Patience("database", LOST, log, stopping)
        self._connection: Connection[TupleRow] | None = None
        self._blind_until_s = 0.0

    def connection(self) -> Connection[TupleRow]:
        """
        Return the connection, opened again where it is gone.

        Raises
        ------
        ServerError
            When the database cannot be reached, or another process writes to it.
        """
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._url, role="tonne_ingest", name=self._name, autocommit=True
            )
            for limit in self._limits:
                self._connection.execute(b"SET " + limit.encode())
            try:
                self._join(self._connection)
            except BaseException:
                self.close()
                raise
            self._opened()
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def glance(self, work: Callable[[Connection[TupleRow]], object]) -> None:
        """Do what may as well be done later; a lost database is noted, and left for a while."""
        if time.monotonic() < self._blind_until_s:
            return
        try:
            work(self.connection())
        except self._patience.errors as error:
            self.close()
            self._blind_until_s = time.monotonic() + _BLIND_S
            self._log.warning("database lost", error=line(error))

    def hold(self, work: Callable[[Connection[TupleRow]], _T], lost: Callable[[], object]) -> _T:
        """
        Do work, however long the database takes; see `Patience.hold`.

        Raises
        ------
        GaveUpError
            When the process is told to stop while the database is down.
        """

        def drop() -> None:
            self.close()
            lost()

        return self._patience.hold(lambda: work(self.connection()), drop)
