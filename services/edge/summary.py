"""What waits in an outbox, what went and what found no room, for a person who looks."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from ingest.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def summary(path: Path) -> dict[str, object]:
    """
    Return what waits in an outbox, read only, also while a gateway runs on it.

    Raises
    ------
    InputError
        When there is none, or it cannot be read.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no outbox; `tonne edge CONFIG` makes it")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as db:
            waiting = db.execute(
                "SELECT device, count(*), min(wall_ms) FROM message GROUP BY device ORDER BY device"
            ).fetchall()
            refused = db.execute(
                "SELECT at_ms, source, reason FROM refused ORDER BY seq DESC LIMIT 20"
            ).fetchall()
            facts = dict(db.execute("SELECT name, value FROM fact"))
    except sqlite3.Error as error:
        raise InputError(f"{path} cannot be read as an outbox: {error}") from error
    return {
        "waiting": [dict(zip(("device", "messages", "since_ms"), w, strict=True)) for w in waiting],
        "dropped": int(facts.get("dropped", 0)),
        "lost": int(facts.get("lost", 0)),
        "rescued": facts.get("rescued"),
        "refused": [dict(zip(("at_ms", "source", "reason"), r, strict=True)) for r in refused],
    }
