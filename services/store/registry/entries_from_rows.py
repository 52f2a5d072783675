"""Conversion of registry entries and monitoring plans to rows of the database, and back."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar, get_origin

import msgspec
from psycopg import Connection, Cursor

from mrv.calendar import local_date, zones
from mrv.documents import read, write
from mrv.documents.plan import PlanVersionWhole
from mrv.registry import Calibration, Declared, Sample
from mrv.registry.monitoring_plan import Version
from mrv.statement.plan_writer import decision_out, version_of, version_out
from services.registry.entries import (
    ARRAY_KEYS,
    Action,
    Device,
    Entry,
    Exchange,
    LaterZone,
    MeterKey,
    Outside,
    PersonRole,
    Programme,
    Project,
    ProjectDevice,
    Published,
    PvArray,
    Quality,
    Rating,
    Registry,
    Replacement,
    Reported,
    Site,
    Tariff,
    Topic,
    array_fields,
)
from services.registry.fields import Field, fields_of
from services.store.postgres.pool import exact, jsonb
from services.store.registry import programme

Bound = tuple[str, str, dict[str, Any], int, int]


def load_registry(conn: Connection) -> Registry:
    """Return the whole registry."""
    translations = names(conn)
    result: list[Entry] = []
    for values, tariffs in entries(conn, "site", Site, more=["tariffs::text"]):
        first, *later = zones(values["timezone"])
        values["timezone"], values["names"] = first.name, translations.get(("site", values["id"]))
        more = tuple(LaterZone(z.first, z.name) for z in later if z.first is not None)
        result.append(Site(**values, timezones=more or None, tariffs=_tariffs(tariffs)))
    result += _devices(conn)
    result += [Topic(**values) for (values,) in entries(conn, "topic_template", Topic)]
    result += [Published(**values) for (values,) in entries(conn, "published_factor", Published)]
    result += _projects(conn, translations)
    reported = REPORTED.load(conn)
    actions = tuple(
        Action(
            id_, name, target, year, tuple(reported[id_]), names=translations.get(("action", id_))
        )
        for id_, name, target, year in conn.execute(
            "SELECT id, name, target_kt, target_year FROM programme_action ORDER BY position"
        )
    )
    roles = sorted((id_, named) for (kind, id_), named in translations.items() if kind == "role")
    persons = tuple(PersonRole(*role) for role in roles)
    result += [
        Programme(**values, actions=actions, roles=persons)
        for (values,) in entries(conn, "programme", Programme)
    ]
    result += programme.load_entered(conn)
    return Registry.of(result)


def _tariffs(text: str | None) -> tuple[Tariff, ...] | None:
    rows = [] if text is None else exact(text)
    return tuple(Tariff(date.fromisoformat(row.pop("from")), **row) for row in rows) or None


def names(conn: Connection) -> dict[tuple[str, str], dict[str, str]]:
    """
    Return the names of sites, projects, actions and roles in all languages, by kind and id.
    Sites are included twice: by id, and by their registered name under the kind `site name`.
    """
    rows = conn.execute(
        "SELECT kind, id, names FROM registry_names UNION ALL SELECT 'site name', s.name, n.names"
        " FROM registry_names n JOIN site s ON s.id = n.id WHERE n.kind = 'site'"
    )
    return {(kind, id_): result for kind, id_, result in rows}


def _devices(conn: Connection) -> list[Device]:
    lists: dict[str, Mapping[str, list[Any]]] = {
        "arrays": ARRAYS.load(conn),
        "calibrations": CALIBRATIONS.load(conn),
        "exchanged_channels": EXCHANGED.load(conn),
        "meter_keys": METER_KEYS.load(conn),
        "quality": QUALITY.load(conn),
        "ratings": RATINGS.load(conn),
        "replacements": REPLACEMENTS.load(conn),
    }
    result = []
    for (values,) in entries(conn, "device", Device, without=ARRAY_KEYS):
        own: dict[str, Any] = {
            name: tuple(items.get(values["id"], ())) for name, items in lists.items()
        }
        modules = array_fields(own["arrays"][-1]) if own["arrays"] else {}
        result.append(Device(**values, **own, **modules))
    return result


def load_ratings(conn: Connection) -> defaultdict[str, list[tuple[Rating, datetime]]]:
    """Return the rated powers of devices in order of time, each with its time of entry."""
    result: defaultdict[str, list[tuple[Rating, datetime]]] = defaultdict(list)
    for device, recorded, rating in RATINGS.select(conn, "device_id, recorded"):
        result[device].append((rating, recorded.astimezone(UTC)))
    return result


def load_project_entry(conn: Connection, project: str) -> Project | None:
    """Return a project's entry; None if it is not registered."""
    return next((entry for entry in _projects(conn, names(conn)) if entry.id == project), None)


def _projects(conn: Connection, translations: Mapping[tuple[str, str], Any]) -> list[Project]:
    bound, plans, samples = _bound(conn), load_versions(conn), SAMPLES.load(conn)
    result = []
    more = "timezone", "boundary", "declared"
    for values, zone, boundary, record in entries(conn, "project", Project, ("design",), more):
        name = values["id"]
        period = values["crediting_from"], values["crediting_to"], zone
        declared = Declared() if record is None else msgspec.convert(record, Declared)
        values["documents"] = values["documents"] or {}
        result.append(
            Project(
                **values,
                names=translations.get(("project", name)),
                devices=tuple(_with_dates(*b, *period) for b in bound[name]),
                monitoring=plans.get(name, ()),
                boundary=tuple(msgspec.convert(share, Outside) for share in boundary or ()),
                laboratory=tuple(samples[name]),
                **{field.name: getattr(declared, field.name) for field in fields(Declared)},
            )
        )
    return result


def _bound(conn: Connection) -> defaultdict[str, list[Bound]]:
    bound: defaultdict[str, list[Bound]] = defaultdict(list)
    for project, device, role, params, begin, end in conn.execute(
        "SELECT project_id, device_id, role, params::text, "
        "(extract(epoch FROM lower(during)) * 1000000)::bigint, "
        "(extract(epoch FROM upper(during)) * 1000000)::bigint "
        "FROM project_device ORDER BY project_id, position"
    ):
        bound[project].append((device, role, exact(params), begin, end))
    return bound


def _with_dates(
    device: str,
    role: str,
    params: dict[str, Any],
    begin: int,
    end: int,
    first: date,
    last: date,
    zone: str,
) -> ProjectDevice:
    dates = _own_date(first, begin, zone), _own_date(last, end, zone)
    return ProjectDevice(device, role, params, *dates)


def _own_date(edge: date, instant_us: int, zone: str) -> date | None:
    """Return the local date of an instant; None if it equals the project's own limit."""
    day = local_date(instant_us, zone)
    return None if day == edge else day


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Rows(Generic[Item]):
    """
    Table of a list in entries, such as the certificates of devices.

    `owner`: column with the id of the entry.  `key`: columns that identify a row of an entry, for
    deletion.  `order`: columns by which the rows of an entry are read.
    """

    table: str
    owner: str
    kind: type[Item]
    key: tuple[str, ...]
    order: str

    @property
    def columns(self) -> list[str]:
        """Return the table's columns, one per field of an item."""
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
        """
        Yield further columns of each row, and its item.

        `more`: SQL list of the further columns.
        """
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
        """Insert items that are not stored yet, by entry id; `more`: values of further columns."""
        insert(
            cur,
            self.table,
            [{self.owner: owner, **written(item), **more} for owner, item in items],
            "ON CONFLICT DO NOTHING",
        )

    def replace(
        self, cur: Cursor, entries: Mapping[str, Sequence[Item] | None], **more: object
    ) -> None:
        """Replace the stored items of entries; equal rows are not written again."""
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
EXCHANGED = Rows(
    "device_exchange", "device_id", Exchange, ("channel", "begins"), 'channel COLLATE "C", begins'
)
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
    """Return the fields of an entry that are columns of its table: all but lists and `names`."""
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
    """Insert rows, which all have the same columns."""
    if rows:
        columns = [*rows[0]]
        cur.executemany(
            f"INSERT INTO {table} ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))}) {conflict}",
            [[*row.values()] for row in rows],
        )


def upsert(cur: Cursor, table: str, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    """Insert rows, which all have the same columns, or update those with the same key."""
    changed = ", ".join(
        f"{name} = excluded.{name}" for name in (rows[0] if rows else ()) if name != key
    )
    insert(cur, table, rows, f"ON CONFLICT ({key}) DO UPDATE SET {changed}")


def entries(
    conn: Connection, table: str, kind: Any, without: Sequence[str] = (), more: Sequence[str] = ()
) -> Iterator[tuple[Any, ...]]:
    """
    Yield for each entry a tuple: its values by field, then the value of each column of `more`.

    `kind`: class of the entry.  `without`: its fields that are not columns of the table.
    """
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
    """Return the value of a column in the type of the field."""
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


def load_versions(conn: Connection) -> dict[str, tuple[Version, ...]]:
    """Return the versions of all projects' plans, in order of import."""
    versions: dict[str, tuple[Version, ...]] = {}
    for project, text, entered, approval in conn.execute(
        "SELECT p.project_id, p.document::text,"
        " (extract(epoch FROM p.imported) * 1000000)::bigint, a.document::text"
        " FROM monitoring_plan p LEFT JOIN plan_approval a USING (project_id, version)"
        " ORDER BY p.project_id, p.position"
    ):
        record = json.loads(text) | ({} if approval is None else {"approval": json.loads(approval)})
        version = version_of(read(PlanVersionWhole, record, f"a version of the plan of {project}"))
        versions[project] = (*versions.get(project, ()), replace(version, entered=entered))
    return versions


def add_versions(cursor: Cursor, project: str, versions: Sequence[Version], author: str) -> None:
    """Store those versions of a project's plan, and approvals, that are not stored yet."""
    cursor.executemany(
        "INSERT INTO monitoring_plan (project_id, version, position, begins, document, author)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (project_id, version) DO NOTHING",
        [
            (project, version.name, place, version.begins, jsonb(version_out(version)), author)
            for place, version in enumerate(versions)
        ],
    )
    cursor.executemany(
        "INSERT INTO plan_approval (project_id, version, document, author)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT (project_id, version) DO NOTHING",
        [
            (project, version.name, jsonb(write(decision_out(version.approval))), author)
            for version in versions
            if version.approval is not None
        ],
    )


def responsible(conn: Connection) -> dict[str, str]:
    """Return the responsible role of the monitoring plan in force, by project."""
    rows = conn.execute(
        "SELECT DISTINCT ON (project_id) project_id, document ->> 'responsible'"
        " FROM monitoring_plan WHERE begins <= current_date ORDER BY project_id, position DESC"
    )
    return dict(rows.fetchall())
