"""Devices with their state, as an operator lists them."""

from __future__ import annotations

from typing import Any

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
    Return devices by id, as `NAMES`; `alarm` leaves those of which one has to be told.

    What a gateway says of its own clock counts before what its readings tell, whose times
    it has corrected.
    """
    asked = {"state": state, "site": site, "gateway": gateway, "alarm": alarm}
    return [dict(zip(NAMES, row, strict=True)) for row in conn.execute(_QUERY, asked).fetchall()]
