"""
Database checks of `tonne doctor`: compression, archive, quotas, rated powers, retention,
derived rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from ingest.errors import InputError, ServerError
from services.archive import verify as home
from services.cli.local.doctor_servers import Finding
from services.cli.output import counted
from services.clock import now_us
from services.issuer.watcher import Keep
from services.registry.ratings import unlikely
from services.settings import Settings
from services.store.archive import catalog as archived
from services.store.messages.dead_letter_write import ALL
from services.store.postgres import columnstore, reading_tables
from services.store.timeseries import remake_requests, underived
from services.store.timeseries.measured_energy import beyond_rating
from services.store.views import alarm_round as store

_NAMED_PRINCIPALS = 3
_OVER = """
SELECT principal, sum(letters) FROM (
    SELECT principal, count(*) AS letters FROM dead_letter
    WHERE reason = 'rate' AND received > now() - interval '1 day' GROUP BY principal
    UNION ALL
    SELECT principal, letters FROM dead_letter_excess
    WHERE reason = 'rate' AND last > now() - interval '1 day'
) o GROUP BY principal ORDER BY sum(letters) DESC
"""


_LEFT_OUT = """
SELECT principal, sum(letters) FROM dead_letter_excess
WHERE reason <> 'rate' AND last > now() - interval '1 day'
GROUP BY principal ORDER BY sum(letters) DESC
"""
_DAYS_US = 7 * 86_400_000_000
_NAMED = 3
KEPT_PATIENCE_S = 2 * 86_400
_NAMES = {
    "dead_letter": "dead letters",
    "webhook_event": "webhook events",
    "clear_sky_day": "clear skies",
}


def storage(conn: Connection) -> Iterator[Finding]:
    """Yield findings on compression and archive; none before the schema exists."""
    if conn.execute("SELECT to_regclass('public.archive_place')").fetchone() == (None,):
        return
    yield _columnstore(conn)
    if failing := columnstore.failed_jobs(conn):
        fix = (
            "timescaledb_information.job_errors says why; tonne adds no job: one from 1000 on is"
            " removed by SELECT delete_job(NUMBER)"
        )
        yield Finding("jobs", "wrong", f"TimescaleDB's jobs fail: {', '.join(failing)}", fix)
    if long := [length for length in reading_tables.lengths(conn) if length.advised < length.days]:
        size = sum(table.days * table.bytes_a_day for table in long) / 2**30
        text = f"indexes of open chunks have {size:.1f} GiB, more than a quarter of memory"
        fix = (
            "`tonne migrate` makes new chunks shorter; check that effective_cache_size "
            "is the memory available"
        )
        yield Finding("chunks", "wrong", text, fix)
    yield _archive(conn)


def _columnstore(conn: Connection) -> Finding:
    """Return whether old chunks are compressed, judged by the chunks and not by the settings."""
    if count := columnstore.locked(conn):
        text = columnstore.LOCKED.format(columnstore.licence(conn) or "not set", count)
        return Finding("columnstore", "wrong", text, columnstore.UNLOCK)
    if reason := columnstore.why_not(conn):
        fix = (
            "TimescaleDB's Community edition (deploy/compose.yaml has it) compresses "
            "them; without it, plan disk space for uncompressed rows and run `tonne "
            "archive run`, see docs/archive.md"
        )
        return Finding("columnstore", "missing", reason, fix)
    if left := columnstore.without(conn):
        return Finding("columnstore", "wrong", f"not for {', '.join(left)}", "`tonne migrate`")
    if late := columnstore.waiting(conn, columnstore.OVERDUE_DAYS):
        text = (
            f"{len(late)} chunks older than {columnstore.OVERDUE_DAYS} days are "
            f"not compressed, the oldest of {late[0].table}, {late[0].age_days:.0f} "
            "days"
        )
        return Finding("columnstore", "wrong", text, "`tonne columnstore run` states the reason")
    days = columnstore.OVERDUE_DAYS
    return Finding("columnstore", "ok", f"every chunk older than {days} days is compressed")


_FIX = "see the output of `tonne archive run`, and check that it runs once a day"
_DAY_US = 86_400_000_000
# a run a day, and one that failed
_ARCHIVE_DAYS = 3


def _late(conn: Connection) -> str:
    """Return the days whose archiving is overdue, as text; '' for none."""
    keep = Settings().archive_days + _ARCHIVE_DAYS
    count, oldest = archived.waiting(conn, now_us() - keep * _DAY_US)
    if not count:
        return ""
    return f"{count} sealed days have waited for more than {keep} days, since {oldest}"


def _archive(conn: Connection) -> Finding:
    with conn.cursor() as cursor:
        if archived.home(cursor) is None:
            fix = "set TONNE_ARCHIVE_URL, and run `tonne archive run` once a day"
            return Finding("archive", "missing", "none: readings stay in the database", fix)
    try:
        place = home.find(conn)
    except (InputError, ServerError) as error:
        return Finding("archive", "wrong", str(error), "see `tonne archive verify`")
    late = _late(conn)
    if late:
        return Finding("archive", "wrong", f"{place.place.url}: {late}", _FIX)
    row = conn.execute(
        "SELECT count(*), coalesce(sum(bytes), 0), max(day) FROM archive_part"
    ).fetchone()
    files, size, last = row or (0, 0, None)
    contents = (
        f"{files} files, {size / 2**20:.1f} MiB, until {last}" if files else "nothing in it yet"
    )
    return Finding("archive", "ok", f"{place.place.url}: {contents}")


def quota(conn: Connection) -> Finding:
    """Return the principals that exceeded their message quota within the last day."""
    if rows := conn.execute(_OVER).fetchall():
        return Finding(
            "quota",
            "wrong",
            f"{counted(len(rows), 'principal')} over the quota within a day, messages: "
            f"{_principals(rows)}",
            "correct the sender; for a large gateway raise TONNE_PRINCIPAL_MESSAGES_A_MINUTE "
            "or TONNE_PRINCIPAL_BYTES_A_MINUTE, then run `tonne deadletter replay "
            "--reason rate`",
        )
    if rows := conn.execute(_LEFT_OUT).fetchall():
        return Finding(
            "quota",
            "wrong",
            "rejected messages of the last day that were counted but not stored, "
            f"for lack of space: {_principals(rows)}",
            "correct the sender; `tonne deadletter list` shows the stored ones, "
            f"`{ALL}` is the sum of all principals; TONNE_DEAD_LETTER_BYTES_A_DAY "
            "is the space of one principal",
        )
    return Finding("quota", "ok", "no principal exceeded its quota within a day")


def _principals(rows: Sequence[TupleRow]) -> str:
    names = ", ".join(
        f"{name or 'without a name'} {letters}" for name, letters in rows[:_NAMED_PRINCIPALS]
    )
    return names + (
        f" and {len(rows) - _NAMED_PRINCIPALS} more" if len(rows) > _NAMED_PRINCIPALS else ""
    )


def ratings(conn: Connection) -> Finding:
    """Return devices whose rated power is implausible or lower than their registers show."""
    now = now_us()
    risen = [*beyond_rating(conn, now - _DAYS_US, now)]
    named = {quota.device for quota in risen}
    lines = [str(quota.text()) for quota in risen]
    for device, class_id, watt in conn.execute(
        "SELECT id, class, rated_power_w FROM device WHERE removed IS NULL ORDER BY id"
    ):
        doubt = None if device in named else unlikely(class_id, watt)
        if doubt is not None:
            lines.append(f"{device}: {doubt}")
    if not lines:
        return Finding("rated powers", "ok", "the number of values of each such device")
    more = f"; and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    return Finding(
        "rated powers",
        "wrong" if risen else "missing",
        "; ".join(lines[:_NAMED]) + more,
        "correct `rated_power_w` in the registry file and import it; then send "
        "rejected messages again with `tonne deadletter replay`",
    )


def retention(conn: Connection, settings: Settings) -> Finding:
    """Return whether rows beyond the retention period were deleted."""
    days = Keep.by(settings).days
    late = {
        table: waits_s
        for table, waits_s in store.overdue_s(conn, days).items()
        if waits_s > KEPT_PATIENCE_S
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
            "run `tonne watch` or `tonne run`; its log states the reason",
        )
    kept = ", ".join(
        f"{_NAMES[table]} {f'for {kept} days' if kept else 'for ever'}"
        for table, kept in days.items()
    )
    return Finding("retention", "ok", f"kept: {kept}")


# rows follow readings within a second; by then nobody makes them
_LONG_S = 60.0


def rows(conn: Connection) -> Finding:
    """Return how far intervals and emissions are behind the stored readings."""
    age_s, waiting = underived.age_s(conn), remake_requests.count(conn)
    text = f"{age_s:.1f} s behind the readings"
    if waiting:
        text += f"; {counted(waiting, 'device')} with longer time spans to calculate"
    if age_s <= _LONG_S:
        return Finding("rows", "ok", text)
    fix = "start `tonne run` or a worker; if one runs, read its log"
    return Finding("rows", "wrong", text, fix)
