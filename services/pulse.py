"""Liveness of a process: each part reports progress, or that it waits for a server."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

STILL_S = 120.0


class Pulse:
    """
    When each part of a process last moved, or had nothing to do.

    Parameters
    ----------
    still_s : float
        A part that was silent for longer is thought stuck. [s]
    """

    def __init__(self, still_s: float = STILL_S) -> None:
        self._still_s = still_s
        self._beats: dict[str, float] = {}
        self._waited_for: dict[str, float] = {}
        self._said: dict[str, str] = {}

    def lost(self, server: str) -> None:
        """Say that a server is waited for; the first time of several in a row counts."""
        self._waited_for.setdefault(server, time.time())

    def back(self, server: str) -> float | None:
        """Say that a server answers; return for how long it was waited for. [s]"""
        since = self._waited_for.pop(server, None)
        return None if since is None else time.time() - since

    def waiting_s(self, server: str) -> float:
        """Return for how long a server has been waited for; 0 while it answers. [s]"""
        since = self._waited_for.get(server)
        return 0.0 if since is None else max(0.0, time.time() - since)

    def say(self, server: str, what: str) -> None:
        """Say what is wrong at a server that answers, and a restart would not mend; "" ends it."""
        self._said[server] = what

    def waiting(self) -> str | None:
        """Say which servers are waited for, since when, and what is wrong at others, or None."""
        waited = [
            f"waiting for {server} since {_shown(since)}"
            for server, since in sorted(self._waited_for.items())
        ]
        return "; ".join(waited + [text for _, text in sorted(self._said.items()) if text]) or None

    def beat(self, part: str) -> None:
        """Say that a part moves; safe from any thread."""
        self._beats[part] = time.monotonic()

    def pause(self, part: str, pause_s: float, stopping: threading.Event) -> None:
        """Wait between two rounds of work, or until asked to stop; that is no standstill."""
        end_s = time.monotonic() + pause_s
        while not stopping.is_set() and (left_s := end_s - time.monotonic()) > 0:
            self.beat(part)
            stopping.wait(min(left_s, self._still_s / 4))

    def trouble(self) -> str | None:
        """Say which part does not move, or None when all do."""
        if not self._beats:
            return "starting"
        now = time.monotonic()
        still = {part: now - at for part, at in self._beats.items() if now - at > self._still_s}
        return "; ".join(f"{part}: nothing for {s:.0f} s" for part, s in still.items()) or None


def _shown(time_s: float) -> str:
    """Return a time as text, in UTC."""
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
