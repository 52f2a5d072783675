"""Self-pipe: lets one thread wake another that blocks in `select`."""

from __future__ import annotations

import contextlib
import os
import select


class Bell:
    """
    Rung by one thread, heard by another that waits with `select` for more than that.

    Attributes
    ----------
    descriptor : int
        Readable while it has rung and no one has silenced it.
    """

    def __init__(self) -> None:
        self.descriptor, rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rung: int | None = rung

    def ring(self) -> None:
        """Wake anyone who waits; safe in a signal handler."""
        with contextlib.suppress(BlockingIOError):  # full of earlier calls, which do as well
            if self._rung is not None:
                os.write(self._rung, b"w")

    def wait(self, most_s: float) -> None:
        """Wait until it rings, or for a moment."""
        select.select([self.descriptor], [], [], most_s)

    def silence(self) -> None:
        """Have heard it."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4_096)

    def close(self) -> None:
        """Let go of both ends; ringing does nothing from then on."""
        rung, self._rung = self._rung, None
        if rung is not None:
            os.close(rung)
            os.close(self.descriptor)
