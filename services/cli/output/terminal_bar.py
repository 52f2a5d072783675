"""The bar of a job as a terminal shows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from services.cli.output.silent_bar import Bar

_OF = TextColumn("{task.completed:,.0f} of {task.total:,.0f}")


class TerminalBar(Bar):
    """A bar of one job; without a total it only moves until the job ends."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""
        self._progress.advance(self._task, steps)

    def at(self, done: float, of: float | None = None) -> None:
        """Say how much is done, and of how much where that became known."""
        self._progress.update(self._task, completed=done, total=of)

    def say(self, what: str) -> None:
        """Say what is being done now."""
        self._progress.update(self._task, description=what)


@contextmanager
def on_terminal(what: str, total: float | None) -> Iterator[Bar]:
    """Show a bar as `progress.bar` has it."""
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    ]
    if total is not None:
        columns[2:] = [_OF, TimeRemainingColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield TerminalBar(progress, progress.add_task(what, total=total))
