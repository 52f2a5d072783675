"""
Archive from time to time, for as long as the process is let.

A round that fails is logged, and the next one finishes its work: a store that is
away tonight stops neither the process nor what it runs beside.
"""

from __future__ import annotations

import time

import psycopg
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from services.archive.run import run
from services.clock import now_us
from services.logs import get_logger
from services.store.postgres.pool import connect

_SHOWN = 10


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
