"""How far every partition is stored, by a connection that never waits for what is being stored."""

from __future__ import annotations

import psycopg
from psycopg import Connection

from ingest.errors import ServerError
from services.store.postgres.pool import connect
from services.store.stream import offsets


class StoredOffsets:
    """Reads `stream_offset`; what it said last stands while the database is away."""

    def __init__(self, database_url: str, topic: str) -> None:
        self._url, self._topic = database_url, topic
        self._connection: Connection | None = None
        self._last: dict[int, int] = {}

    def read(self) -> dict[int, int]:
        """Return the next record to store of each partition that is known."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = connect(
                    self._url, role="tonne_ingest", name="tonne worker (lag)", autocommit=True
                )
            self._last = offsets.stored(self._connection, self._topic)
        except (psycopg.Error, ServerError):
            self.close()
        return self._last

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
