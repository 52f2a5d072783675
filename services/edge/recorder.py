"""
Common entry of all sources, and behaviour when the disk is full.

A fault of one source is reported when it begins and when it ends, not each minute.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from services.edge.outbox import Clock, FullError, Outbox, Record


class Recorder:
    """Records into the outbox from any thread."""

    def __init__(self, outbox: Outbox, clock: Clock, log: FilteringBoundLogger) -> None:
        self._outbox, self._log = outbox, log
        self.clock = clock
        self._faults: dict[str, str] = {}
        self._mutex = threading.Lock()
        self.recorded = self.refused = self.dropped = self.lost = 0
        self._unnoted = 0

    @property
    def faults(self) -> int:
        """Return the number of sources with a fault."""
        with self._mutex:
            return len(self._faults)

    def put(self, source: str, records: Sequence[Record], *, again: bool = False) -> bool:
        """Record; return whether it is on disk. With `again`, the source keeps what is not."""
        try:
            dropped = self._outbox.put(records)
        except (FullError, sqlite3.Error) as error:
            if not again:
                self._count_lost(len(records))
            self.fault("outbox", f"cannot record: {error}")
            return False
        self.recorded += len(records)
        self.well("outbox")
        self._note_lost()
        if dropped:
            self.dropped += dropped
            self._log.warning(
                "the outbox is full: the oldest messages were deleted", messages=dropped
            )
        self.well(source)
        return True

    def _count_lost(self, count: int) -> None:
        with self._mutex:
            self.lost += count
            self._unnoted += count

    def _note_lost(self) -> None:
        """Write down what was lost, now that there is room to."""
        with self._mutex:
            count, self._unnoted = self._unnoted, 0
        if not count:
            return
        try:
            self._outbox.note_lost(count)
        except sqlite3.Error:
            with self._mutex:
                self._unnoted += count

    def refuse(self, source: str, reason: str, body: bytes) -> None:
        """Store data that cannot be forwarded, with the reason."""
        self.refused += 1
        self._outbox.refuse(source, reason, body, self.clock.now().wall_ms)
        self.fault(source, reason)

    def fault(self, source: str, reason: str) -> None:
        """Report a fault, once while it lasts."""
        with self._mutex:
            if self._faults.get(source) == reason:
                return
            self._faults[source] = reason
        self._log.warning("fault", source=source, reason=reason)

    def well(self, source: str) -> None:
        """Report the end of a fault."""
        with self._mutex:
            if self._faults.pop(source, None) is None:
                return
        self._log.info("well again", source=source)
