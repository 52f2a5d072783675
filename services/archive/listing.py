"""What is in the archive, as people read it."""

from __future__ import annotations

from typing import Any, NamedTuple

from psycopg import Connection

from mrv.calendar import utc_text
from services.archive.verify import Wanted
from services.store.archive import catalog as archived


class Month(NamedTuple):
    """A class in a month: days, files, readings, bytes."""

    month: str
    class_id: str
    days: int
    files: int
    rows: int
    bytes: int


def months(conn: Connection, wanted: Wanted) -> list[Month]:
    """Sum up by month and class."""
    by: dict[tuple[str, str], list[Any]] = {}
    for part in wanted.of(archived.every(conn)):
        by.setdefault((f"{part.day.day:%Y-%m}", part.class_id), []).append(part)
    return [
        Month(
            *key,
            len({p.day.day for p in some}),
            len(some),
            sum(p.rows for p in some),
            sum(p.bytes for p in some),
        )
        for key, some in sorted(by.items())
    ]


def files(conn: Connection, wanted: Wanted) -> list[dict[str, Any]]:
    """List every file."""
    return [
        {
            "path": part.path,
            "class": part.class_id,
            "site": part.site,
            "project": part.day.project or None,
            "day": part.day.day.isoformat(),
            "from": utc_text(part.day.from_us),
            "to": utc_text(part.day.to_us),
            "seal": part.day.seal,
            "devices": len(part.leaves),
            "rows": part.rows,
            "bytes": part.bytes,
            "sha256": part.sha256,
        }
        for part in wanted.of(archived.every(conn))
    ]
