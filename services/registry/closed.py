"""What a file may not change once a period is closed: its days would be others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.registry.entries import Key, Registry, Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


def problems(
    stored: Registry, merged: Registry, closed: Mapping[str, datetime]
) -> Iterator[tuple[Key, str]]:
    """
    Find sites whose time zone is changed for a time that a closed period covers.

    A place whose law changes its clock keeps its name in the zone database, which dates the
    change; another name says that the old one was wrong all the time.
    """
    sites = {d.site for d in merged.devices.values() if d.id in closed}
    for key, site in merged.entries.items():
        before = stored.entries.get(key)
        if not isinstance(site, Site) or not isinstance(before, Site) or site.id not in sites:
            continue
        if site.timezone != before.timezone:
            end = max(t for name, t in closed.items() if merged.devices[name].site == site.id)
            yield (
                key,
                (
                    f"timezone: {before.timezone} cannot become {site.timezone}, since closed"
                    f" periods count by it, up to {end}; register a site of its own for what comes"
                    " after, and bind its devices there from a date on"
                ),
            )
