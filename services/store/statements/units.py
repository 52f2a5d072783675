"""Events of issued units, and energy certificates of devices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, NamedTuple

import numpy as np
from psycopg import Connection, errors
from psycopg.types.range import Range

from ingest.errors import InputError
from mrv.registry.project import Certified
from services.store.postgres.pool import stamp
from services.store.registry import AT_PLACE

UnitState = Literal["issued", "first transferred", "transferred", "cancelled", "retired"]
_SIZE = (
    "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM unnest((SELECT range_agg(e.units)"
    " FROM unit_event e WHERE e.statement_id = u.statement_id AND e.vintage = u.vintage"
    " AND e.day <= %(day)s AND e.event"
)


class UnitEvent(NamedTuple):
    """
    Event of the units `first` to `last` of a statement's vintage, with its document.

    `vintage`: calendar year of the reductions.  `holder`: from that day on; None if not stated.
    """

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
    Units of a statement's vintage at the end of a day that were issued, first transferred,
    cancelled or retired. [t]
    """

    statement: str
    vintage: int
    issued: int
    first_transferred: int
    cancelled: int
    retired: int

    @property
    def held(self) -> int:
        """Return the number of units that are neither cancelled nor retired. [t]"""
        return self.issued - self.cancelled - self.retired


def enter_event(conn: Connection, event: UnitEvent, author: str) -> int:
    """
    Enter an event, which cannot be changed later; return its number.

    Raises InputError with the rule that it violates.
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


class Certificate(NamedTuple):
    """Certified energy of a device in a time span, end excluded. [Wh]"""

    id: str
    scheme: str
    device: str
    begin: datetime
    end: datetime
    wh: int
    issuing_body: str
    document: str
    owner: str | None = None
    exported: bool = False


class CertifiedHour(NamedTuple):
    """Certified energy of one hour. [Wh]"""

    begin: datetime
    wh: int


def enter_certificate(conn: Connection, certificate: Certificate, author: str) -> None:
    """
    Enter a certificate; it cannot be changed later.

    Raises InputError if it exceeds the measured uncertified energy, or a statement credits the
    energy.
    """
    try:
        with conn.transaction():
            conn.execute(
                "INSERT INTO energy_certificate (id, scheme, device_id, period, wh, issuing_body,"
                " owner, document, exported, author)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [certificate.id, certificate.scheme, certificate.device,
                 Range(certificate.begin, certificate.end), certificate.wh,
                 certificate.issuing_body, certificate.owner, certificate.document,
                 certificate.exported, author],
            )  # fmt: skip
    except errors.UniqueViolation as error:
        raise InputError(
            f"certificate {certificate.id} is already entered; a certificate is entered once"
        ) from error
    except errors.ForeignKeyViolation as error:
        raise InputError(
            f"device {certificate.device!r} is not registered; import it with `tonne "
            "registry import`"
        ) from error
    except (errors.CheckViolation, errors.DataException) as error:
        raise InputError(str(error.diag.message_primary)) from error


def certificates(conn: Connection, device: str | None = None) -> list[Certificate]:
    """Return the certificates of a device, or all, by time."""
    rows = conn.execute(
        "SELECT id, scheme, device_id, lower(period), upper(period), wh, issuing_body, document,"
        " owner, exported FROM energy_certificate"
        " WHERE %(d)s::text IS NULL OR device_id = %(d)s ORDER BY lower(period), id",
        {"d": device},
    )
    return [Certificate(*row) for row in rows]


def hours(conn: Connection, certificate: str) -> list[CertifiedHour]:
    """Return the energy of a certificate by UTC hour."""
    rows = conn.execute(
        "SELECT date_trunc('hour', start, 'UTC'), sum(wh)::bigint FROM energy_certified"
        " WHERE certificate_id = %s GROUP BY 1 ORDER BY 1",
        [certificate],
    )
    return [CertifiedHour(*row) for row in rows]


def free_wh(conn: Connection, device: str, begin: datetime, end: datetime) -> int:
    """Return a device's generated energy in a span that no certificate covers. [Wh]"""
    row = conn.execute(
        "SELECT coalesce(sum(greatest(0, q.value - coalesce((SELECT sum(c.wh)"
        " FROM energy_certified c WHERE c.device_id = q.device_id AND c.start = q.start), 0))), 0)"
        "::bigint FROM interval_quantity q WHERE q.device_id = %s AND q.quantity = 'energy_export'"
        " AND q.start >= %s AND q.start < %s",
        [device, begin, end],
    ).fetchone()
    return 0 if row is None else int(row[0])


def certified(
    conn: Connection, devices: Sequence[str], from_us: int, to_us: int
) -> dict[tuple[str, str], tuple[Certified, ...]]:
    """Return the certified energy of devices in [from, to), by device and quantity."""
    rows = conn.execute(
        "SELECT c.device_id, e.quantity, c.certificate_id, e.scheme,"
        " array_agg((extract(epoch FROM c.start) / 900)::bigint ORDER BY c.start),"
        " array_agg(c.wh ORDER BY c.start)"
        " FROM energy_certified c JOIN energy_certificate e ON e.id = c.certificate_id"
        " WHERE c.device_id = ANY(%s) AND c.start >= %s AND c.start < %s"
        " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3",
        [list(devices), stamp(from_us), stamp(to_us)],
    )
    result: dict[tuple[str, str], tuple[Certified, ...]] = {}
    for device, quantity, name, scheme, numbers, wh in rows:
        item = Certified(
            name, scheme, np.array(numbers, dtype=np.int64), np.array(wh, dtype=np.int64)
        )
        result[device, quantity] = (*result.get((device, quantity), ()), item)
    return result


def beside(
    conn: Connection, devices: Sequence[str], from_us: int, to_us: int
) -> list[tuple[str, str]]:
    """
    Return the certificates that cover energy in [from, to) of other meters at the same location:
    (certificate, meter).

    These meters are in no project.
    """
    rows = conn.execute(
        "SELECT DISTINCT c.certificate_id, c.device_id FROM energy_certified c"
        " JOIN device d ON d.id = c.device_id"
        f" WHERE d.site IN ({AT_PLACE})"
        " AND NOT c.device_id = ANY(%(ids)s) AND c.start >= %(from)s AND c.start < %(to)s"
        " AND NOT EXISTS (SELECT FROM project_device p"
        "   WHERE p.device_id = c.device_id AND p.during @> c.start)"
        " ORDER BY 1, 2",
        {"ids": list(devices), "from": stamp(from_us), "to": stamp(to_us)},
    )
    return [(name, device) for name, device in rows]
