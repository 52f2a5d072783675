"""Annual sums of meters, with the measured share of the year."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from psycopg import Connection

from ingest.classes import QUANTITIES
from services.store.postgres.timestamps import stamp

_UNITS = {q.name: q.unit for q in QUANTITIES}


class YearSum(NamedTuple):
    """A sum in base units, its unit, and the measured share of the span."""

    value: int
    unit: str
    measured: Fraction


def year_sums(
    conn: Connection, meters: Iterable[tuple[str, str]], from_us: int, to_us: int
) -> dict[tuple[str, str], YearSum]:
    """
    Return the sums of meters in [from, to), by device and quantity.

    A meter without interval rows in the span is omitted.  Estimated and unknown time is not
    measured.
    """
    sums: dict[tuple[str, str], YearSum] = {}
    for device, quantity in meters:
        row = conn.execute(
            "SELECT sum(value)::bigint, sum(measured_us)::bigint FROM interval_quantity"
            " WHERE device_id = %s AND quantity = %s AND start >= %s AND start < %s",
            (device, quantity, stamp(from_us), stamp(to_us)),
        ).fetchone()
        if row is not None and row[0] is not None:
            share = min(Fraction(int(row[1]), to_us - from_us), Fraction(1))
            sums[device, quantity] = YearSum(int(row[0]), _UNITS[quantity], share)
    return sums
