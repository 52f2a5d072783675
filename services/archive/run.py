"""
Move sealed days to the archive, once or from time to time.

Move sealed days to the archive, then drop what is wholly there.

Killed anywhere, the next run does what is missing: files are named by what they
hold, so writing one again writes the same.

Archive from time to time, for as long as the process is let.

A round that fails is logged, and the next one finishes its work: a store that is
away tonight stops neither the process nor what it runs beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from mrv.calendar import utc_text
from services.archive import location as home
from services.archive.archive_day import archive_day, drop
from services.archive.context import Pace, Report, Run
from services.clock import now_us
from services.logs import get_logger
from services.store.archive import catalog as archived
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from services.store.statements import sealed_days as seals

_RUNNING = "hashtextextended('tonne archive run', 0)"
_SHOWN = 10


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
        Called with what is done next, for people who watch.

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


def forever(
    url: str, place: str | None, keep_us: int, every_s: float, *, rows_per_s: float | None = None
) -> None:
    """
    Archive now, and again and again.

    Parameters
    ----------
    url : str
        Database.
    place : str, optional
        Of a first archive.
    keep_us : int
        How long days stay in the database. [us]
    every_s : float
        From the beginning of a round to that of the next. [s]
    """
    log = get_logger("archive")
    while True:
        began = time.monotonic()
        archive_once(url, place, now_us() - keep_us, log, rows_per_s=rows_per_s)
        time.sleep(max(0.0, every_s - (time.monotonic() - began)))


def archive_once(
    url: str,
    place: str | None,
    before_us: int,
    log: FilteringBoundLogger,
    *,
    rows_per_s: float | None = None,
) -> bool:
    """Archive what is due and log what came of it; False if that was not possible."""
    try:
        with connect(url, role="tonne_archive", name="tonne archive", autocommit=True) as conn:
            report = run(conn, place, before_us, rows_per_s=rows_per_s)
    except (InputError, ServerError, psycopg.Error) as error:
        log.warning("not archived", reason=" ".join(str(error).split()))
        return False
    for what in report.refused[:_SHOWN]:
        log.error("not as it was sealed, left where it is", what=what)
    log.info(
        "archived",
        days=report.days,
        files=report.parts,
        readings=report.rows,
        dropped=report.dropped,
        waiting=report.waiting[:_SHOWN],
        refused=len(report.refused),
    )
    return not report.refused
