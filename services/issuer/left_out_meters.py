"""
Meters at a project's sites that are outside its account, with the time outside.

These are present and former meters of the sites, and those that an earlier import assigned to the
project; also meters of another project for times that no closed statement covers.  Example: a third
charger excluded as "for the cars of the office".  The reason is the owner's free text, so the
meter's quantity is reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from psycopg import Connection

from ingest import classes
from ingest.model import INTERVAL_US
from mrv.accounting.coverage import remaining
from mrv.methodologies import find
from mrv.model import RoleNeeds
from mrv.registry.project import Project
from services.registry import ratings
from services.registry.entries import Device, Registry
from services.store.registry.load import devices_before
from services.store.statements import sealed_days as seals
from services.store.statements import statements

Span = tuple[int, int]

_ELECTRICITY, _GENERATION = "energy_import", "energy_export"


class Unserved(NamedTuple):
    """
    Meter with the time in which it is assigned to no project, and the registered reason.

    `spans`: ascending, ends excluded. [us UTC]
    `reason`: the owner's, in the project's `boundary`.
    `installed_us`, `removed_us`: within the period. [us UTC]
    `served`: time of the period in which it is assigned. [us UTC]
    `moved_to`: current site of a meter that was assigned to the project, or at its site, before.
    `checks`: meter of the project whose check meter it is.
    `project`: another project to which it is assigned, without a closed statement.
    `upstream_of`: meters of the project that it supplies, by the project's `boundary`.
    `lowers`: its quantity that lowers the import of the project's meters; empty if none.
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
    upstream_of: tuple[str, ...] = ()
    lowers: str = ""

    @property
    def is_excluded(self) -> bool:
        """Return whether the boundary excludes it with a reason, and it was never included."""
        others = self.served, self.moved_to, self.checks, self.project
        return self.reason is not None and not any(others)


def counted(project: Project, class_id: str, *, left_out: bool, lowers: str = "") -> frozenset[str]:
    """Return the quantities of a device class that count as project emissions."""
    roles = roles_of(project, class_id, left_out=left_out, lowers=lowers)
    return frozenset(needs.quantity for _, needs in roles)


def roles_of(
    project: Project, class_id: str, *, left_out: bool, lowers: str = ""
) -> Iterator[tuple[str, RoleNeeds]]:
    """
    Yield the roles on the project emissions side that a meter of a class could have.

    `left_out`: whether each register of imported electricity counts in every device class, so that
    a wrong class does not hide consumption.  `lowers`: the only quantity that counts, for a meter
    that lowers the project's import.
    """
    registers = {register.quantity for register in classes.load()[class_id].registers}
    for role, needs in find(project.methodology, project.version).roles.items():
        if needs.side != "project":
            continue
        if lowers and needs.quantity == _ELECTRICITY:
            yield role, replace(needs, quantity=lowers)
        elif class_id in needs.classes or (
            left_out and needs.quantity in registers & {_ELECTRICITY}
        ):
            yield role, needs


def importing(project: Project) -> list[str]:
    """Return the project's meters of imported electricity."""
    roles = find(project.methodology, project.version).roles
    needs = [(bound.device, roles[bound.role]) for bound in project.devices]
    return [d for d, n in needs if (n.quantity, n.side) == (_ELECTRICITY, "project")]


def may_lower(registry: Registry, project: Project) -> Iterator[tuple[str, str, int]]:
    """
    Yield meters at the sites that could lower a project's import, with quantity and sign.
    The sign is -1 for generators, and 1 for meters of consumption that another project saves.
    """
    mine = {bound.device for bound in project.devices}
    devices = registry.devices
    around = registry.around({devices[name].site for name in mine if name in devices})
    claimed = {
        bound.device
        for entry in registry.projects.values()
        for bound in entry.devices
        if find(entry.methodology, entry.version).roles[bound.role].side == "baseline"
    }
    for name in sorted(devices.keys() - mine):
        device = devices[name]
        registers = {register.quantity for register in classes.load()[device.class_id].registers}
        if device.site not in around:
            continue
        if _GENERATION in registers and (name in claimed or device.class_id != "energy_meter"):
            yield name, _GENERATION, -1
        elif name in claimed and _ELECTRICITY in registers:
            yield name, _ELECTRICITY, 1


def unserved(
    conn: Connection,
    registry: Registry,
    project: Project,
    period_us: Span,
    lowering: Mapping[str, str],
) -> list[Unserved]:
    """
    Return the meters that are assigned to no project in a part of a period, by id.
    `lowering`: meters that lower the project's import, and their quantity.
    """
    devices, reasons = registry.devices, boundary_reasons(registry, project.id)
    outside = registry.projects[project.id].boundary or ()
    upstream = {meter.device: meter.upstream_of for meter in outside}
    mine = {d.device for d in project.devices}
    sites = {devices[name].site for name in mine if name in devices}
    around = registry.around(sites)
    was_bound, placed = devices_before(conn, project.id, sorted(around))
    before = was_bound | placed
    served = _assignments(registry)
    forwarding = gateways(conn, registry)
    result = []
    for name in sorted(devices.keys() - forwarding):
        device = devices[name]
        near = device.site in around or name in reasons or name in before
        lowers = lowering.get(name, "")
        counts = counted(project, device.class_id, left_out=name not in mine, lowers=lowers)
        if not near or not counts:
            continue
        installed, removed = _lifetime(device)
        # a meter of another project can still lower what this project's meters import
        theirs = () if lowers else served[name]
        edges = [_overlap(span, (installed, removed)) for span in theirs]
        spans = tuple(remaining(edges, *period_us))
        if spans:
            edges = sorted(edge for edge in edges if edge[0] < edge[1])
            result.append(
                Unserved(
                    name, device.class_id, spans, reasons.get(name),
                    installed if installed > period_us[0] else None,
                    None if device.removed is None else removed,
                    tuple(e for e in edges if e[0] < period_us[1] and e[1] > period_us[0]),
                    device.site if name in before and device.site not in around else None,
                    device.check_of if device.check_of in mine else None,
                    ended=bool(edges) or device.removed is not None,
                    upstream_of=tuple(meter for meter in upstream.get(name, ()) if meter in mine),
                    lowers=lowers,
                )
            )  # fmt: skip
    near_by = {name for name, device in devices.items() if device.site in sites or name in before}
    return [*result, *_unclosed(conn, registry, project, near_by, was_bound, period_us)]


def gateways(conn: Connection, registry: Registry) -> frozenset[str]:
    """Return devices that others name as `gateway` and that have no readings of their own."""
    named = sorted({device.gateway for device in registry.devices.values() if device.gateway})
    with conn.cursor() as cursor:
        measured = {*seals.first_us(cursor, named)}
        cursor.execute(
            "SELECT DISTINCT device_id FROM dead_letter WHERE device_id = ANY(%s)", [named]
        )
        measured |= {str(name) for (name,) in cursor.fetchall()}
    return frozenset(named) - measured


def _unclosed(
    conn: Connection,
    registry: Registry,
    project: Project,
    near: Collection[str],
    was_bound: Collection[str],
    period_us: Span,
) -> Iterator[Unserved]:
    """
    Yield meters of another project for times without a closed statement.

    That project has the same methodology, or meters that an import removed from this one.
    """
    # stored in a variable, as the property builds a new mapping at each access
    devices = registry.devices
    for entry in registry.projects.values():
        zone = ratings.timezone(entry, registry)
        if entry.id == project.id or zone is None:
            continue
        alike = entry.methodology == project.methodology
        theirs = [
            (device.device, _overlap(ratings.during_us(entry, device, zone), period_us))
            for device in entry.devices
            if device.device in near
            and (alike or device.device in was_bound)
            and counted(project, devices[device.device].class_id, left_out=False)
        ]
        closed = statements.closed_within(conn, entry.id, *period_us) if theirs else []
        for name, span in theirs:
            device = devices[name]
            edge = _overlap(span, _lifetime(device))
            spans = tuple(remaining(closed, *edge))
            if spans:
                yield Unserved(name, device.class_id, spans, project=entry.id)


def unbound(
    conn: Connection, registry: Registry, project: Project, period_us: Span
) -> Iterator[Device]:
    """Yield meters of the sites that could have a project emissions role, but are in no project."""
    method = find(project.methodology, project.version)
    kinds = {c for need in method.roles.values() if need.side == "project" for c in need.classes}
    mine = {d.device for d in project.devices}
    devices, reasons = registry.devices, boundary_reasons(registry, project.id)
    sites = registry.around({devices[name].site for name in mine})
    served = _assignments(registry)
    forwarding = gateways(conn, registry)
    for device in devices.values():
        if device.id in forwarding:
            continue
        if device.site not in sites or device.class_id not in kinds:
            continue
        if device.check_of in mine or device.id in reasons:
            continue
        installed, removed = _lifetime(device)
        begin, end = max(installed, period_us[0]), min(removed, period_us[1])
        if remaining(served[device.id], begin, end):
            yield device


def boundary_reasons(registry: Registry, project: str) -> dict[str, str]:
    """Return the owner's reasons for meters outside a project's boundary, by meter."""
    return {o.device: o.reason for o in registry.projects[project].boundary or ()}


def _assignments(registry: Registry) -> defaultdict[str, list[Span]]:
    """Return the times in which each device is assigned to a project. [us UTC]"""
    result: defaultdict[str, list[Span]] = defaultdict(list)
    for project in registry.projects.values():
        zone = ratings.timezone(project, registry)
        for project_device in project.devices if zone else ():
            result[project_device.device].append(
                ratings.during_us(project, project_device, zone or "")
            )
    return result


def _lifetime(device: Device) -> Span:
    """Return the time in which a device was installed, end excluded. [us UTC]"""
    removed = device.removed
    end = 2**62 if removed is None else round(removed.timestamp()) * 1_000_000
    return round(device.installed.timestamp()) * 1_000_000, end


def _overlap(span: Span, other: Span) -> Span:
    """Return the common time of two spans, extended to whole 15-minute intervals."""
    begin, end = max(span[0], other[0]), min(span[1], other[1])
    return begin // INTERVAL_US * INTERVAL_US, -(-end // INTERVAL_US) * INTERVAL_US
