"""
Figures of other statements, for comparison: of the period before, a year before, and a replaced
one.

Large unexplained differences are where a verifier looks first. A correction states its differences
from the statement it replaces.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

from mrv.documents.form import UNSET
from mrv.documents.plan import DeviceFigure, InputValue, StatementFigures
from mrv.documents.statement import Claims, DeviceDifference, Difference, InputDifference
from mrv.rounding import UG_PER_T, exact_text

# the plan's digest is left out: it holds what is corrected, so it always changes
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

    Parameters
    ----------
    claims : Claims
        Claims of the statement, signed or not.
    energy : collection of str
        Roles of the energy; empty: all.
    by_device : bool
        Include devices, factors and digests, for a correction.
    registry : mapping of str to str, optional
        Further registry data (`mrv.statement.cross_check_json`).
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
    """Return the registry data of a statement, under fixed names."""
    result = {"methodology": f"{claims.methodology.id} {claims.methodology.version}"}
    for fixed_parameter in claims.fixed_parameters or ():
        if fixed_parameter.parameter == "rated_power_w":
            continue  # named with its meter
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

    Parameters
    ----------
    before, now : StatementFigures
        `figures(..., by_device=True)` of the statement that is replaced, and of the
        one that replaces it.
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
