"""The bar of a job without a terminal."""

from __future__ import annotations


class Bar:
    """A bar of one job without a terminal; `terminal_bar` has the one that is shown."""

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""

    def at(self, done: float, of: float | None = None) -> None:
        """Say how much is done, and of how much where that became known."""

    def say(self, what: str) -> None:
        """Say what is being done now."""
