"""
Meters of the project's side that say nothing while the project's service goes on.

A fan's meter that never sends is charged at the rated power that its owner typed, however small;
an auxiliary's meter that stands still counts nothing.  Neither moves a tonne here: a condition
does not hold until the meter is read, or its service ends with a document.  Electricity that stands
still is asked for in each stretch of about a week, fuel over the whole period, since a plant may
start up once a month.  What `mrv.accounting.plausible_service` holds against its service is left
to that where the meter is heard.  Likewise a plant that measures what it makes and has no meter of
the electricity that it draws.  Rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored, Stretch
from mrv.accounting.device_results import Pricing
from mrv.accounting.period_result import Finding
from mrv.calendar import utc_text
from mrv.model import Methodology
from mrv.quantity_text import quantity_text
from mrv.rounding import decimal_text

RULE = "MTR-11"
UNBOUND = "MTR-11"
APART = "CLM-03"
_SHOWN = 3
_PLACES = 6
# units that a reader reads
_USED = ("Wh", "mL")
_REMEDY = (
    "let it be read; or end its service with `to` and show the verifier the document of that; or"
    " show that nothing was used"
)


def project_meters(
    monitored: Sequence[Monitored], methodology: Methodology, edges: Sequence[int], pricing: Pricing
) -> Iterator[Finding]:
    """
    Say what is in doubt of a project's own meters.

    Parameters
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch.
    edges : sequence of int
        Of the stretches. [interval numbers]
    """
    yield from _silent(monitored, methodology, edges, pricing)
    yield from _unbound(monitored, methodology)
    yield from _apart(monitored, methodology, pricing)


def _silent(
    monitored: Sequence[Monitored], methodology: Methodology, edges: Sequence[int], pricing: Pricing
) -> Iterator[Finding]:
    """Name meters of the project's side that were never heard, or stood still."""
    held = {r for one in methodology.consumptions for r in one.uses}
    served = [
        any(m.needs.side == "baseline" and m.stretches[place].value for m in monitored)
        for place in range(len(edges) - 1)
    ]
    told = []
    for one in monitored:
        whole = one.service
        if one.needs.side != "project" or not whole.intervals or one.needs.unit not in _USED:
            continue
        name = f"{one.device.id} ({one.bound.role})"
        if not whole.measured_us + whole.estimated_us:
            told.append(f"{name} was never heard in the period; {_charged(one, pricing)}")
        elif one.bound.role not in held:
            told += [f"{name} {text}" for text in _still(one, served, edges, pricing)]
    if told:
        more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
        yield Finding(RULE, False, f"{'; '.join(told[:_SHOWN])}{more}: {_REMEDY}")


def _charged(one: Monitored, pricing: Pricing) -> str:
    """Say what a meter that was never heard counts."""
    value = sum((one.counted(part) for part in one.parts), start=Fraction(0))
    tonnes = sum(
        (one.counted(part) * pricing.rate(one, part.year) for part in one.parts), start=Fraction(0)
    )
    rate = one.device.rated_power_w
    by = f"its registered {rate:,} W" if rate and one.needs.unit == "Wh" else "its highest rate"
    return f"{_amount(one, value)} by {by} count, {decimal_text(tonnes, _PLACES, 'up')} t"


def _still(
    one: Monitored, served: Sequence[bool], edges: Sequence[int], pricing: Pricing
) -> Iterator[str]:
    """Say when a meter stood still, and what it would have counted as at other times."""
    still = [
        place
        for place, part in enumerate(one.stretches)
        if served[place] and part.time_us and not part.value and 2 * part.lost_us < part.time_us
    ]
    always = not any(part.value for part in one.stretches)
    if not still or (one.needs.unit != "Wh" and not always):
        return
    parts = [one.stretches[place] for place in still]
    begin, end = edges[still[0]] * INTERVAL_US, edges[still[-1] + 1] * INTERVAL_US
    when = f"stood still while the service went on, {utc_text(begin)} to {utc_text(end)}"
    if len(still) < still[-1] + 1 - still[0]:
        when += f" in {len(still)} stretches of about a week"
    value = _usual(one, parts)
    if value is None:
        yield when
        return
    tonnes = value * pricing.rate(one, one.parts[0].year)
    by = "at its rated power" if always else "as in the rest of the period"
    yield f"{when}; {by} {_amount(one, value)} would emit {decimal_text(tonnes, _PLACES, 'up')} t"


def _usual(one: Monitored, still: Sequence[Stretch]) -> Fraction | None:
    """What it would have counted in stretches, by its own mean or else its highest rate."""
    moved = [part for part in one.stretches if part.value]
    there = sum(part.time_us for part in still)
    if moved:
        known = sum(part.time_us - part.lost_us for part in moved)
        return Fraction(sum(part.value for part in moved) * there, known) if known else None
    return None if one.rate is None else one.rate * Fraction(there, HOUR_US)


def _amount(one: Monitored, value: Fraction) -> str:
    return quantity_text(value, one.needs.unit)


def _unbound(monitored: Sequence[Monitored], methodology: Methodology) -> Iterator[Finding]:
    """Ask for the meter of a plant's own electricity, where its methodology counts it."""
    served = [m.device.id for m in monitored if m.bound.role in methodology.draw_meters]
    there = {m.bound.role for m in monitored}
    roles = methodology.draw_meters.values()
    missing = [role for role in dict.fromkeys(roles) if role not in there] if served else []
    if missing:
        yield Finding(
            UNBOUND,
            False,
            f"no meter has the role {' or '.join(missing)}: what {', '.join(served[:_SHOWN])} and"
            " the rest of the plant draw beside counts nothing; bind the meter of it, or show the"
            " verifier that a meter that is bound measures it",
        )


def _apart(
    monitored: Sequence[Monitored], methodology: Methodology, pricing: Pricing
) -> Iterator[Finding]:
    """Ask whether energy that two roles of one plant claim is the same."""
    for one, other, shown in methodology.apart:
        names, tonnes = [], []
        for role in (one, other):
            some = [m for m in monitored if m.bound.role == role and any(map(m.counted, m.parts))]
            names.append(", ".join(dict.fromkeys(m.device.id for m in some)))
            each = (m.counted(p) * pricing.rate(m, p.year) for m in some for p in m.parts)
            tonnes.append(decimal_text(sum(each, start=Fraction(0)), _PLACES, "up"))
        if all(names):
            yield Finding(
                APART,
                False,
                f"{names[0]} ({one}, {tonnes[0]} t) and {names[1]} ({other}, {tonnes[1]} t) both"
                f" count: {shown}",
            )
