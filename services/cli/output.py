"""
Output of commands: tables, times, amounts, progress bars, exit codes, errors without passwords.

0 done, 1 the checked item is invalid, 2 bad input, 3 server unreachable, 4 consistent but not
sufficient to rely on (`verify`, `signed verify`, `log monitor`).
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from enum import IntEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import click

from ingest.errors import InputError, ServerError
from mrv import calendar
from services import extras

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID


_LOGIN = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*):(?P<password>[^\s/]*)@(?=[^\s@]*)")
_WORD = re.compile(r"\b(?P<key>password|passwd|pwd)=(?:'[^']*'|\S+)", re.IGNORECASE)


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FALSE = 1
    INPUT = 2
    SERVER = 3
    NOT_ENOUGH = 4
    INTERRUPTED = 130  # as shells after Ctrl-C
    PIPE = 141  # exit code if the reader has closed the pipe, as shells report for `yes | head`


def masked(text: str) -> str:
    """Return a text with the passwords of URLs and connection strings replaced by `***`."""
    return _WORD.sub(r"\g<key>=***", _LOGIN.sub(r"\g<head>:***@", text))


if TYPE_CHECKING:
    import psycopg

__all__ = ["Exit", "explain"]
_GONE = ("08", "57P")  # SQLSTATE of a lost connection, and of a server that stops or starts


def explain(error: BaseException) -> tuple[Exit, str] | None:
    """Return the exit code and message of an expected error; None for a defect."""
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Exit.INTERRUPTED, "interrupted"
    if lacking := _explain_missing(error):
        return Exit.INPUT, lacking
    if isinstance(error, InputError | ServerError):
        return Exit.INPUT if isinstance(error, InputError) else Exit.SERVER, str(error)
    if "psycopg" in sys.modules and isinstance(error, sys.modules["psycopg"].Error):
        return _explain_database(error)
    if isinstance(error, ConnectionError | TimeoutError):
        return Exit.SERVER, (
            f"a server cannot be reached: {error}\n"
            "check TONNE_MQTT_URL and TONNE_KAFKA_URL, or run `tonne local up`; "
            "`tonne doctor` shows details"
        )
    return _explain_file(error)


def _explain_missing(error: BaseException) -> str | None:
    """Return how to install a missing optional module, in one line; None for other errors."""
    if isinstance(error, ModuleNotFoundError):
        return extras.missing_extra(error)
    missed = error.__cause__
    if not isinstance(error, InputError) or not isinstance(missed, ModuleNotFoundError):
        return None
    fix = extras.remedy(missed)
    return f"{error}; run: {fix}" if fix else None


def _explain_database(error: psycopg.Error) -> tuple[Exit, str] | None:
    # imported here, as `tonne verify` runs without a database driver
    from psycopg import errors  # noqa: PLC0415

    reason = str(error).strip() or type(error).__name__
    if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
        return Exit.INPUT, f"the schema is missing or old: {reason}\nrun `tonne migrate`"
    code = error.sqlstate or ""
    if isinstance(error, errors.OperationalError) and (not code or code.startswith(_GONE)):
        return Exit.SERVER, (
            f"the database cannot be reached: {reason}\n"
            "check TONNE_DATABASE_URL, or run `tonne local up`; `tonne doctor` shows details"
        )
    # such as a time limit, a full disk, a deadlock, or data that the server's licence does not
    # allow to be read
    if isinstance(error, errors.OperationalError | errors.FeatureNotSupported):
        return Exit.SERVER, (
            f"the database failed: {reason} (SQLSTATE {code})\n`tonne doctor` shows details"
        )
    return None


def _explain_file(error: BaseException) -> tuple[Exit, str] | None:
    if isinstance(error, click.FileError):
        return Exit.INPUT, error.format_message()
    if isinstance(error, OSError) and error.filename is not None:
        return Exit.INPUT, f"{error.filename}: {error.strerror}"
    return None


def print_json(document: object, *, line: bool = False) -> None:
    """Print a document as JSON, indented or on one line."""
    indent = None if line else 2
    click.echo(json.dumps(document, indent=indent, ensure_ascii=False, default=_plain))


def print_result(document: object, text: str, *, as_json: bool) -> None:
    """Print a result as JSON or as text."""
    if as_json:
        print_json(document)
    else:
        click.echo(text)


def print_secret(document: object, secret: str, message: str, *, as_json: bool) -> None:
    """Print a secret alone on standard output; the explanation goes to standard error."""
    print_result(document, secret, as_json=as_json)
    if not as_json:
        click.echo(message, err=True)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """
    Write a new folder completely or not at all.

    Raises InputError if it exists already, or cannot be written.
    """
    if out.exists():
        raise InputError(f"--out {out} already exists; name a new folder")
    try:
        made = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise InputError(
            f"--out {out} cannot be written: {error.strerror}; name a new folder in one"
            " that you may write to"
        ) from error
    try:
        for name, data in files.items():
            (made / name).write_bytes(data)
        made.chmod(0o755)
        made.rename(out)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise InputError(
            f"--out {out} cannot be written: {error.strerror}; name another file"
        ) from error


class Bar:
    """Progress of one job, without output; `TerminalBar` is the visible one."""

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""

    def at(self, done: float, of: float | None = None) -> None:
        """Set the progress, and the total if known."""

    def set_step(self, what: str) -> None:
        """Set the name of the current step."""


class TerminalBar(Bar):
    """Progress bar of one job in a terminal; moves without end if the total is unknown."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, steps: int = 1) -> None:
        """Advance by some steps."""
        self._progress.advance(self._task, steps)

    def at(self, done: float, of: float | None = None) -> None:
        """Set the progress, and the total if known."""
        self._progress.update(self._task, completed=done, total=of)

    def set_step(self, what: str) -> None:
        """Set the name of the current step."""
        self._progress.update(self._task, description=what)


def steps(progress: Bar, job: str) -> Callable[[int, str], None]:
    """Return a function that a job calls at each step's start, with its number from 1 and name."""

    def begun(number: int, name: str) -> None:
        progress.at(number - 1)
        progress.set_step(f"{job}: {name}")

    return begun


@contextmanager
def bar(job: str, total: float | None = None) -> Iterator[Bar]:
    """
    Yield a progress bar on standard error; without output outside a terminal.

    `job`: name of the job, one or two words.
    `total`: number of steps, if known.
    """
    if not sys.stderr.isatty():
        yield Bar()
        return
    with _on_terminal(job, total) as progress:
        yield progress


@contextmanager
def _on_terminal(job: str, total: float | None) -> Iterator[Bar]:
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
        yield TerminalBar(progress, progress.add_task(job, total=total))


_DIGITS = 4
_MASSES = ((10**12, "t"), (10**9, "kg"), (10**6, "g"), (10**3, "mg"))
_SCALES = {
    "Wh": ((10**6, "MWh"), (10**3, "kWh")),
    "m": ((10**3, "km"),),
    "mL": ((10**6, "m³"), (10**3, "L")),
    "g": ((10**6, "t"), (10**3, "kg")),
    "J": ((10**9, "GJ"), (10**6, "MJ"), (10**3, "kJ")),
}
_BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_PLURALS = {"entry": "entries", "registry": "registries"}
_NUMBER = re.compile(r"[-+]?[\d.,]+( (%|[kMGT]?W?h?|[µmkM]?g|t|m³|k?m|s|L|kWh|MWh|[kMG]iB|B))?|-")


def mass_text(micrograms: int) -> str:
    """Return micrograms of CO2e as g, kg or t."""
    return _scaled(micrograms, _MASSES, "µg") if micrograms else "0 g"


def amount_text(value: int, unit: str) -> str:
    """Return a stored amount, an integer in base units, as text in a suitable larger unit."""
    return _scaled(value, _SCALES.get(unit, ()), unit)


def bytes_text(size: int) -> str:
    """Return a size as KiB, MiB or GiB."""
    return _scaled(size, _BYTES, "B")


def _scaled(value: int, scales: tuple[tuple[int, str], ...], base: str) -> str:
    for factor, unit in scales:
        if abs(value) >= factor:
            return f"{_short(Decimal(value) / factor)} {unit}"
    return f"{value:,} {base}"


def _short(number: Decimal) -> str:
    """Return a number with four significant digits, or with all digits of its integer part."""
    places = max(_DIGITS - 1 - max(number.adjusted(), 0), 0)
    rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def counted(number: int, noun: str) -> str:
    """Return `1 device`, `2 devices`; thousands are grouped."""
    return f"{number:,} {noun if number == 1 else _PLURALS.get(noun, f'{noun}s')}"


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> str:
    """
    Return a text table; numbers are right-aligned, words left-aligned.

    `rows`: as many cells each as the head; None is shown as `-`.
    `empty`: text printed if there are no rows.
    """
    cells = [["-" if value is None else str(value) for value in row] for row in rows]
    if not cells:
        return empty
    columns = list(zip(*cells, strict=True))
    right = [
        any(text != "-" for text in column) and all(_NUMBER.fullmatch(text) for text in column)
        for column in columns
    ]
    widths = [max(len(name), *map(len, column)) for name, column in zip(head, columns, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in (list(map(str.upper, head)), *cells)
    )


def time_text(moment: datetime | str | None, zone: tzinfo | str = UTC) -> str:
    """
    Return a time in a time zone as RFC 3339 text to the second; `-` for None.

    Times of a site or project are shown in its zone, all others in UTC.
    """
    if moment is None:
        return "-"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    clock = calendar.zone(zone) if isinstance(zone, str) else zone
    local = moment.astimezone(clock).replace(microsecond=0)
    return local.isoformat().replace("+00:00", "Z")
