"""Pages of the registry and its statements, within the caller's scope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.rows import TupleRow

from services.store.statements.statements import Stored, select_statements

PUBLIC_STATES = ("issued", "superseded", "revoked")
_PROJECT = (
    "id, name, methodology, version, timezone, crediting_from::text, crediting_to::text, action,"
    " parameters::text, expected::text"
)
_SERVES = (
    "(%(scope)s::text[] IS NULL OR EXISTS (SELECT FROM project_device p"
    " WHERE p.device_id = d.id AND p.project_id = ANY(%(scope)s)))"
)


def projects(
    conn: Connection, scope: Sequence[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return projects by id, after the id `after`."""
    rows = conn.execute(
        f"SELECT {_PROJECT} FROM project WHERE id > %(after)s"
        " AND (%(scope)s::text[] IS NULL OR id = ANY(%(scope)s)) ORDER BY id LIMIT %(limit)s",
        {"scope": _listed(scope), "after": after, "limit": limit},
    )
    return [_named(_PROJECT_NAMES, row) for row in rows.fetchall()]


def project_devices(conn: Connection, project: str) -> list[dict[str, Any]]:
    """Return the devices of a project, with role and service time."""
    rows = conn.execute(
        "SELECT device_id, role, lower(during), upper(during) FROM project_device"
        " WHERE project_id = %s ORDER BY position, lower(during)",
        [project],
    )
    return [_named(("device", "role", "from", "to"), row) for row in rows.fetchall()]


def devices(
    conn: Connection, scope: Sequence[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return devices by id, after the id `after`."""
    rows = conn.execute(
        f"SELECT {', '.join(f'd.{name}' for name in _DEVICE_NAMES)} FROM device d"
        f" WHERE d.id > %(after)s AND {_SERVES} ORDER BY d.id LIMIT %(limit)s",
        {"scope": _listed(scope), "after": after, "limit": limit},
    )
    return [_named(_DEVICE_NAMES, row) for row in rows.fetchall()]


def device(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """Return a device with its calibrations and reporting state; None outside the scope."""
    known = registered(conn, scope, id_)
    health = (
        known
        and conn.execute(
            "SELECT state, last_reading FROM v_device_health WHERE device_id = %s", [id_]
        ).fetchone()
    )
    return known and {**known, "state": health and health[0], "last_reading": health and health[1]}


def registered(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """Return a device with its calibrations; None outside the scope."""
    row = conn.execute(
        f"SELECT {', '.join(f'd.{name}' for name in _DEVICE_NAMES)} FROM device d"
        f" WHERE d.id = %(id)s AND {_SERVES}",
        {"scope": _listed(scope), "id": id_},
    ).fetchone()
    if row is None:
        return None
    certificates = conn.execute(
        "SELECT performed, valid_until, certificate, accuracy_class, max_error_percent::text,"
        " serial, channel, found_error_percent::text, coalesce(last_test, false),"
        " laboratory, accreditation"
        " FROM calibration WHERE device_id = %s ORDER BY performed, certificate",
        [id_],
    )
    return {
        **_named(_DEVICE_NAMES, row),
        "calibrations": [_named(_CALIBRATION_NAMES, row) for row in certificates.fetchall()],
    }


def statements(
    conn: Connection,
    scope: Sequence[str] | None,
    project: str | None,
    after: tuple[str, str] | None,
    limit: int,
    *,
    newest: bool = False,
) -> list[tuple[Stored, str]]:
    """
    Return statements with their time of creation, in that order.

    Issued statements are public; drafts need the project in the scope.

    `after`: time and id of the last one of the previous page.
    `newest`: newest first.
    """
    direction = "DESC" if newest else "ASC"
    rows = conn.execute(
        f"SELECT * FROM ({select_statements(', s.created::text')}) found (id, project, begin_us,"
        " end_us, sequence, credit_t, body, supersedes, state, created)"
        " WHERE (%(scope)s::text[] IS NULL OR project = ANY(%(scope)s) OR state = ANY(%(public)s))"
        " AND (%(project)s::text IS NULL OR project = %(project)s)"
        " AND (%(at)s::timestamptz IS NULL OR (created::timestamptz, id) > (%(at)s, %(id)s))"
        f" ORDER BY created::timestamptz {direction}, id {direction} LIMIT %(limit)s",
        {
            "scope": _listed(scope),
            "public": list(PUBLIC_STATES),
            "project": project,
            "limit": limit,
            "at": after and after[0],
            "id": after and after[1],
        },
    )
    return [(Stored(*row[:-1]), str(row[-1])) for row in rows.fetchall()]


def letters(
    conn: Connection,
    scope: Sequence[str] | None,
    before: int | None,
    limit: int,
    reason: str | None,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """
    Return dead letters, newest first; those of unknown devices only without a scope.

    `device` matches the device's column, the principal or a part of the topic, as an unregistered
    device appears only there.
    """
    rows = conn.execute(
        f"SELECT {', '.join(f'l.{name}' for name in _LETTER_NAMES)}, length(l.payload)"
        " FROM dead_letter l LEFT JOIN device d ON d.id = l.device_id"
        " WHERE (%(before)s::bigint IS NULL OR l.id < %(before)s)"
        " AND (%(reason)s::text IS NULL OR l.reason = %(reason)s)"
        " AND (%(device)s::text IS NULL OR l.device_id = %(device)s OR l.principal = %(device)s"
        "   OR (l.device_id IS NULL AND %(device)s = ANY (string_to_array(l.topic, '/'))))"
        f" AND {_SERVES} ORDER BY l.id DESC LIMIT %(limit)s",
        {
            "scope": _listed(scope),
            "before": before,
            "reason": reason,
            "limit": limit,
            "device": device,
        },
    )
    return [_named((*_LETTER_NAMES, "size"), row) for row in rows.fetchall()]


_PROJECT_NAMES = (
    "id", "name", "methodology", "version", "timezone", "crediting_from", "crediting_to", "action",
    "parameters", "expected",
)  # fmt: skip
_DEVICE_NAMES = (
    "id", "site", "class", "profile", "gateway", "rated_power_w", "installed", "removed",
    "commissioned", "serial",
)  # fmt: skip
_CALIBRATION_NAMES = (
    "performed",
    "valid_until",
    "certificate",
    "accuracy_class",
    "max_error_percent",
    "serial",
    "channel",
    "found_error_percent",
    "last_test",
    "laboratory",
    "accreditation",
)
_LETTER_NAMES = ("id", "received", "topic", "device_id", "reason", "detail", "content_type")


def _named(names: Sequence[str], row: TupleRow) -> dict[str, Any]:
    return dict(zip(names, row, strict=True))


def _listed(scope: Sequence[str] | None) -> list[str] | None:
    return None if scope is None else list(scope)
