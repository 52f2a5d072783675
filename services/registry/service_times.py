"""Service times of devices in a project, in the time zone of its site."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from mrv.calendar import period_us
from mrv.countries import country_of, grid_of
from services.registry.entries import Device, Project, ProjectDevice, Registry, Site


@cache
def zones() -> frozenset[str]:
    """Return the names in the zone database."""
    return frozenset(available_timezones())


def timezone(project: Project, registry: Registry) -> str | None:
    """Return the time zones of the project's first site; None where one is unknown."""
    site = _site(project, registry)
    return site.clock if site is not None and known(site) else None


def country(project: Project, registry: Registry) -> str | None:
    """Return the country of the project's first site; None where unknown."""
    site = _site(project, registry)
    return country_of(site) if site is not None and known(site) else None


def grid(project: Project, registry: Registry) -> str | None:
    """Return the name of the first site's grid, in a country with several; None without one."""
    site = _site(project, registry)
    return site.grid if site is not None else None


def whole_grid(project: Project, registry: Registry) -> str | None:
    """Return the country of the project's first site and its grid, as `ID.jamali`."""
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
    """Return the service time of a device in a project, end excluded. [us UTC]"""
    begin = bound.from_date or project.crediting_from
    return period_us(begin, bound.to_date or project.crediting_to, zone)
