"""
Why a silent device is not heard, and what to do about each cause.

An alarm keeps the cause that it was raised for.  What a technician does goes by the cause of
now: anyone who drives to a meter that speaks and is refused drives in vain.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import Connection

# where docs/alarms.md says what to do, and that in a sentence
TO_DO = {
    "removed": ("", "Nothing: the registry says that it was taken away."),
    "unknown": (
        "docs/runbook.md#deadlettersrising",
        "Register it: tonne devices accept, then tonne deadletter replay --reason unknown_device.",
    ),
    "gateway": (
        "docs/runbook.md#gatewaydark",
        "See to the gateway: its power, its uplink, its outbox. The device itself may be well.",
    ),
    "refused": (
        "docs/runbook.md#deadlettersrising",
        "Its messages are rejected: tonne deadletter show NUMBER, then tonne deadletter replay.",
    ),
    "credential": (
        "docs/runbook.md#devicessilent",
        "It has no valid credential: issue one with tonne registry issue-credentials.",
    ),
    "will": (
        "docs/runbook.md#devicessilent",
        "The broker lost its connection: check its power supply and network.",
    ),
    "not commissioned": (
        "docs/runbook.md#devicesnotcommissioned",
        "No alarm: connect it, watch it (tonne devices watch), or set its day (commissioned).",
    ),
    "never heard": (
        "docs/runbook.md#devicessilent",
        "Compare its id and credential with the registry; watch it: tonne devices watch.",
    ),
    "silence": (
        "docs/runbook.md#devicessilent",
        "It does not report: check its power supply and network.",
    ),
    "": ("", ""),
}
# the newest letter that names the device or came in its name, against the newest that was stored
_CAUSES = """
SELECT d.id, CASE
    WHEN greatest(
        (SELECT l.received FROM dead_letter l WHERE l.device_id = d.id ORDER BY l.id DESC LIMIT 1),
        (SELECT l.received FROM dead_letter l WHERE l.principal = d.id ORDER BY l.id DESC LIMIT 1)
    ) > coalesce(s.received, '-infinity') THEN 'refused'
    WHEN (SELECT bool_and(c.revoked IS NOT NULL) FROM credential c WHERE c.principal = d.id)
        THEN 'credential' END
FROM unnest(%s::text[]) AS d (id) LEFT JOIN device_seen s ON s.device_id = d.id
"""


def causes(conn: Connection, devices: Sequence[str]) -> dict[str, str]:
    """Devices that speak and are refused, and those that hold no valid credential: `TO_DO`'s."""
    if not devices:
        return {}
    rows = conn.execute(_CAUSES.encode(), [list(devices)]).fetchall()
    return {device: cause for device, cause in rows if cause is not None}
