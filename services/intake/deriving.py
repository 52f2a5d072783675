"""
Thread that calculates derived rows after a process's commits, on its own connection.

A commit adds a note: the readings whose rows are not derived yet.  Each round covers all readings
stored since the last one, so that an open interval is written once per round.  The pause after a
round grows with its work. Requests to recalculate a device's stored rows are executed in between,
span by span.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import Connection, IsolationLevel
from structlog.typing import FilteringBoundLogger

from ingest.model import Fleet
from services.intake.database import Database, count_commit, end_suspended
from services.intake.registry_watch import CHECK_S
from services.intake.retry import line
from services.metrics import Metrics
from services.processing.commit import Store
from services.vault import DamagedError, VaultError

PULSE = "deriving"
# pause between two rounds, and its maximum after long rounds [s]
REST_S, LONGEST_REST_S = 0.15, 0.5
# number of readings from which the pause ends early
_MANY = 40_000
# maximum time that a newer registry or a stop waits for rows [s]
_PATIENCE_S = 20.0


class Deriving:
    """
    Thread that derives rows for a store's commits, from `start` to `close`.

    `ours`: returns the devices of this process, by fleet and id.
    `waiting`: whether this thread also executes requests to recalculate stored rows; otherwise the
    storing thread does.
    """

    def __init__(
        self,
        database_url: str,
        name: str,
        metrics: Metrics,
        log: FilteringBoundLogger,
        stopping: threading.Event,
        limits: tuple[str, ...] = (),
        ours: Callable[[Fleet, str], bool] = lambda _fleet, _id: True,
        *,
        waiting: bool = True,
    ) -> None:
        self._database = Database(
            database_url, name, log, stopping, limits, join=_joined, opened=self._distrust
        )
        self._metrics, self._log, self._ours, self._waiting = metrics, log, ours, waiting
        self._store: Store | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._turn = threading.Lock()  # locked during a round, and while the store is changed
        self._news = threading.Condition()
        self._ended = self._hurried = False
        self._looked_s = self._spans_from_s = 0.0
        metrics.derive_waiting.set_function(self.age_s)

    def start(self) -> None:
        """Start the thread if it is not running."""
        if self._thread is None:
            self._ended = False
            self._thread = threading.Thread(target=self._run, name=PULSE, daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """
        Signal that commits have added notes; wait if the queue is full.

        Raises Exception: the error that ended the thread.
        """
        if self._failure is not None:
            raise self._failure
        with self._news:
            self._news.notify()
        if self._store is not None:
            self._store.deriver.notes.wait_for_room()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Context for changing the store; it begins once the rows of all notes are derived."""
        self.settle()
        with self._turn:
            yield

    def use(self, store: Store) -> None:
        """Use a store from now on; call it within `changing`."""
        store.behind_commits = True
        self._store = store
        self._looked_s = self._spans_from_s = 0.0

    def leave(self) -> None:
        """Stop deriving rows; the remaining notes stay in the database for the next start."""
        with self.changing():
            self._store = None

    def settle(self, patience_s: float = _PATIENCE_S) -> bool:
        """Wait until noted readings have their rows; return whether they have."""
        end_s = time.monotonic() + patience_s
        while self._thread is not None and self._thread.is_alive() and self._left():
            if time.monotonic() > end_s or self._failure is not None:
                return False
            with self._news:
                self._hurried = True
                self._news.notify()
            time.sleep(0.005)
        return not self._left()

    def age_s(self) -> float:
        """Return how long the oldest reading without rows has waited. [s]"""
        store = self._store
        return 0.0 if store is None else store.deriver.notes.age_s()

    def close(self) -> None:
        """Derive the remaining notes if the database is reachable, and end the thread."""
        with self._news:
            self._ended = True
            self._news.notify()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive():
                self._log.warning(
                    "rows of some readings were not calculated: the database did not answer within"
                    " %d s; they are calculated at the next start",
                    _PATIENCE_S,
                )
                return
            self._thread = None
        self._database.close()

    def _left(self) -> bool:
        return self._noted() or (self._store is not None and self._store.deriver.notes.lost)

    def _noted(self) -> bool:
        return self._store is not None and self._store.deriver.notes.age_s() > 0

    def _distrust(self) -> None:
        """Discard cached state, as the last commit of a lost connection is uncertain."""
        if self._store is not None:
            self._store.deriver.notes.lost = True

    def _run(self) -> None:
        rested_s = 0.0
        try:
            while True:
                self._wait(rested_s)
                ended = self._ended
                began_s = time.monotonic()
                self._metrics.pulse.beat(PULSE)
                with self._turn:
                    done = self._round(spans=not ended)
                took_s = time.monotonic() - began_s
                rested_s = time.monotonic() + min(max(2 * took_s, REST_S), LONGEST_REST_S)
                if ended and not (done and self._noted()):
                    return
        except BaseException as error:  # noqa: BLE001 (the storing thread raises it)
            self._failure = error

    def _wait(self, rested_s: float) -> None:
        """Wait for work, at least for the pause after the last round."""
        with self._news:
            self._news.wait_for(lambda: self._ended or self._due(), timeout=CHECK_S)
            rest_s = rested_s - time.monotonic()
            if rest_s > 0 and not self._spans():
                self._news.wait_for(self._urgent, timeout=rest_s)
            self._hurried = False

    def _due(self) -> bool:
        store = self._store
        return store is not None and (self._left() or self._spans())

    def _urgent(self) -> bool:
        store = self._store
        many = store is not None and store.deriver.notes.readings >= _MANY
        return many or self._hurried or self._ended

    def _spans(self) -> bool:
        """Return whether rows of devices with requests can be derived now."""
        rested = self._waiting and time.monotonic() >= self._spans_from_s
        return rested and self._store is not None and self._store.behind > 0

    def _round(self, *, spans: bool) -> bool:
        """Derive notes and a span of requests; return whether the database was reachable."""
        store, done = self._store, False
        if store is None:
            return False
        try:
            with self._database.if_connected() as connection:
                if connection is not None:
                    self._look(connection, store)
                    self._step(connection, store, spans=False)
                    if spans and self._spans():
                        self._step(connection, store, spans=True)
                    done = True
        except (DamagedError, VaultError) as error:
            # readings of archived times get no rows until the archive can be read
            self._log.warning("archive cannot be read, rows wait", error=line(error))
        if not done:
            self._spans_from_s = time.monotonic() + CHECK_S
        return done

    def _look(self, connection: Connection, store: Store) -> None:
        """Load requests of the registry at intervals."""
        if time.monotonic() - self._looked_s > CHECK_S:
            self._looked_s = time.monotonic()
            store.look_for_requests(connection, self._ours)

    def _step(self, connection: Connection, store: Store, *, spans: bool) -> None:
        began_s = time.monotonic()
        step = store.deriver.step(connection, spans=spans)
        if step.notes:
            self._metrics.derive_seconds.observe(time.monotonic() - began_s)
        count_commit(self._metrics, step.committed)
        count_commit(self._metrics, step.derived_span.committed)
        if step.refused is not None:
            self._log.warning(
                "the database rejected rows, which are written later", error=line(step.refused)
            )
        elif spans and not step.derived_span:  # an import is running
            self._spans_from_s = time.monotonic() + CHECK_S
        if step.derived_span and not store.behind:
            self._log.info("all rows are made", devices=len(step.derived_span.ended))


def _joined(connection: Connection) -> None:
    end_suspended(connection)
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
