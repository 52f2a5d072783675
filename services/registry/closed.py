"""Changes rejected by an import, as closed periods use the old value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from mrv.calendar import local_date, midnight_us, zones
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.parameters.inputs import read
from mrv.parameters.specs import ParameterSpec
from mrv.registry.declared import Sample
from mrv.rules.plausible_values import is_monitored
from services.registry.entries import Key, Project, Published, Registry, place
from services.registry.service_times import timezone, whole_grid


def factors(stored: Registry, registry: Registry) -> Iterator[tuple[Key, str]]:
    """Yield factors of a file that differ from stored ones of the same id."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if isinstance(entry, Published) and before is not None and before != entry:
            yield (
                key,
                (
                    "a factor that is registered is never changed; give the corrected one an id"
                    f" of its own with `supersedes: {entry.id}`, valid from the day on which it"
                    " counts: this one stays for the time before"
                ),
            )


def rewritten(stored: Registry, registry: Registry) -> Iterator[tuple[Key, str]]:
    """Yield laboratory results of a file that differ from stored ones."""
    for key, entry in registry.entries.items():
        before = stored.entries.get(key)
        if not isinstance(entry, Project) or not isinstance(before, Project):
            continue
        samples = {place(sample): sample for sample in before.laboratory or ()}
        for sample in entry.laboratory or ():
            if samples.get(place(sample), sample) != sample:
                yield (
                    key,
                    (
                        f"laboratory: sample {sample.sample} of {sample.laboratory} is stored with"
                        f" another value, {samples[place(sample)].value}; results are not changed:"
                        " give"
                        " the corrected report's own number"
                    ),
                )


def unknown(merged: Registry) -> Iterator[tuple[Key, str]]:
    """Yield laboratory results for parameters that the methodology does not have."""
    for key, entry in merged.entries.items():
        if not isinstance(entry, Project) or not entry.laboratory:
            continue
        try:
            known = find(entry.methodology, entry.version).parameters
        except MethodologyError:
            continue  # said elsewhere
        monitored = [name for name, spec in known.items() if is_monitored(spec)]
        for sample in entry.laboratory:
            text = _outside(sample, entry.methodology, known, monitored)
            if text is not None:
                yield key, f"laboratory: sample {sample.sample}: {text}"


def _outside(
    sample: Sample, methodology: str, known: Mapping[str, ParameterSpec], monitored: Sequence[str]
) -> str | None:
    """Return why a laboratory result does not belong to the methodology; None if it does."""
    if sample.parameter not in known:
        return (
            f"{sample.parameter!r} is not a parameter of {methodology}; known: {', '.join(known)}"
        )
    if sample.parameter not in monitored:
        message = ", ".join(monitored) or "none"
        return f"{sample.parameter} is fixed ex ante; {methodology} monitors by samples: {message}"
    try:
        spec = replace(known[sample.parameter], integer=False)
        read({sample.parameter: spec}, {sample.parameter: sample.value}, "value")
    except MethodologyError as error:
        return str(error)
    return None


def problems(
    stored: Registry,
    merged: Registry,
    closed: Mapping[str, datetime],
    sealed: Mapping[str, datetime],
) -> Iterator[tuple[Key, str]]:
    """
    Yield time zones that were changed for times in closed periods or sealed days.

    A change of law keeps a zone's name in the zone database.  Another zone from a date on changes
    the length of the day before, which must not be closed or sealed.  Another zone for all time
    corrects an error; then only closed periods prevent it.

    Parameters
    ----------
    closed, sealed : mapping of device id, and of project id, to datetime
        End of the closed periods, and of the sealed days.
    """
    result: dict[Key, tuple[str, str, date | None, str, datetime]] = {}
    now, devices = merged.projects, merged.devices
    for name, project in stored.projects.items():
        before, after = timezone(project, stored), timezone(now[name], merged)
        if before is None or after is None or before == after:
            yield from _other_country((project, stored), (now[name], merged), closed)
            continue
        day = _first_other(before, after)
        ends = [("closed periods", closed[d.device]) for d in project.devices if d.device in closed]
        if day is not None and name in sealed:
            ends.append(("sealed days", sealed[name]))
        site = devices[now[name].devices[0].device].site
        key = ("site", site) if stored.entries.get(("site", site)) else (project.kind, name)
        what, end = max(ends, key=lambda e: e[1], default=("", None))
        if end is not None and (key not in result or result[key][-1] < end):
            result[key] = before, after, day, what, end
    for key, (before, after, day, what, end) in result.items():
        free = _free(end, before)
        if day is None or day < free:
            yield (
                key,
                (
                    f"timezone: {before} cannot become {after}, since {what} up to {end} use it;"
                    " keep it, and enter the new one with a date:"
                    f" `timezones: [{{from: {free}, timezone: {zones(after)[-1].name}}}]`, or later"
                ),
            )


def _other_country(
    was: tuple[Project, Registry], now: tuple[Project, Registry], closed: Mapping[str, datetime]
) -> Iterator[tuple[Key, str]]:
    """Yield an error if a country or grid used by closed periods is changed."""
    project, before, after = was[0], whole_grid(*was), whole_grid(*now)
    ends = [closed[d.device] for d in project.devices if d.device in closed]
    if before != after and ends:
        text = (
            f"country, grid: {before} cannot become {after}, since closed periods count by it, up"
            f" to {max(ends)}; keep it, or register the site under an id of its own"
        )
        yield (project.kind, project.id), text


def _first_other(before: str, after: str) -> date | None:
    """Return the first local date affected by a change of zone; None if all are."""
    zoned, other = zones(before), zones(after)
    if zoned[0].name != other[0].name:
        return None
    days = [z.first for z in {*zoned} ^ {*other} if z.first is not None]
    return min(days)


def _free(end: datetime, timezone: str) -> date:
    """Return the first local date for a new zone: the day before it is not closed or sealed."""
    end_us = round(end.timestamp()) * 1_000_000
    day = local_date(end_us, timezone)
    whole = day if midnight_us(day, timezone) == end_us else day + timedelta(days=1)
    return whole + timedelta(days=1)
