"""
Figures of a period as in the statement, and their comparison with expected values.

Six decimals, each rounded conservatively; the credit is calculated from the exact figures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import is_accepted
from mrv.accounting.period_result import Amount, Comparison, Finding, ParameterUse, Totals, Vintage
from mrv.calendar import instant_us, part_of_year
from mrv.documents import UNSET, copied
from mrv.documents.period_account import FactorCalculated, FactorUsed
from mrv.errors import PeriodError
from mrv.model import Candidate, Check, Factor, Methodology, Reductions, Side
from mrv.parameters import Inputs, ParameterSpec, exact
from mrv.registry.project import ProjectDevice, SupportingData
from mrv.rounding import (
    UG_PER_T,
    Mode,
    decimal_text,
    exact_text,
    floor_credit,
    share_text,
    six_places,
    to_integer,
)
from mrv.texts import declared, devices_of, texts_of

_KWH = 1000
# excess of a reduction over its estimate from which it has to be explained [%, M]
_ABOVE = 10
# basis of a comparison with the design, not with another period
DESIGN = "design"
ENERGY = "energy [kWh]"
# keys of registry files, in the order of the comparisons
_DESIGN = ("energy_kwh_per_year", "reduction_t_per_year")


def amount(tonnes: Fraction, mode: Mode) -> Amount:
    """Return tonnes as text and whole micrograms, rounded once each."""
    return Amount(six_places(tonnes, mode), to_integer(tonnes * UG_PER_T, mode))


def totals(exact_t: Reductions) -> Totals:
    """Return the amounts of an account, each rounded conservatively."""
    return Totals(
        baseline=amount(exact_t.baseline_t, "down"),
        project=amount(exact_t.project_t, "up"),
        leakage=amount(exact_t.leakage_t, "up"),
        reduction=amount(exact_t.reduction_t, "down"),
    )


def vintages(net: Mapping[int, Reductions], balance_t: Fraction) -> tuple[Vintage, ...]:
    """
    Return whole tonnes by calendar year, in sum at most the balance of the whole period.

    Each year is rounded down separately; a negative year is deducted from the others.
    """
    remaining = floor_credit(balance_t)
    result = []
    for year, reductions in net.items():
        credit = min(floor_credit(reductions.reduction_t), remaining)
        remaining -= credit
        result.append(Vintage(year, six_places(reductions.reduction_t, "down"), credit))
    return tuple(result)


def covered_share(monitored: Sequence[Monitored]) -> str:
    """Return the measured or estimated share of all devices' time in service."""
    installed = sum(len(m.service) for m in monitored) * INTERVAL_US
    lost = sum(m.service.lost_us for m in monitored)
    return share_text(installed - lost, installed)


def factor_use(factor: Factor, names: frozenset[str]) -> FactorUsed:
    """Return a factor as listed in a statement; `names`: factors that the project accepts."""
    begin, end, how = factor.valid_from, factor.valid_to, factor.calculation
    return copied(
        FactorUsed,
        factor,
        value=factor.text,
        valid_from=None if begin is None else begin.isoformat(),
        valid_to=None if end is None else end.isoformat(),
        accepted_by_project=is_accepted(factor, names),
        calculation=UNSET if how is None else FactorCalculated(**how._asdict()),
    )


def parameter_uses(
    methodology: Methodology, parameters: Inputs, monitored: Sequence[Monitored], *, first: bool
) -> tuple[ParameterUse, ...]:
    """
    Return parameters of the project, then those of each device in its role.

    `first`: in the words that tonne 0.1.0 signed.
    """
    own = _uses(None, methodology.parameters, parameters, first=first)
    of_devices = (_uses(m.device.id, m.needs.params, m.params, first=first) for m in monitored)
    return (*own, *(use for uses in of_devices for use in uses))


def _uses(
    device: str | None,
    specs: Mapping[str, ParameterSpec],
    values: Mapping[str, Any],
    *,
    first: bool,
) -> list[ParameterUse]:
    return [
        ParameterUse(
            device=device,
            name=name,
            symbol=spec.symbol,
            value=exact_text(Fraction(values[name])),
            unit=spec.unit,
            meaning=declared(spec.meaning, first=first),
            source=declared(spec.source, first=first),
            certainty=spec.certainty.strip("[]"),
            option=spec.option,
        )
        for name, spec in specs.items()
        if name in values
    ]


def energy_roles(methodology: Methodology, bound: Iterable[ProjectDevice]) -> tuple[str, ...]:
    """
    Return the roles to which the design's energy refers; empty for all metered energy.

    If a project also meters energy of the project side, these are the baseline roles of generated
    or saved energy.  A plant's own use is excluded.
    """
    others = _energies(methodology, "project")
    return _energies(methodology, "baseline") if any(b.role in others for b in bound) else ()


def check_energy(methodology: Methodology, roles: tuple[str, ...]) -> None:
    """Raise PeriodError if the roles of the plan's design energy differ from the methodology's."""
    ours = _energies(methodology, "baseline")
    if roles and roles != ours:
        raise PeriodError(
            f"the plan compares the energy of {', '.join(roles)} with its design; {methodology.id} "
            f"uses that of {', '.join(ours) or 'all meters'}; use the version of tonne that closed "
            "the period"
        )


def _energies(methodology: Methodology, side: Side) -> tuple[str, ...]:
    roles = methodology.roles.items()
    return tuple(r for r, needs in roles if needs.side == side and needs.unit == "Wh")


def in_force(
    expected: Mapping[str, Any], span: tuple[int, int, str]
) -> list[tuple[Mapping[str, Any], int, int]]:
    """Return the design's estimates within a span, each with its start and end. [us UTC]"""
    from_us, to_us, timezone = span
    dated = [(instant_us(entry["from"], timezone), entry) for entry in expected.get("dated", ())]
    begun = [(from_us, expected), *((us, entry) for us, entry in dated if us < to_us)]
    ends = [*(us for us, _ in begun[1:]), to_us]
    return [
        (item, max(us, from_us), end)
        for (us, item), end in zip(begun, ends, strict=True)
        if max(us, from_us) < end
    ]


def expected_of(
    expected: Mapping[str, Any], key: str, span: tuple[int, int, str]
) -> Fraction | None:
    """
    Return the design's estimate `key` for a span, in the unit of the key, in proportion to time.

    None if the estimates do not cover the whole span.
    """
    result = Fraction(0)
    for item, begin, end in in_force(expected, span):
        if item.get(key) is None:
            return None
        months = item.get("by_month", expected.get("by_month"))
        result += exact(item[key], key) * part_of_year(months, begin, end, span[2])
    return result


def comparisons(
    expected: Mapping[str, Any],
    monitored: Sequence[Monitored],
    net: Reductions,
    span: tuple[int, int, str],
    supporting: SupportingData,
) -> tuple[Comparison, ...]:
    """
    Return actual quantities compared with those expected by design and by other periods.

    `span`: start, end and time zone of the period. [us UTC]
    """
    roles, period_us = supporting.energy, span[1] - span[0]
    energy = sum(
        m.metered for m in monitored
        if m.needs.unit == "Wh" and (not roles or m.bound.role in roles)
    )  # fmt: skip
    actual = {ENERGY: Fraction(energy, _KWH), "reduction [t]": net.reduction_t}
    design = dict(zip(_DESIGN, actual, strict=True))
    result = [
        _comparison(DESIGN, what, value, actual[what], roles)
        for key, what in design.items()
        if (value := expected_of(expected, key, span)) is not None
    ]
    for earlier in supporting.earlier:
        share = Fraction(period_us, earlier.to_us - earlier.from_us)
        before = dict(
            zip(actual, (Fraction(earlier.energy_wh, _KWH), earlier.reduction_t), strict=True)
        )
        result += [
            _comparison(earlier.statement, what, before[what] * share, value, roles)
            for what, value in actual.items()
            if energy or earlier.energy_wh or what != ENERGY
        ]
    return tuple(result)


def exceeds(what: str, difference_percent: str | None) -> bool:
    """
    Return whether `what` is a reduction so far above its estimate that it has to be
    explained.
    """
    return what.startswith("reduction") and Fraction(difference_percent or 0) > _ABOVE


def _comparison(
    basis: str, what: str, expected: Fraction, actual: Fraction, roles: tuple[str, ...]
) -> Comparison:
    difference = (actual - expected) / abs(expected) * 100 if expected else None
    return Comparison(
        basis,
        what,
        six_places(expected, "half_even"),
        six_places(actual, "down"),
        None if difference is None else decimal_text(difference, 2, "half_even"),
        roles if what == ENERGY else (),
    )


def findings(checks: Sequence[Check], candidate: Candidate) -> tuple[Finding, ...]:
    """Return the findings of the methodology's applicability conditions."""
    result = [(check, texts_of(check.test(candidate) or ())) for check in checks]
    return tuple(
        Finding(check.clause, not broken, broken, devices=devices_of(broken))
        for check, broken in result
        if broken or not check.quiet
    )
