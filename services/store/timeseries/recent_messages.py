"""Recent readings, flags and rejections of one device, for live display."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import Connection

from ingest import classes
from ingest.model import Device

_LAST = 50


@dataclass(frozen=True, slots=True)
class Arrival:
    """Stored reading: values by channel in the class's units, and flags by channel."""

    time: datetime
    values: dict[str, Any]
    flags: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that was refused."""

    id: int
    received: datetime
    reason: str
    detail: str


def newest(conn: Connection, device: Device) -> list[Arrival]:
    """Return the newest readings, oldest first."""
    names = list(classes.load()[device.class_id].channels)
    rows = conn.execute(
        f"SELECT time, {', '.join(names)}, flags FROM reading_{device.class_id}"
        " WHERE device_id = %s ORDER BY time DESC LIMIT %s",
        [device.id, _LAST],
    ).fetchall()[::-1]
    if not rows:
        return []
    judged = conn.execute(
        "SELECT time, channel, test FROM quality_flag WHERE device_id = %s AND time >= %s",
        [device.id, rows[0][0]],
    ).fetchall()
    arrivals = []
    for time, *values, flags in rows:
        answer: dict[str, list[str]] = {name: [str(word)] for name, word in (flags or {}).items()}
        for at, channel, test in judged:
            if at == time:
                answer.setdefault(channel, []).append(test)
        stored = {n: v for n, v in zip(names, values, strict=True) if v is not None}
        arrivals.append(Arrival(time, stored, answer))
    return arrivals


def last_letter(conn: Connection) -> int:
    """Return the number of the newest dead letter."""
    row = conn.execute("SELECT coalesce(max(id), 0) FROM dead_letter").fetchone()
    return int(row[0]) if row else 0


def refusals(conn: Connection, device: str, after: int) -> list[Refusal]:
    """Return later rejections of a device, including those of topics that only name it."""
    rows = conn.execute(
        "SELECT id, received, reason, detail FROM dead_letter WHERE id > %s"
        " AND (device_id = %s OR principal = %s OR %s = ANY(string_to_array(topic, '/')))"
        " ORDER BY id LIMIT %s",
        [after, device, device, device, _LAST],
    )
    return [Refusal(*row) for row in rows.fetchall()]
