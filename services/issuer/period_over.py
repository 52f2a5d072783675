"""
Whether a period is over: it has ended, and the log holds its last day.

A statement of a time that has not come, or of readings that may still be changed unseen,
says more than anybody knows.
"""

from __future__ import annotations

from psycopg import Connection

from mrv.calendar import utc_text
from mrv.errors import PeriodError
from mrv.registry.project import Project
from services.issuer.sealed_day_contents import SETTLE_US
from services.store.postgres.timestamps import stamp
from services.store.statements import sealed_days as seals

HOUR_US = 3_600_000_000
_SEALED = (
    "SELECT EXISTS (SELECT FROM data_seal WHERE project_id = %s AND from_time < %s"
    " AND to_time >= %s)"
)


def check_over(conn: Connection, project: Project, from_us: int, to_us: int, now_us: int) -> None:
    """
    Refuse a period that has not ended, or whose last local day is not sealed.

    A project without any reading before its end has nothing to seal.

    Raises
    ------
    PeriodError
        Says when it can be closed, or what to run.
    """
    if to_us > now_us:
        raise PeriodError(
            f"the period {utc_text(from_us)} to {utc_text(to_us)} of project {project.id} has not"
            f" ended: it is {utc_text(now_us // 1_000_000 * 1_000_000)}; close it after its end"
        )
    with conn.cursor() as cursor:
        began = seals.first_us(cursor, [d.device for d in project.devices])
        if all(us >= to_us for us in began.values()):
            return
        cursor.execute(_SEALED, (project.id, stamp(to_us), stamp(to_us)))
        row = cursor.fetchone()
    if row is None or not row[0]:
        raise PeriodError(
            f"the last day of the period {utc_text(from_us)} to {utc_text(to_us)} of project"
            f" {project.id} is not sealed: run `tonne log seal`, which seals a day"
            f" {SETTLE_US // HOUR_US} hours after its end, and close again"
        )
