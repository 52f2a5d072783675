"""
A plant with which many tests begin: made once per test process, then copied.

Filling a database takes half a second of processor time, copying it a tenth of that.
"""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from tests import databases, memory, reused

_numbers = count(1)
T = TypeVar("T")


class _Kept(NamedTuple):
    database: str
    home: Path
    value: Any


_MADE: dict[tuple[str, Callable[..., Any]], _Kept] = {}


def planted(make: Callable[[str, Path], T], url: str, home: Path) -> T:
    """
    Fill a fresh database and a folder by `make(url, home)`; return its value.

    The value of `make` must not contain the database or the folder.
    """
    made = urlsplit(url).netloc, make
    kept = _MADE.get(made)
    if kept is None:
        kept_home = memory.kept("planted-")
        kept = _Kept(f"planted_{next(_numbers)}", kept_home, make(url, kept_home))
        _copy(url, databases.name_of(url), kept.database)
        databases.execute(url, f'ALTER DATABASE "{databases.name_of(url)}" ALLOW_CONNECTIONS true')
        _MADE[made] = kept
    else:
        databases.put_by(url)
        databases.copy(url, kept.database)
    shutil.copytree(kept.home, home, dirs_exist_ok=True)
    return kept.value


def _copy(url: str, source: str, name: str) -> None:
    """Keep a database as a template; no one may be connected to it at that time."""
    databases.execute(url, f'ALTER DATABASE "{source}" ALLOW_CONNECTIONS false')
    reused.forget(url)
    databases.execute(
        url,
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s",
        [source],
    )
    databases.copy(databases.named(url, name), source)
    databases.execute(url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
