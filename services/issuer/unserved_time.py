"""
Meters that a project may leave out of its account, and the time in which it does.

A meter of the project's sites, one that stood there before, and one that an earlier import bound
to the project: whatever it tells outside of its service was measured and counts nowhere.  Nor does
what it tells in another project of which no statement is closed for that time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from psycopg import Connection

from ingest.model import INTERVAL_US
from mrv.accounting.outside_meters import counted
from mrv.calendar import utc_text
from mrv.registry.project import Project
from services.registry import service_times
from services.registry.entries import Device, Registry
from services.store.registry.project_versions import devices_before
from services.store.statements import statements

Span = tuple[int, int]


class Unserved(NamedTuple):
    """
    A meter, how a condition names it, and when it serves no project.

    `spans` are ascending and half-open [us UTC].  `ended` says that it was removed, or served
    until some time; `checks` is the meter of the project that it is registered to check.
    """

    device: str
    words: str
    spans: tuple[Span, ...]
    ended: bool = False
    checks: str | None = None


def unserved(
    conn: Connection,
    registry: Registry,
    project: Project,
    reasons: Mapping[str, str],
    period_us: Span,
) -> list[Unserved]:
    """
    Return the meters that serve no project in a part of a period, by id.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    reasons : mapping of str to str
        Of the project's `boundary`, by device.
    """
    devices = registry.devices
    mine = {d.device for d in project.devices}
    sites = {devices[name].site for name in mine if name in devices}
    was_bound, placed = devices_before(conn, project.id, sorted(sites))
    before = was_bound | placed
    served = serving(registry)
    found = []
    for name in sorted(devices):
        device = devices[name]
        near = device.site in sites or name in reasons or name in before
        if not near or not counted(project, device.class_id, left_out=name not in mine):
            continue
        edges = [_common(span, lifetime(device)) for span in served[name]]
        spans = without(edges, period_us)
        if spans:
            edges = [edge for edge in edges if edge[0] < edge[1]]
            words = [
                *_why(
                    device,
                    reasons.get(name),
                    edges,
                    period_us,
                    moved=name in before and device.site not in sites,
                ),
                *_checked(device, mine),
            ]
            ended = bool(edges) or device.removed is not None
            checks = device.check_of if device.check_of in mine else None
            text = f"{name}, {', '.join(words or ['in no project'])},"
            found.append(Unserved(name, text, spans, ended, checks))
    near_by = {name for name, one in devices.items() if one.site in sites or name in before}
    return [*found, *_unclosed(conn, registry, project, near_by, was_bound, period_us)]


def _unclosed(
    conn: Connection,
    registry: Registry,
    project: Project,
    near: Collection[str],
    was_bound: Collection[str],
    period_us: Span,
) -> Iterator[Unserved]:
    """
    Meters that another project has for a time that no statement of it counts.

    It is by the same methodology, or has meters that an import took out of this one.
    """
    for entry in registry.projects.values():
        zone = service_times.timezone(entry, registry)
        if entry.id == project.id or zone is None:
            continue
        alike = entry.methodology == project.methodology
        theirs = [
            (one.device, _common(service_times.during_us(entry, one, zone), period_us))
            for one in entry.devices
            if one.device in near
            and (alike or one.device in was_bound)
            and counted(project, registry.devices[one.device].class_id, left_out=False)
        ]
        closed = statements.closed_within(conn, entry.id, *period_us) if theirs else []
        for name, span in theirs:
            edge = _common(span, lifetime(registry.devices[name]))
            spans = without(closed, edge) if edge[0] < edge[1] else ()
            if spans:
                words = (
                    f"{name}, in project {entry.id}, of which no statement is closed for that time"
                    " (close that period, then this one again),"
                )
                yield Unserved(name, words, spans)


def _why(
    device: Device, reason: str | None, edges: Sequence[Span], period_us: Span, *, moved: bool
) -> Iterator[str]:
    """Say why a meter is left out."""
    installed, removed = lifetime(device)
    if reason is not None:
        yield f"left out as '{reason}'"
    if installed > period_us[0]:
        yield f"installed on {utc_text(installed)}"
    if device.removed is not None:
        yield f"removed on {utc_text(removed)}"
    for begin, end in sorted(edges):
        if begin < period_us[1] and end > period_us[0]:
            yield f"in the account from {utc_text(begin)} to {utc_text(end)} alone"
    if moved:
        yield f"at {device.site} now, and of the project or its site before"


def _checked(device: Device, mine: Collection[str]) -> Iterator[str]:
    if device.check_of in mine:
        yield f"entered as a check meter of {device.check_of}, with which it does not agree"


def serving(registry: Registry) -> defaultdict[str, list[Span]]:
    """When each device serves a project. [us UTC]"""
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for project in registry.projects.values():
        zone = service_times.timezone(project, registry)
        for one in project.devices if zone else ():
            found[one.device].append(service_times.during_us(project, one, zone or ""))
    return found


def lifetime(device: Device) -> Span:
    """When a device was installed, half-open. [us UTC]"""
    removed = device.removed
    end = 2**62 if removed is None else round(removed.timestamp()) * 1_000_000
    return round(device.installed.timestamp()) * 1_000_000, end


def covered(spans: Sequence[Span], begin_us: int, end_us: int) -> bool:
    """Whether spans leave no time between two out."""
    return not without(spans, (begin_us, end_us))


def without(spans: Sequence[Span], whole: Span) -> tuple[Span, ...]:
    """Return the time of a span that others leave out."""
    reached, found = whole[0], []
    for begin, end in sorted(spans):
        if begin > reached and reached < whole[1]:
            found.append((reached, min(begin, whole[1])))
        reached = max(reached, end) if begin < end else reached
    if reached < whole[1]:
        found.append((reached, whole[1]))
    return tuple(found)


def _common(one: Span, other: Span) -> Span:
    """Whole quarter hours of the time in both, as the project's side counts them."""
    begin, end = max(one[0], other[0]), min(one[1], other[1])
    return begin // INTERVAL_US * INTERVAL_US, -(-end // INTERVAL_US) * INTERVAL_US
