"""Project entries of successive imports, from `registry_version`, which is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Connection

from services.store.postgres.pool import exact


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
    """Return entries of other projects with one of the devices, as `load_versions`."""
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
    Return the imported values of an attribute in order, by device that ever had it.

    Each with its time [us UTC]; None where the entry lacks it.
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
    """
    Return devices that any import assigned to a project, and those placed at
    one of the sites.
    """
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
