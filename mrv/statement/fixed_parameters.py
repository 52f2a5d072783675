"""
Ex-ante parameters compared with earlier issued statements, and consumption of issued services.

Monitored values (option A, B or C) may change each period; ex-ante values must not, since raising a
baseline afterwards would create tonnes.

Specific consumption is taken only from statements with nine tenths of their time known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from mrv.accounting.coverage import role_needs
from mrv.accounting.device_period import Kind
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import instant_us
from mrv.documents.statement import Claims, fixed_ex_ante
from mrv.methodologies import find
from mrv.parameters.inputs import read
from mrv.parameters.specs import ParameterSpec
from mrv.registry.project import FixedBefore, Project, Usage
from mrv.rounding import exact_text

_KNOWN = Fraction(9, 10)
# kinds of deductions that leave the service plausible; others are rules, by their id
_PLAUSIBLE = {Kind.CALIBRATION, Kind.OWN_USE, Kind.DESIGN, "CLM-01"}


def usage(claims: Claims) -> Usage | None:
    """Return the energy consumption of a statement's service; None if not stated."""
    methodology = find(claims.methodology.id, claims.methodology.version)
    for consumption in methodology.consumptions:
        if not consumption.by_history or Fraction(claims.coverage) < _KNOWN:
            continue
        used = _sum(claims, consumption.uses)
        served = _sum(claims, consumption.serves) - _implausible(claims, consumption.serves)
        if used > 0 and served > 0:
            begin, end = (
                instant_us(edge, "UTC")
                for edge in (claims.monitoring_period.from_, claims.monitoring_period.to)
            )
            return Usage(claims.statement, begin, end, used, int(served))
    return None


def _sum(claims: Claims, roles: Iterable[str]) -> int:
    wanted = set(roles)
    return sum(int(p.metered) for p in claims.monitored_parameters if p.role in wanted)


def _implausible(claims: Claims, roles: Iterable[str]) -> Fraction:
    wanted = set(roles)
    devices = {p.device for p in claims.monitored_parameters if p.role in wanted}
    return sum(
        (
            -d.adjusts("baseline")
            for d in claims.deductions
            if d.device in devices and d.kind and d.kind not in _PLAUSIBLE
        ),
        start=Fraction(0),
    )


# device, None of the whole project; parameter
_Key = tuple[str | None, str]


def changed(claims: Claims, project: Project) -> tuple[str, ...]:
    """
    Return the fixed values of a project that differ from those of an issued statement.

    Parameters
    ----------
    claims : Claims
        Values of the issued statement.
    project : Project
        Project in the registry now, with the devices of the period.
    """
    was: defaultdict[_Key, set[str]] = defaultdict(set)
    for device, parameter, value in fixed_ex_ante(claims):
        was[device, parameter].add(value)
    now: defaultdict[_Key, set[str]] = defaultdict(set)
    for key, value in _fixed(project):
        now[key].add(value)
    left_out = {key: set[str]() for key in may_be_fixed(project) if key not in now}
    every = sorted({**now, **left_out}.items(), key=lambda item: (item[0][0] or "", item[0][1]))
    return tuple(
        f"{name}{'' if device is None else f' of {device}'} was {', '.join(sorted(was[key]))}"
        f" in {claims.statement} and is {', '.join(sorted(values)) or 'left out'}"
        for key, values in every
        for device, name in [key]
        if was[key] and (values - was[key] or not values)
    )


def issued_with(claims: Claims) -> tuple[FixedBefore, ...]:
    """Return the values fixed ex ante in a statement."""
    return tuple(FixedBefore(*value, claims.statement) for value in fixed_ex_ante(claims))


def departed(issued: Iterable[FixedBefore], project: Project) -> tuple[FixedBefore, ...]:
    """Return the values of issued statements that now differ, or are missing."""
    now: defaultdict[_Key, set[str]] = defaultdict(set)
    for key, value in _fixed(project):
        now[key].add(value)
    was: defaultdict[_Key, set[str]] = defaultdict(set)
    every = [((fixed.device, fixed.parameter), fixed) for fixed in issued]
    for key, fixed in every:
        was[key].add(fixed.value)
    ours = may_be_fixed(project)
    return tuple(
        item
        for key, item in every
        if key in ours and (item.value not in now[key] or now[key] - was[key])
    )


def _fixed(project: Project) -> Iterator[tuple[_Key, str]]:
    methodology = find(project.methodology, project.version)
    own = parameters_of(methodology, project.parameters, f"project {project.id}: parameters")
    yield from _values(None, methodology.parameters, own)
    for bound in project.devices:
        where = f"project {project.id}: device {bound.device}"
        specs = role_needs(methodology, bound, where).params
        yield from _values(bound.device, specs, read(specs, bound.params, where))


def may_be_fixed(project: Project) -> dict[_Key, ParameterSpec]:
    """Return all ex-ante parameters of a project and its devices, entered or not."""
    methodology = find(project.methodology, project.version)
    every: list[tuple[str | None, Mapping[str, ParameterSpec]]] = [(None, methodology.parameters)]
    every += [
        (bound.device, role_needs(methodology, bound, f"device {bound.device}").params)
        for bound in project.devices
    ]
    return {
        (device, name): spec
        for device, specs in every
        for name, spec in specs.items()
        if _is_fixed(spec)
    }


def _is_fixed(spec: ParameterSpec) -> bool:
    return not spec.option and spec.unmeasured is None


def _values(
    device: str | None, specs: Mapping[str, ParameterSpec], values: Mapping[str, Any]
) -> Iterator[tuple[_Key, str]]:
    for name, spec in specs.items():
        if _is_fixed(spec) and name in values:
            yield (device, name), exact_text(Fraction(values[name]))
