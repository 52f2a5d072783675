"""Work that waits for a server, tried again in place until it is done or we are stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from structlog.typing import FilteringBoundLogger

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_T = TypeVar("_T")


class GaveUpError(Exception):
    """The process stops before a server came back; nothing was acknowledged."""


class Patience:
    """
    How a process waits for one of its servers.

    Parameters
    ----------
    what : str
        The server, as a log names it.
    errors : tuple of exception types
        By these the server is known to be lost; all others are defects.
    """

    def __init__(
        self,
        what: str,
        errors: tuple[type[Exception], ...],
        log: FilteringBoundLogger,
        stopping: threading.Event,
    ) -> None:
        self.what = what
        self.errors = errors
        self._log = log
        self._stopping = stopping

    def hold(self, work: Callable[[], _T], lost: Callable[[], object]) -> _T:
        """
        Do work, however long the server takes.

        Parameters
        ----------
        work : callable
            Called until it returns.
        lost : callable
            Called after each loss: the answer may be lost and not what was asked.

        Raises
        ------
        GaveUpError
            When the process is told to stop while the server is away.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                return work()
            except self.errors as error:
                lost()
                self._log.warning(f"{self.what} lost, holding", error=line(error), wait_s=wait_s)
                if self._stopping.wait(wait_s):
                    raise GaveUpError from None
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def line(error: BaseException) -> str:
    """Return an error's text as one line of a log."""
    return " ".join(f"{type(error).__name__} {error}".split())[:300]
