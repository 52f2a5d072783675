"""What `tonne doctor` says of rated powers that are not those of their devices."""

from __future__ import annotations

from psycopg import Connection

from services.cli.local.doctor_finding import Finding
from services.clock import now_us
from services.registry.ratings import unlikely
from services.store.timeseries.beyond_rating import beyond_rating

_DAYS_US = 7 * 86_400_000_000
_NAMED = 3


def ratings(conn: Connection) -> Finding:
    """Name rated powers that no such device has, and registers that rise many times faster."""
    now = now_us()
    risen = [*beyond_rating(conn, now - _DAYS_US, now)]
    named = {one.device for one in risen}
    lines = [str(one.text()) for one in risen]
    for device, class_id, watt in conn.execute(
        "SELECT id, class, rated_power_w FROM device WHERE removed IS NULL ORDER BY id"
    ):
        said = None if device in named else unlikely(class_id, watt)
        if said is not None:
            lines.append(f"{device}: {said}")
    if not lines:
        return Finding("rated powers", "ok", "each is one that such a device has")
    more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return Finding(
        "rated powers",
        "wrong" if risen else "missing",
        "; ".join(lines[:_NAMED]) + more,
        "correct `rated_power_w` in the registry file and import it; what was refused meanwhile"
        " comes back by `tonne deadletter replay`",
    )
