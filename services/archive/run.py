"""
Move sealed days to the archive, then drop what is wholly there.

Killed anywhere, the next run does what is missing: files are named by what they
hold, so writing one again writes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import Connection

from ingest.errors import InputError
from mrv.calendar import utc_text
from services.archive import location as home
from services.archive.archive_day import archive_day
from services.archive.context import Report, Run
from services.archive.drop_chunks import drop
from services.archive.throttle import Pace
from services.store.archive import catalog as archived
from services.store.registry import load as registry
from services.store.statements import sealed_days as seals

_RUNNING = "hashtextextended('tonne archive run', 0)"


def run(
    conn: Connection,
    url: str | None,
    before_us: int,
    *,
    rows_per_s: float | None = None,
    step: Callable[[str], None] = lambda _: None,
) -> Report:
    """
    Archive the sealed days that ended before a time.

    Parameters
    ----------
    conn : Connection
        In autocommit, as `tonne_archive`.
    url : str, optional
        Where, if this is the first run and no setting says it.
    before_us : int
        [us UTC]
    rows_per_s : float, optional
        Readings that the run may work through in a second.
    step : callable, optional
        Told what is done next, for people who watch.

    Raises
    ------
    InputError
        If another run is at work.
    DamagedError, VaultError
        As the archive's place is found.
    """
    with _alone(conn):
        archive = home.find_or_make(conn, url)
        archive.place.clear()
        now = Run(conn, archive, registry.load_fleet(conn), Pace(rows_per_s), Report())
        done = archived.done(conn)
        for seal in sorted(seals.latest(conn).values(), key=lambda s: (s.end, s.project)):
            ends_us = int(seal.end.timestamp() * 1e6)
            if ends_us <= before_us and (seal.project, seal.day, seal.entry) not in done:
                step(f"{seal.day} {seal.project or 'without project'}")
                archive_day(now, seal)
        for chunk in archived.chunks(conn, before_us):
            step(f"{chunk.class_id} from {utc_text(chunk.from_us)}")
            drop(now, chunk)
    return now.report


@contextmanager
def _alone(conn: Connection) -> Iterator[None]:
    row = conn.execute(f"SELECT pg_try_advisory_lock({_RUNNING})").fetchone()
    if row != (True,):
        raise InputError("another `tonne archive` is at work on this database; let it end")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(f"SELECT pg_advisory_unlock({_RUNNING})")
