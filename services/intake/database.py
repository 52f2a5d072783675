"""Database connection that is reopened after a loss, and counts of what it stores."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

import numpy as np
import psycopg
from psycopg import Connection, errors
from structlog.typing import FilteringBoundLogger

from ingest.decode import Rejected
from ingest.errors import ServerError
from ingest.model import Fleet, Frame, Int64
from ingest.pipeline.admit import Admitted
from ingest.reading import SIGNED_VALUE
from services.intake.retry import ServerRetry, line
from services.metrics import Metrics
from services.processing.batch import Committed
from services.scraping import Pulse
from services.store import offsets as source
from services.store.offsets import Source
from services.store.postgres.columnstore import Verdict, lift_limit, verdict
from services.store.postgres.pool import connect
from services.store.principal_status import Status, keep

_BLIND_S = 5.0


def is_retryable(error: BaseException) -> bool:
    """
    Return whether work should be repeated on a new connection after an error.

    That is after a lost server, a disconnection (idle in transaction, switch of the primary), or a
    lock timeout; not after other errors.
    """
    if isinstance(error, psycopg.Error):
        return verdict(error) is not Verdict.REFUSED
    return isinstance(error, ServerError)


class Database:
    """
    The only connection of a process, as `tonne_ingest`.

    `url`, `name`: database, and the name shown in `pg_stat_activity`.
    `limits`: server settings of the connection, such as `statement_timeout=5min`.
    `pulse`: health signal, given while waiting for the database.
    `join`: registers each new connection as a writer, see `alone` and `share`; an error closes the
    connection.
    `opened`: called with each new connection, to discard cached state.
    """

    def __init__(
        self,
        url: str,
        name: str,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        limits: Sequence[str] = (),
        *,
        pulse: Pulse | None = None,
        join: Callable[[Connection], object] = lambda _: None,
        opened: Callable[[], object] = lambda: None,
    ) -> None:
        self._url = url
        self._name = name
        self._log = log
        self._limits = limits
        self._join = join
        self._opened = opened
        self._retry = ServerRetry("database", is_retryable, log, stopping, pulse)
        self._connection: Connection | None = None
        self._blind_until_s = 0.0

    def connection(self) -> Connection:
        """
        Return the connection, opened again after a loss.

        Raises ServerError when the database cannot be reached, or another process writes to it.
        """
        if self._connection is None or self._connection.closed:
            self._connection = connect(
                self._url,
                role="tonne_ingest",
                name=self._name,
                autocommit=True,
                limits=self._limits,
            )
            lift_limit(self._connection)
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

    @contextmanager
    def if_connected(self) -> Iterator[Connection | None]:
        """
        Yield the connection for optional work; None while the database is unreachable.

        A lost connection or another database error is logged and ends the block.
        """
        try:
            yield self._at_hand()
        except (psycopg.Error, ServerError) as error:
            if is_retryable(error):
                self._lost(error)
            else:
                self._log.warning(
                    "the database rejected rows, which are written later", error=line(error)
                )

    def _at_hand(self) -> Connection | None:
        if time.monotonic() < self._blind_until_s:
            return None
        try:
            return self.connection()
        except (psycopg.Error, ServerError) as error:
            if not is_retryable(error):
                raise
            self._lost(error)
            return None

    def _lost(self, error: Exception) -> None:
        self.close()
        self._blind_until_s = time.monotonic() + _BLIND_S
        self._log.warning("database lost", error=line(error))

    def attempt(self) -> Attempt:
        """Return a context for required work, to be repeated until it succeeds."""
        return Attempt(self, self._retry)


class Attempt:
    """
    One attempt with the connection, waiting for the server; see `ServerRetry`.

    Raises GaveUpError when the process is stopped while the database is unreachable.
    """

    def __init__(self, database: Database, retry: ServerRetry) -> None:
        self._database, self._retry = database, retry

    def __enter__(self) -> Connection:
        """Return the connection, once it is open."""
        while True:
            try:
                return self._database.connection()
            except (psycopg.Error, ServerError) as error:
                if not is_retryable(error):
                    raise
                self._retry.wait(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """
        End the attempt; return True if the server was lost, so that the work is repeated.

        A lost connection is closed, and the next attempt opens another.
        """
        if error is not None and is_retryable(error):
            self._database.close()
        return self._retry.__exit__(kind, error, trace)


_LOCK = int.from_bytes(b"one run")  # number of this advisory lock; no other lock may have it
PREDECESSOR_S = 10
SUSPENDED_S = 20  # time after which a suspended worker loses its open transaction [s]
_SUSPENDED = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE starts_with(application_name, 'tonne worker') AND usename = session_user
  AND datname = current_database() AND state = 'active' AND wait_event_type = 'Client'
  AND state_change < now() - make_interval(secs => %s)
"""


def alone(connection: Connection) -> None:
    """
    Lock the database as the only writer; a killed process may hold the lock for a moment.

    Raises ServerError when another process writes to the database.
    """
    if not _wait(connection, "pg_advisory_lock"):
        raise ServerError(
            f"{_holder(connection)} to this database; stop it first, or keep only that process"
        )


def end_suspended(connection: Connection) -> None:
    """
    End sessions of suspended workers that hold locks within a COPY.

    PostgreSQL applies no time limit while it waits for the client of a COPY, so that a partition
    would be blocked for as long as its former worker is suspended.
    """
    with connection.transaction():
        # as the login itself, which may end its own sessions
        connection.execute("SET LOCAL ROLE NONE")
        connection.execute(_SUSPENDED, [SUSPENDED_S])


def share(connection: Connection, wanted: Source) -> int:
    """
    Lock the database for workers of one topic; return its number of partitions.

    Raises ServerError when `tonne run`, or workers of another topic, write to the database.
    """
    end_suspended(connection)
    while True:
        stored = source.read(connection)
        if stored is None or stored.topic != wanted.topic:
            _become_source(connection, wanted)
        if not _wait(connection, "pg_advisory_lock_shared"):
            raise _refused(connection, wanted)
        stored = source.read(connection)
        if stored is not None and stored.topic == wanted.topic:
            return source.grow(connection, wanted)
        connection.execute("SELECT pg_advisory_unlock_shared(%s)", [_LOCK])


def _become_source(connection: Connection, wanted: Source) -> None:
    """Switch to another topic while no process writes; another worker may have done it first."""
    for _ in range(PREDECESSOR_S):
        if _wait(connection, "pg_advisory_lock", 1):
            break
        stored = source.read(connection)
        if stored is not None and stored.topic == wanted.topic:
            return
    else:
        raise _refused(connection, wanted)
    with connection.transaction():
        stored = source.read(connection)
        if stored is None or stored.topic != wanted.topic:
            source.choose(connection, wanted)
    connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _wait(connection: Connection, function: str, maximum_s: int | None = None) -> bool:
    connection.execute(f"SET lock_timeout = '{maximum_s or PREDECESSOR_S}s'")
    try:
        connection.execute(f"SELECT {function}(%s)".encode(), [_LOCK])
    except errors.LockNotAvailable:
        return False
    finally:
        if not connection.closed:
            connection.execute("RESET lock_timeout")
    return True


def _refused(connection: Connection, wanted: Source) -> ServerError:
    return ServerError(
        f"{_holder(connection)} to this database; stop it before workers of {wanted.topic!r}"
        " start: a device has one writer"
    )


def _holder(connection: Connection) -> str:
    row = connection.execute(
        "SELECT bool_or(mode = 'ExclusiveLock') FROM pg_locks WHERE locktype = 'advisory'"
        " AND granted AND (classid::bigint << 32) + objid::bigint = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [_LOCK],
    ).fetchone()
    if row is not None and row[0]:
        return "another `tonne run` writes"
    stored = source.read(connection)
    return (
        "a `tonne worker` writes"
        if stored is None
        else f"a `tonne worker` of {stored.topic!r} writes"
    )


def count_messages(
    metrics: Metrics, codecs: Sequence[str], rejected: Iterable[Rejected], kept: str
) -> None:
    """Count messages by codec and result: `refused`, or the given result for the others."""
    others = Counter(codecs)
    refused = {r.message for r in rejected if r.reason != SIGNED_VALUE}
    if refused:
        them = Counter(codecs[k] for k in refused)
        for codec, count in them.items():
            metrics.messages.labels(codec, "refused").inc(count)
        others.subtract(them)
    for codec, count in others.items():
        metrics.messages.labels(codec, kept).inc(count)


def count_lag(metrics: Metrics, frames: Iterable[Frame], received_us: int) -> None:
    """Observe the age of readings at their receipt."""
    for frame in frames:
        metrics.event_lag.observe((received_us - _median(frame.time_us)) / 1e6)


def _median(values: Int64) -> float:
    """Return the median; ten times as fast as `np.median` on the rows of a batch."""
    middle = (len(values) - 1) // 2, len(values) // 2
    result = np.partition(values, middle)
    return (int(result[middle[0]]) + int(result[middle[1]])) / 2


def count_commit(metrics: Metrics, committed: Committed) -> None:
    """Count the rows of a transaction."""
    for refusal in committed.rejected:
        metrics.dead_letters.labels(refusal.reason).inc()
    for event in committed.events:
        metrics.counter_events.labels(event).inc()
    for test, count in committed.flags.items():
        metrics.quality_flags.labels(test).inc(count)
    for table, rows in committed.rows.items():
        metrics.commit_rows.labels(table).inc(rows)
    for reason, count in committed.left_out.items():
        metrics.dead_letters_left_out.labels(reason).inc(count)
    for outcome, count in committed.signed.items():
        metrics.signed_values.labels(outcome).inc(count)
    metrics.late_readings.inc(committed.late)


_MAX_LOGGED = 1_000
_MAX_CHARACTERS = 80


class Ignored:
    """Unknown channels, each logged once; limited in number per device."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._logged: set[tuple[str, str, str]] = set()

    def log_new(self, admitted: Admitted) -> None:
        """Log the channels that are not logged yet."""
        for key in admitted.ignored.keys() - self._logged:
            if len(self._logged) >= _MAX_LOGGED:
                return
            self._logged.add(key)
            self._log.warning(
                "channel ignored", device_class=key[0], profile=key[1], channel=key[2][:80]
            )


class Statuses:
    """Stores status messages of principals; unusable ones are logged once per principal."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._logged: set[str] = set()

    def keep(self, connection: Connection, fleet: Fleet, lines: Iterable[Status]) -> None:
        """Store the last status message of each registered principal; log others as ignored."""
        for item in keep(connection, fleet, lines):
            if item.principal in self._logged or len(self._logged) >= _MAX_LOGGED:
                continue
            self._logged.add(item.principal)
            known = item.principal in fleet.by_id
            self._log.warning(
                "status ignored",
                principal=item.principal[:_MAX_CHARACTERS],
                why='not {"state": "online"} or "offline"' if known else "not in the registry",
            )
