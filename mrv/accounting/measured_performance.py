"""
Performance of a project's equipment, held against what the same device delivers.

The baseline of efficient equipment is its electricity times a ratio of two typed figures: how much
the project's equipment delivers by the unit of electricity, and how much the reference would.
Where a device measures what it delivers beside its electricity, as a chiller its cold, and that is
less than two thirds of the typed figure over the period, the measured figure counts for its
electricity, and no less than that of the reference: nothing is reduced then.  Down to two thirds
nobody can say that a figure of the data sheet is false: warmer water, fouling, part load and the
meters take as much.  A day on which nothing was delivered is of a meter that stands still, and half
of the electricity at least is to be compared.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.own_electricity import short, without_lost
from mrv.accounting.period_result import Finding, ParameterUse
from mrv.model import MEASURED, Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Drawn
from mrv.rounding import decimal_text, exact_sum, exact_text

RULE = "MTR-13"
LEAST = Fraction(2, 3)
_KNOWN = Fraction(1, 2)
_DAY = 24 * HOUR_US // INTERVAL_US
_SHOWN = 3
_PLACES = 6
_SCALE = 10**9


@dataclass(frozen=True, slots=True)
class Performance:
    """A figure that counts in place of a typed one, and what is said of each device, if any."""

    name: str
    value: Fraction
    told: tuple[str, ...]

    def counted(self, parameters: Inputs) -> Inputs:
        """Return the parameters of the project with it."""
        return {**parameters, self.name: self.value} if self.told else parameters

    def findings(
        self, parameters: Inputs, reduction: Callable[[Inputs], Fraction]
    ) -> Iterator[Finding]:
        """Say which devices deliver less, and what that costs."""
        if not self.told:
            return
        cost_t = reduction(parameters) - reduction(self.counted(parameters))
        more = f"; and {len(self.told) - _SHOWN} more" if len(self.told) > _SHOWN else ""
        yield Finding(
            RULE,
            False,
            f"{'; '.join(self.told[:_SHOWN])}{more}: that counts, {self.name} ="
            f" {short(self.value)} for all of them together, which costs"
            f" {decimal_text(max(cost_t, Fraction(0)), _PLACES, 'up')} t; correct {self.name} by"
            " a dated document, or repair the meter of what is delivered",
        )

    def uses(self, methodology: Methodology) -> Iterator[ParameterUse]:
        """Return it as a parameter of a statement."""
        if not self.told:
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
    Return the figure that devices' own meters show, where it is far below the typed one.

    Parameters
    ----------
    drawn : mapping of str to Drawn
        By device, what it delivered.
    """
    held = [m for m in monitored if m.needs.delivers]
    told, whole, weighed = list[str](), Fraction(0), Fraction(0)
    for one in held:
        _, name, reference = one.needs.delivers or ("", "", "")
        typed = Fraction(parameters[name])
        shown = _ratio(one, drawn[one.device.id]) if one.device.id in drawn else None
        counted = sum((one.counted(part) for part in one.parts), start=Fraction(0))
        value = typed
        if shown is not None and shown < LEAST * typed and counted:
            value = min(typed, max(shown, Fraction(parameters[reference])))
            told.append(
                f"{one.device.id}: it delivered {short(shown)} for each unit of electricity, and"
                f" {name} is {short(typed)}"
            )
        whole, weighed = whole + counted, weighed + counted * value
    if not told:
        return Performance("", whole, ())
    _, name, _ = held[0].needs.delivers or ("", "", "")
    return Performance(name, Fraction(floor(weighed / whole * _SCALE), _SCALE), tuple(told))


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
