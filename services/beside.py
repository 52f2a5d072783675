"""Threads of a process that work beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar, Self


class Beside:
    """
    Work in threads of its own, from `with` on until it ends.

    Parameters
    ----------
    works : mapping of str to callable
        By the name of the thread; each ends soon after `_stopping` is set.

    Attributes
    ----------
    patience_s : float or None
        Wait for each thread at the end; None: until it has ended. [s]
    """

    patience_s: ClassVar[float | None] = 5

    def __init__(self, works: Mapping[str, Callable[[], None]]) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()
        ]

    def __enter__(self) -> Self:
        """Start."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what is under way and is not done in time is left to who comes next."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=self.patience_s)

    def wait(self) -> None:
        """Stay until stopped."""
        self._stopping.wait()

    def stop(self) -> None:
        """End `wait`; safe in a signal handler."""
        self._stopping.set()
