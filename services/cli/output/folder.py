"""A folder of files, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from ingest.errors import InputError


def write_folder(out: Path, files: Mapping[str, bytes]) -> None:
    """
    Write a new folder whole or not at all.

    Raises
    ------
    InputError
        If it is there already, or cannot be written.
    """
    if out.exists():
        raise InputError(f"--out {out} is there already; name a new folder")
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
