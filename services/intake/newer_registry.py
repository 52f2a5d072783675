"""
Preparation of a newer registry version while readings are stored with the current one.

A hundred thousand devices take about a second.  Readings stored meanwhile with the older version
are recalculated by `remake_request` if the newer one requires it.
"""

from __future__ import annotations

import threading
from contextlib import closing
from typing import NamedTuple

import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from ingest.model import Int32
from services.intake.registry_watch import Plans
from services.intake.retry import line
from services.processing.commit import Store
from services.store.postgres.pool import connect


class Prepared(NamedTuple):
    """Store of a newer version; unchanged devices have index `here` in it, `there` before."""

    store: Store
    here: Int32
    there: Int32


class NewerRegistry:
    """
    Prepares one newer version at a time, in its own thread and connection.

    Parameters
    ----------
    url : str
        Database.
    plans : Plans
        For its own use.
    """

    def __init__(
        self, url: str, plans: Plans, letter_bytes: int, log: FilteringBoundLogger
    ) -> None:
        self._url, self._plans, self._letter_bytes, self._log = url, plans, letter_bytes, log
        self._thread: threading.Thread | None = None
        self._prepared: Prepared | None = None
        self._failure: Exception | None = None

    @property
    def ready(self) -> bool:
        """Return whether a prepared version is available."""
        return self._thread is not None and not self._thread.is_alive()

    def begin(self, before: Store) -> None:
        """Start preparing the current version, unless a preparation is running."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._prepare, args=(before,), name="registry", daemon=True
            )
            self._thread.start()

    def taken(self) -> Prepared | None:
        """
        Return the prepared version; None without one, or if the database was lost.

        Raises
        ------
        Exception
            The error of compiling that version.
        """
        if not self.ready:
            return None
        prepared, failure = self._prepared, self._failure
        self._thread = self._prepared = self._failure = None
        if failure is not None:
            raise failure
        return prepared

    def now(self, connection: Connection, before: Store | None) -> Prepared:
        """Return the current version, prepared now; a running preparation is dropped."""
        if self._thread is not None:
            self._thread.join()
            self._thread = self._prepared = self._failure = None
        return self._read(connection, before)

    def _prepare(self, before: Store) -> None:
        try:
            with closing(
                connect(
                    self._url,
                    role="tonne_ingest",
                    name="tonne registry",
                    autocommit=True,
                    limits=("statement_timeout=0",),
                )
            ) as connection:
                self._prepared = self._read(connection, before)
        except (psycopg.Error, ServerError) as error:
            self._log.warning("registry not read, left for later", error=line(error))
        except Exception as error:  # noqa: BLE001 (the storing thread raises it)
            self._failure = error

    def _read(self, connection: Connection, before: Store | None) -> Prepared:
        store = Store(self._plans.load(connection), self._letter_bytes, before)
        fleet = store.plan.fleet
        same = fleet.unchanged(fleet if before is None else before.plan.fleet)
        return Prepared(store, *same)
