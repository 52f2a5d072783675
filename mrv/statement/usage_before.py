"""
Consumption of a project's service in issued statements, the basis of its distance limit.

Only statements of which nine tenths of the time are known say what is usual.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from mrv.accounting.device_period import Kind
from mrv.calendar import instant_us
from mrv.documents.statement import Claims
from mrv.methodologies import find
from mrv.registry.project import Usage

_KNOWN = Fraction(9, 10)
# kinds of deductions that leave the service plausible; others are rules, by their id
_PLAUSIBLE = {Kind.CALIBRATION, Kind.OWN_USE, Kind.DESIGN, "CLM-01"}


def usage(said: Claims) -> Usage | None:
    """Return the energy of a statement's service; None where not stated."""
    methodology = find(said.methodology.id, said.methodology.version)
    for consumption in methodology.consumptions:
        if not consumption.by_history or Fraction(said.coverage) < _KNOWN:
            continue
        used = _sum(said, consumption.uses)
        served = _sum(said, consumption.serves) - _implausible(said, consumption.serves)
        if used > 0 and served > 0:
            begin, end = (
                instant_us(edge, "UTC")
                for edge in (said.monitoring_period.from_, said.monitoring_period.to)
            )
            return Usage(said.statement, begin, end, used, int(served))
    return None


def _sum(said: Claims, roles: Iterable[str]) -> int:
    wanted = set(roles)
    return sum(int(p.metered) for p in said.monitored_parameters if p.role in wanted)


def _implausible(said: Claims, roles: Iterable[str]) -> Fraction:
    wanted = set(roles)
    devices = {p.device for p in said.monitored_parameters if p.role in wanted}
    return sum(
        (
            -d.adjusts("baseline")
            for d in said.deductions
            if d.device in devices and d.kind and d.kind not in _PLAUSIBLE
        ),
        start=Fraction(0),
    )
