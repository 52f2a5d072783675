"""
Exit codes of commands, and error messages with passwords masked.

0 done, 1 the checked item is invalid, 2 bad input, 3 server unreachable, 4 consistent but not
sufficient to rely on (`verify`, `signed verify`, `log monitor`).
"""

from __future__ import annotations

import re
import sys
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from ingest.errors import InputError, ServerError
from services import extras

_LOGIN = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*):(?P<password>[^\s/]*)@(?=[^\s@]*)")
_WORD = re.compile(r"\b(?P<key>password|passwd|pwd)=(?:'[^']*'|\S+)", re.IGNORECASE)


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FALSE = 1
    INPUT = 2
    SERVER = 3
    NOT_ENOUGH = 4
    INTERRUPTED = 130  # as shells say it after Ctrl-C
    PIPE = 141  # the reader of our output went away, as shells say it of `yes | head`


def masked(text: str) -> str:
    """Return a text with the passwords of URLs and connection strings replaced by `***`."""
    return _WORD.sub(r"\g<key>=***", _LOGIN.sub(r"\g<head>:***@", text))


if TYPE_CHECKING:
    import psycopg

__all__ = ["Exit", "explain"]
_GONE = ("08", "57P")  # SQLSTATE of a connection that broke, of a server that stops or starts


def explain(error: BaseException) -> tuple[Exit, str] | None:
    """
    Return the exit code and message of an expected error; None for a defect.

    Parameters
    ----------
    error : BaseException
        Exception raised by a command.

    Returns
    -------
    tuple of Exit and str, or None
        None for a defect, whose traceback is shown.
    """
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
    # here, since `tonne verify` runs without any driver
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
    # such as a time limit, a full disk, a deadlock, or what its license does not let it read
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
