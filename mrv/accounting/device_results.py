"""
A statement's lines about one device: what was monitored, gaps, deductions.

Six decimals, each rounded against the claimant.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

from ingest.model import INTERVAL_US
from mrv.accounting.device_period import Monitored, YearPart
from mrv.accounting.gap_deductions import GapCharge
from mrv.accounting.period_result import Coverage, Deduction, DeviceOutcome, GapOutcome
from mrv.methodologies import unit_reductions
from mrv.model import Factors, Methodology, Reductions
from mrv.parameters.inputs import Inputs
from mrv.rounding import Mode, decimal_text, share_text
from mrv.texts import Text, text

_PLACES = 6
CALIBRATION = "calibration"
PLAUSIBILITY = "plausibility"
CERTIFIED = "certified energy"
_RULES = {
    "baseline": "baseline side: counted as zero",
    "project": "project side: charged at the highest plausible rate",
}

_BOTH = "both sides: counted as zero, or at the highest plausible rate; whichever leaves less"


class Pricing:
    """Tonnes of a quantity, by the period's methodology at one base unit."""

    def __init__(self, methodology: Methodology, parameters: Inputs, factors: Factors) -> None:
        self._methodology = methodology
        self._parameters = parameters
        self._factors = factors
        self._known: dict[tuple[Any, ...], Reductions] = {}

    def rate(self, one: Monitored, year: int) -> Fraction:
        """Emissions of a base unit on the device's side. [tCO2e]."""
        unit = self._unit(one, year)
        return unit.baseline_t if one.needs.side == "baseline" else unit.project_t

    def cost(self, one: Monitored, year: int) -> Fraction:
        """What a base unit emits beyond what it avoids, where it stands on both sides. [tCO2e]."""
        return max(Fraction(0), -self._unit(one, year).reduction_t)

    def more(self, one: Monitored, year: int) -> Fraction:
        """What a base unit costs beyond the typed parameters by what its meter shows. [tCO2e]"""
        shown = self._unit(replace(one, params={**one.params, **one.shown}), year)
        return self._unit(one, year).reduction_t - shown.reduction_t

    def _unit(self, one: Monitored, year: int) -> Reductions:
        question = (one.bound.role, tuple(sorted(one.params.items())), year)
        if question not in self._known:
            self._known[question] = unit_reductions(
                self._methodology, one.bound.role, one.params, self._parameters, self._factors, year
            )
        return self._known[question]


def device_outcome(one: Monitored, pricing: Pricing, from_us: int, to_us: int) -> DeviceOutcome:
    """One device's monitored parameter, deductions, emissions and coverage."""
    zero = Fraction(0)
    mode = _mode(one)
    tonnes = sum((one.counted(p) * pricing.rate(one, p.year) for p in one.parts), start=zero)
    whole = one.service
    return DeviceOutcome(
        device=one.device.id,
        role=one.bound.role,
        side=one.needs.side,
        quantity=one.needs.quantity,
        unit=one.needs.unit,
        symbol=one.needs.symbol,
        source=one.needs.source,
        option="C",
        from_us=whole.first * INTERVAL_US,
        to_us=(whole.first + whole.intervals) * INTERVAL_US,
        metered=sum(p.metered for p in one.parts),
        outside_service=whole.outside,
        deducted=decimal_text(
            sum(
                (
                    p.deducted
                    + p.own
                    + p.above
                    + p.implausible
                    + p.charged
                    + p.unused
                    + p.certified
                    for p in one.parts
                ),
                start=zero,
            ),
            _PLACES,
            "up",
        ),
        substituted=decimal_text(
            sum((p.substituted for p in one.parts), start=zero), _PLACES, "up"
        ),
        counted=decimal_text(sum((one.counted(p) for p in one.parts), start=zero), _PLACES, mode),
        emissions_t=decimal_text(tonnes, _PLACES, mode),
        certificates=tuple(c.certificate for c in one.calibrations),
        replacements=sum(from_us <= r.at_us < to_us for r in one.device.replacements),
        coverage=_coverage(one, to_us - from_us),
    )


def _mode(one: Monitored) -> Mode:
    return "down" if one.needs.side == "baseline" else "up"


def _coverage(one: Monitored, period_us: int) -> Coverage:
    whole = one.service
    installed = whole.intervals * INTERVAL_US
    calibrated = installed - sum(s.last - s.first for s in one.uncovered) * INTERVAL_US
    measured, estimated = whole.measured_us, whole.estimated_us
    unknown, missing = whole.unknown_us, whole.missing_us
    return Coverage(
        period_us=period_us,
        installed_us=installed,
        measured_us=measured,
        estimated_us=estimated,
        unknown_us=unknown,
        missing_us=missing,
        calibrated_us=calibrated,
        installed_share=share_text(installed, period_us),
        measured_share=share_text(measured, installed),
        estimated_share=share_text(estimated, installed),
        unknown_share=share_text(unknown, installed),
        missing_share=share_text(missing, installed),
        calibrated_share=share_text(calibrated, installed),
    )


def gap_outcomes(one: Monitored, pricing: Pricing) -> Iterator[GapOutcome]:
    """Gaps of a device, each with its rule and cost; a gap over New Year comes as two."""
    for part in one.parts:
        rate = _price(one, part, pricing)
        for charge in part.gaps:
            yield _gap_outcome(one, charge, rate, at_most=part.at_most)


def _price(one: Monitored, part: YearPart, pricing: Pricing) -> Fraction:
    """What a base unit that was put in, taken off or added costs. [tCO2e]"""
    return pricing.cost(one, part.year) if part.at_most else pricing.rate(one, part.year)


def _gap_outcome(one: Monitored, charge: GapCharge, rate: Fraction, *, at_most: bool) -> GapOutcome:
    forgone = None if at_most or charge.at_most is None else charge.at_most * rate
    substituted = charge.bound if at_most else charge.substituted
    return GapOutcome(
        device=one.device.id,
        start_us=charge.gap.start_us,
        end_us=charge.gap.end_us,
        kind=charge.gap.kind,
        time_us=charge.gap.time_us,
        rule=_RULES[one.needs.side] if one.needs.costs is None else _BOTH,
        substituted=decimal_text(substituted, _PLACES, "up"),
        cost_t=decimal_text(substituted * rate, _PLACES, "up"),
        forgone_at_most_t=None if forgone is None else decimal_text(forgone, _PLACES, "up"),
    )


def deductions(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    """
    What late calibrations, own use, output above the design and what is not plausible cost.

    A quantity below zero is one that was added.
    """
    yield from _own_use(one, pricing)
    yield from _above_design(one, pricing)
    yield from _implausible(one, pricing)
    yield from _elsewhere(one, pricing)
    yield from _shown(one, pricing)
    for part in one.parts:
        rate = _price(one, part, pricing)
        for charge in part.errors:
            quantity = -charge.quantity if part.at_most else charge.quantity
            yield Deduction(
                device=one.device.id,
                start_us=charge.span.first * INTERVAL_US,
                end_us=charge.span.last * INTERVAL_US,
                kind=CALIBRATION,
                reason=charge.span.reason,
                percent=decimal_text(charge.span.percent, _PLACES, "up"),
                quantity=decimal_text(quantity, _PLACES, "up"),
                cost_t=decimal_text(charge.quantity * rate, _PLACES, "up"),
            )


def _own_use(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    for part in one.parts:
        if part.own:
            share = part.own / part.metered * 100 if part.metered else Fraction(100)
            channel = str(one.needs.less)
            reason = text("deduction.own_use", channel=channel, year=part.year)
            yield _whole(one, "own use", reason, share, part.own, pricing.rate(one, part.year))


def _above_design(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    for part in one.parts:
        if part.above:
            taken = part.implausible + part.deducted + part.own + part.certified
            share = part.above / (part.metered - taken) * 100
            name = one.needs.cap[0] if one.needs.cap else ""
            reason = text("deduction.above_design", year=part.year, parameter=name)
            yield _whole(one, "design", reason, share, part.above, pricing.rate(one, part.year))


def _implausible(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    """What no such device can have done, and what a service is charged that shows no use."""
    for part in one.parts:
        rate = pricing.rate(one, part.year)
        if part.beyond:
            bound = "above its rated power" if one.most is None else one.most.what
            why = f"not counted: {one.uncounted}" if one.uncounted else f"not plausible: {bound}"
            share = Fraction(part.beyond * 100, part.metered)
            yield _whole(one, PLAUSIBILITY, why, share, part.beyond, rate)
        for one_ in part.unshown:
            share = Fraction(one_.quantity * 100, part.metered)
            yield replace(
                _whole(
                    one, PLAUSIBILITY, f"not plausible: {one_.reason}", share, one_.quantity, rate
                ),
                start_us=one_.first * INTERVAL_US,
                end_us=one_.last * INTERVAL_US,
            )
        for more in (*part.raised, *part.limited):
            share = more.quantity / part.metered * 100 if part.metered else Fraction(100)
            yield replace(
                _whole(
                    one, PLAUSIBILITY, f"not plausible: {more.reason}", share, more.quantity, rate
                ),
                start_us=more.start_us,
                end_us=more.end_us,
            )


def _elsewhere(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    """What certificates of energy certify: it is theirs, and earns nothing here."""
    for part in one.parts:
        for some in part.elsewhere:
            reason = f"certified elsewhere: certificate {some.certificate}, {some.scheme}"
            share = Fraction(some.taken * 100, part.metered) if part.metered else Fraction(0)
            rate = pricing.rate(one, part.year)
            yield replace(
                _whole(one, CERTIFIED, reason, share, some.taken, rate),
                start_us=some.first * INTERVAL_US,
                end_us=some.last * INTERVAL_US,
            )


def _shown(one: Monitored, pricing: Pricing) -> Iterator[Deduction]:
    """What more electricity costs than was typed; no hour is taken off for it."""
    cost = beyond_typed(one, pricing)
    for name, value in one.shown.items() if cost else ():
        typed = Fraction(one.params[name])
        beyond = (value / typed - 1) * 100 if typed else Fraction(100)
        size = f"{name} {float(value):.4g} and not {float(typed):.4g} {one.needs.params[name].unit}"
        why = f"not plausible: its own meter shows {size}: that counts"
        yield replace(
            _whole(one, PLAUSIBILITY, why, beyond, 0, cost),
            cost_t=decimal_text(cost, _PLACES, "up"),
        )


def beyond_typed(one: Monitored, pricing: Pricing) -> Fraction:
    """Return what counts by a device's own meter costs more than what was typed. [tCO2e]"""
    return sum((one.counted(p) * pricing.more(one, p.year) for p in one.parts), start=Fraction(0))


def _whole(
    one: Monitored,
    kind: str,
    reason: Text | str,
    percent: Fraction,
    quantity: Fraction | int,
    rate: Fraction,
) -> Deduction:
    """One deduction over all of the device's service."""
    return Deduction(
        device=one.device.id,
        start_us=one.service.first * INTERVAL_US,
        end_us=(one.service.first + one.service.intervals) * INTERVAL_US,
        kind=kind,
        reason=reason,
        percent=decimal_text(percent, _PLACES, "up"),
        quantity=decimal_text(Fraction(quantity), _PLACES, "up"),
        cost_t=decimal_text(quantity * rate, _PLACES, "up"),
    )
