"""
Alarms for display: lists and details, acknowledgement and comments.

A caller with access to some projects sees only their alarms, and an alarm's figures only if all its
projects are among them.

The stored cause of an alarm does not change, but the displayed remedy follows the current cause: a
technician need not travel to a meter whose messages arrive and are rejected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection, errors
from psycopg.rows import TupleRow

from ingest.errors import InputError, RegistryError
from mrv.errors import StatementStateError
from services.registry.limits import kinds
from services.store.views.coverage import added

# section of the documentation, and remedy, by cause
TO_DO = {
    "removed": ("", "No action: the registry lists the device as removed."),
    "unknown": (
        "docs/runbook.md#deadlettersrising",
        "Register it: tonne devices accept, then tonne deadletter replay --reason unknown_device.",
    ),
    "gateway": (
        "docs/runbook.md#gatewaydark",
        "Check the gateway: power supply, uplink, then outbox. The device itself may be in order.",
    ),
    "refused": (
        "docs/runbook.md#deadlettersrising",
        "Messages are rejected: run tonne deadletter show NUMBER, then tonne deadletter replay.",
    ),
    "credential": (
        "docs/runbook.md#devicessilent",
        "No valid credential: issue one with tonne registry issue-credentials.",
    ),
    "will": (
        "docs/runbook.md#devicessilent",
        "The broker lost its connection: check its power supply and network.",
    ),
    "not commissioned": (
        "docs/runbook.md#devicesnotcommissioned",
        "No alarm: connect the device, or set its day `commissioned` (tonne devices watch).",
    ),
    "never heard": (
        "docs/runbook.md#devicessilent",
        "Compare id and credential with the registry, and run tonne devices watch.",
    ),
    "silence": (
        "docs/runbook.md#devicessilent",
        "No data: check power supply and network of the device.",
    ),
    "": ("", ""),
}
# a device is rejected if its newest dead letter is newer than its newest stored reading
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
    """
    Return the current cause (key of `TO_DO`) of devices that are rejected or lack a valid
    credential.
    """
    if not devices:
        return {}
    rows = conn.execute(_CAUSES.encode(), [list(devices)]).fetchall()
    return {device: cause for device, cause in rows if cause is not None}


STATES = ("open", "acknowledged", "cleared")
SEVERITIES = ("critical", "major", "minor")
NAMES = (
    "id", "kind", "severity", "state", "subject_type", "subject", "part", "class", "site",
    "projects", "since", "raised", "cause", "detail", "devices", "cost_t_per_day",
    "cleared", "acknowledged", "acknowledged_by", "timezone",
)  # fmt: skip
_FIGURES = ("devices", "cost_t_per_day")
# time zone of the alarm's site or project
_ZONE = (
    "coalesce((SELECT s.timezone FROM site s WHERE s.id = v_alarm.site),"
    " (SELECT p.timezone FROM project p WHERE p.id = v_alarm.subject"
    "   AND v_alarm.subject_type = 'project'), 'UTC') AS timezone"
)
_COLUMNS = ", ".join(
    "(SELECT coalesce(array_agg(p), '{}') FROM unnest(projects) p"
    " WHERE %(scope)s::text[] IS NULL OR p = ANY (%(scope)s)) AS projects"
    if name == "projects"
    else _ZONE
    if name == "timezone"
    else f"CASE WHEN %(scope)s::text[] IS NULL OR projects <@ %(scope)s THEN {name} END AS {name}"
    if name in _FIGURES
    else name
    for name in NAMES
)
_IN_SCOPE = "(%(scope)s::text[] IS NULL OR projects && %(scope)s)"
# newest first; the next page begins below an id
_LIST = (
    f"SELECT {_COLUMNS} FROM v_alarm WHERE {_IN_SCOPE}"
    " AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))"
    " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
    " AND (%(severity)s::text IS NULL OR severity = %(severity)s)"
    " AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
    " AND (%(before)s::bigint IS NULL OR id < %(before)s)"
    " ORDER BY id DESC LIMIT %(limit)s"
)
# ordered by severity, then by cost; a cost that the caller must not see does not affect the order
_OPEN = (
    f"FROM v_alarm WHERE {_IN_SCOPE} AND cleared IS NULL"
    " AND (%(kind)s::text IS NULL OR kind = %(kind)s)"
    " AND (%(severity)s::text IS NULL OR severity = %(severity)s)"
    " AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
)
_OPEN_BY_SEVERITY = (
    f"SELECT {_COLUMNS} {_OPEN}"
    " ORDER BY array_position(ARRAY['critical', 'major', 'minor'], severity), CASE WHEN"
    " %(scope)s::text[] IS NULL OR projects <@ %(scope)s THEN cost_t_per_day END DESC NULLS LAST,"
    " id DESC LIMIT %(limit)s"
)
_COUNT = f"SELECT count(*) {_OPEN}"
_BY_ID = f"SELECT {_COLUMNS} FROM v_alarm WHERE id = %(id)s AND {_IN_SCOPE}"
_EVENTS = "SELECT event, at, actor, text FROM alarm_event WHERE alarm_id = %s ORDER BY sequence"
_ADD_EVENT = (
    "INSERT INTO alarm_event (alarm_id, event, actor, principal, text) VALUES (%s, %s, %s, %s, %s)"
)
_MAX_TEXT = 2_000
_QUARTER_S, _DAY_S = 900, 86_400
# newest value that exceeded a limit, within 50 hours
_EXCEEDED = """
SELECT a.id, i.standard, i.exceeded
FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS a (id, device, part)
CROSS JOIN LATERAL (
    SELECT v.detail ->> 'standard' AS standard,
           (SELECT string_agg(e, ', ') FROM jsonb_array_elements_text(v.detail -> 'exceeded') e)
               AS exceeded
    FROM indicator_value v
    WHERE v.device_id = a.device AND v.indicator || ' ' || v.period = a.part
      AND v.start > now() - INTERVAL '50 hours' AND v.grade = 'exceeded'
      AND jsonb_typeof(v.detail -> 'exceeded') = 'array'
    ORDER BY v.start DESC LIMIT 1
) i WHERE i.exceeded IS NOT NULL
"""
# kinds of alarms for missing data, whose cause can change
_MISSING_DATA = ("device_silent", "gateway_silent")


class Group(NamedTuple):
    """Alarms of the same kind and cause that began within the same 15 minutes."""

    kind: str
    cause: str | None
    severity: str
    since: datetime
    alarms: list[dict[str, Any]]

    @property
    def cost_t_per_day(self) -> Decimal | None:
        """Return the reduction lost per day by these alarms; None if it is not known. [t]"""
        return added(
            None if alarm["cost_t_per_day"] is None else Decimal(str(alarm["cost_t_per_day"]))
            for alarm in self.alarms
        )

    @property
    def cost_t(self) -> Decimal:
        """Return the reduction lost since the alarms began; 0 if it is not known. [t]"""
        days = Decimal((datetime.now(UTC) - self.since).total_seconds()) / _DAY_S
        return (self.cost_t_per_day or Decimal(0)) * days


def grouped(alarms: Iterable[dict[str, Any]]) -> list[Group]:
    """
    Return alarms in groups, by lost reduction per day, then by severity.
    Alarms of the same kind and cause within 15 minutes are one fault, for example of a gateway, a
    time server or a grid.
    """
    stored: dict[tuple[str, str | None, int], list[dict[str, Any]]] = {}
    for item in alarms:
        key = (
            item["kind"],
            item["cause_now"] or item["cause"],
            int(item["since"].timestamp()) // _QUARTER_S,
        )
        stored.setdefault(key, []).append(item)
    groups = [
        Group(
            kind, cause, min((alarm["severity"] for alarm in each), key=SEVERITIES.index),
            min(alarm["since"] for alarm in each),
            sorted(each, key=lambda alarm: str(alarm["subject"])),
        )
        for (kind, cause, _), each in stored.items()
    ]  # fmt: skip
    return sorted(
        groups, key=lambda g: (-(g.cost_t_per_day or 0), SEVERITIES.index(g.severity), g.since)
    )


def listed(
    conn: Connection,
    scope: Sequence[str] | None,
    limit: int,
    *,
    states: Sequence[str] | None = ("open", "acknowledged"),
    kind: str | None = None,
    severity: str | None = None,
    subject: str | None = None,
    before: int | None = None,
) -> list[dict[str, Any]]:
    """
    Return alarms, newest first.

    `scope`: projects of the caller; None for all.
    `states`: members of `STATES`; None for all.
    `before`: only alarms with smaller ids.
    """
    values = {
        "scope": None if scope is None else list(scope), "limit": limit, "kind": kind,
        "severity": severity, "subject": subject, "before": before,
        "states": None if states is None else list(states),
    }  # fmt: skip
    return _alarm_values(conn, conn.execute(_LIST.encode(), values).fetchall())


def standing(
    conn: Connection,
    scope: Sequence[str] | None,
    limit: int,
    *,
    kind: str | None = None,
    severity: str | None = None,
    subject: str | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Return alarms that are not cleared, by severity and cost, and their total number."""
    values = {
        "scope": None if scope is None else list(scope), "limit": limit, "kind": kind,
        "severity": severity, "subject": subject,
    }  # fmt: skip
    result = _alarm_values(conn, conn.execute(_OPEN_BY_SEVERITY.encode(), values).fetchall())
    (count,) = conn.execute(_COUNT.encode(), values).fetchone() or (0,)
    return result, count


def by_id(conn: Connection, scope: Sequence[str] | None, id_: int) -> dict[str, Any] | None:
    """Return an alarm with its history; None if it is unknown or outside the scope."""
    values = {"scope": None if scope is None else list(scope), "id": id_}
    row = conn.execute(_BY_ID.encode(), values).fetchone()
    if row is None:
        return None
    events = conn.execute(_EVENTS, [id_]).fetchall()
    names = ("event", "at", "actor", "text")
    (result,) = _alarm_values(conn, [row])
    return {**result, "history": [dict(zip(names, e, strict=True)) for e in events]}


def acknowledge(
    conn: Connection, id_: int, actor: str, text: str = "", principal: str | None = None
) -> None:
    """
    Record the acknowledgement of an alarm.

    Raises StatementStateError if it is acknowledged already.
    """
    _require(conn, id_)
    try:
        conn.execute(_ADD_EVENT, [id_, "acknowledged", actor, principal, _text(text)])
    except errors.UniqueViolation as error:
        row = conn.execute("SELECT acknowledged_by FROM v_alarm WHERE id = %s", [id_]).fetchone()
        by = "another operator" if row is None else row[0]
        raise StatementStateError(
            f"alarm {id_} is already acknowledged, by {by}; add a comment: tonne alarms comment "
            f"{id_}"
        ) from error


def comment(
    conn: Connection, id_: int, actor: str, text: str, principal: str | None = None
) -> None:
    """Add a comment to an alarm, also after it is cleared."""
    _require(conn, id_)
    if not text.strip():
        raise InputError("the comment is empty; describe the finding or the action")
    conn.execute(_ADD_EVENT, [id_, "commented", actor, principal, _text(text)])


def _text(text: str) -> str:
    if len(text) > _MAX_TEXT:
        raise InputError(f"the text has {len(text)} characters; shorten it to {_MAX_TEXT}")
    if "\x00" in text:
        raise InputError("the text contains a NUL character; remove it")
    return text.strip()


def _require(conn: Connection, id_: int) -> None:
    if conn.execute("SELECT FROM alarm WHERE id = %s", [id_]).fetchone() is None:
        raise RegistryError(f"there is no alarm {id_}; see tonne alarms list --state all")


def _alarm_values(conn: Connection, rows: Sequence[TupleRow]) -> list[dict[str, Any]]:
    """Return alarms as mappings, with the remedy of the current cause."""
    result = [dict(zip(NAMES, row, strict=True)) for row in rows]
    now = causes(
        conn,
        [
            alarm["subject"]
            for alarm in result
            if alarm["kind"] in _MISSING_DATA and alarm["cleared"] is None
        ],
    )
    limits = [
        alarm for alarm in result if alarm["kind"] == "limit_exceeded" and alarm["cleared"] is None
    ]
    over = _exceeded(conn, limits) if limits else {}
    for item in result:
        if item["id"] in over:
            # replaces the stored detail, which only states that a limit was exceeded
            item["detail"] = {**over[item["id"]], "period": item["detail"].get("period")}
        kind = kinds().get(item["kind"])  # the kind is None if this version does not have it
        standing = item["kind"] in _MISSING_DATA and item["cleared"] is None
        item["cause_now"] = now.get(item["subject"]) if standing else None
        if item["cause_now"] is not None:
            item["runbook"], item["what_to_do"] = TO_DO[item["cause_now"]]
        else:
            item["what_to_do"] = "" if kind is None else kind.what_to_do
            item["runbook"] = "" if kind is None else kind.runbook
    return result


def _exceeded(conn: Connection, alarms: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return standard and exceeded limits, by alarm id."""
    columns = [[alarm[name] for alarm in alarms] for name in ("id", "subject", "part")]
    return {
        number: {"standard": standard, "exceeded": exceeded}
        for number, standard, exceeded in conn.execute(_EXCEEDED.encode(), columns).fetchall()
    }
