"""
Rules for the whole registry, over all files.

A finding names the row, the key, the value and the remedy.  A warning prevents only a strict
import.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from itertools import pairwise
from zoneinfo import ZoneInfo

from ingest import classes, profiles
from ingest import mqtt as templates
from ingest.errors import RegistryError
from ingest.model import INTERVAL_US
from ingest.mqtt import Template
from mrv import countries
from mrv.calendar import midnight_us
from mrv.countries import country_of, grid_of
from mrv.factors import GRID, FactorBook, kinds_in, row_to_write
from mrv.report.blocks import printable
from services.registry import declared, meters, needs, plausible, ratings
from services.registry.entries import Device, Project, ProjectDevice, Registry, Site, Topic
from services.registry.located import Finding
from services.registry.ratings import country, during_us, known, timezone, whole_grid, zones

# maximum difference between clock and solar time [h]: the largest real one is 3.0, in Nome
_MAX_SOLAR_DIFFERENCE_H = 3.5
# minimum days between two changes of a site's time zone
_MIN_DAYS = 7
# maximum hours of a day, on which the sums of dashboards depend
_MAX_HOURS = 26


def check(registry: Registry) -> Iterator[Finding]:
    """Yield all errors and warnings of a registry."""
    sites, devices, projects = registry.sites, registry.devices, registry.projects
    for site in sites.values():
        yield from (Finding(site.kind, site.id, text) for text in _clock(site))
        yield from _country(site)
        yield from _daylight(site)
    every: list[Site | Project] = [*sites.values(), *projects.values()]
    for named in every:
        if "[U+" in (label := printable(named.name)):
            text = (
                f"name: PDFs have no letters of {named.name!r} and print {label!r}; write `name` in"
                " letters that they have, and this one under `names`, by its language"
            )
            yield Finding(named.kind, named.id, text, warning=True)
    for device in devices.values():
        yield from _device(device, registry_sites=set(sites), devices=devices)
    book, wrong = plausible.book_of(registry)
    yield from wrong
    for site in sites.values():
        yield from (Finding(site.kind, site.id, text) for text in _grid(site, book))
    yield from _topics([t for t in registry.topics.values() if t.active])
    for project in projects.values():
        missing = [d.device for d in project.devices if d.device not in devices]
        for name in missing:
            text = f"{name!r} is not registered; add it under `devices`"
            yield Finding(project.kind, project.id, f"devices: {text}")
        mine = [sites.get(devices[d.device].site) for d in project.devices if not missing]
        if not missing and all(site is None or known(site) for site in mine):
            yield from _grids(project, sites, devices)
            yield from needs.check(project, devices, book, whole_grid(project, registry))
            yield from plausible.check(project, devices)
            yield from meters.check(project, devices)
            yield from meters.outside(project, devices)
            yield from meters.outlasting(project, devices, country(project, registry))
            yield from declared.check_plans(project, devices)
            yield from declared.check_declared(project, devices)
    yield from _shared(registry)
    yield from declared.shared(registry)
    yield from plausible.check_programme(registry)


def _clock(site: Site) -> Iterator[str]:
    """Yield errors of a site's time zones."""
    later = site.timezones or ()
    names = [("timezone", site.timezone), *(("timezones", zone.timezone) for zone in later)]
    unknown = [(key, name) for key, name in names if name not in zones()]
    for key, name in unknown:
        near = (*get_close_matches(name, sorted(zones()), 1), "Europe/Berlin")[0]
        yield f"{key}: {name!r} is unknown; use an IANA name such as {near}"
    if unknown:
        return
    before = site.timezone
    for later_zone in later:
        day, name = later_zone.begins, later_zone.timezone
        if name == before:
            yield f"timezones: {name} from {day} on is not a change; omit the row"
        elif midnight_us(day, name) % INTERVAL_US:
            yield (
                f"timezones: the day {day} in {name} does not begin with a 15-minute interval of"
                " UTC; choose a later date"
            )
        elif not 0 < (remaining := _hours_of_last_day(day, before, name)) <= _MAX_HOURS:
            yield (
                f"timezones: with {name} from {day} on, the day before would have"
                f" {max(remaining, 0):g} hours, and {_MAX_HOURS} is the maximum; register another"
                " site, and assign the devices to it from that date on"
            )
        before = name
    for later_zone, other in pairwise(later):
        if other.begins - later_zone.begins < timedelta(days=_MIN_DAYS):
            yield (
                f"timezones: {later_zone.begins} and {other.begins} are less than {_MIN_DAYS} days"
                " apart; remove one of them"
            )


def _country(site: Site) -> Iterator[Finding]:
    """Yield a warning for a site without country, an error for another country's time zone."""
    if site.timezone not in zones():
        return  # already reported
    own = country_of(Site(site.id, "", 0, 0, site.timezone))
    if site.country is None and own is None:
        text = (
            f"country: is missing, and time zone {site.timezone} is of no country; enter its two"
            " letters of ISO 3166-1, such as DE: no grid factor is applied until then"
        )
    elif site.country is None:
        text = (
            f"country: is missing; {own} is applied, the country of time zone {site.timezone}."
            f" Write `country: {own}`, or the country where the site is"
        )
    elif own not in (site.country, None):
        text = f"country: {site.country}, but time zone {site.timezone} is of {own}; correct one"
        clocks = [_offsets(zone) for zone in countries.known()[site.country]]
        yield Finding(site.kind, site.id, text, warning=_offsets(site.timezone) in clocks)
        return
    else:
        return
    yield Finding(site.kind, site.id, text, warning=True)


def _daylight(site: Site) -> Iterator[Finding]:
    """Yield a warning if a site's solar time differs from its time zone, as in a copied row."""
    if site.timezone not in zones() or country_of(replace(site, country=None)) is None:
        return  # another check reports an unknown zone; UTC has no solar time
    clock = max(offset for offset in _offsets(site.timezone) if offset is not None)
    apart = abs((site.longitude / 15 - clock.total_seconds() / 3600 + 12) % 24 - 12)
    if apart > _MAX_SOLAR_DIFFERENCE_H:
        text = (
            f"longitude: {site.longitude:g} is {apart:.1f} hours of solar time from time zone"
            f" {site.timezone}; correct longitude, `timezone` or `country`"
        )
        yield Finding(site.kind, site.id, text, warning=True)


def _offsets(zone: str) -> list[timedelta | None]:
    """Return the offsets of a zone from UTC in January and July."""
    return [datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).utcoffset() for month in (1, 7)]


def _grid(site: Site, book: FactorBook) -> Iterator[str]:
    """Yield an error for an unknown grid of a site, or one that does not reach it."""
    if site.grid is None or site.timezone not in zones() or (where := country_of(site)) is None:
        return
    grids, kind = countries.grids(where), kinds_in(GRID, grid_of(site))[0]
    if (grid := grids.get(site.grid)) is not None:
        if not grid.around(site.latitude, site.longitude):
            yield (
                f"grid: {site.grid} ({grid.name}) does not reach {site.latitude:g},"
                f" {site.longitude:g}; correct the grid or the place"
            )
    elif kind not in book.kinds():
        near = ", ".join(f"{name} ({of.name})" for name, of in grids.items())
        yield (
            f"grid: {site.grid!r} is not a grid of {where} that tonne knows"
            f"{f', which are {near}' if near else ''}; enter one of these, or add its factor"
            f" under `factors`: {row_to_write(kind, date(2026, 1, 1))}"
        )


def _grids(
    project: Project, sites: dict[str, Site], devices: dict[str, Device]
) -> Iterator[Finding]:
    """Yield an error for a project whose devices are in several grids."""
    result: dict[str, str] = {}
    for bound in project.devices:
        site = sites.get(devices[bound.device].site)
        if site is not None and known(site) and (whose := grid_of(site)) is not None:
            result.setdefault(whose, f"{bound.device} in {whose}")
    if len(result) > 1:
        text = (
            f"devices: {', '.join(result.values())}: a project has one grid; register one project"
            " for each"
        )
        yield Finding(project.kind, project.id, text)


def _hours_of_last_day(day: date, before: str, name: str) -> float:
    """Return the length of the local day before a change of zone. [h]"""
    last = day - timedelta(days=1)
    return (midnight_us(day, name) - midnight_us(last, before)) / 3_600_000_000


def _device(
    device: Device, registry_sites: set[str], devices: dict[str, Device]
) -> Iterator[Finding]:
    def finding(text: str) -> Finding:
        return Finding(device.kind, device.id, text)

    if device.site not in registry_sites:
        yield finding(f"site: {device.site!r} is not registered; add it under `sites`")
    if device.class_id not in classes.load():
        known = ", ".join(classes.load())
        yield finding(f"class: {device.class_id!r} is not a device class; known: {known}")
    elif (device.class_id, device.profile) not in profiles.load():
        known = ", ".join(p for c, p in profiles.load() if c == device.class_id)
        yield finding(
            f"profile: {device.profile!r} is not a profile of {device.class_id}; known: {known}"
        )
    yield from (
        Finding(device.kind, device.id, text, warning=True) for text in ratings.implausible(device)
    )
    if device.removed is not None and device.removed <= device.installed:
        yield finding(
            f"removed: {device.removed} is not after {device.installed}; correct one of them"
        )
    if device.commissioned is not None and not (
        device.installed.date()
        <= device.commissioned
        <= (device.removed or datetime.max.replace(tzinfo=UTC)).date()
    ):
        ended = f" to {device.removed}" if device.removed else " on"
        yield finding(
            f"commissioned: {device.commissioned} is outside the time in which the device exists,"
            f" from {device.installed}{ended}; correct one of them"
        )
    if device.gateway is not None and device.gateway not in devices:
        yield finding(f"gateway: {device.gateway!r} is not registered; add it under `devices`")
    elif device.gateway is not None:
        yield from (finding(text) for text in _loop(device, devices))
    if device.check_of is not None:
        yield from (finding(f"check_of: {text}") for text in _check_meter(device, devices))


def _check_meter(device: Device, devices: dict[str, Device]) -> Iterator[str]:
    """Yield errors of `check_of`: a meter that cannot be the check meter of another."""
    main = devices.get(device.check_of or "")
    if main is None:
        yield f"{device.check_of!r} is not registered; add it under `devices`"
    elif main.id == device.id:
        yield "a meter cannot check itself; name the main meter"
    elif main.check_of is not None:
        yield f"{main.id} is a check meter itself, of {main.check_of}; name the main meter"
    elif not _counted(device) & _counted(main):
        yield f"{main.id} measures no quantity of {device.id}; name a meter that does"


def _counted(device: Device) -> set[str]:
    device_class = classes.load().get(device.class_id)
    return {str(r.quantity) for r in (device_class.registers if device_class else [])}


def _topics(topics: list[Topic]) -> Iterator[Finding]:
    """Yield errors for invalid topic templates, and for pairs that match the same topics."""
    parsed: list[tuple[Topic, Template]] = []
    for topic in topics:
        try:
            template = templates.parse(topic.template)
        except RegistryError as error:
            yield Finding(topic.kind, topic.id, f"template: {error}")
            continue
        for other, before in parsed:
            if template.overlaps(before):
                text = f"{topic.template!r} and {before.text!r} of {other.id} match the same topics"
                yield Finding(topic.kind, topic.id, f"template: {text}; change one of them")
        parsed.append((topic, template))


def _loop(device: Device, devices: dict[str, Device]) -> Iterator[str]:
    path = [device.id]
    following = device.gateway
    while following is not None and following not in path:
        path.append(following)
        behind = devices.get(following)
        following = behind.gateway if behind else None
    if following == device.id:
        yield f"gateway: loop {' -> '.join([*path, following])}; remove one of these `gateway`"


@dataclass(frozen=True, slots=True)
class _Assignment:
    begin: int
    end: int
    project: Project
    bound: ProjectDevice


def _shared(registry: Registry) -> Iterator[Finding]:
    """Yield errors for devices that two projects, or one project twice, would count."""
    services: defaultdict[str, list[_Assignment]] = defaultdict(list)
    for project in registry.projects.values():
        zone = timezone(project, registry)
        for bound in project.devices if zone else ():
            begin, end = during_us(project, bound, zone or "")
            meter = registry.entries.get(("device", bound.device))
            main = meter.check_of if isinstance(meter, Device) else None
            # under its main meter, as a check meter counts the same energy
            services[main or bound.device].append(_Assignment(begin, end, project, bound))
    for device, serving in services.items():
        for service, other in pairwise(sorted(serving, key=lambda s: (s.begin, s.end))):
            if other.begin < service.end:
                where = (
                    "twice" if service.project is other.project else f"to {service.project.id} too"
                )
                if {service.bound.device, other.bound.device} != {device}:
                    where += (
                        f" (its check meter {_other_device(device, service, other)} measures the"
                        " same quantity)"
                    )
                yield Finding(
                    "project",
                    other.project.id,
                    f"devices: {device} would be assigned {where} from "
                    f"{other.bound.from_date or other.project.crediting_from} on; its quantity "
                    "can be claimed only once: end one assignment with `to`, omit the device, or "
                    "register its other meter as a separate device",
                )


def _other_device(device: str, *services: _Assignment) -> str:
    return next(s.bound.device for s in services if s.bound.device != device)
