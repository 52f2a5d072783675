"""
Days on which something flowed and a plant's analyser told nothing: what they cost is a gap.

Such a day counts by what costs the claimant (`mrv.statement.analysers`), and was seen in nothing
but the tonnes: it stands among the gaps of a statement.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from fractions import Fraction

from mrv.accounting.period_result import GapOutcome
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides
from mrv.rounding import decimal_text

_PLACES = 6
_NOTHING = decimal_text(Fraction(0), _PLACES, "up")


def silent_days(
    besides: Besides,
    parameters: Inputs,
    measured: Collection[str],
    reduction: Callable[[Inputs], Fraction],
) -> Iterator[GapOutcome]:
    """
    Yield the gaps of analysers, each with what it forwent at most.

    That is what the days would have earned by the best of the others, by what flowed on them.

    Parameters
    ----------
    parameters : mapping
        As they count.
    measured : collection of str
        Those that count as the channels measured them.
    reduction : callable
        What the period comes to with some parameters. [tCO2e]
    """
    told = {
        name: one
        for name, one in besides.channels.items()
        if one.silent and one.most is not None and name in measured
    }
    best = {name: one.most for name, one in told.items() if one.most is not None}
    forgone = max(Fraction(0), reduction({**parameters, **best}) - reduction(parameters))
    days = {
        span: [n for n, o in told.items() if span in o.silent]
        for one in told.values()
        for span in one.silent
    }
    flow = sum(span.flow for span in days)
    for span, names in sorted(days.items()):
        share = forgone * span.flow / flow
        yield GapOutcome(
            device=span.device,
            start_us=span.from_us,
            end_us=span.to_us,
            kind="missing",
            time_us=span.to_us - span.from_us,
            rule=f"analyser: {', '.join(names)} of these days as what costs",
            substituted=_NOTHING,
            cost_t=_NOTHING,
            forgone_at_most_t=decimal_text(share, _PLACES, "up"),
        )
