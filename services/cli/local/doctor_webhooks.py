"""What `tonne doctor` says of events for other systems."""

from __future__ import annotations

from psycopg import Connection

from services.cli.local.doctor_finding import Finding
from services.cli.output.counts import counted
from services.store.api import webhooks as store

PATIENCE_S = 7200.0


def webhooks(conn: Connection) -> Finding:
    """Whether events are delivered to their webhooks."""
    open_ones = [one for one in store.webhooks(conn) if one.ended is None]
    waits = store.waiting(conn)
    if not open_ones:
        return Finding("webhooks", "ok", "no webhook is registered")
    if waits.waiting and waits.oldest_s > PATIENCE_S:
        return Finding(
            "webhooks",
            "wrong",
            f"{counted(waits.waiting, 'event')} not delivered, the oldest for"
            f" {waits.oldest_s / 3600:.0f} h",
            "see `tonne webhooks list`; run `tonne watch` with a login that holds tonne_events",
        )
    told = f"{counted(len(open_ones), 'webhook')}, {counted(waits.waiting, 'event')} under way"
    dead = sum(one.dead for one in open_ones)
    if dead:
        return Finding(
            "webhooks",
            "wrong",
            f"{told}; {counted(dead, 'event')} no attempt delivered",
            "see `tonne webhooks list`, then `tonne webhooks replay ID --dead`",
        )
    return Finding("webhooks", "ok", told)
