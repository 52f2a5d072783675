"""A progress bar on standard error in a terminal; nothing in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a tenth of a start, and only a terminal needs it
    from rich.progress import Progress, ProgressColumn, TaskID


class Bar:
    """A bar of one job without a terminal; `TerminalBar` is the visible one."""

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""

    def at(self, done: float, of: float | None = None) -> None:
        """Show how much is done, and of how much if known."""

    def say(self, what: str) -> None:
        """Show the current step."""


class TerminalBar(Bar):
    """A bar of one job; without a total it only moves until the job ends."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""
        self._progress.advance(self._task, steps)

    def at(self, done: float, of: float | None = None) -> None:
        """Show how much is done, and of how much if known."""
        self._progress.update(self._task, completed=done, total=of)

    def say(self, what: str) -> None:
        """Show the current step."""
        self._progress.update(self._task, description=what)


def steps(progress: Bar, job: str) -> Callable[[int, str], None]:
    """Return a function that a job calls at the start of each step: number from 1, and name."""

    def begun(number: int, name: str) -> None:
        progress.at(number - 1)
        progress.say(f"{job}: {name}")

    return begun


@contextmanager
def bar(what: str, total: float | None = None) -> Iterator[Bar]:
    """
    Show progress on standard error, if that is a terminal.

    Parameters
    ----------
    what : str
        The job, in a word or two.
    total : float, optional
        Its steps, where their number is known before.
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    with _on_terminal(what, total) as progress:
        yield progress


@contextmanager
def _on_terminal(what: str, total: float | None) -> Iterator[Bar]:
    from rich import progress as rich  # noqa: PLC0415 - see above
    from rich.console import Console  # noqa: PLC0415

    columns: list[ProgressColumn] = [
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.TimeElapsedColumn(),
    ]
    if total is not None:
        steps_done = rich.TextColumn("{task.completed:,.0f} of {task.total:,.0f}")
        columns[2:] = [steps_done, rich.TimeRemainingColumn()]
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield TerminalBar(progress, progress.add_task(what, total=total))
