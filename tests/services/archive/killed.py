"""
A command of the archive that dies at a step, as by kill -9.

    python -m tests.services.archive.killed STEP run|restore DATABASE PLACE

The process kills itself with SIGKILL when it reaches the step for the first time.
"""

import os
import signal
import sys
from collections.abc import Callable

from services import archive as day
from services import archived_files as home
from services import vault as places
from services.archived_files import Wanted
from services.store import archive_catalog as archived
from services.store import archived_readings as cold
from services.store.postgres.pool import connect
from services.vault import Place
from tests.services.archive import shelved

# where a command may die: the function, and whether before or after it did its work
STEPS = {
    "before-the-marker": (home, "_mark", "before"),
    "after-the-marker": (home, "_mark", "after"),
    "before-the-place": (archived, "add_home", "before"),
    "after-the-place": (home, "find_or_make", "after"),
    "before-a-file-has-its-name": (places, "_force", "before"),
    "after-a-file": (Place, "put", "after"),
    "after-reading-back": (day, "_keep", "after"),
    "after-a-part": (archived, "add", "after"),
    "before-a-day": (archived, "add_day", "before"),
    "after-a-day": (archived, "add_day", "after"),
    "before-a-drop": (archived, "drop", "before"),
    "after-a-drop": (archived, "drop", "after"),
}
RESTORE_STEPS = {
    "before-the-hold": (archived, "keep_restored", "before"),
    "after-the-hold": (archived, "keep_restored", "after"),
    "in-a-part": (cold, "thaw", "after"),
    "after-a-restored-part": (home, "_put_back", "after"),
}


def die_at(holder: object, name: str, when: str) -> None:
    """Kill this process before or after a function's work."""
    work: Callable[..., object] = getattr(holder, name)

    def dying(*arguments: object, **named: object) -> object:
        found = None if when == "before" else work(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(holder, name, dying)


def main(step: str, command: str, url: str, place: str) -> None:
    """Run the command until it dies."""
    die_at(*(STEPS | RESTORE_STEPS)[step])
    if command == "run":
        shelved.archive(url, place)
    else:
        with connect(url, role="tonne_ingest", autocommit=True) as conn:
            home.restore(conn, Wanted(), 30, "test")


if __name__ == "__main__":
    main(*sys.argv[1:])
