"""What `tonne doctor` says of the columnstore and of the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.errors import InputError, ServerError
from services.archive import home
from services.cli.finding import Finding
from services.store import archived, columnstore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection
    from psycopg.rows import TupleRow


def storage(conn: Connection[TupleRow]) -> Iterator[Finding]:
    """How readings are kept small: columnstore, archive; nothing before the schema is there."""
    if conn.execute("SELECT to_regclass('public.archive_place')").fetchone() == (None,):
        return
    reason = columnstore.why_not(conn)
    if reason:
        yield Finding("columnstore", "missing", reason, "none needed: `tonne archive run`")
    else:
        after = columnstore.COMPRESS_AFTER
        yield Finding("columnstore", "ok", f"readings are compressed after {after}")
    yield _archive(conn)


def _archive(conn: Connection[TupleRow]) -> Finding:
    with conn.cursor() as cursor:
        if archived.home(cursor) is None:
            fix = "set TONNE_ARCHIVE_URL, and run `tonne archive run` once a day"
            return Finding("archive", "missing", "none: readings stay in the database", fix)
    try:
        found = home.find(conn)
    except (InputError, ServerError) as error:
        return Finding("archive", "wrong", str(error), "`tonne archive verify` tells more")
    row = conn.execute(
        "SELECT count(*), coalesce(sum(bytes), 0), max(day) FROM archive_part"
    ).fetchone()
    files, size, last = row or (0, 0, None)
    held = f"{files} files, {size / 2**20:.1f} MiB, until {last}" if files else "nothing in it yet"
    return Finding("archive", "ok", f"{found.place.url}: {held}")
