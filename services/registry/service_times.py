"""When devices serve a project, by the clock of its site."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from mrv.calendar import period_us
from services.registry.entries import Device, Site

if TYPE_CHECKING:
    from services.registry.entries import Project, ProjectDevice, Registry


@cache
def zones() -> frozenset[str]:
    """Return the names in the zone database, which takes a walk through its files."""
    return frozenset(available_timezones())


def timezone(project: Project, registry: Registry) -> str | None:
    """Return the time zone of the project's first site; None where it is not known."""
    device = (
        registry.entries.get(("device", project.devices[0].device)) if project.devices else None
    )
    site = registry.entries.get(("site", device.site)) if isinstance(device, Device) else None
    if not isinstance(site, Site) or site.timezone not in zones():
        return None
    return site.timezone


def during_us(project: Project, bound: ProjectDevice, zone: str) -> tuple[int, int]:
    """Return when a device serves a project, half-open. [us UTC]"""
    begin = bound.from_date or project.crediting_from
    return period_us(begin, bound.to_date or project.crediting_to, zone)
