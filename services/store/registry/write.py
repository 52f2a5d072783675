"""Writing of changed registry entries, and of the validity of methodologies for dashboards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from psycopg import Connection, Cursor

from mrv.calendar import period_us, utc_text
from mrv.method_lives import lives
from services.registry.entries import (
    ARRAY_KEYS,
    Device,
    Entered,
    Entry,
    Programme,
    Project,
    Published,
    Registry,
    Site,
    Topic,
)
from services.registry.fields import plain
from services.registry.ratings import country, during_us, grid, timezone
from services.store.postgres.pool import jsonb
from services.store.registry import entries_from_rows as monitoring
from services.store.registry import programme as authority
from services.store.registry.entries_from_rows import (
    ARRAYS,
    CALIBRATIONS,
    EXCHANGED,
    METER_KEYS,
    QUALITY,
    RATINGS,
    REPLACEMENTS,
    REPORTED,
    SAMPLES,
    insert,
    upsert,
    written,
)


def write_lives(conn: Connection) -> None:
    """Replace the stored validity of methodologies by this version's."""
    names = {live.id: live.name for live in lives()}
    with conn.transaction(), conn.cursor() as cur:
        cur.execute("DELETE FROM method_life")
        cur.executemany(
            "INSERT INTO method_life (programme, programmes, methodology, name, version,"
            " register_until, credits_until, inactive, successor, source)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (live.programme, [n.lower() for n in (live.programme, *live.programmes)], live.id,
                 live.name, live.version, live.register_until, live.credits_until, live.inactive,
                 names.get(live.successor or ""), live.source)
                for live in lives()
            ],
        )  # fmt: skip


def write_entries(
    conn: Connection, changes: Iterable[Entry], merged: Registry, author: str
) -> None:
    """Write changed entries; constraints between them are checked at commit."""
    changed = list(changes)
    with conn.cursor() as cur:
        sites = [e for e in changed if isinstance(e, Site)]
        upsert(cur, "site", [_site(site) for site in sites])
        _write_names(cur, "site", {site.id: site.names for site in sites})
        _write_devices(cur, [e for e in changed if isinstance(e, Device)], author)
        upsert(cur, "topic_template", [written(e) for e in changed if isinstance(e, Topic)])
        upsert(cur, "published_factor", [written(e) for e in changed if isinstance(e, Published)])
        authority.write(cur, [e for e in changed if isinstance(e, Entered)], merged, author)
        for entry in changed:
            if isinstance(entry, Project):
                _write_project(cur, entry, merged)
                SAMPLES.add(cur, ((entry.id, s) for s in entry.laboratory or ()), author=author)
                monitoring.add_versions(cur, entry.id, entry.monitoring or (), author)
            elif isinstance(entry, Programme):
                _write_programme(cur, entry)


def _site(site: Site) -> dict[str, Any]:
    tariffs = jsonb([plain(tariff) for tariff in site.tariffs]) if site.tariffs else None
    return {**written(site), "timezone": site.clock, "tariffs": tariffs}


def _write_names(
    cur: Cursor, kind: str, translations: Mapping[str, Mapping[str, str] | None]
) -> None:
    """Replace names in other languages."""
    cur.execute(
        "DELETE FROM registry_names WHERE kind = %s AND id = ANY (%s)", [kind, list(translations)]
    )
    cur.executemany(
        "INSERT INTO registry_names (kind, id, names) VALUES (%s, %s, %s)",
        [(kind, id_, jsonb(dict(names))) for id_, names in translations.items() if names],
    )


def _write_devices(cur: Cursor, devices: list[Device], author: str) -> None:
    """Write devices with their lists; rows of keys, modules and ratings never change."""
    upsert(cur, "device", [written(device, without=ARRAY_KEYS) for device in devices])
    CALIBRATIONS.replace(cur, {d.id: d.calibrations for d in devices})
    REPLACEMENTS.replace(cur, {d.id: d.replacements for d in devices}, author=author)
    EXCHANGED.replace(cur, {d.id: d.exchanged_channels for d in devices}, author=author)
    QUALITY.replace(cur, {d.id: d.quality for d in devices}, author=author)
    METER_KEYS.add(cur, ((d.id, k) for d in devices for k in d.meter_keys or ()), author=author)
    ARRAYS.add(cur, ((d.id, a) for d in devices for a in d.arrays or ()), author=author)
    _write_ratings(cur, devices, author)


def _write_ratings(cur: Cursor, devices: list[Device], author: str) -> None:
    """Add ratings; existing rows never change, and a correction is a later row."""
    before = RATINGS.load(cur, [device.id for device in devices])
    columns = [RATINGS.owner, *RATINGS.columns]
    cur.executemany(
        f"INSERT INTO device_rating ({', '.join(columns)}, author, recorded)"
        f" VALUES ({'%s, ' * len(columns)}%s, now() + %s * INTERVAL '1 microsecond')",
        [
            (d.id, *written(rating).values(), author, place if rating.sha256 else 0)
            for d in devices
            for place, rating in enumerate(d.ratings or ())
            if rating not in before[d.id]
        ],
    )


def _write_project(cur: Cursor, project: Project, merged: Registry) -> None:
    zone = timezone(project, merged) or "UTC"
    boundary = [plain(outside) for outside in project.boundary or ()]
    declared = jsonb(msgspec.to_builtins(project.declared)) if project.declared else None
    row = written(project, without=("design",)) | {
        "timezone": zone,
        "crediting": _range(*period_us(project.crediting_from, project.crediting_to, zone)),
        "boundary": jsonb(boundary) if boundary else None,
        "country": country(project, merged),
        "grid": grid(project, merged),
        "declared": declared,
    }
    upsert(cur, "project", [row])
    _write_names(cur, "project", {project.id: project.names})
    cur.execute("DELETE FROM project_device WHERE project_id = %s", [project.id])
    cur.executemany(
        "INSERT INTO project_device VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (project.id, d.device, d.role, jsonb(d.params), i, _range(*during_us(project, d, zone)))
            for i, d in enumerate(project.devices)
        ],
    )


def _range(begin_us: int, end_us: int) -> str:
    return f"[{utc_text(begin_us)},{utc_text(end_us)})"


def _write_programme(cur: Cursor, programme: Programme) -> None:
    upsert(cur, "programme", [written(programme)], "only_one")
    cur.execute("DELETE FROM registry_names WHERE kind IN ('action', 'role')")
    _write_names(cur, "role", {role.name: role.names for role in programme.roles})
    _write_names(cur, "action", {a.id: a.names for a in programme.actions})
    cur.execute("DELETE FROM programme_action")
    actions = [written(a) | {"position": i} for i, a in enumerate(programme.actions)]
    insert(cur, "programme_action", actions)
    REPORTED.add(cur, ((a.id, r) for a in programme.actions for r in a.reported))
