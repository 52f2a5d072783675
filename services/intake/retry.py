"""Repetition of work that waits for a server, until it succeeds or the process stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from structlog.typing import FilteringBoundLogger

from services.scraping import Pulse

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
PULSE = "storing"


class GaveUpError(Exception):
    """The process was stopped before a server came back; nothing was acknowledged."""


class ServerRetry:
    """
    Repetition of work with one server.

    One attempt is a `with` block.  If the server is lost inside, the block ends early and the code
    after it runs after the waiting time:

        while True:
            with retry:
                return send(records)
            # the server was lost; the operation may have succeeded

    Parameters
    ----------
    what : str
        Name of the server in the log.
    lost : callable
        Returns whether an error means that the server is lost.
    pulse : Pulse, optional
        Health signal, given while waiting.
    """

    def __init__(
        self,
        what: str,
        lost: Callable[[BaseException], bool],
        log: FilteringBoundLogger,
        stopping: threading.Event,
        pulse: Pulse | None = None,
    ) -> None:
        self.what = what
        self._lost = lost
        self._log = log
        self._stopping = stopping
        self._pulse = pulse
        self._wait_s = _FIRST_WAIT_S

    def __enter__(self) -> None:
        """Start an attempt."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """
        End an attempt; after a loss of the server wait, and return True for another attempt.

        Raises
        ------
        GaveUpError
            When the process is stopped while the server is unreachable.
        """
        if error is None:
            self._held()
        if error is None or not self._lost(error):
            return False
        self.wait(error)
        return True

    def _held(self) -> None:
        self._wait_s = _FIRST_WAIT_S
        away_s = None if self._pulse is None else self._pulse.back(self.what)
        if away_s is not None:
            self._log.info(f"{self.what} back", after_s=round(away_s))

    def wait(self, error: BaseException) -> None:
        """
        Wait after a loss, longer after each consecutive loss.

        Raises
        ------
        GaveUpError
            When the process is stopped while the server is unreachable.
        """
        since_s = 0.0
        if self._pulse is not None:
            self._pulse.beat(PULSE)
            self._pulse.lost(self.what)
            since_s = self._pulse.waiting_s(self.what)
        self._log.warning(
            f"{self.what} lost, holding",
            error=line(error),
            wait_s=self._wait_s,
            since_s=round(since_s),
        )
        if self._stopping.wait(self._wait_s):
            raise GaveUpError from None
        self._wait_s = min(self._wait_s * 2, _LONGEST_WAIT_S)


def any_of(*kinds: type[BaseException]) -> Callable[[BaseException], bool]:
    """Return a function that recognises errors of these types."""
    return lambda error: isinstance(error, kinds)


def line(error: BaseException, *, name: bool = True) -> str:
    """Return an error's text as one line of a log, with the name of its type or without."""
    text = f"{type(error).__name__} {error}" if name else str(error)
    return " ".join(text.split())[:300]
