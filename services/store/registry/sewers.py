"""The sewerage registry in the database, and map queries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import psycopg
from psycopg import Connection

from ingest.errors import RegistryError
from services.registry.sewer_files import COLUMNS
from services.registry.sewers import Asset, Cell, Event

_STORED = (*COLUMNS, "path", "extent")
_TEMPORARY = (
    "CREATE TEMP TABLE sewer_incoming ON COMMIT DROP AS SELECT"
    f" {', '.join(_STORED)} FROM sewer_asset WITH NO DATA"
)
_CHANGED = " OR ".join(
    f"sewer_asset.{c} IS DISTINCT FROM excluded.{c}" for c in _STORED if c not in ("id", "extent")
)
_UPSERT = (
    f"INSERT INTO sewer_asset ({', '.join(_STORED)}) SELECT * FROM sewer_incoming"
    " ON CONFLICT (id) DO UPDATE SET"
    f" {', '.join(f'{c} = excluded.{c}' for c in _STORED[1:])}, updated = now()"
    f" WHERE {_CHANGED}"
)
Box = tuple[float, float, float, float]
_LEAST_DEGREES = 1e-9


def write(
    conn: Connection, assets: Iterable[Asset], events: Iterable[Event], author: str
) -> tuple[int, int]:
    """
    Store assets and events in one transaction; return the numbers of changed assets and new events.
    Raises RegistryError if a sensor is not a registered device, or an event's asset is missing.
    """
    try:
        with conn.transaction():
            conn.execute(_TEMPORARY)
            with conn.cursor().copy("COPY sewer_incoming FROM STDIN") as copy:
                for asset in assets:
                    copy.write_row(_row(asset))
            changed = conn.execute(_UPSERT).rowcount
            with conn.cursor() as cursor:
                before = _count(conn)
                cursor.executemany(
                    "INSERT INTO sewer_event (asset_id, day, what, kind, condition, note, author)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    [(*event, author) for event in events],
                )
            return changed, _count(conn) - before
    except psycopg.errors.ForeignKeyViolation as error:
        reason = " ".join(str(error.diag.message_detail).split())
        raise RegistryError(
            f"nothing was imported: {reason} Register the device, or the asset, first"
        ) from error


def _count(conn: Connection) -> int:
    row = conn.execute("SELECT count(*) FROM sewer_event").fetchone()
    return int(row[0]) if row else 0


def _row(asset: Asset) -> tuple[Any, ...]:
    west, south, east, north = asset.extent
    flat = [value for corner in asset.path for value in corner]
    box = f"({east!r},{north!r}),({west!r},{south!r})"
    return (*(getattr(asset, key) for key in COLUMNS), flat, box)


def within(conn: Connection, box: Box | None, limit: int, after: str = "") -> list[Asset]:
    """
    Return assets that overlap a map window, by id, from after id `after` on.
    `box`: west, south, east, north [degrees]; None for all assets.
    """
    window = ""
    arguments: dict[str, Any] = {"after": after, "limit": limit}
    if box is not None:
        window = " AND extent && box(point(%(east)s, %(north)s), point(%(west)s, %(south)s))"
        arguments |= dict(zip(("west", "south", "east", "north"), box, strict=True))
    rows = conn.execute(
        f"SELECT {', '.join(COLUMNS)}, path FROM sewer_asset"
        f" WHERE id > %(after)s{window} ORDER BY id LIMIT %(limit)s",
        arguments,
    )
    return [_asset(row) for row in rows.fetchall()]


def extent(conn: Connection) -> Box | None:
    """Return west, south, east and north of all assets [degrees]; None without assets."""
    row = conn.execute(
        "SELECT min((extent[1])[0]), min((extent[1])[1]), max((extent[0])[0]), max((extent[0])[1])"
        " FROM sewer_asset"
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1], row[2], row[3])


def cells(conn: Connection, box: Box, sides: tuple[int, int]) -> list[Cell]:
    """
    Return numbers of assets by grid cell of a map window, for windows with too many to draw.

    `box`: west, south, east, north. [degrees]
    `sides`: columns and rows.
    """
    west, south, east, north = box
    rows = conn.execute(
        "SELECT least(floor((x - %(west)s) / %(wide)s), %(columns)s - 1)::int AS col,"
        " least(floor((%(north)s - y) / %(high)s), %(rows)s - 1)::int AS line, count(*),"
        " count(*) FILTER (WHERE condition >= 4), max(condition)"
        " FROM (SELECT ((extent[0])[0] + (extent[1])[0]) / 2 AS x,"
        " ((extent[0])[1] + (extent[1])[1]) / 2 AS y, condition FROM sewer_asset"
        " WHERE extent && box(point(%(east)s, %(north)s), point(%(west)s, %(south)s))) middle"
        " WHERE x BETWEEN %(west)s AND %(east)s AND y BETWEEN %(south)s AND %(north)s"
        " GROUP BY 1, 2 ORDER BY 2, 1",
        {
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "columns": sides[0],
            "rows": sides[1],
            "wide": max((east - west) / sides[0], _LEAST_DEGREES),
            "high": max((north - south) / sides[1], _LEAST_DEGREES),
        },
    )
    return [Cell(*row) for row in rows.fetchall()]


def every(conn: Connection) -> Iterator[Asset]:
    """Yield all assets by id, loaded in batches."""
    with conn.transaction(), conn.cursor("sewers") as cursor:
        cursor.itersize = 10_000
        cursor.execute(f"SELECT {', '.join(COLUMNS)}, path FROM sewer_asset ORDER BY id")
        for row in cursor:
            yield _asset(row)


def _asset(row: Sequence[Any]) -> Asset:
    *cells, flat = row
    named = dict(zip(COLUMNS, cells, strict=True))
    path = tuple(zip(flat[::2], flat[1::2], strict=True))
    return Asset(path=path, **named)


def history(conn: Connection, asset: str) -> tuple[Asset, list[Event]] | None:
    """Return an asset and its events, the newest first; None if unknown."""
    row = conn.execute(
        f"SELECT {', '.join(COLUMNS)}, path FROM sewer_asset WHERE id = %s", [asset]
    ).fetchone()
    if row is None:
        return None
    events = conn.execute(
        "SELECT asset_id, day, what, kind, condition, note FROM sewer_event WHERE asset_id = %s"
        " ORDER BY day DESC, what, kind",
        [asset],
    ).fetchall()
    return _asset(row), [Event(*event) for event in events]


def summary(conn: Connection) -> dict[str, Any]:
    """Return the numbers of assets by kind, with sensor, in poor condition, and of events."""
    counts: list[tuple[str, int]] = conn.execute(
        "SELECT kind, count(*) FROM sewer_asset GROUP BY kind ORDER BY 1"
    ).fetchall()
    watched, poor = conn.execute(
        "SELECT count(*) FILTER (WHERE sensor IS NOT NULL),"
        " count(*) FILTER (WHERE condition >= 4) FROM sewer_asset"
    ).fetchone() or (0, 0)
    events = conn.execute("SELECT count(*), max(day) FROM sewer_event").fetchone() or (0, None)
    last: date | None = events[1]
    return {
        "assets": dict(counts),
        "with_sensor": watched,
        "in_poor_condition": poor,
        "events": events[0],
        "last_event": last.isoformat() if last else None,
    }
