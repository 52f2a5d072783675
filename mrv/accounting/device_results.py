"""
Statement lines on one device: monitored quantity, gaps, deductions.

Figures have six decimals, each rounded conservatively.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Cut, Kind, Monitored, YearPart
from mrv.accounting.period_result import Coverage, Deduction, DeviceOutcome, GapOutcome
from mrv.methodologies import unit_reductions
from mrv.model import Factors, Methodology, Reductions, Side
from mrv.parameters import Inputs
from mrv.registry.project import Silent, SupportingData
from mrv.rounding import Mode, exact_sum, figure, share_text, six_places
from mrv.texts import declared, text

# kinds of adjustments except gaps, in the order in which release 0.1.0 lists them
_LISTED = ((Kind.OWN_USE,), (Kind.DESIGN,), (Kind.CERTIFIED,), (Kind.CALIBRATION,))
_APPLIED = tuple(kind for kind in Kind if kind is not Kind.GAP)


class Pricing:
    """Emissions of one unit of a quantity: the methodology evaluated for one base unit."""

    def __init__(self, methodology: Methodology, parameters: Inputs, factors: Factors) -> None:
        self._methodology = methodology
        self._parameters = parameters
        self._factors = factors
        self._known: dict[tuple[Any, ...], Reductions] = {}

    def rate(self, monitored: Monitored, year: int) -> Fraction:
        """Return the emissions of a base unit on the device's side of the account. [tCO2e]"""
        unit = self._unit(monitored, year)
        return unit.baseline_t if monitored.needs.side == "baseline" else unit.project_t

    def saves(self, monitored: Monitored, year: int) -> Fraction:
        """
        Return the reduction of one base unit on the baseline side. [tCO2e]

        The unit's own project emissions are deducted, as of lamp hours or composted mass.  A limit
        of the methodology on the whole reduction is not included.
        """
        unit = self._unit(monitored, year)
        return unit.baseline_t - unit.project_t - unit.leakage_t

    def cost(self, monitored: Monitored, year: int) -> Fraction:
        """
        Return by how much one more base unit lowers the reduction, at least 0. [tCO2e]

        For a quantity that is on both sides of the account.
        """
        return max(Fraction(0), -self._unit(monitored, year).reduction_t)

    def more(self, monitored: Monitored, year: int) -> Fraction:
        """
        Return a base unit's reduction with entered parameters, less that with measured ones.
        [tCO2e]
        """
        reductions = self._unit(
            replace(monitored, params={**monitored.params, **monitored.measured}), year
        )
        return self._unit(monitored, year).reduction_t - reductions.reduction_t

    def _unit(self, monitored: Monitored, year: int) -> Reductions:
        question = (monitored.bound.role, tuple(sorted(monitored.params.items())), year)
        if question not in self._known:
            self._known[question] = unit_reductions(
                self._methodology,
                monitored.bound.role,
                monitored.params,
                self._parameters,
                self._factors,
                year,
            )
        return self._known[question]


def device_outcome(
    monitored: Monitored, pricing: Pricing, from_us: int, to_us: int, *, first: bool
) -> DeviceOutcome:
    """
    Return a device's monitored parameter, deductions, emissions and coverage.

    `first`: for rule set 1, in the form of release 0.1.0.
    """
    zero = Fraction(0)
    mode: Mode = "down" if monitored.needs.side == "baseline" else "up"
    tonnes = sum((p.counted * pricing.rate(monitored, p.year) for p in monitored.parts), start=zero)
    cut, lost = (
        sum((p.cut(*kinds) for p in monitored.parts), start=zero) for kinds in (Kind, (Kind.GAP,))
    )
    whole = monitored.service
    return DeviceOutcome(
        device=monitored.device.id,
        role=monitored.bound.role,
        side=monitored.needs.side,
        quantity=monitored.needs.quantity,
        unit=monitored.needs.unit,
        symbol=monitored.needs.symbol,
        source=declared(monitored.needs.source, first=first),
        option="C",
        from_us=monitored.span_us[0],
        to_us=monitored.span_us[1],
        metered=monitored.metered,
        outside_service=whole.outside,
        deducted=six_places(_sign(monitored) * (cut - lost)),
        substituted=six_places(-lost),
        counted=six_places(monitored.counts, mode),
        emissions_t=six_places(tonnes, mode),
        certificates=tuple(c.certificate for c in monitored.calibrations),
        replacements=sum(from_us <= r.at_us < to_us for r in monitored.device.replacements),
        coverage=_coverage(monitored, to_us - from_us),
    )


def _sign(monitored: Monitored) -> int:
    """Return the sign that makes deductions positive on either side: 1 or -1."""
    return 1 if monitored.needs.side == "baseline" else -1


def _coverage(monitored: Monitored, period_us: int) -> Coverage:
    whole = monitored.service
    times = whole.measured_us, whole.estimated_us, whole.unknown_us, whole.missing_us
    measured, estimated, unknown, missing = map(exact_sum, times)
    installed = len(whole) * INTERVAL_US
    calibrated = installed - sum(s.last - s.first for s in monitored.uncovered) * INTERVAL_US
    each = installed, measured, estimated, unknown, missing, calibrated
    shares = (share_text(time, installed) for time in each[1:])
    return Coverage(period_us, *each, share_text(installed, period_us), *shares)


def gap_outcomes(monitored: Monitored, pricing: Pricing) -> Iterator[GapOutcome]:
    """
    Yield a device's gaps with their rule and deduction; a gap over New Year, or over the edge of an
    invoice that limits it, is split.
    """
    for part in monitored.parts:
        rate = _price(monitored, part, pricing)
        for cut in part.cuts:
            if cut.kind is Kind.GAP and cut.lost is not None:
                maximum = None if part.at_most else cut.lost.at_most
                yield GapOutcome(
                    device=monitored.device.id,
                    start_us=cut.start_us,
                    end_us=cut.end_us,
                    kind=cut.lost.gap.kind,
                    time_us=cut.lost.gap.time_us,
                    rule=monitored.needs.side if monitored.needs.costs is None else "both",
                    substituted=six_places(-cut.quantity),
                    cost_t=six_places(-cut.quantity * rate),
                    forgone_at_most_t=None if maximum is None else six_places(maximum * rate),
                )


def _price(monitored: Monitored, part: YearPart, pricing: Pricing) -> Fraction:
    """
    Return the effect on the reduction of a base unit that an adjustment adds or
    deducts. [tCO2e]
    """
    return (
        pricing.cost(monitored, part.year) if part.at_most else pricing.rate(monitored, part.year)
    )


def deductions(monitored: Monitored, pricing: Pricing, *, first: bool) -> Iterator[Deduction]:
    """
    Yield the deductions for meter errors, own use, rules and design, in order of application.

    `first`: for rule set 1, in the form of release 0.1.0.
    """
    for kinds in _LISTED if first else (_APPLIED,):
        for part in monitored.parts:
            for cut in part.cuts:
                if cut.kind in kinds:
                    yield _deduction(monitored, part, cut, pricing, first=first)
    if not first:
        yield from _measured(monitored, pricing)


def _deduction(
    monitored: Monitored, part: YearPart, cut: Cut, pricing: Pricing, *, first: bool
) -> Deduction:
    kind, quantity = cut.rule or cut.kind.value, adjusts(monitored.needs.side, -cut.quantity)
    price = _price(monitored, part, pricing)
    if first:
        kind, quantity = cut.kind.value, six_places(_sign(monitored) * cut.quantity)
    elif monitored.needs.side == "baseline" and not part.at_most:
        price = pricing.saves(monitored, part.year)
    return Deduction(
        device=monitored.device.id,
        start_us=cut.start_us,
        end_us=cut.end_us,
        kind=kind,
        reason=cut.reason,
        percent=six_places(_percent(part, cut)),
        quantity=quantity,
        cost_t=six_places(abs(cut.quantity) * price),
    )


def adjusts(side: Side, quantity: Fraction) -> str:
    """
    Return an adjustment as text with six decimals, rounded conservatively for its side. [base
    units]
    """
    return six_places(quantity, "down" if side == "baseline" else "up")


def _percent(part: YearPart, cut: Cut) -> Fraction:
    """
    Return an adjustment as a share of the metered quantity. [%]

    For the design limit, it is a share of the quantity that remains after earlier adjustments.
    """
    if cut.percent is not None:
        return cut.percent
    whole = Fraction(part.metered)
    if cut.kind is Kind.DESIGN:
        whole -= part.cut(Kind.PLAUSIBILITY, Kind.CALIBRATION, Kind.OWN_USE, Kind.CERTIFIED)
    return abs(cut.quantity) / whole * 100 if whole else Fraction(100 if cut.quantity else 0)


def _measured(monitored: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    """
    Yield the deductions for measured electricity above the entered power times hours of use.

    The hours of use are not changed.
    """
    cost = beyond_entered(monitored, pricing)
    for name, value in monitored.measured.items() if cost else ():
        entered = Fraction(monitored.params[name])
        beyond = (value / entered - 1) * 100 if entered else Fraction(100)
        reason = text(
            "MTR-12.power", parameter=name, measured=figure(value), entered=figure(entered),
            unit=monitored.needs.params[name].unit,
        )  # fmt: skip
        yield Deduction(
            device=monitored.device.id,
            start_us=monitored.span_us[0],
            end_us=monitored.span_us[1],
            kind="MTR-12",
            reason=reason,
            percent=six_places(beyond),
            quantity=six_places(Fraction(0)),
            cost_t=six_places(cost),
        )


def beyond_entered(monitored: Monitored, pricing: Pricing) -> Fraction:
    """Return the emissions of metered electricity less those of the entered power. [tCO2e]"""
    return sum(
        (p.counted * pricing.more(monitored, p.year) for p in monitored.parts), start=Fraction(0)
    )


def silent_days(
    supporting: SupportingData,
    parameters: Inputs,
    read: Inputs,
    measured: Collection[str],
    reduction: Callable[[Inputs], Fraction],
) -> Iterator[GapOutcome]:
    """
    Yield gaps of a plant's analysers: days with flow and without analyser data.

    Such a day is counted with the conservative value (`mrv.statement.analysers`).  Its effect is
    the difference from the mean of the other days, in proportion to its flow; at most the
    difference from the best of them.

    `parameters`: parameters as counted.  `read`: parameters with the means of the other days.
    `measured`: parameters measured by channels.  `reduction`: returns the reduction of the period
    with given parameters. [tCO2e]
    """
    days, best = defaultdict[Silent, list[str]](list), dict[str, Fraction]()
    for name, item in supporting.channels.items():
        if item.silent and item.most is not None and name in measured:
            best[name] = item.most
            for span in dict.fromkeys(item.silent):
                days[span].append(name)
    costs, forgone = (
        max(Fraction(0), reduction(other) - reduction(parameters))
        for other in (read, {**parameters, **best})
    )
    flow = sum(span.flow for span in days)
    for span, names in sorted(days.items()):
        yield GapOutcome(
            device=span.device,
            start_us=span.from_us,
            end_us=span.to_us,
            kind="missing",
            time_us=span.to_us - span.from_us,
            rule="analyser",
            substituted=six_places(Fraction(0)),
            cost_t=six_places(costs * span.flow / flow),
            forgone_at_most_t=six_places(forgone * span.flow / flow),
            parameters=tuple(names),
        )
