"""
A newer version of the registry, read and compiled while storing goes on by the one before.

A hundred thousand devices take a second or so.  Readings that are stored meanwhile by the
older version are those of a moment before; what the newer one makes of them differently, it
asks for itself (`remake_request`).
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
    """A store of a newer version; devices as they were, by index `here` in it, `there` before."""

    store: Store
    here: Int32
    there: Int32


class NewerRegistry:
    """
    Prepares one newer version at a time, on a thread and a connection of its own.

    Parameters
    ----------
    url : str
        The database.
    plans : Plans
        Used by no one else.
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
        """Begin to prepare the version that there is now, unless that is under way."""
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
        """Return the current version, prepared now; a version in preparation is dropped."""
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
