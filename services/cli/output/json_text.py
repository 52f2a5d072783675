"""JSON as every command prints it: times in UTC with `Z`, exact numbers, no escapes."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click


def print_json(document: object, *, line: bool = False) -> None:
    """Print a document, indented, or as one line where a program reads line by line."""
    indent = None if line else 2
    click.echo(json.dumps(document, indent=indent, ensure_ascii=False, default=_plain))


def print_result(document: object, text: str, *, as_json: bool) -> None:
    """Print what was done: for a program, or for a person."""
    if as_json:
        print_json(document)
    else:
        click.echo(text)


def print_secret(document: object, secret: str, said: str, *, as_json: bool) -> None:
    """
    Print what is shown this once: alone, so that a shell can take it.

    What is said of it goes to the error stream.
    """
    print_result(document, secret, as_json=as_json)
    if not as_json:
        click.echo(said, err=True)


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
