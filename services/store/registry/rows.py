"""Rows of registry entries: the columns of a table follow from the types of the entries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, get_origin

from psycopg import Connection, Cursor

from mrv.registry.declared import Calibration, Sample
from services.registry.declaration import Field, fields_of
from services.registry.entries import MeterKey, PvArray, Quality, Rating, Replacement, Reported
from services.store.postgres.values import exact, jsonb

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Item]):
    """
    Table with the rows of a list of an entry, such as the certificates of a device.

    `owner` is the column with the id of the entry; `key` are the columns that identify a row of it,
    as stored rows are deleted, and `order` those by which they are read.
    """

    table: str
    owner: str
    kind: type[Item]
    key: tuple[str, ...]
    order: str

    @property
    def columns(self) -> list[str]:
        """Return the columns of the fields."""
        return [column_of(field) for field in fields_of(self.kind)]

    def load(
        self, conn: Connection | Cursor, owners: Iterable[str] | None = None
    ) -> defaultdict[str, list[Item]]:
        """Return the items of the given entries, or of all, by id, in order."""
        result: defaultdict[str, list[Item]] = defaultdict(list)
        for owner, item in self.select(conn, self.owner, owners):
            result[owner].append(item)
        return result

    def select(
        self, conn: Connection | Cursor, more: str, owners: Iterable[str] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        """Yield further columns of each row, and its item."""
        fields, extra = fields_of(self.kind), more.count(",") + 1
        rows = conn.execute(
            f"SELECT {more}, {', '.join(self.columns)} FROM {self.table}"
            f" WHERE %(ids)s::text[] IS NULL OR {self.owner} = ANY(%(ids)s)"
            f" ORDER BY {self.owner}, {self.order}",
            {"ids": None if owners is None else list(owners)},
        ).fetchall()
        for row in rows:
            values = zip(fields, row[extra:], strict=True)
            yield (*row[:extra], self.kind(*(_loaded(field, value) for field, value in values)))

    def add(self, cur: Cursor, items: Iterable[tuple[str, Item]], **more: object) -> None:
        """Insert items of entries that are not stored yet, with values of further columns."""
        insert(
            cur,
            self.table,
            [{self.owner: owner, **written(item), **more} for owner, item in items],
            "ON CONFLICT DO NOTHING",
        )

    def replace(
        self, cur: Cursor, entries: Mapping[str, Sequence[Item] | None], **more: object
    ) -> None:
        """Write the items of entries in place of the stored ones; equal rows stay."""
        stored = self.load(cur, entries)
        new = {owner: items or () for owner, items in entries.items()}
        where = " AND ".join(f"{name} = %s" for name in (self.owner, *self.key))
        cur.executemany(
            f"DELETE FROM {self.table} WHERE {where}",
            [
                (owner, *(getattr(item, name) for name in self.key))
                for owner, items in stored.items()
                for item in items
                if item not in new[owner]
            ],
        )
        added = [(o, i) for o, items in new.items() for i in items if i not in stored[o]]
        self.add(cur, added, **more)


ARRAYS = Rows("device_array", "device_id", PvArray, ("begins",), "begins")
CALIBRATIONS = Rows(
    "calibration", "device_id", Calibration, ("performed", "certificate"),
    'performed, certificate COLLATE "C"',
)  # fmt: skip
METER_KEYS = Rows("meter_key", "device_id", MeterKey, ("begins",), "begins")
QUALITY = Rows(
    "device_quality", "device_id", Quality, ("channel", "begins"), 'channel COLLATE "C", begins'
)
RATINGS = Rows("device_rating", "device_id", Rating, ("begins",), "begins, recorded")
REPLACEMENTS = Rows(
    "device_replacement", "device_id", Replacement, ("channel", "at"), "channel, at"
)
REPORTED = Rows("programme_reported", "action_id", Reported, ("year",), "year")
SAMPLES = Rows(
    "laboratory_result", "project_id", Sample, ("laboratory", "sample", "parameter"),
    "taken, laboratory, sample, parameter",
)  # fmt: skip


def column_of(field: Field) -> str:
    """Return the column of a field."""
    return field.mark.column or field.name


def own_fields(kind: Any, without: Sequence[str] = ()) -> list[Field]:
    """Return the fields that are columns of an entry's own table: all but its lists."""
    return [f for f in fields_of(kind) if f.item is None and f.name not in ("names", *without)]


def written(entry: Any, without: Sequence[str] = ()) -> dict[str, Any]:
    """Return the values of an entry's own columns."""
    return {
        column_of(field): _written(field, getattr(entry, field.name))
        for field in own_fields(type(entry), without)
    }


def _written(field: Field, value: Any) -> Any:
    if isinstance(value, Mapping):
        return jsonb(dict(value)) if value or field.required else None
    if is_dataclass(value) and not isinstance(value, type):
        return jsonb(asdict(value))
    return None if value is False and field.default is False else value


def insert(cur: Cursor, table: str, rows: Sequence[Mapping[str, Any]], conflict: str = "") -> None:
    """Insert rows of equal columns."""
    if rows:
        columns = [*rows[0]]
        cur.executemany(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))}) {conflict}",
            [[*row.values()] for row in rows],
        )


def upsert(cur: Cursor, table: str, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    """Insert rows of equal columns, or update them by their key."""
    changed = ", ".join(
        f"{name} = excluded.{name}" for name in (rows[0] if rows else ()) if name != key
    )
    insert(cur, table, rows, f"ON CONFLICT ({key}) DO UPDATE SET {changed}")


def entries(
    conn: Connection, table: str, kind: Any, without: Sequence[str] = (), more: Sequence[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield the values of each entry's own columns by field, then those of further columns."""
    fields = own_fields(kind, without)
    columns = [
        f"{column_of(field)}::text" if _is_json(field) else column_of(field) for field in fields
    ]
    for row in conn.execute(f"SELECT {', '.join([*columns, *more])} FROM {table} ORDER BY 1"):
        values = {f.name: _loaded(f, value) for f, value in zip(fields, row, strict=False)}
        yield (values, *row[len(fields) :])


def _is_json(field: Field) -> bool:
    return is_dataclass(field.hint) or (
        get_origin(field.hint) is Mapping and field.mark.form != "flat"
    )


def _loaded(field: Field, value: Any) -> Any:
    """Return a value of a column in the type of the field."""
    if value is None:
        return field.default
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if _is_json(field):
        values = exact(value)
        inner = fields_of(field.hint) if is_dataclass(field.hint) else ()
        floats = {field.name for field in inner if field.hint is float}
        typed = {name: float(v) if name in floats else v for name, v in values.items()}
        return field.hint(**typed) if inner else values
    return value
