"""
OGC SensorThings API 1.1, read only: values of stations and meters.

Devices are Things and their own Sensors, sites Locations and FeaturesOfInterest. A Datastream is
one quantity or indicator of a device, an Observation its value of 15 minutes, an hour or a day.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import psycopg
from fastapi import APIRouter, Path, Query
from psycopg.rows import TupleRow
from starlette.responses import PlainTextResponse, Response

from ingest import classes
from ingest.errors import InputError
from services.api import odata
from services.api.answers import ProblemError
from services.api.file_cache import current
from services.api.request_context import Ask, RequestContext
from services.store.views.listing import SETS, Navigation, Reader, kind_of

router = APIRouter(tags=["sensorthings"])
ROOT = "/v1/sensorthings/v1.1"
_TIMEOUT = b"SET LOCAL statement_timeout = '5s'"
_DEEPEST = 5
_SEGMENT = re.compile(r"([A-Za-z]+)(?:\('([A-Za-z0-9_.:-]{1,200})'\))?")
_CONFORMS = [
    f"http://www.opengis.net/spec/iot_sensing/1.1/{part}"
    for part in ("datamodel", "resource-path/resource-path-to-entities", "request-data")
]
_MEASURED = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
_OBSERVED = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Observation"
_GEOJSON = "application/geo+json"


class _Place(NamedTuple):
    """Target of a path: a set, keys, whether it is one entity, and a property."""

    of: str
    keys: Mapping[str, Any]
    single: bool
    property: tuple[str, ...] = ()


@router.get("/sensorthings/v1.1")
def index(ask: Ask) -> Response:
    """Return the entity sets of OGC SensorThings and the supported parts of it."""
    base = _base(ask)
    value = [{"name": name, "url": f"{base}/{name}"} for name in SETS]
    return current({"value": value, "serverSettings": {"conformance": _CONFORMS}})


@router.get("/sensorthings/v1.1/{path:path}")
def entities(
    ask: Ask,
    path: Annotated[str, Path(max_length=500, examples=["Things('air-1')/Datastreams"])],
    where: Annotated[str | None, Query(alias="$filter", max_length=2_000)] = None,
    expand: Annotated[str | None, Query(alias="$expand", max_length=1_000)] = None,
    order: Annotated[str | None, Query(alias="$orderby", max_length=500)] = None,
    select: Annotated[str | None, Query(alias="$select", max_length=500)] = None,
    top: Annotated[str | None, Query(alias="$top", max_length=20)] = None,
    skip: Annotated[str | None, Query(alias="$skip", max_length=20)] = None,
    count: Annotated[str | None, Query(alias="$count", max_length=10)] = None,
) -> Response:
    """
    Return entities of OGC SensorThings 1.1: of public device classes, and of visible devices.

    `$filter` compares properties, also of related entities (`Datastream/id`), with texts, numbers
    and times, and knows substringof, startswith and endswith; a `phenomenonTime` is compared by its
    begin.
    """
    parameters = {"$filter": where, "$expand": expand, "$orderby": order, "$select": select,
             "$top": top, "$skip": skip, "$count": count}  # fmt: skip
    query = odata.read({name: text for name, text in parameters.items() if text is not None})
    try:
        with ask.reading() as conn, conn.transaction():
            conn.execute(_TIMEOUT)
            projects = () if ask.who.role == "public" else ask.who.projects
            answers = _Answers(ask, Reader(conn, projects, ask.api.public_classes))
            return answers.of(path, query)
    except psycopg.errors.QueryCanceled:
        raise ProblemError(
            422, "this request takes more than 5 s; request one Datastream or a shorter time"
        ) from None


class _Answers:
    """Composes the answer of one request."""

    def __init__(self, ask: RequestContext, reader: Reader) -> None:
        self._ask, self._reader, self._base = ask, reader, _base(ask)
        self._known: dict[tuple[Any, ...], dict[str, Any] | None] = {}

    def of(self, path: str, query: odata.Query) -> Response:
        """Return the answer for a path."""
        place = self._place(path)
        if place.property:
            return self._property(place, path)
        if place.single:
            result = self._entity(place.of, place.keys, query)
            if result is None:
                raise _unknown(path)
            return current(result)
        url = self._ask.request.url
        return current(self._page(place.of, place.keys, query, lambda skip: _link(url, skip)))

    def _place(self, path: str) -> _Place:
        """
        Return a path's target.

        The entities that precede it in the path are looked up.  Raises ProblemError: 404 if one is
        unknown or not visible to the caller.
        """
        segments = [segment for segment in path.split("/") if segment]
        if not segments or len(segments) > _DEEPEST:
            raise _unknown(path)
        match = _SEGMENT.fullmatch(segments[0])
        if match is None or match[1] not in SETS:
            raise _unknown(path)
        of, keys, single = match[1], _keys(match[1], match[2], path), match[2] is not None
        for at, segment in enumerate(segments[1:], 1):
            match = _SEGMENT.fullmatch(segment)
            step = SETS[of].navigation.get(match[1]) if match is not None and single else None
            if match is None or step is None:
                return _Place(of, keys, single, tuple(segments[at:]))
            row = self._row(of, keys)
            if row is None:
                raise _unknown(path)
            keys = {name: _keys_of(of, row)[name] for name in step.keys}
            of, single = step.to, not step.many
            if match[2] is not None:
                if not step.many:
                    raise _unknown(path)
                keys, single = {**keys, **_keys(of, match[2], path)}, True
        return _Place(of, keys, single)

    def _property(self, place: _Place, path: str) -> Response:
        result = self._entity(place.of, place.keys, odata.Query()) if place.single else None
        name, *rest = place.property
        if result is None or name not in result or rest not in ([], ["$value"]):
            raise _unknown(path)
        if rest:
            return PlainTextResponse(str(result[name]), headers={"Cache-Control": "no-store"})
        return current({name: result[name]})

    def _row(self, of: str, keys: Mapping[str, Any]) -> TupleRow | None:
        rows = self._reader.rows(of, keys, ("", {}), (), 0, 1)
        return rows[0] if rows else None

    def _entity(
        self, of: str, keys: Mapping[str, Any], query: odata.Query
    ) -> dict[str, Any] | None:
        """
        Return an entity as JSON; None if it is unknown or not visible.

        An entity that is referred to several times is looked up once.
        """
        key = (of, tuple(sorted(keys.items(), key=str)), repr(query))
        if key not in self._known:
            row = self._row(of, keys)
            self._known[key] = None if row is None else self._entity_values(of, row, query)
        return self._known[key]

    def _page(
        self,
        of: str,
        keys: Mapping[str, Any],
        query: odata.Query,
        link: Callable[[int], str | None],
    ) -> dict[str, Any]:
        condition = _condition(of, query.where)
        order = [
            f"{_column(of, name, '$orderby')[0]} {'DESC' if falls else 'ASC'}"
            for name, falls in query.order
        ]
        body: dict[str, Any] = {}
        if query.count:
            body["@iot.count"] = self._reader.count(of, keys, condition)
        rows = self._reader.rows(of, keys, condition, order, query.skip, query.top + 1)
        body["value"] = [self._entity_values(of, row, query) for row in rows[: query.top]]
        if len(rows) > query.top > 0:
            body["@iot.nextLink"] = link(query.skip + query.top)
        return body

    def _entity_values(self, of: str, row: TupleRow, query: odata.Query) -> dict[str, Any]:
        entity = SETS[of]
        id_, own = _OWN[of](row)
        self_ = f"{self._base}/{of}('{id_}')"
        whole = {"@iot.id": id_, "@iot.selfLink": self_, **own}
        links = {
            f"{name}@iot.navigationLink": f"{self_}/{name}"
            for name in entity.navigation
            if name not in query.expand
        }
        if query.select:
            wanted = {"@iot.id" if name == "id" else name for name in query.select}
            for name in wanted - whole.keys():
                raise InputError(
                    f"$select: {name[:60]!r} is not a property of {of}; there are "
                    f"{', '.join(whole)}"
                )
            values = {name: value for name, value in whole.items() if name in wanted}
        else:
            values = {**whole, **links}
        for name, below in query.expand.items():
            step = entity.navigation.get(name)
            if step is None:
                raise InputError(
                    f"$expand: {name!r} is not a navigation property of {of}; there are "
                    f"{', '.join(entity.navigation)}"
                )
            values |= self._expanded(name, step, _keys_of(of, row), below, f"{self_}/{name}")
        return values

    def _expanded(
        self, name: str, step: Navigation, keys: Mapping[str, Any], query: odata.Query, url: str
    ) -> dict[str, Any]:
        led = {key: keys[key] for key in step.keys}
        if not step.many:
            return {name: self._entity(step.to, led, query)}

        def link(skip: int) -> str:
            rest = f"&$top={query.top}" if query.top != odata.PAGE else ""
            return f"{url}?$skip={skip}{rest}"

        # for the rest of a filtered or sorted expansion there is no equivalent link
        plain = not (query.where or query.order or query.select or query.expand)
        result = self._page(step.to, led, query, link if plain else lambda _: None)
        values = {name: result["value"]}
        if result.get("@iot.nextLink"):
            values[f"{name}@iot.nextLink"] = result["@iot.nextLink"]
        if "@iot.count" in result:
            values[f"{name}@iot.count"] = result["@iot.count"]
        return values


def _base(ask: RequestContext) -> str:
    return f"{str(ask.request.base_url).rstrip('/')}{ROOT}"


def _link(url: Any, skip: int) -> str:
    return str(url.include_query_params(**{"$skip": skip}))


def _unknown(path: str) -> ProblemError:
    known = ", ".join(SETS)
    return ProblemError(
        404, f"there is no {path[:100]!r} that you may see; the entity sets are {known}"
    )


def _keys(of: str, id_: str | None, path: str) -> dict[str, Any]:
    """Return the keys in an entity's id; none for a whole set."""
    if id_ is None:
        return {}
    parts = id_.split(":")
    names = {
        "Datastreams": ("device", "property"),
        "ObservedProperties": ("property",),
        "Locations": ("site",),
        "FeaturesOfInterest": ("site",),
        "Observations": ("device", "property", "start"),
    }.get(of, ("device",))
    if len(parts) != len(names):
        raise _unknown(path)
    keys: dict[str, Any] = dict(zip(names, parts, strict=True))
    if "start" in keys:
        if not re.fullmatch("[0-9]{1,10}", parts[-1]):
            raise _unknown(path)
        keys["start"] = _moment(int(parts[-1]))
    return keys


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _keys_of(of: str, row: TupleRow) -> dict[str, Any]:
    """Return the keys of an entity's row, by the columns in `SETS`."""
    if of in {"Locations", "FeaturesOfInterest"}:
        return {"site": row[0]}
    if of == "ObservedProperties":
        return {"property": row[0]}
    if of == "Datastreams":
        return {"device": row[0], "property": row[1], "site": row[4]}
    if of == "Observations":
        return {"device": row[0], "property": row[1], "start": row[2], "site": row[9]}
    return {"device": row[0], "site": row[4]}


def _column(of: str, name: str, option: str) -> tuple[str, str]:
    known = SETS[of].properties
    if name not in known:
        raise InputError(
            f"{option}: {name[:60]!r} is not a property of {of} to filter by; properties: "
            f"{', '.join(known)}"
        )
    return known[name]


def _condition(of: str, where: odata.Condition | None) -> tuple[str, dict[str, Any]]:
    """Return a condition as SQL; values are parameters."""
    values: dict[str, Any] = {}

    def parameter(value: Any) -> str:
        values[f"value_{len(values)}"] = value
        return f"%(value_{len(values) - 1})s"

    def written(logic: odata.Condition) -> str:
        if isinstance(logic, odata.Logic):
            parts = [f"({written(part)})" for part in logic.parts]
            return (
                f"NOT {parts[0]}" if logic.word == "not" else f" {logic.word.upper()} ".join(parts)
            )
        if isinstance(logic, odata.Match):
            column, kind = _column(of, logic.of.path, "$filter")
            if kind != "text":
                raise InputError(
                    f"$filter: {logic.function} needs a text; {logic.of.path} is not a text"
                )
            text = parameter(logic.text)
            return {
                "substringof": f"position({text}::text IN {column}) > 0",
                "startswith": f"starts_with({column}, {text}::text)",
                "endswith": f"right({column}, length({text}::text)) = {text}::text",
            }[logic.function]
        column, kind = _column(of, logic.left.path, "$filter")
        if logic.right is None:
            if logic.sign not in {"eq", "ne"}:
                raise InputError(f"$filter: {logic.left.path} {logic.sign} null; use eq or ne")
            return f"{column} IS {'NOT ' if logic.sign == 'ne' else ''}NULL"
        if kind_of(logic.right) != kind:
            raise InputError(
                f"$filter: {logic.left.path} is a {kind}; write a text in '..', a number, or a time"
                " such as 2026-01-01T00:00:00Z"
            )
        cast = {"text": "text", "number": "float8", "time": "timestamptz"}[kind]
        return f"{column} {odata.COMPARISONS[logic.sign]} {parameter(logic.right)}::{cast}"

    return ("", {}) if where is None else (written(where), values)


def _thing(row: TupleRow) -> tuple[str, dict[str, Any]]:
    title = classes.load()[row[1]].title if row[1] in classes.load() else row[1]
    return row[0], {
        "name": row[0],
        "description": f"{title} at {row[5]}",
        "properties": {"class": row[1]},
    }


def _sensor(row: TupleRow) -> tuple[str, dict[str, Any]]:
    return row[0], {
        "name": row[0],
        "description": f"the instrument of {row[0]}",
        "encodingType": "text/plain",
        "metadata": f"device class {row[1]}, profile {row[2]}",
    }


def _history(row: TupleRow) -> tuple[str, dict[str, Any]]:
    return row[0], {"time": _utc(row[3])}


def _point(row: TupleRow) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [row[2], row[3]]}


def _location(row: TupleRow) -> tuple[str, dict[str, Any]]:
    about = {"name": row[1], "description": f"site {row[0]}", "encodingType": _GEOJSON}
    return row[0], {**about, "location": _point(row)}


def _feature(row: TupleRow) -> tuple[str, dict[str, Any]]:
    about = {"name": row[1], "description": f"site {row[0]}", "encodingType": _GEOJSON}
    return row[0], {**about, "feature": _point(row)}


def _observed(row: TupleRow) -> tuple[str, dict[str, Any]]:
    return row[0], {
        "name": row[0],
        "definition": f"urn:tonne:observed-property:{row[0]}",
        "description": f"{row[0]} over {row[2]}, in {row[1]}",
    }


def _datastream(row: TupleRow) -> tuple[str, dict[str, Any]]:
    unit = row[2]
    return f"{row[0]}:{row[1]}", {
        "name": f"{row[0]}:{row[1]}",
        "description": f"{row[1]} of {row[0]}, a value each {row[3]}",
        "observationType": _OBSERVED if unit == "1" else _MEASURED,
        "unitOfMeasurement": {"name": unit, "symbol": unit, "definition": "https://ucum.org/ucum"},
        "properties": {"period": row[3]},
    }


def _observation(row: TupleRow) -> tuple[str, dict[str, Any]]:
    device, name, begin, end, value, grade, share, estimated_us, unknown_us = row[:9]
    quality: dict[str, Any] = {"measured_share": None if share is None else float(share)}
    if estimated_us is not None:
        quality |= {"estimated_s": estimated_us / 1e6, "unknown_s": unknown_us / 1e6}
    if grade is not None:
        quality["grade"] = grade
    return f"{device}:{name}:{round(begin.timestamp())}", {
        "phenomenonTime": f"{_utc(begin)}/{_utc(end)}",
        "resultTime": _utc(end),
        "result": grade if value is None else int(value) if value.is_integer() else value,
        "resultQuality": quality,
    }


def _utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_OWN = {
    "Things": _thing,
    "Sensors": _sensor,
    "HistoricalLocations": _history,
    "Locations": _location,
    "FeaturesOfInterest": _feature,
    "ObservedProperties": _observed,
    "Datastreams": _datastream,
    "Observations": _observation,
}
