"""Lock of an outbox: one process on one machine uses it."""

from __future__ import annotations

import fcntl
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from ingest.errors import InputError


def lock(path: Path) -> TextIO:
    """
    Take an outbox for this process; the file that is returned holds it.

    Raises
    ------
    InputError
        When another process has it.
    """
    file = path.with_name(path.name + ".lock").open("w", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise InputError(f"{path} is in use by another `tonne edge`; stop it first") from None
    return file


def machine() -> str:
    """Return the name of this machine."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return f"{uuid.getnode():012x}"
