"""
Meters that a project may leave out of its account, and what they measured in that time.

A meter of the project's sites, one that stood there before, and one that an earlier import bound
to the project: what it measures outside of its service counts nowhere.  Nor does what it measures
in another project of which no statement is closed for that time.  A third charger "for the cars of
the office" is such a meter: the reason is the owner's free text, so what it measured is reported.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from psycopg import Connection

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.model import HOUR_US, INTERVAL_US, NULL, Fleet, Int64, IntervalRows
from mrv.calendar import utc_text
from mrv.methodologies import find
from mrv.model import RoleNeeds
from mrv.registry.project import Project
from services.registry import service_times
from services.registry.entries import Device, Registry
from services.store.messages.dead_letter_query import Filter, list_letters
from services.store.registry import load as registry_rows
from services.store.registry.project_versions import devices_before
from services.store.statements import statements
from services.store.timeseries import readings
from services.store.timeseries.interval_rows import intervals_of

Span = tuple[int, int]

_ELECTRICITY = "energy_import"
# why a rating that is too low refuses what a meter reports
_REFUSED = "implausible_register"
# part by which the days of a check meter and of its main meter may differ in sum
_AGREES = 0.05
_DAY_US = 24 * HOUR_US
# a reading and its neighbour on each side
_BESIDE = 3


class Unserved(NamedTuple):
    """
    A meter, when it serves no project, and what of the registry makes it so.

    Attributes
    ----------
    spans : tuple of (int, int)
        Ascending and half-open. [us UTC]
    reason : str or None
        The owner's, of the project's `boundary`.
    installed_us, removed_us : int or None
        Where they lie within the period, or end it. [us UTC]
    served : tuple of (int, int)
        Time of the period in which it is in the account. [us UTC]
    moved_to : str or None
        Site where it is now, of one that was the project's or at its site before.
    checks : str or None
        Meter of the project that it is registered to check.
    project : str or None
        Another project that has it, of which no statement is closed.
    """

    device: str
    class_id: str
    spans: tuple[Span, ...]
    reason: str | None = None
    installed_us: int | None = None
    removed_us: int | None = None
    served: tuple[Span, ...] = ()
    moved_to: str | None = None
    checks: str | None = None
    project: str | None = None
    ended: bool = False


class Refused(NamedTuple):
    """Messages that were refused, and from their lowest to their highest value. [base units]"""

    messages: int
    rise: dict[str, int]


class LeftOut(NamedTuple):
    """
    What a meter that is left out measured in that time, by quantity. [base units]

    Attributes
    ----------
    last_us : int
        End of the last interval in which it measured something; 0 without one. [us UTC]
    unknown_us : int
        Time of which its energy is not known. [us]
    rise : dict
        By how much its registers rose, where that is more than was measured.
    readings : int
        From which `rise` is.
    """

    of: Unserved
    measured: dict[str, int]
    last_us: int
    unknown_us: int
    rise: dict[str, int]
    readings: int
    refused: Refused


def counted(project: Project, class_id: str, *, left_out: bool) -> frozenset[str]:
    """
    Return the quantities of a class that roles of the project's side would count.

    Parameters
    ----------
    left_out : bool
        Whether each register of imported electricity counts, whatever the class: a charger that
        is entered as a pump takes the same electricity.
    """
    return frozenset(needs.quantity for _, needs in roles_of(project, class_id, left_out=left_out))


def roles_of(project: Project, class_id: str, *, left_out: bool) -> Iterator[tuple[str, RoleNeeds]]:
    """Yield the roles of the project's side that would count a meter of a class."""
    registers = {one.quantity for one in classes.load()[class_id].registers}
    for role, needs in find(project.methodology, project.version).roles.items():
        alike = left_out and needs.quantity in registers & {_ELECTRICITY}
        if needs.side == "project" and (class_id in needs.classes or alike):
            yield role, needs


def unserved(
    conn: Connection, registry: Registry, project: Project, period_us: Span
) -> list[Unserved]:
    """
    Return the meters that serve no project in a part of a period, by id.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    """
    devices, reasons = registry.devices, boundary_reasons(registry, project.id)
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
        installed, removed = lifetime(device)
        edges = [_common(span, (installed, removed)) for span in served[name]]
        spans = without(edges, period_us)
        if spans:
            edges = sorted(edge for edge in edges if edge[0] < edge[1])
            found.append(
                Unserved(
                    name, device.class_id, spans, reasons.get(name),
                    installed if installed > period_us[0] else None,
                    None if device.removed is None else removed,
                    tuple(e for e in edges if e[0] < period_us[1] and e[1] > period_us[0]),
                    device.site if name in before and device.site not in sites else None,
                    device.check_of if device.check_of in mine else None,
                    ended=bool(edges) or device.removed is not None,
                )
            )  # fmt: skip
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
            device = registry.devices[name]
            edge = _common(span, lifetime(device))
            spans = without(closed, edge) if edge[0] < edge[1] else ()
            if spans:
                yield Unserved(name, device.class_id, spans, project=entry.id)


def left_out(
    conn: Connection, project: Project, meters: Sequence[Unserved], period_us: Span
) -> Iterator[LeftOut]:
    """
    Yield what meters measured that a role of the project's side would count.

    A check meter that agrees with its main meter is none of them.

    Parameters
    ----------
    meters : sequence of Unserved
    period_us : tuple of int
        Half-open. [us UTC]
    """
    fleet = registry_rows.load_fleet(conn)
    known = [one for one in meters if one.device in fleet.by_id]
    if not known:
        return
    names = sorted({one.device for one in known} | {one.checks for one in known if one.checks})
    with conn.cursor() as cursor:
        rows = intervals_of(cursor, fleet, *period_us, names, marks=False)
    for one in known:
        index = fleet.by_id[one.device]
        wanted = counted(project, one.class_id, left_out=True)
        if one.checks and _agrees(rows, index, fleet.by_id[one.checks], wanted):
            continue
        measured, last_us, unknown_us = _measured(rows, index, one.spans, wanted)
        rise, number, refused = dict[str, int](), 0, Refused(0, {})
        if unknown_us >= HOUR_US or not measured:
            rise, number = _rise(conn, fleet, index, one.spans, wanted)
            refused = _refused(conn, one.device, one.class_id, period_us[0], wanted)
        more = {q: value for q, value in rise.items() if value > measured.get(q, 0)}
        yield LeftOut(one, measured, last_us, unknown_us, more, number, refused)


def boundary_reasons(registry: Registry, project: str) -> dict[str, str]:
    """Why meters of the site are outside of a project's boundary, by its owner."""
    return {one.device: one.reason for one in registry.projects[project].boundary or ()}


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


def _within(start_us: Int64, spans: Sequence[Span]) -> NDArray[np.bool_]:
    found = np.zeros(len(start_us), dtype=np.bool_)
    for begin, end in spans:
        found |= (start_us >= begin) & (start_us < end)
    return found


def _measured(
    rows: IntervalRows, index: int, spans: Sequence[Span], wanted: frozenset[str]
) -> tuple[dict[str, int], int, int]:
    """What a meter's intervals hold of some time, when that ended, and what is not known of it."""
    own = rows.take((rows.device == index) & _within(rows.start_us, spans))
    measured: dict[str, int] = {}
    unknown_us, last_us = 0, 0
    for number in np.unique(own.quantity).tolist():
        name, of = QUANTITIES[number].name, own.quantity == number
        if name not in wanted:
            continue
        rose = of & (own.value > 0)
        if rose.any():
            measured[name] = int(own.value[of].sum())
            last_us = max(last_us, int(own.start_us[rose].max()) + INTERVAL_US)
        unknown_us = max(unknown_us, int(own.unknown_us[of].sum()))
    return measured, last_us, unknown_us


def _rise(
    conn: Connection, fleet: Fleet, index: int, spans: Sequence[Span], wanted: frozenset[str]
) -> tuple[dict[str, int], int]:
    """By how much registers rose in some time, by the readings alone [base units]; how many."""
    class_id = fleet.devices[index].class_id
    edges = spans[0][0], spans[-1][1]
    with conn.cursor() as cursor:
        frame = readings.months(cursor, fleet, class_id, {index: edges})
    found: dict[str, int] = {}
    number = 0
    for channel in classes.load()[class_id].registers:
        values = frame.columns[channel.name].astype(np.int64, copy=False)
        held = (values != NULL) & _within(frame.time_us, spans)
        if str(channel.quantity) in wanted and held.any():
            number = max(number, int(held.sum()))
            name = str(channel.quantity)
            found[name] = found.get(name, 0) + _risen(values[held])
    return found, number


def _risen(values: Int64) -> int:
    """Sum of a register's rises; a single reading beside its line is none."""
    if len(values) >= _BESIDE:
        beside = np.sort(sliding_window_view(values, _BESIDE), axis=1)
        values = np.concatenate([values[:1], beside[:, _BESIDE // 2], values[-1:]])
    return int(np.maximum(np.diff(values), 0).sum())


def _agrees(rows: IntervalRows, check: int, main: int, wanted: frozenset[str]) -> bool:
    """Whether the days of a check meter are those of its main meter, where both are known."""
    by_meter = []
    for device in (check, main):
        of = (rows.device == device) & (rows.unknown_us == 0)
        of &= np.isin(rows.quantity, [i for i, q in enumerate(QUANTITIES) if q.name in wanted])
        by_meter.append(rows.take(of))
    ours, theirs = by_meter
    start, here, there = np.intersect1d(ours.start_us, theirs.start_us, return_indices=True)
    if not len(start):
        return False
    _, day = np.unique(start // _DAY_US, return_inverse=True)
    sums = [np.bincount(day, of) for of in (ours.value[here], theirs.value[there])]
    return float(np.abs(sums[0] - sums[1]).sum()) <= _AGREES * float(np.maximum(*sums).sum())


def _refused(
    conn: Connection, device: str, class_id: str, from_us: int, wanted: frozenset[str]
) -> Refused:
    """Return what was refused since a period began, for more than the rating allows."""
    since = datetime.fromisoformat(utc_text(from_us))
    letters = list_letters(conn, Filter(device=device, reason=_REFUSED, received_from=since))
    messages, rise = 0, dict[str, int]()
    for channel in classes.load()[class_id].registers:
        name = str(channel.quantity)
        named = [re.findall(rf"\b{channel.name} (\d+) ", one.detail) for one in letters]
        values = [int(value) for found in named for value in found]
        if name in wanted and values:
            messages = max(messages, sum(map(bool, named)))
            rise[name] = rise.get(name, 0) + max(values) - min(values)
    return Refused(messages, rise)
