"""A bell between two threads: one waits on a file descriptor, the other rings."""

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
        Readable while it has rung and nobody has silenced it.
    """

    def __init__(self) -> None:
        self.descriptor, self._rung = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def ring(self) -> None:
        """Wake whoever waits; safe in a signal handler."""
        with contextlib.suppress(BlockingIOError):  # full of earlier calls, which do as well
            os.write(self._rung, b"w")

    def wait(self, most_s: float) -> None:
        """Wait until it rings, or for a moment."""
        select.select([self.descriptor], [], [], most_s)

    def silence(self) -> None:
        """Have heard it."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4_096)
