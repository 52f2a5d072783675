"""
Whether another project's issued statement counts the same energy already.

The registry keeps a device out of two projects at one time; a claim stands when the registry
has long changed.  So each close and each issue looks at the claims themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import Connection

from mrv.calendar import instant_us, utc_text
from mrv.documents.monitoring import MonitoredParameter
from mrv.documents.statement import Claims
from mrv.registry.project import Project
from services.issuer.taken_over import TakenOver
from services.store.statements import statements
from services.store.statements.carry_over import one_meter
from services.store.statements.statements import Stored

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
