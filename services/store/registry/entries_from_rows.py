"""Registry entries from database rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from psycopg import Connection

from mrv.calendar import local_date, zones
from mrv.registry.declared import Declared
from services.registry.entries import (
    ARRAY_KEYS,
    Action,
    Device,
    Entry,
    LaterZone,
    Outside,
    PersonRole,
    Programme,
    Project,
    ProjectDevice,
    Published,
    Rating,
    Registry,
    Site,
    Tariff,
    Topic,
    array_fields,
)
from services.store.postgres.values import exact
from services.store.registry import authority
from services.store.registry.monitoring_plans import load_versions
from services.store.registry.rows import (
    ARRAYS,
    CALIBRATIONS,
    METER_KEYS,
    QUALITY,
    RATINGS,
    REPLACEMENTS,
    REPORTED,
    SAMPLES,
    entries,
)

Bound = tuple[str, str, dict[str, Any], int, int]


def load_registry(conn: Connection) -> Registry:
    """Return the whole registry."""
    called = names(conn)
    result: list[Entry] = []
    for values, tariffs in entries(conn, "site", Site, more=["tariffs::text"]):
        first, *later = zones(values["timezone"])
        values["timezone"], values["names"] = first.name, called.get(("site", values["id"]))
        more = tuple(LaterZone(z.first, z.name) for z in later if z.first is not None)
        result.append(Site(**values, timezones=more or None, tariffs=_tariffs(tariffs)))
    result += _devices(conn)
    result += [Topic(**values) for (values,) in entries(conn, "topic_template", Topic)]
    result += [Published(**values) for (values,) in entries(conn, "published_factor", Published)]
    result += _projects(conn, called)
    reported = REPORTED.load(conn)
    actions = tuple(
        Action(id_, name, target, year, tuple(reported[id_]), names=called.get(("action", id_)))
        for id_, name, target, year in conn.execute(
            "SELECT id, name, target_kt, target_year FROM programme_action ORDER BY position"
        )
    )
    roles = sorted((id_, named) for (kind, id_), named in called.items() if kind == "role")
    persons = tuple(PersonRole(*role) for role in roles)
    result += [
        Programme(**values, actions=actions, roles=persons)
        for (values,) in entries(conn, "programme", Programme)
    ]
    result += authority.load(conn)
    return Registry.of(result)


def _tariffs(text: str | None) -> tuple[Tariff, ...] | None:
    rows = [] if text is None else exact(text)
    return tuple(Tariff(date.fromisoformat(row.pop("from")), **row) for row in rows) or None


def names(conn: Connection) -> dict[tuple[str, str], dict[str, str]]:
    """
    Return the names of sites, projects, actions and roles in all languages, by kind and id.

    Sites are also found by the prefix `site` and their registered name.
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
    """Return a project's entry without the rest of the registry; None if there is none."""
    return next((entry for entry in _projects(conn, names(conn)) if entry.id == project), None)


def _projects(conn: Connection, called: Mapping[tuple[str, str], Any]) -> list[Project]:
    bound, plans, samples = _bound(conn), load_versions(conn), SAMPLES.load(conn)
    result = []
    more = "timezone", "boundary", "declared"
    for values, zone, boundary, record in entries(conn, "project", Project, ("design",), more):
        name = values["id"]
        period = values["crediting_from"], values["crediting_to"], zone
        found = Declared() if record is None else msgspec.convert(record, Declared)
        values["documents"] = values["documents"] or {}
        result.append(
            Project(
                **values,
                names=called.get(("project", name)),
                devices=tuple(_with_dates(*b, *period) for b in bound[name]),
                monitoring=plans.get(name, ()),
                boundary=tuple(msgspec.convert(share, Outside) for share in boundary or ()),
                laboratory=tuple(samples[name]),
                **{field.name: getattr(found, field.name) for field in fields(Declared)},
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
    dates = _unless(first, begin, zone), _unless(last, end, zone)
    return ProjectDevice(device, role, params, *dates)


def _unless(edge: date, instant_us: int, zone: str) -> date | None:
    """Return the local date of an instant; None if it equals the project's own limit."""
    day = local_date(instant_us, zone)
    return None if day == edge else day
