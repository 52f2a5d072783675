"""
Rated powers, PV modules and prices, each with the time from which it applies; site, time zone and
grid of a project.

A rating limits a meter's plausible values, so it never changes for times in closed periods.  A
`rated_power_w` in a file without `ratings` applies from the import on.  An error is corrected by a
row of the same time with the hash of the data sheet.

Performance ratios of past days depend on nameplate power, tilt, azimuth and temperature coefficient
of the modules, so their rows never change; replaced modules are a new row.  Values in a file
without
`arrays` apply from its import on.

Prices do not affect emissions.  Consumption costs `import_per_kwh`; generation has the value
`feed_in_per_kwh` if all of it is sold, else `import_per_kwh`; a grid meter's export has the value
`export_per_kwh`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from typing import TypeVar
from zoneinfo import available_timezones

from babel.numbers import list_currencies

from ingest import classes
from mrv.calendar import period_us
from mrv.countries import country_of, grid_of
from services.registry.entries import (
    ARRAY_KEYS,
    Device,
    MeterKey,
    Project,
    ProjectDevice,
    PvArray,
    Rating,
    Registry,
    Site,
    Tariff,
    array_fields,
)
from services.registry.fields import Row

PV_INVERTER = "pv_inverter"
_PER_KELVIN = 0.05
_Row = TypeVar("_Row", MeterKey, PvArray)
PRICES = ("import_per_kwh", "export_per_kwh", "feed_in_per_kwh")


def tariff(row: Row, item: Tariff) -> None:
    """Record errors of a row of `tariffs`."""
    if item.currency and item.currency not in list_currencies():
        text = f"{item.currency!r} is not a currency of ISO 4217, such as EUR or KES"
        row.problem("currency", text)
    if not row.problems and all(getattr(item, name) is None for name in PRICES):
        row.problem("import_per_kwh", f"is missing; enter at least one of {', '.join(PRICES)}")


_KILO = 1000
# maximum ratio between the powers of modules and inverter, in both directions
_MAX_RATIO = 10


def rating(row: Row, item: Rating) -> None:
    """Record an error for a rating with `sha256` but without `document`."""
    if item.sha256 is not None and item.document is None:
        row.problem("document", "is missing; enter the title of the file with that `sha256`")


def modules(row: Row, item: Device | PvArray) -> None:
    """Record errors of the module data of a device, or of a row of `arrays`."""
    per_k = item.temperature_coefficient_percent
    if per_k is not None and -_PER_KELVIN < per_k < 0:
        row.problem(
            "temperature_coefficient_percent",
            f"{per_k} looks like a share per kelvin; write percent per kelvin, as -0.35",
        )
    if isinstance(item, Device):
        for key in filter(row.has, ARRAY_KEYS if item.class_id != PV_INVERTER else ()):
            row.problem(
                key,
                f"is a key of the class {PV_INVERTER}, but this device is a {item.class_id};"
                " remove it",
            )
    elif not row.problems and all(value is None for value in array_fields(item).values()):
        row.problem(None, f"has no value; enter one of {', '.join(ARRAY_KEYS)}")


def rated_powers(stored: Sequence[tuple[Rating, datetime]]) -> tuple[tuple[int, int], ...]:
    """
    Return the applicable rated powers, each with its start. [us UTC, W]

    A higher rating does not apply to the time before it was recorded, unless it has the hash of its
    data sheet, or was recorded with the meter and has a document.
    """
    began = min(recorded for _, recorded in stored)
    # of several rows of one time the last applies
    stored = [*{rating.begins: (rating, recorded) for rating, recorded in stored}.values()]
    documented = {
        rating for rating, at in stored if rating.sha256 or (at == began and rating.document)
    }
    documented.add(stored[0][0])
    result: list[tuple[int, int]] = []
    for moment in sorted(
        {rating.begins for rating, _ in stored} | {recorded for _, recorded in stored}
    ):
        begun = [(rating, recorded) for rating, recorded in stored if rating.begins <= moment]
        known = [i for i, (rating, at) in enumerate(begun) if at <= moment or rating in documented]
        if known:
            watt = min(rating.rated_power_w for rating, _ in begun[known[-1] :])
            if not result or result[-1][1] != watt:
                result.append((round(moment.timestamp()) * 1_000_000, watt))
    return tuple(result)


def dated(stored: Registry, merged: Registry, now: datetime) -> Registry:
    """Return the registry; ratings and modules changed without a time apply from `now` on."""
    earlier, entries = stored.devices, dict(merged.entries)
    for device in merged.devices.values():
        before = earlier.get(device.id)
        entries[device.kind, device.id] = _modules_dated(before, _dated(before, device, now), now)
    return Registry(entries)


def _modules_dated(before: Device | None, device: Device, now: datetime) -> Device:
    pv_arrays = device.arrays or ()
    wanted = array_fields(device)
    if all(value is None for value in wanted.values()):
        return replace(device, **array_fields(pv_arrays[-1])) if pv_arrays else device
    if pv_arrays and array_fields(pv_arrays[-1]) == wanted:
        return device
    begins = now if pv_arrays or (before and before.arrays) else device.installed
    return replace(device, arrays=(*pv_arrays, PvArray(begins, **wanted, document=None)))


def _dated(before: Device | None, device: Device, now: datetime) -> Device:
    known = (before.ratings if before else None) or ()
    ratings = _with_corrected(known, device.ratings or ())
    corrected = known and ratings and ratings[-1] not in known
    if corrected and device.rated_power_w == known[-1].rated_power_w:
        device = replace(device, rated_power_w=ratings[-1].rated_power_w)
    device = replace(device, ratings=ratings) if ratings != (device.ratings or ()) else device
    watt = device.rated_power_w
    if watt is None or (ratings and ratings[-1].rated_power_w == watt):
        return device
    begins = now if ratings or known else device.installed
    return replace(device, ratings=(*ratings, Rating(begins, watt, None)))


def _with_corrected(known: tuple[Rating, ...], ratings: tuple[Rating, ...]) -> tuple[Rating, ...]:
    """Return a file's ratings, and the stored ones too if it corrects one of them."""
    times = {rating.begins for rating in ratings if rating.sha256 is not None}
    corrects = any(rating.begins in times for rating in known)
    kept = [rating for rating in known if corrects or rating in ratings]
    return tuple(sorted([*kept, *(r for r in ratings if r not in known)], key=lambda r: r.begins))


def fixed(
    known: Sequence[_Row] | None, rows: Sequence[_Row] | None, name: str, remedy: str
) -> Iterator[str]:
    """Yield an error if rows are not in order of time, or a registered one was changed."""
    known, rows = known or (), rows or ()
    if rows[: len(known)] != known:
        yield f"{name}: a registered row cannot be changed or omitted; {remedy}"
        return
    for row, other in pairwise(rows):
        if other.begins <= row.begins:
            yield f"{name}: from {other.begins} is not after {row.begins}; order them"


def problems(
    stored: Registry, merged: Registry, closed: Mapping[str, datetime]
) -> Iterator[tuple[Device, str]]:
    """
    Yield errors for changed ratings, ratings of closed periods, and changed modules.
    `closed`: end of the closed periods, by device.
    """
    earlier = stored.devices
    remedy = "add a row with the time from which the new modules are installed"
    for device in merged.devices.values():
        before = earlier.get(device.id)
        own = (before.ratings if before else None) or ()
        texts = [
            *_of_ratings(own, device.ratings or (), closed.get(device.id)),
            *fixed(before.arrays if before else None, device.arrays, "arrays", remedy),
        ]
        if device.arrays and device.class_id != PV_INVERTER:
            texts.append(f"arrays: only a {PV_INVERTER} has modules; remove `arrays`")
        yield from ((device, text) for text in texts)


def _of_ratings(
    known: Sequence[Rating], ratings: Sequence[Rating], closed: datetime | None
) -> Iterator[str]:
    left_out = [rating for rating in known if rating not in ratings]
    if left_out:
        yield (
            f"ratings: {left_out[0].rated_power_w:,} W from {left_out[0].begins} is"
            " registered, and cannot be changed or omitted; add a row with the time from"
            " which the new rating applies, or correct it by a row with the same `from`,"
            " and with `document` and `sha256` of the data sheet"
        )
        return
    for item, other in pairwise(ratings):
        if other.begins < item.begins or (other.begins == item.begins and other.sha256 is None):
            yield f"ratings: from {other.begins} is not after {item.begins}; order them"
    for item in ratings if known else ():
        if item not in known and closed is not None and item.begins < closed:
            yield (
                f"ratings: from {item.begins} is in a closed period (until {closed}), which a"
                f" rating cannot change: enter a rating that begins at {closed} or later"
            )


def implausible_rating(class_id: str, watt: int | None) -> str | None:
    """
    Return a text on a rated power that is implausible for its device class, with the likely
    value; None if plausible.
    """
    kind = classes.load().get(class_id)
    span = None if kind is None else kind.rated_power
    if kind is None or span is None or watt is None or span.least_w <= watt <= span.most_w:
        return None
    low = watt < span.least_w
    likely, ask = watt * _KILO if low else watt // _KILO, "; check it"
    if span.least_w <= likely <= span.most_w:
        ask = f"; is that {'kW' if low else 'a thousand times too much'}? write {likely}"
    return (
        f"rated_power_w: {watt:,} W; class {class_id} has {span.least_w:,} W to {span.most_w:,} W"
        f" ({span.source}){ask}"
    )


def implausible(device: Device) -> Iterator[str]:
    """Yield texts on an implausible rated power of a device or its modules, with the remedy."""
    message, ratings = (
        implausible_rating(device.class_id, device.rated_power_w),
        device.ratings or (),
    )
    if message is not None and ratings:
        message += (
            f"; to correct the rating for the past, add a row of `ratings` from"
            f" {ratings[-1].begins.isoformat()} on with `document` and `sha256` of the data sheet"
        )
    if message is not None:
        yield message
    dc, watt = device.dc_power_w, device.rated_power_w
    if message is None and dc and watt and not watt <= _MAX_RATIO * dc <= _MAX_RATIO**2 * watt:
        yield (
            f"dc_power_w: {dc:,} W of modules on an inverter of rated_power_w: {watt:,} W; is one"
            " of them kW?"
        )


@cache
def zones() -> frozenset[str]:
    """Return the names in the zone database."""
    return frozenset(available_timezones())


def timezone(project: Project, registry: Registry) -> str | None:
    """Return the time zones of the project's first site; None if one is unknown."""
    site = _site(project, registry)
    return site.clock if site is not None and known(site) else None


def country(project: Project, registry: Registry) -> str | None:
    """Return the country of the project's first site; None if unknown."""
    site = _site(project, registry)
    return country_of(site) if site is not None and known(site) else None


def grid(project: Project, registry: Registry) -> str | None:
    """Return the grid registered at the project's first site; None without one."""
    site = _site(project, registry)
    return site.grid if site is not None else None


def whole_grid(project: Project, registry: Registry) -> str | None:
    """Return country and grid of the project's first site, such as `ID.jamali`; None if unknown."""
    site = _site(project, registry)
    return grid_of(site) if site is not None and known(site) else None


def _site(project: Project, registry: Registry) -> Site | None:
    device = (
        registry.entries.get(("device", project.devices[0].device)) if project.devices else None
    )
    site = registry.entries.get(("site", device.site)) if isinstance(device, Device) else None
    return site if isinstance(site, Site) else None


def known(site: Site) -> bool:
    """Return whether the zone database has all time zones of a site."""
    return {site.timezone, *(z.timezone for z in site.timezones or ())} <= zones()


def during_us(project: Project, bound: ProjectDevice, zone: str) -> tuple[int, int]:
    """Return the time in which a device is assigned to a project, end excluded. [us UTC]"""
    begin = bound.from_date or project.crediting_from
    return period_us(begin, bound.to_date or project.crediting_to, zone)
