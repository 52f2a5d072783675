"""
Servers that are not there yet when a process starts: a whole stack starts at once.

A database takes a minute to recover, a Kafka broker half of one to open its log: a
process that ended at once would be started again and again meanwhile.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from ingest.errors import ServerError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

WAIT_S = 60.0
_PAUSE_S = 1.0
_TELL_S = 30.0
_T = TypeVar("_T")


class Start:
    """
    The time within which the servers of a starting process must have come up.

    Parameters
    ----------
    wait_s : float
        From now on, for all of them together; 0 tries each once. [s]
    stopping : threading.Event
        Ends the wait.
    """

    def __init__(self, wait_s: float, log: FilteringBoundLogger, stopping: threading.Event) -> None:
        self._end_s = time.monotonic() + wait_s
        self._log, self._stopping = log, stopping
        self._told_s = float("-inf")

    def reach(self, connect: Callable[[], _T]) -> _T:
        """
        Return what `connect` returns, once its server is there.

        Raises
        ------
        ServerError
            Its own, when the time is over or the process is told to stop.
        """
        while True:
            try:
                return connect()
            except ServerError as error:
                if time.monotonic() >= self._end_s or self._stopping.is_set():
                    raise
                self._tell(error)
                self._stopping.wait(_PAUSE_S)

    def _tell(self, error: ServerError) -> None:
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_S:
            self._told_s = now_s
            left_s = round(self._end_s - now_s)
            self._log.warning("waiting for a server", error=str(error), at_most_s=left_s)
