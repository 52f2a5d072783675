"""Retry in place: work that waits for a server, until it is done or the process stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from structlog.typing import FilteringBoundLogger

from services.scraping import Pulse

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
PULSE = "storing"


class GaveUpError(Exception):
    """The process stopped before a server came back; nothing was acknowledged."""


class ServerRetry:
    """
    How a process waits for one of its servers.

    One try is a `with` block.  Where the server is lost inside, the block ends early
    and what stands after it runs once the wait is over:

        while True:
            with retry:
                return send(records)
            # the server was lost; its answer may be lost and not what was asked

    Parameters
    ----------
    what : str
        The server, as a log names it.
    lost : callable
        Tells by an error whether the server is lost; all others are defects.
    pulse : Pulse, optional
        Beats while we wait: a server that is waited for is no standstill of ours.
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
        """Begin a try."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """
        End a try; after a loss of the server wait, and return True for another try.

        Raises
        ------
        GaveUpError
            When the process is stopped while the server is away.
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
        Wait after a loss, longer with each loss in a row.

        Raises
        ------
        GaveUpError
            When the process is asked to stop while the server is away.
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
    """Return a predicate for errors of these kinds."""
    return lambda error: isinstance(error, kinds)


def line(error: BaseException, *, name: bool = True) -> str:
    """Return an error's text as one line of a log, with the name of its type or without."""
    text = f"{type(error).__name__} {error}" if name else str(error)
    return " ".join(text.split())[:300]
