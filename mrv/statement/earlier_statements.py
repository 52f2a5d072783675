"""Figures and ex-ante parameters of earlier statements, for comparison."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from mrv.accounting.coverage import role_needs
from mrv.accounting.device_period import Kind
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import instant_us
from mrv.documents import UNSET
from mrv.documents.plan import DeviceFigure, InputValue, StatementFigures
from mrv.documents.statement import (
    Claims,
    DeviceDifference,
    Difference,
    InputDifference,
    fixed_ex_ante,
)
from mrv.methodologies import find
from mrv.parameters import ParameterSpec, read
from mrv.registry.project import FixedBefore, Project, Usage
from mrv.rounding import UG_PER_T, exact_text

_KNOWN = Fraction(9, 10)
# deductions that do not make the service implausible: kinds of deduction, and ids of rules
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


# device (None: the whole project), and parameter
_Key = tuple[str | None, str]


def changed(claims: Claims, project: Project) -> tuple[str, ...]:
    """
    Return a sentence on each fixed value of a project that differs from an issued statement.

    `claims`: values of the issued statement.
    `project`: the project as registered now, with the devices of the period.
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
    """Return the values of issued statements that now differ or are missing."""
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
    """Return all ex-ante parameters of a project and its devices, whether entered or not."""
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


# digests of the measured evidence, without that of the plan, which every correction changes
_MEASURED = ("readings", "intervals", "factors")


def figures(
    claims: Claims,
    *,
    energy: Collection[str] = (),
    by_device: bool = False,
    registry: Mapping[str, str] | None = None,
) -> StatementFigures:
    """
    Return the figures of a statement.

    `claims`: claims of the statement, signed or not.
    `energy`: roles of the energy; empty: all.
    `by_device`: include devices, factors and digests, for a correction.
    `registry`: further registry data (`mrv.statement.cross_check_json`).
    """
    known = {**inputs(claims), **(registry or {})}
    meters = [
        p
        for p in claims.monitored_parameters
        if p.unit == "Wh" and (not energy or p.role in energy)
    ]
    return StatementFigures(
        statement=claims.statement,
        from_=claims.monitoring_period.from_,
        to=claims.monitoring_period.to,
        energy_wh=str(sum(int(p.metered) for p in meters)),
        reduction_ug=claims.emissions.reduction.ug,
        credited_t=claims.credited.t,
        coverage=claims.coverage,
        devices=_by_device(claims) if by_device else UNSET,
        factors=tuple(f"{f.id} = {f.value} {f.unit}" for f in claims.factors)
        if by_device
        else UNSET,
        digests=claims.digests if by_device else UNSET,
        inputs=tuple(InputValue(name=n, value=v) for n, v in sorted(known.items()))
        if by_device and claims.accounting is not UNSET
        else UNSET,
    )


def inputs(claims: Claims) -> dict[str, str]:
    """Return the registry data of a statement, by fixed names."""
    result = {"methodology": f"{claims.methodology.id} {claims.methodology.version}"}
    for fixed_parameter in claims.fixed_parameters or ():
        if fixed_parameter.parameter == "rated_power_w":
            continue  # listed with its meter
        whose = (
            fixed_parameter.parameter
            if fixed_parameter.device is None
            else f"{fixed_parameter.device}: {fixed_parameter.parameter}"
        )
        result[whose] = f"{fixed_parameter.value} {fixed_parameter.unit}"
    for metered in claims.monitored_parameters:
        meter = metered.meter
        result[f"{metered.device}: meter"] = " ".join(
            filter(None, [meter.maker or None, meter.model or None, meter.serial])
        )
        result[f"{metered.device}: rated power"] = ", ".join(
            f"{r.rated_power_w} W from {r.from_}" for r in meter.ratings or ()
        )
        result[f"{metered.device}: certificates"] = ", ".join(
            f"{c.certificate} {c.performed} to {c.valid_until}"
            f" {c.accuracy_class or ''} {c.max_error_percent or ''}"
            f" {c.channel or ''} {c.found_error_percent or ''}".rstrip()
            for c in metered.calibrations
        )
    return result


def _inputs(before: StatementFigures, now: StatementFigures) -> tuple[InputDifference, ...]:
    was, is_ = ({v.name: v.value for v in some.inputs or ()} for some in (before, now))
    return tuple(
        InputDifference(name=name, before=was.get(name), now=is_.get(name))
        for name in sorted(was.keys() | is_.keys())
        if was.get(name) != is_.get(name)
    )


def _by_device(claims: Claims) -> tuple[DeviceFigure, ...]:
    return tuple(
        DeviceFigure(
            device=p.device, role=p.role, from_=p.from_, metered=p.metered, counted=p.counted
        )
        for p in claims.monitored_parameters
    )


def difference(before: StatementFigures, now: StatementFigures) -> Difference:
    """
    Return the changes of a correction.

    `before`, `now`: `figures(..., by_device=True)` of the replaced and of the replacing statement.
    """
    was, is_ = ({_place(d): d for d in statement.devices or ()} for statement in (before, now))
    old, new = before.factors or (), now.factors or ()
    places = sorted(was.keys() | is_.keys())
    ug = int(now.reduction_ug) - int(before.reduction_ug)
    return Difference(
        reduction_t=_tonnes(ug),
        credited_t=str(int(now.credited_t) - int(before.credited_t)),
        coverage_before=before.coverage,
        coverage_now=now.coverage,
        evidence=tuple(
            k
            for k in _MEASURED
            if getattr(before.digests, k, None) != getattr(now.digests, k, None)
        ),
        factors_before=tuple(f for f in old if f not in new),
        factors_now=tuple(f for f in new if f not in old),
        devices=tuple(
            _changed(place, was.get(place), is_.get(place))
            for place in places
            if was.get(place) != is_.get(place)
        ),
        inputs=UNSET if before.inputs is UNSET else _inputs(before, now),
    )


def _changed(
    place: tuple[str, str, str], was: DeviceFigure | None, now: DeviceFigure | None
) -> DeviceDifference:
    return DeviceDifference(
        device=place[0],
        role=place[1],
        metered_before=was.metered if was else None,
        metered_now=now.metered if now else None,
        counted_before=was.counted if was else None,
        counted_now=now.counted if now else None,
    )


def _place(device_figure: DeviceFigure) -> tuple[str, str, str]:
    return device_figure.device, device_figure.role, device_figure.from_


def _tonnes(ug: int) -> str:
    return exact_text(Fraction(ug, UG_PER_T))
