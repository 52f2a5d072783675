"""Registry entries from database rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from psycopg import Connection

from mrv.calendar import local_date, zones
from mrv.registry.article6_transfer import TransferClass
from mrv.registry.declared import Declared, Sample
from services.registry.entries import (
    Action,
    Area,
    Device,
    Entry,
    LaterZone,
    MeterKey,
    Modules,
    Outside,
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
from services.store.postgres.values import exact
from services.store.registry import authority
from services.store.registry.load import load_calibrations
from services.store.registry.monitoring_plans import load_versions

Called = dict[tuple[str, str], dict[str, str]]
Bound = tuple[str, str, dict[str, Any], int, int]


def load_registry(conn: Connection) -> Registry:
    """Return the whole registry."""
    called = names(conn)
    entries: list[Entry] = [
        Site(
            id_, name, latitude, longitude, (every := zones(zone))[0].name, park,
            called.get(("site", id_)),
            tuple(LaterZone(z.first, z.name) for z in every if z.first is not None) or None,
            country, _tariffs(tariffs), grid,
        )
        for id_, name, latitude, longitude, zone, park, country, tariffs, grid in conn.execute(
            "SELECT id, name, latitude, longitude, timezone, park, country, tariffs::text, grid"
            " FROM site ORDER BY id"
        )
    ]  # fmt: skip
    entries += _devices(conn)
    entries += [
        Topic(*row)
        for row in conn.execute("SELECT id, template, active FROM topic_template ORDER BY id")
    ]
    entries += [
        Published(name, exact(record))
        for name, record in conn.execute(
            "SELECT id, record::text FROM published_factor ORDER BY id"
        )
    ]
    entries += _projects(conn, called)
    programme = conn.execute(
        "SELECT name, target_kt, area, issue_signatures, public_url FROM programme"
    ).fetchone()
    if programme is not None:
        name, target, area, signatures, url = programme
        place = Area(**area) if area else None
        entries.append(Programme(name, target, place, signatures, url, _actions(conn, called)))
    entries += authority.load(conn)
    return Registry.of(entries)


def _tariffs(text: str | None) -> tuple[Tariff, ...] | None:
    rows = [] if text is None else exact(text)
    return tuple(Tariff(date.fromisoformat(row.pop("from")), **row) for row in rows) or None


def names(conn: Connection) -> dict[tuple[str, str], dict[str, str]]:
    """
    Return the names of sites, projects and actions in all languages, by kind and id.

    Sites are also found by the prefix `site` and their registered name.
    """
    rows = conn.execute(
        "SELECT kind, id, names FROM registry_names UNION ALL SELECT 'site name', s.name, n.names"
        " FROM registry_names n JOIN site s ON s.id = n.id WHERE n.kind = 'site'"
    )
    return {(kind, id_): result for kind, id_, result in rows}


def _outside(device: str, reason: str, upstream_of: Sequence[str] = ()) -> Outside:
    return Outside(device, reason, tuple(upstream_of))


def _actions(conn: Connection, called: Called) -> tuple[Action, ...]:
    reported: defaultdict[str, list[Reported]] = defaultdict(list)
    for action, *row in conn.execute(
        "SELECT action_id, year, kt, source FROM programme_reported ORDER BY action_id, year"
    ):
        reported[action].append(Reported(*row))
    rows = conn.execute(
        "SELECT id, name, target_kt, target_year FROM programme_action ORDER BY position"
    )
    return tuple(
        Action(name, title, target, year, tuple(reported[name]), names=called.get(("action", name)))
        for name, title, target, year in rows
    )


def _devices(conn: Connection) -> list[Device]:
    swaps: defaultdict[str, list[Replacement]] = defaultdict(list)
    for device, channel, at, *of in conn.execute(
        "SELECT device_id, channel, at, last_value, first_value, reason, document,"
        " coalesce(same_meter, false) FROM device_replacement ORDER BY device_id, channel, at"
    ):
        swaps[device].append(Replacement(at.astimezone(UTC), channel, *of))
    rows = conn.execute(
        "SELECT id, site, class, profile, gateway, rated_power_w, installed, removed, serial, "
        "attributes::text, check_of, check_percent, maker, model, commissioned FROM device"
        " ORDER BY id"
    ).fetchall()
    rated_from = load_ratings(conn)
    signing = load_meter_keys(conn)
    modules = _arrays(conn)
    limits = _quality(conn)
    certificates = load_calibrations(conn, [row[0] for row in rows])
    return [
        Device(
            id=name,
            site=site,
            class_id=class_id,
            profile=profile,
            gateway=gateway,
            rated_power_w=rated,
            installed=installed.astimezone(UTC),
            removed=removed.astimezone(UTC) if removed else None,
            serial=serial,
            attributes=exact(attributes),
            calibrations=certificates[name],
            replacements=tuple(swaps[name]),
            quality=tuple(limits[name]),
            check_of=check_of,
            check_percent=percent,
            maker=maker,
            model=model,
            ratings=tuple(rating for rating, _ in rated_from[name]),
            meter_keys=tuple(signing[name]),
            **(array_fields(modules[name][-1]) if modules[name] else {}),
            arrays=tuple(modules[name]),
            commissioned=commissioned,
        )
        for (
            name, site, class_id, profile, gateway, rated, installed, removed, serial, attributes,
            check_of, percent, maker, model, commissioned
        ) in rows
    ]  # fmt: skip


def load_samples(conn: Connection) -> defaultdict[str, list[Sample]]:
    """Return laboratory results by project, in order of time."""
    samples: defaultdict[str, list[Sample]] = defaultdict(list)
    for project, *row in conn.execute(
        "SELECT project_id, parameter, sample, taken, value, method, laboratory, sha256, signed"
        " FROM laboratory_result ORDER BY project_id, taken, laboratory, sample, parameter"
    ):
        samples[project].append(Sample(*row))
    return samples


def load_meter_keys(conn: Connection) -> defaultdict[str, list[MeterKey]]:
    """Return meters' signing keys by device, in order of time."""
    meter_keys: defaultdict[str, list[MeterKey]] = defaultdict(list)
    for device, begins, key, document in conn.execute(
        "SELECT device_id, begins, key, document FROM meter_key ORDER BY device_id, begins"
    ):
        meter_keys[device].append(MeterKey(begins.astimezone(UTC), key, document))
    return meter_keys


def _arrays(conn: Connection) -> defaultdict[str, list[PvArray]]:
    pv_arrays: defaultdict[str, list[PvArray]] = defaultdict(list)
    for device, begins, *row in conn.execute(
        "SELECT device_id, begins, dc_power_w, tilt, azimuth, temperature_coefficient_percent,"
        " document FROM device_array ORDER BY device_id, begins"
    ):
        pv_arrays[device].append(PvArray(begins.astimezone(UTC), *row))
    return pv_arrays


def load_ratings(conn: Connection) -> defaultdict[str, list[tuple[Rating, datetime]]]:
    """Return the rated powers of devices in order of time, each with its time of entry."""
    result: defaultdict[str, list[tuple[Rating, datetime]]] = defaultdict(list)
    for device, begins, watt, document, sha256, recorded in conn.execute(
        "SELECT device_id, begins, rated_power_w, document, sha256, recorded FROM device_rating"
        " ORDER BY device_id, begins, recorded"
    ):
        rating = Rating(begins.astimezone(UTC), watt, document, sha256)
        result[device].append((rating, recorded.astimezone(UTC)))
    return result


def _quality(conn: Connection) -> defaultdict[str, list[Quality]]:
    qualities: defaultdict[str, list[Quality]] = defaultdict(list)
    for device, channel, begins, limits, reason in conn.execute(
        "SELECT device_id, channel, begins, limits, reason FROM device_quality "
        'ORDER BY device_id, channel COLLATE "C", begins'
    ):
        qualities[device].append(Quality(channel, begins.astimezone(UTC), limits, reason))
    return qualities


def load_project_entry(conn: Connection, project: str) -> Project | None:
    """Return a project's entry without the rest of the registry; None if there is none."""
    return next((entry for entry in _projects(conn, names(conn)) if entry.id == project), None)


def _projects(conn: Connection, called: Called) -> list[Project]:
    bound = _bound(conn)
    plans = load_versions(conn)
    samples = load_samples(conn)
    return [
        Project(
            id=project,
            name=name,
            methodology=methodology,
            version=version,
            crediting_from=first,
            crediting_to=end,
            devices=tuple(_with_dates(*b, first, end, zone) for b in bound[project]),
            parameters=exact(parameters),
            expected=exact(expected),
            modules=Modules(**exact(modules)) if modules else None,
            action=action,
            transfer=TransferClass(**exact(transfer)) if transfer else None,
            system=system,
            monitoring=plans.get(project, ()),
            boundary=tuple(_outside(**share) for share in boundary or ()),
            laboratory=tuple(samples[project]),
            documents=documents or {},
            names=called.get(("project", project)),
            surveys=(found_of := _declared(content)).surveys,
            events=found_of.events,
            design=found_of.design,
            shared_meters=found_of.shared_meters,
            defaults=found_of.defaults,
        )
        for (
            project, name, methodology, version, zone, first, end, parameters, expected,
            modules, action, transfer, system, boundary, documents, content
        ) in conn.execute(
            "SELECT id, name, methodology, version, timezone, crediting_from, crediting_to, "
            "parameters::text, expected::text, modules::text, action, "
            "transfer::text, system, boundary, documents, declared FROM project ORDER BY id"
        )
    ]  # fmt: skip


def _declared(record: Any) -> Declared:
    return Declared() if record is None else msgspec.convert(record, Declared)


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
