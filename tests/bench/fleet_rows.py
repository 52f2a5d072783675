"""
Rows of a large fleet of inverters, made by numpy and copied into chunks.

Rows of an interval of 15 minutes lie together, as they come from the field.  A server that
`Hurried` starts writes no log for a chunk that is made and filled in one transaction; keys and
indexes are built at the end (`tests.bench.simulated_days`).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection, Cursor, sql

from services.local.stack import Postgres
from services.store.postgres.binary_copy import EPOCH_2000_US, HEADER, TRAILER
from services.store.postgres.pool import stamp
from tests.bench.month import QUARTER_US
from tests.bench.simulated_days import indexed_after

PER_PROJECT, RATED_W = 100, 80_000
_ROWS = 200_000  # at once
_UG_PER_WH = 660
_TOP = 10**10
_DAY_US = 86_400_000_000
_CHUNK = """
SELECT chunk_schema, chunk_name, extract(epoch FROM range_end)::bigint * 1000000
FROM timescaledb_information.chunks
WHERE hypertable_schema = 'public' AND hypertable_name = %s
  AND %s::timestamptz >= range_start AND %s::timestamptz < range_end
"""
_HURRY = {
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
}


class Hurried(Postgres):
    """A server whose data may be lost if it is killed; another server reads its data later."""

    def command(self, port: int) -> list[str]:
        """Return the command line with faster writes."""
        return super().command(port) + [
            word for name, value in _HURRY.items() for word in ("-c", f"{name}={value}")
        ]


class Span(NamedTuple):
    """Range of devices by number and of 15-minute intervals by time, both half-open. [us UTC]"""

    first: int
    last: int
    from_us: int
    to_us: int


class _Sun:
    """Energy of each inverter up to each interval of a span, with differences between inverters."""

    def __init__(self, span: Span) -> None:
        quarters = np.arange(span.from_us, span.to_us + QUARTER_US, QUARTER_US)
        local = quarters + 7 * 3_600_000_000
        day = local // _DAY_US
        hour = (local % _DAY_US) / 3_600_000_000
        cloud = 0.4 + 0.6 * _mixed(day) / 2**32
        shape = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
        self._made_wh = np.round(shape * cloud * RATED_W / 4).astype(np.int64)
        self._total_wh = np.cumsum(self._made_wh) - self._made_wh
        self._from_us = span.from_us

    def register(self, device: NDArray[np.int64], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the values of registers. [Wh]"""
        at = (time_us - self._from_us) // QUARTER_US
        apart = _mixed(device * 1_000_003 + at) % 300 * self._made_wh[at] // 1000
        return _TOP + device * 1000 + self._total_wh[at] + apart


def _mixed(number: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pseudo-random bits of a number, equal at each call; 0 to 2^32 - 1."""
    mixed = number.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(32)).astype(np.int64)


Values = dict[str, Any]


def _reading(sun: _Sun, device: NDArray[np.int64], time_us: NDArray[np.int64]) -> Values:
    stands = sun.register(device, time_us)
    power = (sun.register(device, time_us + QUARTER_US) - stands) * 4.0
    return {"time": _time(time_us), "energy_export_wh": stands, "active_power_w": power}


def _interval(sun: _Sun, device: NDArray[np.int64], time_us: NDArray[np.int64]) -> Values:
    stands = sun.register(device, time_us + QUARTER_US)
    at = _time(time_us)
    return {
        "quantity": b"energy_export",
        "start": at,
        "value": stands - sun.register(device, time_us),
        "measured_us": QUARTER_US,
        "estimated_us": 0,
        "unknown_us": 0,
        "register_value": stands,
        "register_read": at + QUARTER_US,
        "register_changed": at + QUARTER_US,
        "metering": 2,
    }


def _emission(sun: _Sun, device: NDArray[np.int64], time_us: NDArray[np.int64]) -> Values:
    made = sun.register(device, time_us + QUARTER_US) - sun.register(device, time_us)
    ug = made * _UG_PER_WH
    return {
        "start": _time(time_us),
        "baseline_ug": ug,
        "project_ug": 0,
        "leakage_ug": 0,
        "reduction_ug": ug,
        "methodology": b"jcm-vn-am007@1.0",
        "factor": b"vn-grid",
    }


def _time(time_us: NDArray[np.int64]) -> NDArray[np.int64]:
    return time_us - EPOCH_2000_US


class Kind(NamedTuple):
    """A table, its columns with binary COPY types, and the function of their values."""

    table: str
    columns: Mapping[str, str]
    values: Callable[[_Sun, NDArray[np.int64], NDArray[np.int64]], Values]


_ID = {"device_id": "S11"}
KINDS = (
    Kind(
        "reading_pv_inverter",
        _ID | {"time": ">i8", "energy_export_wh": ">i8", "active_power_w": ">f8"},
        _reading,
    ),
    Kind(
        "interval_quantity",
        _ID
        | {"quantity": "S13", "start": ">i8", "value": ">i8"}
        | dict.fromkeys(("measured_us", "estimated_us", "unknown_us"), ">i8")
        | dict.fromkeys(("register_value", "register_read", "register_changed"), ">i8")
        | {"metering": ">i2"},
        _interval,
    ),
    Kind(
        "interval_emission",
        {"project_id": "S9", **_ID, "start": ">i8"}
        | dict.fromkeys(("baseline_ug", "project_ug", "leakage_ug", "reduction_ug"), ">i8")
        | {"methodology": "S16", "factor": "S7"},
        _emission,
    ),
)
TABLES = tuple(kind.table for kind in KINDS)


class _Rows:
    """Rows of a table, block by block, in the form of a binary COPY."""

    def __init__(self, kind: Kind, span: Span) -> None:
        self._kind, self._sun = kind, _Sun(span)
        self._numbers = np.arange(span.first, span.last)
        self._ids = np.array([f"bench-{n:05d}" for n in self._numbers], "S11")
        self._projects = np.array([f"bench-{n // PER_PROJECT:03d}" for n in self._numbers], "S9")
        fields = [("fields", ">i2")]
        for name, form in kind.columns.items():
            fields += [(f"{name} length", ">i4"), (name, form)]
        self._form = np.dtype(fields)

    def blocks(self, from_us: int, to_us: int) -> Iterator[bytes]:
        """Yield rows by time, those of one interval together. [us UTC]"""
        each = max(1, _ROWS // len(self._numbers)) * QUARTER_US
        for at in range(from_us, to_us, each):
            quarters = np.arange(at, min(at + each, to_us), QUARTER_US)
            yield self._block(quarters).tobytes()

    def _block(self, quarters: NDArray[np.int64]) -> NDArray[Any]:
        many = len(quarters)
        rows = np.zeros(many * len(self._numbers), self._form)
        rows["fields"] = len(self._kind.columns)
        values = self._kind.values(
            self._sun, np.tile(self._numbers, many), np.repeat(quarters, len(self._numbers))
        )
        values["device_id"] = np.tile(self._ids, many)
        values["project_id"] = np.tile(self._projects, many)
        for name in self._kind.columns:
            rows[f"{name} length"] = self._form[name].itemsize
            rows[name] = values[name]
        return rows


def fill(conn: Connection, span: Span) -> None:
    """
    Fill the three tables of readings, intervals and emissions, which are empty.

    Parameters
    ----------
    conn : Connection
        A superuser's, in autocommit, on a server that `Hurried` started.
    """
    with indexed_after(conn):
        for kind in KINDS:
            rows = _Rows(kind, span)
            at = span.from_us
            while at < span.to_us:
                at = _chunk(conn, kind, rows, at, span)


def _chunk(conn: Connection, kind: Kind, rows: _Rows, from_us: int, span: Span) -> int:
    """Create the chunk of a time and fill it; return the start of the next one. [us UTC]"""
    first = from_us + QUARTER_US
    with conn.transaction(), conn.cursor() as cursor:
        # only rows make chunks on the Apache edition
        _copy(cursor, kind, (kind.table,), rows.blocks(from_us, first))
        row = cursor.execute(_CHUNK, [kind.table, *[stamp(from_us)] * 2]).fetchone()
        if row is None:
            raise LookupError(f"{kind.table} has no chunk at {stamp(from_us)}")
        to_us = min(int(row[2]), span.to_us)
        _copy(cursor, kind, (row[0], row[1]), rows.blocks(first, to_us), ", FREEZE")
    return to_us


def _copy(
    cursor: Cursor, kind: Kind, table: tuple[str, ...], blocks: Iterator[bytes], how: str = ""
) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, kind.columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary{})").format(
        sql.Identifier(*table), columns, sql.SQL(how)
    )
    with cursor.copy(statement) as into:
        into.write(HEADER)
        for block in blocks:
            into.write(block)
        into.write(TRAILER)
