"""Units after issue: ranges of whole tonnes, their events, and balances."""

from __future__ import annotations

from datetime import date
from typing import Literal, NamedTuple

from psycopg import Connection, errors
from psycopg.types.range import Range

from ingest.errors import InputError

UnitState = Literal["issued", "first transferred", "transferred", "cancelled", "retired"]
_SIZE = (
    "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest((SELECT range_agg(e.units)"
    " FROM unit_event e WHERE e.statement_id = u.statement_id AND e.vintage = u.vintage"
    " AND e.day <= %(day)s AND e.event"
)


class UnitEvent(NamedTuple):
    """Event of the units `first` to `last` of a statement's vintage, with its document."""

    statement: str
    vintage: int
    first: int
    last: int
    event: UnitState
    day: date
    document: str
    holder: str | None = None


class Balance(NamedTuple):
    """
    Units of a statement's vintage at the end of a day, by state; each counts once per
    column. [t]
    """

    statement: str
    vintage: int
    issued: int
    first_transferred: int
    cancelled: int
    retired: int

    @property
    def held(self) -> int:
        """Return the units that are neither cancelled nor retired. [t]"""
        return self.issued - self.cancelled - self.retired


def enter(conn: Connection, event: UnitEvent, author: str) -> int:
    """
    Enter an event, which cannot be changed later; return its number.

    Raises
    ------
    InputError
        With the violated rule of the database.
    """
    if not 1 <= event.first <= event.last:
        raise InputError(
            f"units {event.first} to {event.last} are not a range; units are numbered from 1: "
            "enter the lower number first"
        )
    try:
        with conn.transaction():
            row = conn.execute(
                "INSERT INTO unit_event (statement_id, vintage, units, event, day, document,"
                " holder, author) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING sequence",
                [event.statement, event.vintage, Range(event.first, event.last + 1), event.event,
                 event.day, event.document, event.holder, author],
            ).fetchone()  # fmt: skip
    except errors.ExclusionViolation as error:
        raise InputError(
            f"units {event.first} to {event.last} of vintage {event.vintage} are {event.event}"
            " already, all or in part; choose others of `tonne units list`"
        ) from error
    except (errors.CheckViolation, errors.ForeignKeyViolation) as error:
        raise InputError(f"{error.diag.message_primary}; see `tonne units list`") from error
    return 0 if row is None else int(row[0])


def events(conn: Connection, statement: str | None = None) -> list[UnitEvent]:
    """Return events in order of entry."""
    rows = conn.execute(
        "SELECT statement_id, vintage, lower(units), upper(units) - 1, event, day, document, holder"
        " FROM unit_event WHERE %(s)s::text IS NULL OR statement_id = %(s)s ORDER BY sequence",
        {"s": statement},
    )
    return [UnitEvent(*row) for row in rows]


def balances(conn: Connection, day: date) -> list[Balance]:
    """Return balances at the end of a day, by statement and vintage."""
    columns = ", ".join(
        f"({_SIZE} = '{event}')) r)"
        for event in ("issued", "first transferred", "cancelled", "retired")
    )
    rows = conn.execute(
        f"SELECT u.statement_id, u.vintage, {columns} FROM (SELECT DISTINCT statement_id, vintage"
        " FROM unit_event WHERE day <= %(day)s) u ORDER BY 1, 2",
        {"day": day},
    )
    return [Balance(*(row[:2]), *(int(size) for size in row[2:])) for row in rows]
