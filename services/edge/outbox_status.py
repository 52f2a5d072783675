"""What waits in an outbox, what went and what found no room, for a person who looks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ingest.errors import InputError
from services.edge.corrected_clock import Moment


class OutboxStatus(NamedTuple):
    """
    What waits in an outbox, how much of its file that takes, and how long the oldest has waited.

    `oldest_s` is 0 where nothing waits, and None where nobody noted when it was recorded.
    """

    messages: int
    used_bytes: int
    oldest_s: float | None


def held(path: Path, now: Moment) -> OutboxStatus:
    """
    Return how much waits and for how long; a reader of its own, which holds up no writer.

    Raises
    ------
    sqlite3.Error
        When the outbox cannot be read now.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as db:
        (messages,) = db.execute("SELECT count(*) FROM message").fetchone()
        oldest = db.execute(
            "SELECT wall_ms, uptime_ms, boot FROM message ORDER BY seq LIMIT 1"
        ).fetchone()
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return OutboxStatus(
        messages, (pages - free) * size, 0.0 if oldest is None else _age_s(oldest, now)
    )


def _age_s(recorded: tuple[int | None, int | None, str | None], now: Moment) -> float | None:
    """Tell by the uptime of this boot, where it is; a clock that was set would make years of it."""
    wall_ms, uptime_ms, boot = recorded
    if boot == now.boot and uptime_ms is not None:
        return max(now.uptime_ms - uptime_ms, 0) / 1000
    return None if wall_ms is None else max(now.wall_ms - wall_ms, 0) / 1000


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
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
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
