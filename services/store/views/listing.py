"""
Pages of registry, statements and SensorThings entities, within the caller's scope.

Each SensorThings entity set (OGC) is one query of registry rows; only observations read time
series.  Page size, number of queries and their time are limited.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection
from psycopg.rows import TupleRow

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.errors import InputError
from mrv.environment import KINDS_OF
from services.store.statements.statements import Stored, select_statements

PUBLIC_STATES = ("issued", "superseded", "revoked")
_PROJECT = (
    "id, name, methodology, version, timezone, crediting_from::text, crediting_to::text, action,"
    " parameters::text, expected::text"
)
_SERVES = (
    "(%(scope)s::text[] IS NULL OR EXISTS (SELECT FROM project_device p"
    " WHERE p.device_id = d.id AND p.project_id = ANY(%(scope)s)))"
)


def projects(
    conn: Connection, scope: Sequence[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return projects by id, from after id `after` on."""
    rows = conn.execute(
        f"SELECT {_PROJECT} FROM project WHERE id > %(after)s"
        " AND (%(scope)s::text[] IS NULL OR id = ANY(%(scope)s)) ORDER BY id LIMIT %(limit)s",
        {"scope": _listed(scope), "after": after, "limit": limit},
    )
    return [_named(_PROJECT_NAMES, row) for row in rows.fetchall()]


def project_devices(conn: Connection, project: str) -> list[dict[str, Any]]:
    """Return the devices of a project, each with role and assigned time."""
    rows = conn.execute(
        "SELECT device_id, role, lower(during), upper(during) FROM project_device"
        " WHERE project_id = %s ORDER BY position, lower(during)",
        [project],
    )
    return [_named(("device", "role", "from", "to"), row) for row in rows.fetchall()]


def devices(
    conn: Connection, scope: Sequence[str] | None, after: str, limit: int
) -> list[dict[str, Any]]:
    """Return devices by id, from after id `after` on."""
    rows = conn.execute(
        f"SELECT {', '.join(f'd.{name}' for name in _DEVICE_NAMES)} FROM device d"
        f" WHERE d.id > %(after)s AND {_SERVES} ORDER BY d.id LIMIT %(limit)s",
        {"scope": _listed(scope), "after": after, "limit": limit},
    )
    return [_named(_DEVICE_NAMES, row) for row in rows.fetchall()]


def device(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """Return a device with calibrations, state and time of last reading; None outside the scope."""
    known = registered(conn, scope, id_)
    health = (
        known
        and conn.execute(
            "SELECT state, last_reading FROM v_device_health WHERE device_id = %s", [id_]
        ).fetchone()
    )
    return known and {**known, "state": health and health[0], "last_reading": health and health[1]}


def registered(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """Return a device with its calibrations; None outside the scope."""
    row = conn.execute(
        f"SELECT {', '.join(f'd.{name}' for name in _DEVICE_NAMES)} FROM device d"
        f" WHERE d.id = %(id)s AND {_SERVES}",
        {"scope": _listed(scope), "id": id_},
    ).fetchone()
    if row is None:
        return None
    certificates = conn.execute(
        "SELECT performed, valid_until, certificate, accuracy_class, max_error_percent::text,"
        " serial, channel, found_error_percent::text, coalesce(last_test, false),"
        " laboratory, accreditation"
        " FROM calibration WHERE device_id = %s ORDER BY performed, certificate",
        [id_],
    )
    return {
        **_named(_DEVICE_NAMES, row),
        "calibrations": [_named(_CALIBRATION_NAMES, row) for row in certificates.fetchall()],
    }


def statements(
    conn: Connection,
    scope: Sequence[str] | None,
    project: str | None,
    after: tuple[str, str] | None,
    limit: int,
    *,
    newest: bool = False,
) -> list[tuple[Stored, str]]:
    """
    Return statements with their time of creation, in that order.

    Issued statements are public; others require their project in the scope.
    `after`: time and id of the last statement of the previous page.
    `newest`: newest first.
    """
    direction = "DESC" if newest else "ASC"
    rows = conn.execute(
        f"SELECT * FROM ({select_statements(', s.created::text')}) found (id, project, begin_us,"
        " end_us, sequence, credit_t, body, supersedes, state, created)"
        " WHERE (%(scope)s::text[] IS NULL OR project = ANY(%(scope)s) OR state = ANY(%(public)s))"
        " AND (%(project)s::text IS NULL OR project = %(project)s)"
        " AND (%(at)s::timestamptz IS NULL OR (created::timestamptz, id) > (%(at)s, %(id)s))"
        f" ORDER BY created::timestamptz {direction}, id {direction} LIMIT %(limit)s",
        {
            "scope": _listed(scope),
            "public": list(PUBLIC_STATES),
            "project": project,
            "limit": limit,
            "at": after and after[0],
            "id": after and after[1],
        },
    )
    return [(Stored(*row[:-1]), str(row[-1])) for row in rows.fetchall()]


def letters(
    conn: Connection,
    scope: Sequence[str] | None,
    before: int | None,
    limit: int,
    reason: str | None,
    device: str | None = None,
) -> list[dict[str, Any]]:
    """
    Return dead letters, newest first; those of unregistered devices only without a scope.
    `device`: id in the letter's device column or principal, or in the topic of an unregistered
    device.
    """
    rows = conn.execute(
        f"SELECT {', '.join(f'l.{name}' for name in _LETTER_NAMES)}, length(l.payload)"
        " FROM dead_letter l LEFT JOIN device d ON d.id = l.device_id"
        " WHERE (%(before)s::bigint IS NULL OR l.id < %(before)s)"
        " AND (%(reason)s::text IS NULL OR l.reason = %(reason)s)"
        " AND (%(device)s::text IS NULL OR l.device_id = %(device)s OR l.principal = %(device)s"
        "   OR (l.device_id IS NULL AND %(device)s = ANY (string_to_array(l.topic, '/'))))"
        f" AND {_SERVES} ORDER BY l.id DESC LIMIT %(limit)s",
        {
            "scope": _listed(scope),
            "before": before,
            "reason": reason,
            "limit": limit,
            "device": device,
        },
    )
    return [_named((*_LETTER_NAMES, "size"), row) for row in rows.fetchall()]


_PROJECT_NAMES = (
    "id", "name", "methodology", "version", "timezone", "crediting_from", "crediting_to", "action",
    "parameters", "expected",
)  # fmt: skip
_DEVICE_NAMES = (
    "id", "site", "class", "profile", "gateway", "rated_power_w", "installed", "removed",
    "commissioned", "serial",
)  # fmt: skip
_CALIBRATION_NAMES = (
    "performed",
    "valid_until",
    "certificate",
    "accuracy_class",
    "max_error_percent",
    "serial",
    "channel",
    "found_error_percent",
    "last_test",
    "laboratory",
    "accreditation",
)
_LETTER_NAMES = ("id", "received", "topic", "device_id", "reason", "detail", "content_type")


def _named(names: Sequence[str], row: TupleRow) -> dict[str, Any]:
    return dict(zip(names, row, strict=True))


def _listed(scope: Sequence[str] | None) -> list[str] | None:
    return None if scope is None else list(scope)


LOOK_UPS, ENTITIES, LONGEST_S = 500, 20_000, 10.0
_UNITS = {quantity.name: quantity.unit for quantity in QUANTITIES}

_DEVICE = "device d JOIN site s ON s.id = d.site"
_STREAM = f"{_DEVICE} JOIN known k ON k.class = d.class"
_IN_SCOPE = (
    "(%(all)s OR d.class = ANY(%(public)s) OR EXISTS (SELECT FROM project_device p"
    " WHERE p.device_id = d.id AND p.project_id = ANY(%(scope)s)))"
)
_ANY_OF_SITE = f"EXISTS (SELECT FROM device d WHERE d.site = s.id AND {_IN_SCOPE})"
_KNOWN = (
    "known AS MATERIALIZED (SELECT * FROM unnest(%(classes)s::text[], %(names)s::text[],"
    " %(units)s::text[], %(periods)s::text[]) AS k (class, name, unit, period))"
)
# quantities of intervals, and indicators of hours or local days
_OBSERVED = """
(SELECT i.device_id, i.quantity AS name, i.start, i.start + INTERVAL '15 minutes' AS ending,
        i.value::float8 AS value, NULL::text AS grade, i.measured_us / 900000000.0 AS share,
        i.estimated_us, i.unknown_us
 FROM interval_quantity i WHERE i.measured_us + i.estimated_us + i.unknown_us > 0
 UNION ALL
 SELECT v.device_id, v.indicator, v.start,
        CASE v.period WHEN 'hour' THEN v.start + INTERVAL '1 hour' ELSE
            (SELECT tonne_clock(z.timezone, (tonne_clock(z.timezone, v.start)::date + 1)::timestamp)
             FROM device q JOIN site z ON z.id = q.site WHERE q.id = v.device_id) END,
        v.value, v.grade, v.covered, NULL, NULL
 FROM indicator_value v WHERE v.value IS NOT NULL OR v.grade IS NOT NULL) o
"""


class Navigation(NamedTuple):
    """Navigation property: target set, keys, and whether it has several entities."""

    to: str
    keys: tuple[str, ...]
    many: bool = True


class Set(NamedTuple):
    """
    SensorThings entity set.

    `where`: SQL condition of the caller's scope.  `keys`: columns by which other sets refer to it.
    `order`: columns that make the order unique.  `properties`: SQL and type of each property.
    """

    tables: str
    where: str
    columns: str
    keys: Mapping[str, str]
    order: tuple[str, ...]
    properties: Mapping[str, tuple[str, str]]
    navigation: Mapping[str, Navigation]


_OF_THING = {
    "id": ("d.id", "text"),
    "@iot.id": ("d.id", "text"),
    "name": ("d.id", "text"),
    "properties/class": ("d.class", "text"),
}
_OF_SITE = {"id": ("s.id", "text"), "@iot.id": ("s.id", "text"), "name": ("s.name", "text")}
_OF_PROPERTY = {"id": ("k.name", "text"), "@iot.id": ("k.name", "text"), "name": ("k.name", "text")}
_STREAM_ID = "(d.id || ':' || k.name)"
_OF_STREAM = {
    "id": (_STREAM_ID, "text"),
    "@iot.id": (_STREAM_ID, "text"),
    "name": (_STREAM_ID, "text"),
    "unitOfMeasurement/symbol": ("k.unit", "text"),
    "properties/period": ("k.period", "text"),
}


def _below(name: str, of: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    return {f"{name}/{path}": column for path, column in of.items()}


_STREAM_PROPERTIES = {
    **_OF_STREAM,
    **_below("Thing", _OF_THING),
    **_below("Thing/Locations", _OF_SITE),
    **_below("Sensor", _OF_THING),
    **_below("ObservedProperty", _OF_PROPERTY),
}
_DEVICE_COLUMNS = "d.id, d.class, d.profile, d.installed, s.id, s.name"
_SITE_COLUMNS = "s.id, s.name, s.longitude, s.latitude"
SETS: Mapping[str, Set] = {
    "Things": Set(
        _DEVICE, _IN_SCOPE, _DEVICE_COLUMNS, {"device": "d.id", "site": "s.id"}, ("d.id",),
        {**_OF_THING, **_below("Locations", _OF_SITE)},
        {"Locations": Navigation("Locations", ("site",)),
         "HistoricalLocations": Navigation("HistoricalLocations", ("device",)),
         "Datastreams": Navigation("Datastreams", ("device",))},
    ),
    "Locations": Set(
        "site s", _ANY_OF_SITE, _SITE_COLUMNS, {"site": "s.id"}, ("s.id",), _OF_SITE,
        {"Things": Navigation("Things", ("site",)),
         "HistoricalLocations": Navigation("HistoricalLocations", ("site",))},
    ),
    "HistoricalLocations": Set(
        _DEVICE, _IN_SCOPE, _DEVICE_COLUMNS, {"device": "d.id", "site": "s.id"}, ("d.id",),
        {"id": ("d.id", "text"), "@iot.id": ("d.id", "text"), "time": ("d.installed", "time"),
         **_below("Thing", _OF_THING), **_below("Locations", _OF_SITE)},
        {"Thing": Navigation("Things", ("device",), many=False),
         "Locations": Navigation("Locations", ("site",))},
    ),
    "Sensors": Set(
        _DEVICE, _IN_SCOPE, _DEVICE_COLUMNS, {"device": "d.id", "site": "s.id"}, ("d.id",),
        _OF_THING, {"Datastreams": Navigation("Datastreams", ("device",))},
    ),
    "ObservedProperties": Set(
        "(SELECT DISTINCT ON (name) * FROM known ORDER BY name, class) k",
        "EXISTS (SELECT FROM device d JOIN known n ON n.class = d.class"
        f" WHERE n.name = k.name AND {_IN_SCOPE})",
        "k.name, k.unit, k.period", {"property": "k.name"}, ("k.name",), _OF_PROPERTY,
        {"Datastreams": Navigation("Datastreams", ("property",))},
    ),
    "Datastreams": Set(
        _STREAM, _IN_SCOPE, "d.id, k.name, k.unit, k.period, s.id, d.class",
        {"device": "d.id", "property": "k.name", "site": "s.id"}, ("d.id", "k.name"),
        _STREAM_PROPERTIES,
        {"Thing": Navigation("Things", ("device",), many=False),
         "Sensor": Navigation("Sensors", ("device",), many=False),
         "ObservedProperty": Navigation("ObservedProperties", ("property",), many=False),
         "Observations": Navigation("Observations", ("device", "property"))},
    ),
    "FeaturesOfInterest": Set(
        "site s", _ANY_OF_SITE, _SITE_COLUMNS, {"site": "s.id"}, ("s.id",), _OF_SITE,
        {"Observations": Navigation("Observations", ("site",))},
    ),
    "Observations": Set(
        f"{_STREAM} JOIN {_OBSERVED} ON o.device_id = d.id AND o.name = k.name", _IN_SCOPE,
        "d.id, k.name, o.start, o.ending, o.value, o.grade, o.share, o.estimated_us, o.unknown_us,"
        " s.id",
        {"device": "o.device_id", "property": "o.name", "site": "s.id", "start": "o.start"},
        ("o.device_id", "o.name", "o.start"),
        {"id": ("(o.device_id || ':' || o.name || ':' || extract(epoch FROM o.start)::bigint)",
                "text"),
         "phenomenonTime": ("o.start", "time"), "resultTime": ("o.ending", "time"),
         "result": ("o.value", "number"),
         **_below("Datastream", _STREAM_PROPERTIES), **_below("FeatureOfInterest", _OF_SITE)},
        {"Datastream": Navigation("Datastreams", ("device", "property"), many=False),
         "FeatureOfInterest": Navigation("FeaturesOfInterest", ("site",), many=False)},
    ),
}  # fmt: skip


@dataclass(slots=True)
class Reader:
    """
    Reads entities for one request, within the caller's scope.

    `projects`: projects whose devices are visible; None for all.
    `public`: device classes visible to everyone.
    """

    conn: Connection
    projects: Sequence[str] | None
    public: Sequence[str]
    _look_ups: int = 0
    _entities: int = 0
    _until_s: float = field(default_factory=lambda: time.monotonic() + LONGEST_S)

    def rows(
        self,
        of: str,
        keys: Mapping[str, Any],
        condition: tuple[str, Mapping[str, Any]],
        order: Sequence[str],
        skip: int,
        limit: int,
    ) -> list[TupleRow]:
        """
        Return entities of a set.

        `keys`: values of the set's keys.
        `condition`: SQL over the set's properties, and its parameters.
        Raises InputError if the request exceeds the limits.
        """
        entity = SETS[of]
        where, more = self._where(entity, keys, condition)
        sorted_ = ", ".join((*order, *entity.order))
        # within a single series, rows are in the order of the index
        result = self._rows(
            f"WITH {_KNOWN} SELECT {entity.columns} FROM {entity.tables} WHERE {where}"
            f" ORDER BY {sorted_} OFFSET %(skip)s LIMIT %(limit)s",
            {**more, "skip": skip, "limit": limit},
        )
        self._entities += len(result)
        if self._entities > ENTITIES:
            raise InputError(f"more than {ENTITIES:,} entities are requested; lower $top")
        return result

    def count(
        self, of: str, keys: Mapping[str, Any], condition: tuple[str, Mapping[str, Any]]
    ) -> int:
        """Return the number of entities of a set."""
        entity = SETS[of]
        where, more = self._where(entity, keys, condition)
        sql = f"WITH {_KNOWN} SELECT count(*) FROM {entity.tables} WHERE {where}"
        return int(self._rows(sql, more)[0][0])

    def _where(
        self, entity: Set, keys: Mapping[str, Any], condition: tuple[str, Mapping[str, Any]]
    ) -> tuple[str, dict[str, Any]]:
        parameters = {f"key_{name}": value for name, value in keys.items()}
        parts = [entity.where, *(f"{entity.keys[name]} = %(key_{name})s" for name in keys)]
        if condition[0]:
            parts.append(f"({condition[0]})")
        known = list(_known())
        scope: dict[str, Any] = {
            "all": self.projects is None,
            "scope": list(self.projects or ()),
            "public": list(self.public),
            "classes": [datastream[0] for datastream in known],
            "names": [datastream[1] for datastream in known],
            "units": [datastream[2] for datastream in known],
            "periods": [datastream[3] for datastream in known],
        }
        return " AND ".join(parts), {**scope, **parameters, **condition[1]}

    def _rows(self, sql: str, parameters: Mapping[str, Any]) -> list[TupleRow]:
        self._look_ups += 1
        if self._look_ups > LOOK_UPS or time.monotonic() > self._until_s:
            raise InputError(
                f"$expand requests more than {LOOK_UPS} look-ups or {LONGEST_S:g} s; lower $top, "
                "or request the rest by its link"
            )
        return self.conn.execute(sql, parameters).fetchall()


def _known() -> Sequence[tuple[str, str, str, str]]:
    """Return class, name, unit and period of all quantities and indicators."""
    result = []
    for id_, device_class in classes.load().items():
        names = dict.fromkeys(str(r.quantity) for r in device_class.registers if r.quantity)
        result += [(id_, name, _UNITS[name], "PT15M") for name in names]
        for kind in KINDS_OF.get(id_, ()):
            result.append((id_, kind.name, kind.unit, "PT1H" if kind.period == "hour" else "P1D"))
    return result


def kind_of(value: object) -> str:
    """Return the type of a value in a condition: text, number or time."""
    if isinstance(value, datetime):
        return "time"
    return "number" if isinstance(value, Decimal) else "text"
