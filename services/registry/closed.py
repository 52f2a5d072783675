"""Changes that an import refuses because closed periods count by the old value."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mrv.accounting.owner_inputs import MONITORED
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.parameters.inputs import read
from services.registry.entries import Key, Project, Published, Registry, Site, place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from mrv.parameters.specs import ParameterSpec
    from mrv.registry.project import Sample


def factors(stored: Registry, given: Registry) -> Iterator[tuple[Key, str]]:
    """Find factors that a file has otherwise than they are stored."""
    for key, entry in given.entries.items():
        before = stored.entries.get(key)
        if isinstance(entry, Published) and before is not None and before != entry:
            yield (
                key,
                (
                    "a factor that is registered is never changed; give the corrected one an id"
                    " of its own, valid from the day on which it counts"
                ),
            )


def rewritten(stored: Registry, given: Registry) -> Iterator[tuple[Key, str]]:
    """Find laboratory results that a file has otherwise than they are stored."""
    for key, entry in given.entries.items():
        before = stored.entries.get(key)
        if not isinstance(entry, Project) or not isinstance(before, Project):
            continue
        held = {place(one): one for one in before.laboratory or ()}
        for one in entry.laboratory or ():
            if held.get(place(one), one) != one:
                yield (
                    key,
                    (
                        f"laboratory: sample {one.sample} of {one.laboratory} is stored with"
                        f" another value, {held[place(one)].value}; results are not changed: give"
                        " the corrected report's own number"
                    ),
                )


def unknown(merged: Registry) -> Iterator[tuple[Key, str]]:
    """Find laboratory results of parameters that the methodology does not have."""
    for key, entry in merged.entries.items():
        if not isinstance(entry, Project) or not entry.laboratory:
            continue
        try:
            known = find(entry.methodology, entry.version).parameters
        except MethodologyError:
            continue  # said elsewhere
        monitored = [name for name, spec in known.items() if spec.option in MONITORED]
        for one in entry.laboratory:
            text = _outside(one, entry.methodology, known, monitored)
            if text is not None:
                yield key, f"laboratory: sample {one.sample}: {text}"


def _outside(
    one: Sample, methodology: str, known: Mapping[str, ParameterSpec], monitored: Sequence[str]
) -> str | None:
    """Say why a result is none of what the methodology monitors; None where it is."""
    if one.parameter not in known:
        return f"{one.parameter!r} is no parameter of {methodology}; known: {', '.join(known)}"
    if one.parameter not in monitored:
        told = ", ".join(monitored) or "none"
        return f"{one.parameter} is fixed ex ante; {methodology} monitors by samples: {told}"
    try:
        spec = replace(known[one.parameter], integer=False)
        read({one.parameter: spec}, {one.parameter: one.value}, "value")
    except MethodologyError as error:
        return str(error)
    return None


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
