"""
Performance of a project's equipment, compared with what the same device delivers (MTR-13).

The baseline of efficient equipment is its electricity times a ratio of two figures that were
entered: how much the project's equipment delivers by the unit of electricity, and how much the
reference would.  Where a device measures what it delivers, as a chiller its cold, and that is less
than two thirds of the figure over the period, the measured one counts for its electricity, and no
less than that of the reference: nothing is reduced then.  Down to two thirds a data sheet may be
right: warmer water, fouling, part load and the meters take as much.  A day on which nothing was
delivered is of a meter that stands still, and half of the electricity at least is to be compared.
A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.period_result import Finding, ParameterUse
from mrv.model import MEASURED, Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Drawn
from mrv.rounding import decimal_text, exact_sum, exact_text, figure
from mrv.rules.power import without_lost
from mrv.texts import Text, text

RULE = "MTR-13"
LEAST = Fraction(2, 3)
_KNOWN = Fraction(1, 2)
_DAY = 24 * HOUR_US // INTERVAL_US
_PLACES = 6
_SCALE = 10**9


@dataclass(frozen=True, slots=True)
class Performance:
    """A figure that counts in place of the one entered, and what each device delivered, if any."""

    name: str
    value: Fraction
    texts: tuple[Text, ...]

    def counted(self, parameters: Inputs) -> Inputs:
        """Return the parameters of the project with it."""
        return {**parameters, self.name: self.value} if self.texts else parameters

    def findings(
        self, parameters: Inputs, reduction: Callable[[Inputs], Fraction]
    ) -> Iterator[Finding]:
        """Say which devices deliver less, and what that costs."""
        if not self.texts:
            return
        cost_t = reduction(parameters) - reduction(self.counted(parameters))
        applied = text(
            "MTR-13.applied", parameter=self.name, value=figure(self.value, 6),
            cost=decimal_text(max(cost_t, Fraction(0)), _PLACES, "up"),
        )  # fmt: skip
        yield Finding(RULE, False, (applied, *self.texts))

    def uses(self, methodology: Methodology) -> Iterator[ParameterUse]:
        """Return it as a parameter of a statement."""
        if not self.texts:
            return
        spec = methodology.parameters[self.name]
        yield ParameterUse(
            device=None,
            name=MEASURED + self.name,
            symbol=spec.symbol,
            value=exact_text(self.value),
            unit=spec.unit,
            meaning=f"{spec.meaning}, by what the devices delivered",
            source="registers of the devices",
            certainty="R",
            option="C",
        )


def performing(
    monitored: Sequence[Monitored], parameters: Inputs, drawn: Mapping[str, Drawn]
) -> Performance:
    """
    Return the figure that devices' own meters measure, where it is far below the one entered.

    Parameters
    ----------
    drawn : mapping of str to Drawn
        By device, what it delivered.
    """
    delivering = [m for m in monitored if m.needs.delivers]
    texts, whole, weighed = list[Text](), Fraction(0), Fraction(0)
    for one in delivering:
        _, name, reference = one.needs.delivers or ("", "", "")
        entered = value = Fraction(parameters[name])
        measured = _ratio(one, drawn[one.device.id]) if one.device.id in drawn else None
        counted = sum((one.counted(part) for part in one.parts), start=Fraction(0))
        if measured is not None and measured < LEAST * entered and counted:
            value = min(entered, max(measured, Fraction(parameters[reference])))
            texts.append(
                text(
                    "MTR-13.delivered", device=one.device.id, measured=figure(measured, 6),
                    parameter=name, entered=figure(entered, 6),
                )
            )  # fmt: skip
        whole, weighed = whole + counted, weighed + counted * value
    if not texts:
        return Performance("", whole, ())
    _, name, _ = delivering[0].needs.delivers or ("", "", "")
    return Performance(name, Fraction(floor(weighed / whole * _SCALE), _SCALE), tuple(texts))


def _ratio(one: Monitored, delivered: Drawn) -> Fraction | None:
    """What a device delivered by the unit of electricity; None where too little is known."""
    if one.series is None:
        return None
    at = delivered.number - one.service.first
    kept = (at >= 0) & (at < len(one.series)) & without_lost([one], delivered.number)
    at, value = at[kept], delivered.value[kept]
    if not len(at):
        return None
    of_day = np.zeros(len(one.series) // _DAY + 1, dtype=np.int64)
    np.add.at(of_day, at // _DAY, value)
    moved = of_day[at // _DAY] > 0
    used = one.series[at[moved]].astype(np.int64)
    total = exact_sum(one.series.astype(np.int64))
    known = exact_sum(used) if len(used) else 0
    if not known or known < _KNOWN * total:
        return None
    return Fraction(exact_sum(value[moved]), known)
