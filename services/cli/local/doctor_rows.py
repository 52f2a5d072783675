"""What `tonne doctor` says of stored readings whose rows are not made yet."""

from __future__ import annotations

from psycopg import Connection

from services.cli.local.doctor_finding import Finding
from services.cli.output.counts import counted
from services.store.timeseries import remake_requests, underived

# rows follow readings within a second; by then nobody makes them
_LONG_S = 60.0


def rows(conn: Connection) -> Finding:
    """Say how far rows are behind the readings that are stored."""
    age_s, waiting = underived.age_s(conn), remake_requests.count(conn)
    found = f"{age_s:.1f} s behind the readings"
    if waiting:
        found += f"; {counted(waiting, 'device')} with longer spans to be made"
    if age_s <= _LONG_S:
        return Finding("rows", "ok", found)
    fix = "start `tonne run` or a worker, which makes them; where it runs, read its log"
    return Finding("rows", "wrong", found, fix)
