"""
Registry and factor book as used by the pipeline and the accounting, and entries of earlier imports.

The pipeline compares the registry version at intervals, and reloads what has changed.  The table
`registry_version` contains the changed entries of each import, and is sealed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.model import Device, Exchange, Fleet, QualityLimits, Replacement
from mrv import factors
from mrv.factors import FactorBook
from mrv.factors.ledger import factor_of
from mrv.model import Factor
from mrv.registry.project import Project, ProjectDevice
from mrv.signatures.organisations import stem
from services.store.postgres.pool import exact
from services.store.registry import unknown

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_DEVICES = (
    "SELECT d.id, d.site, d.class, d.profile, d.gateway, d.rated_power_w, "
    f"{_US.format('d.installed')}, {_US.format('d.removed')}, s.timezone, "
    "coalesce(d.attributes -> 'limits', '{}')::text, s.latitude, s.longitude, s.country "
    "FROM device d JOIN site s ON s.id = d.site"
    " WHERE %(ids)s::text[] IS NULL OR d.id = ANY(%(ids)s) ORDER BY d.id"
)
_SWAPS = (
    f"SELECT device_id, channel, {_US.format('at')}, last_value, first_value,"
    " coalesce(same_meter, false) FROM device_replacement"
    " WHERE %(ids)s::text[] IS NULL OR device_id = ANY(%(ids)s)"
    " ORDER BY device_id, at, channel"
)
_EXCHANGED = (
    f"SELECT device_id, channel, other, {_US.format('begins')}, {_US.format('ends')}"
    " FROM device_exchange WHERE %(ids)s::text[] IS NULL OR device_id = ANY(%(ids)s)"
    " ORDER BY device_id, begins, channel"
)
_QUALITY = (
    f"SELECT device_id, channel, {_US.format('begins')}, limits "
    "FROM device_quality WHERE %(ids)s::text[] IS NULL OR device_id = ANY(%(ids)s)"
    " ORDER BY device_id, channel, begins"
)
_PROJECTS = (
    "SELECT id, name, methodology, version, timezone, country, grid, "
    f"{_US.format('lower(crediting)')}, {_US.format('upper(crediting)')}, "
    "parameters::text, expected::text, action FROM project"
    " WHERE %(ids)s::text[] IS NULL OR id = ANY(%(ids)s) ORDER BY id"
)
_SERVICES = (
    "SELECT project_id, device_id, role, params::text, "
    f"{_US.format('lower(during)')}, {_US.format('upper(during)')} "
    "FROM project_device WHERE %(ids)s::text[] IS NULL OR project_id = ANY(%(ids)s)"
    " ORDER BY project_id, position"
)
# maximum number of changes loaded one by one; for more, everything is reloaded
_FEW = 1_000


def registry_version(conn: Connection) -> int:
    """Return the number of the last import with changes; 0 before the first."""
    row = conn.execute("SELECT coalesce(max(version), 0) FROM registry_version").fetchone()
    return int(row[0]) if row else 0


def load_fleet(conn: Connection) -> Fleet:
    """
    Return the fleet: all devices with their meter replacements, and the fleet's own topics.
    The version is read first, so that an import during loading causes another reload.
    """
    version = registry_version(conn)
    devices = _load_devices(conn, None)
    topics = conn.execute("SELECT template FROM topic_template WHERE active ORDER BY id")
    return Fleet(devices, version, [template for (template,) in topics])


class Changes(NamedTuple):
    """Ids of devices and projects changed by newer registry versions."""

    devices: set[str]
    projects: set[str]


def changed_since(conn: Connection, version: int) -> Changes | None:
    """
    Return the changes after a version; None if everything must be reloaded.
    Everything is reloaded if many entries, a site, a topic or a factor changed, or the database was
    restored to an older version.
    """
    if registry_version(conn) < version:
        return None
    result = Changes(set(), set())
    kinds = {"device": result.devices, "project": result.projects}
    rows = conn.execute("SELECT changes FROM registry_version WHERE version > %s", [version])
    for (changes,) in rows:
        if not isinstance(changes, list) or any(change["kind"] not in kinds for change in changes):
            return None
        for change in changes:
            kinds[change["kind"]].add(change["id"])
    return result if len(result.devices) + len(result.projects) <= _FEW else None


def last_touched(conn: Connection) -> dict[str, int]:
    """
    Return the version that last changed each project's account.

    An account depends on the project, its devices and their sites, and on all factors and the
    programme.
    """
    rows = conn.execute(
        "WITH change AS MATERIALIZED (SELECT c ->> 'kind' AS kind, c ->> 'id' AS id,"
        "  max(v.version) AS version FROM registry_version v"
        "  CROSS JOIN jsonb_array_elements(CASE jsonb_typeof(v.changes) WHEN 'array'"
        '    THEN v.changes ELSE \'[{"kind": "other"}]\' END) c GROUP BY 1, 2),'
        " wide AS (SELECT max(version) AS version FROM change"
        "  WHERE kind NOT IN ('device', 'project', 'site', 'topic')),"
        " part AS (SELECT id AS project_id, 'project' AS kind, id FROM project"
        "  UNION SELECT m.project_id, k.kind, k.id FROM project_device m"
        "   JOIN device d ON d.id = m.device_id"
        "   CROSS JOIN LATERAL (VALUES ('device', d.id), ('site', d.site)) k (kind, id))"
        " SELECT p.project_id, greatest(max(c.version), (SELECT version FROM wide))"
        " FROM part p LEFT JOIN change c ON c.kind = p.kind AND c.id = p.id GROUP BY 1"
    )
    return {project: version or 0 for project, version in rows.fetchall()}


def load_changed_fleet(conn: Connection, fleet: Fleet, changes: Changes) -> Fleet:
    """Return the fleet with changed devices reloaded; other devices are the same objects."""
    devices = _load_devices(conn, sorted(changes.devices)) if changes.devices else []
    return fleet.following(devices, registry_version(conn))


def load_changed_projects(
    conn: Connection, projects: Sequence[Project], changes: Changes
) -> list[Project]:
    """Return the projects with changed ones reloaded; other projects are the same objects."""
    known = {p.id: p for p in projects}
    if changes.projects:
        known |= {p.id: p for p in _load_projects(conn, sorted(changes.projects))}
    return [known[name] for name in sorted(known)]


def _load_devices(conn: Connection, ids: Sequence[str] | None) -> list[Device]:
    """Return the given devices, or all."""
    arguments = {"ids": ids}
    swaps: defaultdict[str, list[Replacement]] = defaultdict(list)
    for device, *of in conn.execute(_SWAPS, arguments):
        swaps[device].append(Replacement(*of))
    exchanged: defaultdict[str, list[Exchange]] = defaultdict(list)
    for device, *of in conn.execute(_EXCHANGED, arguments):
        exchanged[device].append(Exchange(*of))
    quality: defaultdict[str, list[QualityLimits]] = defaultdict(list)
    for device, channel, begins_us, limits in conn.execute(_QUALITY, arguments):
        quality[device].append(QualityLimits(channel, begins_us, limits))
    return [
        Device(
            name, site, class_id, profile, gateway, rated, begin, end, tuple(swaps[name]),
            zone, _limits(text), tuple(quality[name]), (latitude, longitude), country,
            tuple(exchanged[name]),
        )
        for (
            name, site, class_id, profile, gateway, rated, begin, end, zone, text,
            latitude, longitude, country
        ) in conn.execute(_DEVICES, arguments)
    ]  # fmt: skip


def _limits(text: str) -> dict[str, Any]:
    """Return `attributes.limits`; empty if it is not a mapping."""
    result = exact(text)
    return result if isinstance(result, dict) else {}


def load_projects(conn: Connection) -> list[Project]:
    """Return all projects with their devices, in order of ids."""
    return _load_projects(conn, None)


def _load_projects(conn: Connection, ids: Sequence[str] | None) -> list[Project]:
    """Return the given projects, or all."""
    arguments = {"ids": ids}
    services: defaultdict[str, list[ProjectDevice]] = defaultdict(list)
    for project, device, role, params, from_us, to_us in conn.execute(_SERVICES, arguments):
        services[project].append(ProjectDevice(device, role, exact(params), from_us, to_us))
    return [
        Project(
            name=title,
            methodology=methodology,
            version=version,
            timezone=zone,
            country=country,
            grid=grid,
            from_us=begin,
            to_us=end,
            parameters=exact(parameters),
            expected=exact(expected),
            action=action,
            devices=tuple(services[project]),
            id=project,
        )
        for (
            project, title, methodology, version, zone, country, grid, begin, end, parameters,
            expected, action,
        ) in conn.execute(_PROJECTS, arguments)
    ]  # fmt: skip


def load_project(conn: Connection, project_id: str) -> Project:
    """
    Return the project of an id, with its devices.

    Raises RegistryError when it is not registered.
    """
    for project in _load_projects(conn, [project_id]):
        return project
    raise unknown(conn, "project", project_id)


def load_published(conn: Connection) -> list[Factor]:
    """
    Return the factors of registry files.

    A document is a third party's unless its issuer has an operator's key.
    """
    rows = conn.execute("SELECT record::text FROM published_factor ORDER BY id").fetchall()
    result = [factor_of(exact(record)) for (record,) in rows]
    own = _operators(conn) if any(f.document for f in result) else frozenset()
    return [
        replace(
            f, brought=True, documented=f.document is not None and stem(f.document.by) not in own
        )
        for f in result
    ]


def _operators(conn: Connection) -> frozenset[str]:
    """Return the organisations with an operator's key, in the normalised spelling of `stem`."""
    rows = conn.execute(
        "SELECT coalesce(bounds ->> 'organisation', name) FROM enrolled_key WHERE role = 'operator'"
    )
    return frozenset(stem(name) for (name,) in rows)


def load_book(conn: Connection) -> FactorBook:
    """
    Return the factor book: factors published with tonne, and those of registry files.

    Raises FactorError if a registry factor overlaps in time with another of its kind.
    """
    return factors.load().with_more(load_published(conn))


class ProjectVersion(NamedTuple):
    """A project's entry after an import, with time [us UTC] and author."""

    imported_us: int
    author: str
    entry: dict[str, Any]


_ROWS = "SELECT (extract(epoch FROM imported) * 1000000)::bigint, author, entry::text"


def load_versions(conn: Connection, project: str) -> list[ProjectVersion]:
    """Return the entries of a project with the keys of registry files, in the order of imports."""
    rows = conn.execute(
        f"{_ROWS} FROM registry_version CROSS JOIN LATERAL jsonb_path_query(changes,"
        " '$[*] ? (@.kind == \"project\" && @.id == $id).after',"
        " jsonb_build_object('id', %s::text)) entry ORDER BY version",
        [project],
    )
    return [ProjectVersion(us, author, exact(text)) for us, author, text in rows]


def load_others(conn: Connection, project: str, devices: Sequence[str]) -> list[ProjectVersion]:
    """Return entries of other projects with one of the devices, in the order of imports."""
    rows = conn.execute(
        f"{_ROWS} FROM registry_version CROSS JOIN LATERAL jsonb_path_query(changes,"
        " '$[*] ? (@.kind == \"project\" && @.id != $id).after',"
        " jsonb_build_object('id', %s::text)) entry"
        " WHERE EXISTS (SELECT FROM jsonb_array_elements(entry->'devices') d"
        " WHERE d->>'device' = ANY(%s)) ORDER BY version",
        [project, list(devices)],
    )
    return [ProjectVersion(us, author, exact(text)) for us, author, text in rows]


def attribute_versions(
    conn: Connection, devices: Sequence[str], key: str
) -> dict[str, list[tuple[int, Any]]]:
    """
    Return the imported values of an attribute, by device that ever had it, in the order of imports.
    Each is a pair of time of import [us UTC] and value; None if that import lacks the attribute.
    """
    result: dict[str, list[tuple[int, Any]]] = {}
    rows = conn.execute(
        "SELECT (extract(epoch FROM imported) * 1000000)::bigint, c ->> 'id',"
        " (c -> 'after' -> 'attributes' -> %(key)s)::text FROM registry_version"
        " CROSS JOIN LATERAL jsonb_path_query(changes, '$[*] ? (@.kind == \"device\")') c"
        " WHERE c ->> 'id' = ANY(%(devices)s) ORDER BY version",
        {"key": key, "devices": list(devices)},
    )
    for us, device, content in rows:
        result.setdefault(device, []).append((us, None if content is None else exact(content)))
    return {name: some for name, some in result.items() if any(v is not None for _, v in some)}


def devices_before(
    conn: Connection, project: str, sites: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Return devices that any import assigned to a project, and devices placed at the sites."""
    bound = conn.execute(
        "SELECT DISTINCT id #>> '{}' FROM registry_version CROSS JOIN LATERAL"
        ' jsonb_path_query(changes, \'$[*] ? (@.kind == "project" && @.id == $id)'
        ".after.devices[*].device', jsonb_build_object('id', %s::text)) id",
        [project],
    )
    placed = conn.execute(
        "SELECT DISTINCT c ->> 'id' FROM registry_version"
        " CROSS JOIN LATERAL jsonb_path_query(changes, '$[*] ? (@.kind == \"device\")') c"
        " WHERE c -> 'after' ->> 'site' = ANY(%s)",
        [list(sites)],
    )
    return {name for (name,) in bound}, {name for (name,) in placed}
