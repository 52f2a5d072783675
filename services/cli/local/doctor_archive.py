"""What `tonne doctor` says of the columnstore and of the archive."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import Connection

from ingest.errors import InputError, ServerError
from services.archive import location as home
from services.cli.local.doctor_finding import Finding
from services.clock import now_us
from services.settings import Settings
from services.store.archive import catalog as archived
from services.store.postgres import chunk_intervals, columnstore


def storage(conn: Connection) -> Iterator[Finding]:
    """How little room is taken: columnstore, archive; nothing before the schema is there."""
    if conn.execute("SELECT to_regclass('public.archive_place')").fetchone() == (None,):
        return
    yield _columnstore(conn)
    if failing := columnstore.failed_jobs(conn):
        fix = (
            "timescaledb_information.job_errors says why; tonne adds no job: one from 1000 on is"
            " removed by SELECT delete_job(NUMBER)"
        )
        yield Finding("jobs", "wrong", f"TimescaleDB's fail: {', '.join(failing)}", fix)
    if long := [one for one in chunk_intervals.lengths(conn) if one.advised < one.days]:
        size = sum(one.days * one.bytes_a_day for one in long) / 2**30
        found = f"indexes of open chunks come to {size:.1f} GiB, more than a quarter of memory"
        fix = "`tonne migrate` makes new chunks shorter; is effective_cache_size what there is?"
        yield Finding("chunks", "wrong", found, fix)
    yield _archive(conn)


def _columnstore(conn: Connection) -> Finding:
    """Whether old chunks are compressed, by what the chunks are and not by what is set."""
    if count := columnstore.locked(conn):
        found = columnstore.LOCKED.format(columnstore.licence(conn) or "not set", count)
        return Finding("columnstore", "wrong", found, columnstore.UNLOCK)
    if said := columnstore.why_not(conn):
        fix = (
            "TimescaleDB's Community edition (deploy/compose.yaml has it) compresses them;"
            " without it size the disk for rows and run `tonne archive run`, see docs/archive.md"
        )
        return Finding("columnstore", "missing", said, fix)
    if left := columnstore.without(conn):
        return Finding("columnstore", "wrong", f"not for {', '.join(left)}", "`tonne migrate`")
    if late := columnstore.waiting(conn, columnstore.OVERDUE_DAYS):
        found = (
            f"{len(late)} chunks older than {columnstore.OVERDUE_DAYS} days are rows, the oldest"
            f" of {late[0].table}, {late[0].age_days:.0f} days"
        )
        return Finding("columnstore", "wrong", found, "`tonne columnstore run` says why")
    days = columnstore.OVERDUE_DAYS
    return Finding("columnstore", "ok", f"nothing older than {days} days is kept as rows")


_FIX = "see what `tonne archive run` says, and that it runs once a day"
_DAY_US = 86_400_000_000
# a run a day, and one that failed
_PATIENCE_DAYS = 3


def _late(conn: Connection) -> str:
    """Say which days should have been archived some nights ago; '' for none."""
    keep = Settings().archive_days + _PATIENCE_DAYS
    count, oldest = archived.waiting(conn, now_us() - keep * _DAY_US)
    if not count:
        return ""
    return f"{count} sealed days wait for longer than {keep} days, since {oldest}"


def _archive(conn: Connection) -> Finding:
    with conn.cursor() as cursor:
        if archived.home(cursor) is None:
            fix = "set TONNE_ARCHIVE_URL, and run `tonne archive run` once a day"
            return Finding("archive", "missing", "none: readings stay in the database", fix)
    try:
        found = home.find(conn)
    except (InputError, ServerError) as error:
        return Finding("archive", "wrong", str(error), "`tonne archive verify` tells more")
    late = _late(conn)
    if late:
        return Finding("archive", "wrong", f"{found.place.url}: {late}", _FIX)
    row = conn.execute(
        "SELECT count(*), coalesce(sum(bytes), 0), max(day) FROM archive_part"
    ).fetchone()
    files, size, last = row or (0, 0, None)
    held = f"{files} files, {size / 2**20:.1f} MiB, until {last}" if files else "nothing in it yet"
    return Finding("archive", "ok", f"{found.place.url}: {held}")
