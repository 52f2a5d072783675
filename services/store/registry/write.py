"""Writing of changed registry entries, and of methodologies' validity for dashboards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import Any

import msgspec
from psycopg import Connection, Cursor

from mrv.calendar import period_us, utc_text
from mrv.method_lives import lives
from services.registry.declaration import plain
from services.registry.entries import (
    Device,
    Entered,
    Entry,
    Outside,
    Programme,
    Project,
    Published,
    Registry,
    Site,
    Topic,
)
from services.registry.service_times import country, during_us, grid, timezone
from services.store.postgres.values import jsonb
from services.store.registry import authority
from services.store.registry import monitoring_plans as monitoring


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
        _write_sites(cur, [e for e in changed if isinstance(e, Site)])
        _write_devices(cur, [e for e in changed if isinstance(e, Device)], author)
        _write_topics(cur, [e for e in changed if isinstance(e, Topic)])
        _write_factors(cur, [e for e in changed if isinstance(e, Published)])
        authority.write(cur, [e for e in changed if isinstance(e, Entered)], merged, author)
        for entry in changed:
            if isinstance(entry, Project):
                _write_project(cur, entry, merged)
                _write_samples(cur, entry, author)
                monitoring.add_versions(cur, entry.id, entry.monitoring or (), author)
            elif isinstance(entry, Programme):
                _write_programme(cur, entry)


def _upsert(table: str, columns: str) -> str:
    names = columns.split()
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))}) "
        f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{n} = excluded.{n}' for n in names[1:])}"
    )


def _write_sites(cur: Cursor, sites: list[Site]) -> None:
    rows = [
        (s.id, s.name, s.latitude, s.longitude, s.clock, s.park, s.country,
         jsonb([plain(t) for t in s.tariffs]) if s.tariffs else None, s.grid)
        for s in sites
    ]  # fmt: skip
    fields = "id name latitude longitude timezone park country tariffs grid"
    cur.executemany(_upsert("site", fields), rows)
    _write_names(cur, "site", {s.id: s.names for s in sites})


def _write_names(
    cur: Cursor, kind: str, translations: Mapping[str, Mapping[str, str] | None]
) -> None:
    """Write names in other languages, in place of the former ones."""
    cur.execute(
        "DELETE FROM registry_names WHERE kind = %s AND id = ANY (%s)", [kind, list(translations)]
    )
    cur.executemany(
        "INSERT INTO registry_names (kind, id, names) VALUES (%s, %s, %s)",
        [(kind, id_, jsonb(dict(names))) for id_, names in translations.items() if names],
    )


def _write_topics(cur: Cursor, topics: list[Topic]) -> None:
    rows = [(t.id, t.template, t.active) for t in topics]
    cur.executemany(_upsert("topic_template", "id template active"), rows)


def _write_factors(cur: Cursor, publisheds: list[Published]) -> None:
    rows = [(f.id, jsonb(f.record)) for f in publisheds]
    cur.executemany(_upsert("published_factor", "id record"), rows)


def _write_devices(cur: Cursor, devices: list[Device], author: str) -> None:
    columns = (
        "id site class profile gateway rated_power_w installed removed serial attributes "
        "check_of check_percent maker model commissioned"
    )
    cur.executemany(
        _upsert("device", columns),
        [
            (d.id, d.site, d.class_id, d.profile, d.gateway, d.rated_power_w, d.installed,
             d.removed, d.serial, jsonb(d.attributes), d.check_of, d.check_percent, d.maker,
             d.model, d.commissioned)
            for d in devices
        ],
    )  # fmt: skip
    cur.execute("DELETE FROM calibration WHERE device_id = ANY(%s)", [[d.id for d in devices]])
    cur.executemany(
        "INSERT INTO calibration (device_id, performed, valid_until, certificate, accuracy_class,"
        " max_error_percent, serial, channel, found_error_percent, last_test,"
        " laboratory, accreditation)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (
                d.id,
                c.performed,
                c.valid_until,
                c.certificate,
                c.accuracy_class,
                c.max_error_percent,
                c.serial,
                c.channel,
                c.found_error_percent,
                c.last_test or None,
                c.laboratory,
                c.accreditation,
            )
            for d in devices
            for c in d.calibrations or ()
        ],
    )
    _write_ratings(cur, devices, author)
    _write_meter_keys(cur, devices, author)
    _write_arrays(cur, devices, author)
    _write_swaps(cur, devices, author)
    _write_quality(cur, devices, author)


def _write_ratings(cur: Cursor, devices: list[Device], author: str) -> None:
    """Add ratings; existing rows never change, and a correction is a later row."""
    before = {
        (device, begins.astimezone(UTC), *rest)
        for device, begins, *rest in cur.execute(
            "SELECT device_id, begins, rated_power_w, document, sha256 FROM device_rating"
            " WHERE device_id = ANY (%s)",
            [[d.id for d in devices]],
        ).fetchall()
    }
    rows = [
        ((d.id, r.begins, r.rated_power_w, r.document, r.sha256), place)
        for d in devices
        for place, r in enumerate(d.ratings or ())
    ]
    cur.executemany(
        "INSERT INTO device_rating"
        " (device_id, begins, rated_power_w, document, sha256, author, recorded)"
        " VALUES (%s, %s, %s, %s, %s, %s, now() + %s * INTERVAL '1 microsecond')",
        [(*row, author, place if row[-1] else 0) for row, place in rows if row not in before],
    )


def _write_meter_keys(cur: Cursor, devices: list[Device], author: str) -> None:
    """Add signing keys of meters; existing rows never change."""
    cur.executemany(
        "INSERT INTO meter_key (device_id, begins, key, document, author)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (device_id, begins) DO NOTHING",
        [(d.id, k.begins, k.key, k.document, author) for d in devices for k in d.meter_keys or ()],
    )


def _write_arrays(cur: Cursor, devices: list[Device], author: str) -> None:
    """Add rows of PV modules; existing rows never change."""
    cur.executemany(
        "INSERT INTO device_array (device_id, begins, dc_power_w, tilt, azimuth,"
        " temperature_coefficient_percent, document, author)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (device_id, begins) DO NOTHING",
        [
            (d.id, a.begins, a.dc_power_w, a.tilt, a.azimuth, a.temperature_coefficient_percent,
             a.document, author)
            for d in devices
            for a in d.arrays or ()
        ],
    )  # fmt: skip


def _write_swaps(cur: Cursor, devices: list[Device], author: str) -> None:
    """Write meter replacements; unchanged ones keep their author."""
    rows: list[tuple[Any, ...]] = [
        (d.id, r.channel, r.at, r.last, r.first, r.reason, r.document, r.same_meter or None)
        for d in devices
        for r in d.replacements or ()
    ]
    same = (
        "SELECT device_id, channel, at, last_value, first_value, reason, document, same_meter"
        " FROM device_replacement "
        "WHERE device_id = ANY(%s)"
    )
    before = {
        (*r[:2], r[2].astimezone(UTC), *r[3:])
        for r in cur.execute(same, [[d.id for d in devices]]).fetchall()
    }
    cur.executemany(
        "DELETE FROM device_replacement WHERE device_id = %s AND channel = %s AND at = %s",
        [r[:3] for r in before - set(rows)],
    )
    cur.executemany(
        "INSERT INTO device_replacement (device_id, channel, at, last_value, first_value, reason,"
        " document, same_meter, author) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [(*r, author) for r in rows if r not in before],
    )


def _write_quality(cur: Cursor, devices: list[Device], author: str) -> None:
    """Write limits of quality tests; unchanged ones keep author and date."""
    names = [d.id for d in devices]
    same = "SELECT device_id, channel, begins, limits, reason FROM device_quality"
    before = {
        (device, channel, begins.astimezone(UTC)): (limits, reason)
        for device, channel, begins, limits, reason in cur.execute(
            f"{same} WHERE device_id = ANY(%s)", [names]
        ).fetchall()
    }
    after = {
        (d.id, q.channel, q.begins): (dict(q.limits), q.reason)
        for d in devices
        for q in d.quality or ()
    }
    cur.executemany(
        "DELETE FROM device_quality WHERE device_id = %s AND channel = %s AND begins = %s",
        [key for key, stored in before.items() if after.get(key) != stored],
    )
    cur.executemany(
        "INSERT INTO device_quality (device_id, channel, begins, limits, reason, author)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (*key, jsonb(limits), reason, author)
            for key, (limits, reason) in after.items()
            if before.get(key) != (limits, reason)
        ],
    )


def _outside(outside: Outside) -> dict[str, Any]:
    return {key: value for key, value in asdict(outside).items() if value != ()}


def _write_project(cur: Cursor, project: Project, merged: Registry) -> None:
    zone = timezone(project, merged) or "UTC"
    crediting = _range(*period_us(project.crediting_from, project.crediting_to, zone))
    modules = project.modules
    outside = [_outside(outside) for outside in project.boundary or ()]
    boundary, documents = jsonb(outside) if outside else None, project.documents
    cur.execute(
        _upsert("project", "id name methodology version timezone crediting crediting_from "
                "crediting_to parameters expected modules action transfer system boundary "
                "documents country grid declared"),
        (project.id, project.name, project.methodology, project.version, zone, crediting,
         project.crediting_from, project.crediting_to, jsonb(project.parameters),
         jsonb(project.expected),
         jsonb({"count": modules.count, "watt": modules.watt}) if modules else None,
         project.action, jsonb(asdict(project.transfer)) if project.transfer else None,
         project.system, boundary, jsonb(dict(documents)) if documents else None,
         country(project, merged), grid(project, merged),
         jsonb(msgspec.to_builtins(project.declared)) if project.declared else None),
    )  # fmt: skip
    _write_names(cur, "project", {project.id: project.names})
    cur.execute("DELETE FROM project_device WHERE project_id = %s", [project.id])
    cur.executemany(
        "INSERT INTO project_device VALUES (%s, %s, %s, %s, %s, %s)",
        [
            (project.id, d.device, d.role, jsonb(d.params), i, _range(*during_us(project, d, zone)))
            for i, d in enumerate(project.devices)
        ],
    )


def _write_samples(cur: Cursor, project: Project, author: str) -> None:
    """Add laboratory results; existing rows never change."""
    cur.executemany(
        "INSERT INTO laboratory_result (project_id, laboratory, sample, parameter, taken, value,"
        " method, sha256, signed, author) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        [
            (project.id, s.laboratory, s.sample, s.parameter, s.taken, s.value, s.method,
             s.sha256, s.signed, author)
            for s in project.laboratory or ()
        ],
    )  # fmt: skip


def _range(begin_us: int, end_us: int) -> str:
    return f"[{utc_text(begin_us)},{utc_text(end_us)})"


def _write_programme(cur: Cursor, programme: Programme) -> None:
    cur.execute(
        "INSERT INTO programme (name, target_kt, area, issue_signatures, public_url)"
        " VALUES (%s, %s, %s, %s, %s) "
        "ON CONFLICT (only_one) DO UPDATE SET name = excluded.name,"
        " target_kt = excluded.target_kt, area = excluded.area,"
        " issue_signatures = excluded.issue_signatures, public_url = excluded.public_url",
        [
            programme.name,
            programme.target_kt,
            jsonb(asdict(programme.area)) if programme.area else None,
            programme.issue_signatures,
            programme.public_url,
        ],
    )
    cur.execute("DELETE FROM registry_names WHERE kind = 'action'")
    _write_names(cur, "action", {a.id: a.names for a in programme.actions})
    cur.execute("DELETE FROM programme_action")
    cur.executemany(
        "INSERT INTO programme_action (id, name, target_kt, target_year, position)"
        " VALUES (%s, %s, %s, %s, %s)",
        [(a.id, a.name, a.target_kt, a.target_year, i) for i, a in enumerate(programme.actions)],
    )
    cur.executemany(
        "INSERT INTO programme_reported (action_id, year, kt, source) VALUES (%s, %s, %s, %s)",
        [(a.id, r.year, r.kt, r.source) for a in programme.actions for r in a.reported],
    )
