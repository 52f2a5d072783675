"""
Connections to the databases of tests, lent again to the next who asks for the same.

A command opens a connection for what it does and closes it, a test runs several commands, and the
server starts a process for each, which reads again what it has to know of a hundred tables.  Here
a connection that is closed is emptied (`DISCARD ALL`: transaction, settings, role, locks, prepared
statements, temporary tables) and its session waits for the next connection with the same
parameters.  To anyone who closed it, it is closed.  Processes of their own have their own, and
in `make soak` each connection is one.
"""

from __future__ import annotations

import select
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import pq

from tests.soak import SOAK

_HOW = ("autocommit", "prepare_threshold", "context", "row_factory", "cursor_factory")
_Key = tuple[str, tuple[tuple[str, Any], ...]]
_MOST = 4  # of one kind, and that many open at once are rare
_servers: set[str] = set()
_waiting: dict[_Key, list[Any]] = defaultdict(list)
_ended = pq.PGconn.connect_start(b"host=127.0.0.1 port=1")
_ended.finish()


class Reused(psycopg.Connection[Any]):
    """A connection whose session may outlive it."""

    _key: _Key | None = None

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Reused:
        """Connect, or take over a session that waits; `psycopg.connect` otherwise."""
        if urlsplit(conninfo).netloc not in _servers:
            return super().connect(conninfo, **options)
        asked = {name: value for name, value in options.items() if name not in _HOW}
        key = conninfo, tuple(sorted(asked.items()))
        session = _taken(key)
        if session is None:
            made = super().connect(conninfo, **options)
        else:
            made = cls(session)
            made._autocommit = bool(options.get("autocommit"))
            made.prepare_threshold = options.get("prepare_threshold", 5)
            made.row_factory = options.get("row_factory") or made.row_factory
            made.cursor_factory = options.get("cursor_factory") or made.cursor_factory
            if options.get("context"):
                made._adapters = psycopg.adapt.AdaptersMap(options["context"].adapters)
        made._key = key
        return made

    def close(self) -> None:
        """Be closed; the session waits for the next, if it can be emptied."""
        if self._key is None or self.closed:
            super().close()
            return
        session, key = self.pgconn, self._key
        if len(_waiting[key]) < _MOST and _emptied(session):
            self._closed, self.pgconn = True, _ended
            _waiting[key].append(session)
        else:
            super().close()


def begin(url: str) -> None:
    """Reuse the connections to a server of tests."""
    if SOAK:
        return
    _servers.add(urlsplit(url).netloc)
    psycopg.connect = Reused.connect  # type: ignore[assignment]


def forget(url: str, *, server: bool = False) -> None:
    """End what waits for a database, or for any of its server."""
    for key in [key for key in _waiting if _same(key[0], url, server=server)]:
        for session in _waiting.pop(key):
            session.finish()


def _same(one: str, other: str, *, server: bool) -> bool:
    a, b = urlsplit(one), urlsplit(other)
    return a.netloc == b.netloc and (server or a.path == b.path)


def _taken(key: _Key) -> Any:
    while waiting := _waiting.get(key):
        try:
            session = waiting.pop()
        except IndexError:  # another thread took it
            return None
        # what is said to one that waits is that it was ended
        if not select.select([session.socket], [], [], 0)[0]:
            return session
        session.finish()
    return None


def _emptied(session: Any) -> bool:
    """Whether nothing is left in a session of what was done in it."""
    if (
        session.transaction_status
        not in (
            pq.TransactionStatus.IDLE,
            pq.TransactionStatus.INTRANS,
            pq.TransactionStatus.INERROR,
        )
        or session.pipeline_status != pq.PipelineStatus.OFF
    ):
        return False
    session.notice_handler = session.notify_handler = None
    if session.transaction_status != pq.TransactionStatus.IDLE:
        session.exec_(b"ROLLBACK")
    if session.exec_(b"DISCARD ALL").status != pq.ExecStatus.COMMAND_OK:
        return False
    # what it wrote is counted, as at the end of a session
    return bool(
        session.exec_(b"SELECT pg_stat_force_next_flush()").status == pq.ExecStatus.TUPLES_OK
    )
