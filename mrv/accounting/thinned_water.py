"""
Water that rain thinned: more than a plant was built for, and no more load.

A week of rain may bring twice the water of half the strength.  What the methodologies count is the
load, water times COD.  So water above the design capacity counts in a week in which the plant's
analyser found it so much weaker that the load is no more than the capacity would bring at the
strength of the other weeks.  A rule of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from mrv.model import Methodology
from mrv.registry.project import Loaded, Measured
from mrv.service_bounds import Capacity


def thinned(
    methodology: Methodology,
    one: Capacity,
    channels: Mapping[str, Measured],
    span_us: tuple[int, int],
    served: int,
    most: Fraction,
) -> bool:
    """
    Say whether what a stretch delivered above a capacity carries no more load than it.

    Parameters
    ----------
    channels : mapping of str to Measured
        What the plant's analysers found of parameters, by day.
    span_us : (int, int)
        Half-open. [us UTC]
    served, most : int, Fraction
        What came in the stretch, and what comes in it at the capacity. [base units]
    """
    strong = next(
        (c.of for c in methodology.capacities if c.of and {*c.serves} == {*one.serves}), None
    )
    if strong is None or strong not in channels:
        return False
    days = channels[strong].days
    # a day counts in the stretch that holds its middle
    within = [span_us[0] <= (d.from_us + d.to_us) // 2 < span_us[1] for d in days]
    inside = _strength(d for d, there in zip(days, within, strict=True) if there)
    outside = _strength(d for d, there in zip(days, within, strict=True) if not there)
    return inside is not None and outside is not None and served * inside <= most * outside


def counting(
    channels: Mapping[str, Measured], laboratory: Mapping[str, Fraction]
) -> dict[str, Measured]:
    """
    Return what analysers found that counts: no laboratory found less.

    Water that an analyser found to be weak would be paid by the strength of other samples.
    """
    return {
        name: one
        for name, one in channels.items()
        if name not in laboratory or laboratory[name] >= one.value
    }


def _strength(days: Iterable[Loaded]) -> Fraction | None:
    """Return the load by what flowed; None where nothing did. [thousandths of the channel's]"""
    known = list(days)
    flow = sum(d.flow for d in known)
    return sum((d.load for d in known), start=Fraction(0)) / flow if flow else None
