"""
Readings that came after a statement was issued: the draft that corrects it.

An issued statement stays as it is.  When a day of its period is sealed again with
other readings, its period is closed again: a draft that supersedes it and says what
changed.  Whether it is submitted and issued is for people to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from psycopg import Connection

from ingest.errors import InputError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from mrv.statement.device_days import readings_digest
from mrv.statement.plan_reader import read_plan
from mrv.verify.seal_step import readings_root
from services.issuer.close import close_period, snapshot
from services.issuer.collect_evidence import evidence_of
from services.store.statements import statements
from services.store.statements import transparency_log as log
from services.store.statements.statements import Stored

ACTOR = "tonne log seal"


class Correction(NamedTuple):
    """What became of an issued statement whose readings changed: a draft, or why there is none."""

    statement: str
    draft: str | None
    problem: str | None

    def __str__(self) -> str:
        if self.draft is None:
            return f"readings of {self.statement} changed, and it cannot be closed: {self.problem}"
        return (
            f"readings of {self.statement} changed: {self.draft} is the draft that would replace it"
        )


def open_corrections(conn: Connection) -> list[Correction]:
    """
    Draft a correction of each issued statement whose readings are sealed otherwise now.

    Parameters
    ----------
    conn : Connection
        In autocommit, as `tonne_mrv`.
    """
    return [_correct(conn, issued) for issued in _changed(conn)]


def _correct(conn: Connection, issued: Stored) -> Correction:
    try:
        span = issued.from_us, issued.to_us
        closed = close_period(conn, issued.project, *span, ACTOR)
    except InputError as error:
        return Correction(issued.id, None, str(error))
    return Correction(issued.id, closed.statement, None)


def _changed(conn: Connection) -> Iterator[Stored]:
    """Issued statements with a day sealed since whose readings nothing was drafted from yet."""
    for name, indices in conn.execute(
        "SELECT c.statement_id, array_agg(d.index ORDER BY d.day) FROM claim c"
        " JOIN log_entry e ON e.statement_id = c.statement_id AND e.kind = 'issued'"
        " JOIN data_seal d ON d.project_id = c.project_id AND d.index > e.index"
        " AND d.from_time >= lower(c.period) AND d.to_time <= upper(c.period)"
        " WHERE NOT EXISTS (SELECT FROM data_seal o WHERE o.project_id = d.project_id"
        " AND o.day = d.day AND o.sequence > d.sequence)"
        " GROUP BY c.statement_id ORDER BY c.statement_id"
    ).fetchall():
        issued = statements.find(conn, name)
        last = statements.latest(conn, issued.project, issued.from_us, issued.to_us)
        if _other_readings(conn, last or issued, indices):
            yield issued


def _other_readings(conn: Connection, stored: Stored, indices: list[int]) -> bool:
    detail = statements.detail(conn, stored.id)
    plan = read_plan(detail["plan"])
    leaves = [DayLeaf.from_json(leaf) for leaf in detail["leaves"]["readings"]]
    bodies = [canonical.parse_object(log.at(conn, index)[0].body) for index in indices]
    if all(readings_root(plan.project, leaves, b) == b["readings"]["root"] for b in bodies):
        return False
    said = stored.claims
    with snapshot(conn):
        frames = evidence_of(conn, plan.fleet(), said, whole=True)
    # leaves that tonne 0.1.0 made are of UTC's days, and no seal is: they are made again
    again = readings_digest(plan.fleet(), frames, "UTC").root
    return bool(again != said.digests.readings)
