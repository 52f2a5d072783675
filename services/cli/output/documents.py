"""
Output of commands for programs: JSON, and folders of files.

JSON as every command prints it: times in UTC with `Z`, exact numbers, no escapes.

A folder of files, written whole or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import click

from ingest.errors import InputError


def print_json(document: object, *, line: bool = False) -> None:
    """Print a document, indented, or on one line for programs that read lines."""
    indent = None if line else 2
    click.echo(json.dumps(document, indent=indent, ensure_ascii=False, default=_plain))


def print_result(document: object, text: str, *, as_json: bool) -> None:
    """Print a result, for a program or a person."""
    if as_json:
        print_json(document)
    else:
        click.echo(text)


def print_secret(document: object, secret: str, message: str, *, as_json: bool) -> None:
    """
    Print a secret alone on standard output, once.

    What is said of it goes to the error stream.
    """
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

    Raises
    ------
    InputError
        If it is there already, or cannot be written.
    """
    if out.exists():
        raise InputError(f"--out {out} already exists; name a new folder")
    try:
        made = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    except OSError as error:
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
    try:
        for name, data in files.items():
            (made / name).write_bytes(data)
        made.chmod(0o755)
        made.rename(out)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise InputError(f"--out {out} cannot be written: {error.strerror}") from error
