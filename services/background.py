"""Background threads of a process, from its start to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import ClassVar, Self


class Background:
    """
    Run functions in threads of their own inside a `with` block.

    `works`: functions by thread name; each ends soon after `_stopping` is set.
    `patience_s`: longest wait for each thread at the end; None: no limit. [s]
    """

    patience_s: ClassVar[float | None] = 5

    def __init__(self, works: Mapping[str, Callable[[], None]]) -> None:
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True) for name, work in works.items()
        ]

    def __enter__(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the threads; work that does not end in time is repeated at the next start."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=self.patience_s)

    def wait(self) -> None:
        """Block until `stop` is called."""
        self._stopping.wait()

    def stop(self) -> None:
        """End `wait`; safe in a signal handler."""
        self._stopping.set()
