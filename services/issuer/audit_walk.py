"""What the steps of an audit share: the connection, the log, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field

from psycopg import Connection

from services.issuer.sealed_day_contents import Job
from services.store.statements.transparency_log import Entry


@dataclass
class Walk:
    """What the steps share."""

    conn: Connection
    now_us: int
    held: tuple[str, ...] = ()
    entries: list[Entry] = field(default_factory=list)
    origin: str = ""
    ended: list[Job] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
