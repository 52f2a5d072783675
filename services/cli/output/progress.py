"""A bar on the error stream while a person watches; nothing in a pipe or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.cli.output.silent_bar import Bar


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
    if not sys.stderr.isatty():
        yield Bar()
        return
    from services.cli.output.terminal_bar import on_terminal  # noqa: PLC0415 - a tenth of a start

    with on_terminal(what, total) as shown:
        yield shown
