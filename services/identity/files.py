"""Files that hold secrets: whole or not there, and for their owner's eyes alone."""

from __future__ import annotations

import os
from pathlib import Path

from ingest.errors import InputError

SECRET, PUBLIC = 0o600, 0o644


def make_folder(folder: Path) -> None:
    """
    Make a folder that nobody else may enter.

    Raises
    ------
    InputError
        When it cannot be made.
    """
    try:
        if not folder.parent.exists():
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be made: {error.strerror}; name another") from error


def write(path: Path, content: bytes, mode: int = SECRET) -> None:
    """
    Put a file in place, whole, with its permissions from its first byte on.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    make_folder(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}; free space there or name another folder"
        ) from error


def read(path: Path, what: str) -> bytes:
    """
    Read a file.

    Raises
    ------
    InputError
        Saying what it should have been.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {what} cannot be read: {error.strerror}") from error
