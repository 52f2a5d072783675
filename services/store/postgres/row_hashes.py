"""
Digests of stored rows, to detect a change of any row.

A row's hash is the SHA-256 of its JSON object as written by PostgreSQL (jsonb key order, times in
UTC), without empty columns, so that columns added later do not change old rows.  Long values
(`bytea`) are represented by their own SHA-256.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

from mrv.log.entries import RowHash

# tables of the log itself
OF_THE_LOG = frozenset({"log_entry", "log_checkpoint", "log_detail", "data_seal"})
# tables sealed by day with their readings, or derived from them
MEASURED = ("reading_", "interval_")
# tables that are not sealed, with the reason; any other new table is sealed, as append-only or as
# one of STATES
_UNSEALED = {
    "calculated from the log's own entries and policy, and compared with them": (
        "claim", "witness_quorum",
    ),
    "signed by another party, whose signature is verified when the row is read": (
        "witness_cosignature", "timestamp_token", "public_version",
    ),
    "entered in the log with each day's seal": ("arrival_count", "arrival_day"),
    "position of a process, or work that it still has to do": (
        "stream_offset", "stream_source", "sparkplug_node", "sparkplug_birth", "sparkplug_held",
        "late_day", "late_reading", "sealing", "remake_request", "underived", "day_today_until",
        "day_today_late", "day_mark", "day_mark_site", "day_until", "archive_reach",
    ),
    "recalculated from sealed rows; changes no statement": (
        "indicator_value", "quality_flag", "day_quantity", "day_emission", "day_account",
        "day_today_quantity", "day_today_emission", "clear_sky_day", "project_months", "pv_trend",
        "day_pv", "account_span", "account_span_day", "silence_rate", "silence_rate_made",
    ),
    "state of devices and alarms; no statement depends on it": (
        "clock_lag", "device_seen", "principal_status", "alarm", "alarm_event", "alarm_contact",
        "alarm_duty", "alarm_silence", "dead_letter_day", "dead_letter_excess", "knock_refused",
    ),
    "access to broker, API and console, and their requests": (
        "credential", "enrolment_token", "api_key", "api_answer", "api_session", "api_refusal",
        "api_cursor_secret", "webhook", "webhook_secret", "webhook_event", "webhook_delivery",
        "file_job", "job_progress", "signer_request", "signer_attempt", "signer_answer",
    ),
    "asset data and names; no statement depends on them": (
        "sewer_asset", "sewer_event", "registry_names",
    ),
    "data of this version of the program": ("method_life", "alarm_rule", "schema_migration"),
}  # fmt: skip
UNSEALED = {table: reason for reason, names in _UNSEALED.items() for table in names}
STATES = {
    "registry": (
        "site", "device", "device_replacement", "device_exchange", "device_quality",
        "topic_template", "programme", "programme_action", "programme_reported", "published_factor",
    ),
    "calibration": ("calibration",),
    "plan": ("project", "project_device"),
    "keys": ("enrolled_key",),
}  # fmt: skip
# by append-only table, the column with the time at which a row was written; as a transaction can
# take some time, a row may be slightly older than the digest that lacks it
WRITTEN = {
    "dead_letter": "received",
    "dead_letter_replay": "replayed",
    "dead_letter_removal": "removed",
    "registry_version": "imported",
    "monitoring_period": "closed",
    "statement": "created",
    "statement_event": "at",
    "finding_event": "at",
    "statement_sampling": "at",
    "statement_approval": "at",
    "status_list": "stored",
    "log_cosignature": "received",
    "api_audit": "at",
    "signed_value": "received",
    "archive_place": "made",
    "archive_part": "recorded",
    "archive_day": "recorded",
    "archive_drop": "dropped",
    "archive_hold": "made",
    "monitoring_plan": "imported",
    "plan_approval": "imported",
    "invoice": "imported",
    "device_rating": "recorded",
    "device_array": "recorded",
    "meter_key": "recorded",
    "laboratory_result": "recorded",
    "unit_event": "recorded",
    "authority_entry": "recorded",
    "filed_submission": "recorded",
    "energy_certificate": "recorded",
    "energy_certified": "recorded",
}
PATIENCE = "10 minutes"
# tables whose rows can only be added by their grants, without a trigger
GROWING = ("registry_version",)
# tables that only imports change; each import is a new registry version
IMPORTED = ("registry", "calibration", "plan")


class Tables(NamedTuple):
    """Append-only tables, and tables that are neither sealed nor listed in `UNSEALED`."""

    records: tuple[str, ...]
    unknown: tuple[str, ...]


def tables(conn: Connection) -> Tables:
    """Return append-only tables (which have a trigger) and unknown tables of the schema."""
    rows = conn.execute(
        "SELECT c.relname, EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid"
        " AND t.tgname = 'append_only'), has_table_privilege(c.oid, 'SELECT')"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
        " ORDER BY c.relname"
    ).fetchall()
    named = OF_THE_LOG | UNSEALED.keys() | {name for names in STATES.values() for name in names}
    result = {
        n: (only or n in GROWING, readable)
        for n, only, readable in rows
        if n not in named and not n.startswith(MEASURED)
    }
    return Tables(
        tuple(name for name, (only, readable) in result.items() if only and readable),
        tuple(name for name, (only, readable) in result.items() if not (only and readable)),
    )


def older_than(
    conn: Connection, table: str, column: str, moment: datetime, keys: list[str]
) -> list[str]:
    """Return the keys of rows that were written more than `PATIENCE` before a time."""
    key = _key(_columns(conn, [table])[table])
    rows = conn.execute(
        f"SELECT key FROM (SELECT {key} AS key, r.{column} AS at FROM {table} r) k"
        f" WHERE key = ANY(%s) AND at < %s - interval '{PATIENCE}' ORDER BY key",
        (keys, moment),
    )
    return [str(key) for (key,) in rows]


class _Column(NamedTuple):
    """Column: its name, whether its values are long, and whether it belongs to the key."""

    name: str
    long: bool
    of_key: bool


def _columns(conn: Connection, names: Sequence[str]) -> dict[str, list[_Column]]:
    """Return the columns of tables, in order."""
    columns: dict[str, list[_Column]] = {name: [] for name in names}
    for table, *column in conn.execute(
        "SELECT c.relname, a.attname, a.atttypid = 'bytea'::regtype,"
        " coalesce(a.attnum = ANY (i.indkey), false)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
        " WHERE c.oid = ANY (%s::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped"
        " ORDER BY a.attnum",
        [list(names)],
    ):
        columns[table].append(_Column(*column))
    return columns


def _key(columns: list[_Column]) -> str:
    names = ", ".join(f'r."{column.name}"' for column in columns if column.of_key)
    return f"concat_ws(' ', {names}) COLLATE \"C\""


def hashes(
    conn: Connection, names: Sequence[str], without: tuple[str, ...] = ()
) -> dict[str, list[RowHash]]:
    """
    Return key and hash of every row of tables, by key; the session's time zone must be UTC.
    `without`: columns to omit.
    """
    columns = _columns(conn, _filled(conn, names))
    return {
        name: _hashes(conn, name, columns[name], without) if name in columns else []
        for name in names
    }


def _filled(conn: Connection, names: Sequence[str]) -> list[str]:
    """Return the tables that have rows."""
    if not names:
        return []
    each = (f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in names)
    return [str(name) for (name,) in conn.execute(" UNION ALL ".join(each))]


def _hashes(
    conn: Connection, table: str, columns: list[_Column], without: tuple[str, ...]
) -> list[RowHash]:
    label = ", ".join(
        f'encode(sha256("{column.name}"), \'hex\') AS "{column.name}"'
        if column.long
        else f'"{column.name}"'
        for column in columns
        if column.name not in without
    )
    rows = conn.execute(
        f"SELECT {_key(columns)} AS key, encode(sha256(convert_to((SELECT"
        " jsonb_object_agg(e.key, e.value)::text FROM jsonb_each(to_jsonb(r)) e"
        f" WHERE e.value <> 'null'), 'UTF8')), 'hex') FROM (SELECT {label} FROM {table}) r"
        " ORDER BY key"
    )
    return [(str(name), str(value)) for name, value in rows]
