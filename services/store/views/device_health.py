"""Devices with their state, as an operator lists them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from psycopg import Connection

NAMES = (
    "device", "site", "class", "gateway", "state", "last_reading", "expected_s",
    "completeness_today", "clock_offset_s", "firmware", "alarm", "credential_until",
)  # fmt: skip
_QUERY = (
    "SELECT h.device_id, h.site, h.class, h.gateway, h.state, h.last_reading, h.expected_s,"
    " h.completeness_today, coalesce(p.clock_ahead_s, h.clock_offset_s), h.firmware, h.alarm,"
    " c.until FROM v_device_health h LEFT JOIN principal_status p ON p.principal = h.device_id"
    " LEFT JOIN (SELECT principal, max(expires) AS until FROM credential"
    " WHERE revoked IS NULL GROUP BY principal) c ON c.principal = h.device_id"
    " WHERE (%(state)s::text IS NULL OR h.state = %(state)s)"
    " AND (%(site)s::text IS NULL OR h.site = %(site)s)"
    " AND (%(gateway)s::text IS NULL OR %(gateway)s IN (h.gateway, h.device_id))"
    " AND (NOT %(alarm)s OR h.alarm) ORDER BY h.device_id"
)


def devices(
    conn: Connection,
    *,
    state: str | None = None,
    site: str | None = None,
    gateway: str | None = None,
    alarm: bool = False,
) -> list[dict[str, Any]]:
    """
    Return devices by id, as `NAMES`; `alarm` leaves those of which one has to be informed.

    What a gateway says of its own clock counts before what its readings tell, whose times
    it has corrected.
    """
    asked = {"state": state, "site": site, "gateway": gateway, "alarm": alarm}
    return [dict(zip(NAMES, row, strict=True)) for row in conn.execute(_QUERY, asked).fetchall()]


class NotCommissioned(NamedTuple):
    """
    A device that has not reported yet, and that no one waits for.

    `stored` is its newest reading, from a file of earlier days; `commissioned` is a day to come.
    """

    device: str
    site: str
    class_id: str
    project: str | None
    stored: datetime | None
    commissioned: date | None
    timezone: str


def not_commissioned(conn: Connection, scope: Sequence[str] | None) -> list[NotCommissioned]:
    """Return them by id; of the scope's projects alone, where there is one."""
    rows = conn.execute(
        "SELECT h.device_id, h.site, h.class, m.project_id, h.last_reading, d.commissioned,"
        " s.timezone FROM v_device_health h JOIN device d ON d.id = h.device_id"
        " JOIN site s ON s.id = h.site LEFT JOIN LATERAL (SELECT project_id FROM project_device m"
        "   WHERE m.device_id = h.device_id AND m.during @> now() LIMIT 1) m ON true"
        " WHERE h.state = 'not commissioned' AND (%(scope)s::text[] IS NULL"
        "   OR m.project_id = ANY (%(scope)s)) ORDER BY h.device_id",
        {"scope": None if scope is None else list(scope)},
    )
    return [NotCommissioned(*row) for row in rows]
