"""What `tonne doctor` says of rows that policy keeps no longer."""

from __future__ import annotations

from psycopg import Connection

from services.cli.local.doctor_finding import Finding
from services.issuer.watcher import Keep
from services.settings import Settings
from services.store.views import retention as store

PATIENCE_S = 2 * 86_400
_NAMES = {
    "dead_letter": "dead letters",
    "webhook_event": "webhook events",
    "clear_sky_day": "clear skies",
}


def retention(conn: Connection, settings: Settings) -> Finding:
    """Whether what goes by policy is gone."""
    days = Keep.by(settings).days
    late = {
        table: waits_s
        for table, waits_s in store.overdue_s(conn, days).items()
        if waits_s > PATIENCE_S
    }
    if late:
        named = ", ".join(
            f"{_NAMES[table]} {waits_s / 86_400:.0f} days longer than {days[table]}"
            for table, waits_s in late.items()
        )
        return Finding(
            "retention",
            "wrong",
            f"kept beyond the policy: {named}",
            "run `tonne watch` or `tonne run`; its log says why they are not expired",
        )
    kept = ", ".join(
        f"{_NAMES[table]} {f'for {kept} days' if kept else 'for ever'}"
        for table, kept in days.items()
    )
    return Finding("retention", "ok", f"kept: {kept}")
