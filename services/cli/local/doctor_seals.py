"""What `tonne doctor` says of days that wait for their seal."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from services.cli.local.doctor_finding import Finding
from services.clock import now_us
from services.issuer.sealed_day_contents import PROMISED_US, ended, overdue
from services.store.registry import load as registry
from services.store.statements import sealed_days as stored

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

_SHOWN = 3


def seals(conn: Connection[TupleRow]) -> Finding:
    """Whether every day is sealed that ended more than 36 hours ago."""
    now = now_us()
    jobs = ended(conn, registry.load_fleet(conn), now - PROMISED_US)
    late = overdue(jobs, stored.latest(conn), now)
    if not late:
        return Finding("seals", "ok", "every day is sealed within 36 hours")
    more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
    return Finding(
        "seals",
        "wrong",
        f"not sealed 36 hours after their end: {'; '.join(map(str, islice(late, _SHOWN)))}{more}",
        "run `tonne log seal` now, and `tonne run` or `tonne watch --seal` from now on",
    )
