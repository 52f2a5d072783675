"""A bar on the error stream while a person watches; nothing in a pipe or a log."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import TaskID


_WHAT = TextColumn("{task.description}")
_OF = TextColumn("{task.completed:,.0f} of {task.total:,.0f}")


class Bar:
    """A bar of one job; without a total it only moves until the job ends."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1) -> None:
        """Go on by some steps."""
        self._progress.advance(self._task, steps)

    def at(self, done: float, of: float | None = None) -> None:
        """Say how much is done, and of how much where that became known."""
        self._progress.update(self._task, completed=done, total=of)

    def say(self, what: str) -> None:
        """Say what is being done now."""
        self._progress.update(self._task, description=what)


def steps(shown: Bar, job: str) -> Callable[[int, str], None]:
    """Return what a job of named steps calls as each begins, with its number, from 1, and name."""

    def begun(number: int, name: str) -> None:
        shown.at(number - 1)
        shown.say(f"{job}: {name}")

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
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    ]
    if total is not None:
        columns[2:] = [_OF, TimeRemainingColumn()]
    console = Console(stderr=True)
    hidden = not sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield Bar(progress, progress.add_task(what, total=total))
