"""
Whether another project's issued statement counts the same energy already.

The registry keeps a device out of two projects at one time; a claim stands when the registry
has long changed.  So each close and each issue looks at the claims themselves.  What a project
issued binds another one that has its devices: it is the same under another name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator

from psycopg import Connection

from mrv.accounting.coverage import role_needs
from mrv.calendar import instant_us, utc_text
from mrv.documents.monitoring import MonitoredParameter
from mrv.documents.statement import Claims
from mrv.methodologies import find
from mrv.registry.project import Project
from services.store.statements import statements
from services.store.statements.carry_over import one_meter
from services.store.statements.statements import Stored
from services.store.timeseries.year_sums import year_sums

# device and quantity; begin and end [us UTC]
_Key = tuple[str, str]
_Span = tuple[int, int]


def counted_elsewhere(conn: Connection, claims: Claims) -> Iterator[str]:
    """Say which of a statement's devices an issued statement of another project counts too."""
    mine = _counted(claims)
    devices = sorted({device for device, _ in mine})
    period = claims.monitoring_period
    edges = instant_us(period.from_, "UTC"), instant_us(period.to, "UTC")
    for other in statements.claimed_of_devices(conn, claims.project.id, devices, *edges):
        for key, (begin, end) in _counted(other.claims).items():
            if key not in mine:
                continue
            first, last = max(begin, mine[key][0]), min(end, mine[key][1])
            if first < last:
                yield (
                    f"{key[0]} counts in {other.id} of project {other.project} from"
                    f" {utc_text(first)} to {utc_text(last)}, and its {key[1]} is claimed once: let"
                    f" its service in {claims.project.id} begin at {utc_text(last)} or later"
                )


def before_elsewhere(
    conn: Connection, project: Project, period_us: tuple[int, int]
) -> Stored | None:
    """
    Return the last issued statement of another project that had the devices of this one.

    What a project fixed ex ante for its devices is no other because the project has another
    name.  None where too few of the devices were there (`TakenOver`), or by another methodology.
    """
    mine = {d.device for d in project.devices}
    meters = one_meter(conn, mine)
    last = statements.last_of_devices(conn, project.id, meters, period_us[0])
    if last is None or last.claims.methodology.id != project.methodology:
        return None
    had = {p.device for p in last.claims.monitored_parameters} & {*meters}
    # the project's own ids of the meters that were there
    here = mine & {*one_meter(conn, had)}
    return last if here and TakenOver(conn, project, period_us).of(here) else None


def _counted(claims: Claims) -> dict[_Key, _Span]:
    """When each device of the baseline counted, by its quantity."""
    found: dict[_Key, _Span] = {}
    for one in claims.monitored_parameters:
        if one.side != "baseline":
            continue
        begin, end = _span(one)
        first, last = found.get((one.device, one.parameter), (begin, end))
        found[one.device, one.parameter] = min(begin, first), max(end, last)
    return found


def _span(one: MonitoredParameter) -> _Span:
    return instant_us(one.from_, "UTC"), instant_us(one.to, "UTC")


# part of what a project measures that makes it the one that had the devices before
_HALF = 2


class TakenOver:
    """
    What the devices of a project measured in a period, read once.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    period_us : tuple of int
        Half-open. [us UTC]
    """

    def __init__(self, conn: Connection, project: Project, period_us: tuple[int, int]) -> None:
        self._devices = {bound.device for bound in project.devices}
        methodology = find(project.methodology, project.version)
        # by side and quantity, by device
        self._reported: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        roles = [
            (role_needs(methodology, bound, f"device {bound.device}"), bound.device)
            for bound in project.devices
        ]
        meters = dict.fromkeys((device, needs.quantity) for needs, device in roles)
        sums = year_sums(conn, meters, *period_us)
        for needs, device in roles:
            found = sums.get((device, needs.quantity))
            if found is not None and found.value > 0:
                self._reported[needs.side, needs.quantity][device] = found.value

    def of(self, had: Collection[str]) -> bool:
        """
        Say whether the project is the one that had some devices.

        That is where half of its devices that measured something are of it, or half of a quantity
        of the baseline; one that reports nothing says nothing about whose project it is.  Where
        none reported anything all of them count.
        """
        telling = {
            device for by_device in self._reported.values() for device in by_device
        } or self._devices
        if telling & {*had} and _HALF * len(telling & {*had}) >= len(telling):
            return True
        return any(
            _HALF * sum(n for device, n in by_device.items() if device in had)
            >= sum(by_device.values())
            for (side, _), by_device in self._reported.items()
            if side == "baseline"
        )
