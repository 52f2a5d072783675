"""
What nothing but an invoice shows: no evidence from outside of a plant, no reduction.

Electricity of a building, its weather, the fuel of burners stand alone: no other quantity of the
project moves with them, and half the electricity or twice the warmth would be savings.  What a
plant delivers, and the electricity that it takes for that, are told by its own meters, and a
document of its design says no more than that it could deliver: of a line that was built for ten
times what it makes, meters that are all three times too high fit.  So nothing is reduced until
invoices with the hashes of their files cover 95 % of the time of such a meter and differ from it by
5 % at most, none written before its time ended: of what was delivered, or, where the design says
what it takes (and a document of it, `service_evidence`), of the electricity; for weather the
figures of the weather service.  Of a line that delivers several kinds, such as metals, electricity
shows the sum alone.  CDM asks for the same cross-check with invoices (TOOL03, TOOL05) [M].  A
capacity bounds what takes no electricity (steam, hours) where at least half of it was delivered;
else invoices are needed too. What the project emits is reported all the same, and a loss stays one.

A saving is a difference: where a meter and its invoices differ by more than 1 %, which meters of
class 1 may, or by more than a twentieth of what is reduced, the less favourable of the two counts,
and of time without an invoice the mean of the others.  Time over which a second invoice says
something else than the meter is not shown by the first.
These are rules of the sixth version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction

from ingest.model import INTERVAL_US
from mrv.accounting.design_capacity import consumption_of, serving, too_large
from mrv.accounting.device_period import Monitored, Raised
from mrv.accounting.period_result import INVOICE, CrossCheck, Finding
from mrv.accounting.service_history import take_off
from mrv.calendar import local_date
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import INVOICED, Besides, Document, Invoice
from mrv.rounding import decimal_text

CLAUSE = "tonne: what only an invoice shows is invoiced"
BILLED = "its invoices show less: that counts"
MORE = "its invoices show more: that counts"
# that an invoice may differ by, and that it may leave out: from more on it is material
TOLERANCE = Fraction(5, 100)
COVERED = 1 - TOLERANCE
# two meters of class 1 (IEC 62053-21) that tell the same
ALIKE = Fraction(1, 100)
# part of an invoice's time that a meter knows at least
_KNOWN = Fraction(1, 2)
# of a capacity that bounds what takes no electricity: twice of less would fit
_BINDING = Fraction(1, 2)
_PLACES = 6
# invoices that a condition names of a meter
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Billing:
    """
    What invoices show of the roles that nothing else does.

    Attributes
    ----------
    devices, missing : tuple of str
        Meters that invoices show, and what is not shown; without it all is.
    beyond : mapping of str to Fraction
        By role, what its meters gain by differing from the invoices. [base units]
    """

    devices: tuple[str, ...]
    missing: tuple[str, ...]
    beyond: Mapping[str, Fraction]

    def finding(self, cost_t: Fraction) -> Finding:
        """Say what is missing, what to give, and what it costs. [tCO2e]"""
        if not self.missing:
            names = ", ".join(self.devices)
            return Finding(CLAUSE, True, f"invoices of {names}" if names else "")
        return Finding(
            CLAUSE,
            False,
            f"{'; '.join(self.missing)}. Nothing is reduced until then, which costs"
            f" {decimal_text(max(cost_t, Fraction(0)), _PLACES, 'up')} t. Give the supplier's"
            " invoices, of weather the figures of the weather service, with the `sha256` of their"
            f" files, over {_percent(COVERED)} of the time and differing by at most"
            f" {_percent(TOLERANCE)} (`tonne invoice import`)",
        )


def billing(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    besides: Besides,
    checks: Sequence[CrossCheck],
    first: date,
    claimed: Fraction,
) -> Billing | None:
    """
    Hold what only invoices show against them; None where no rule asks.

    Parameters
    ----------
    claimed : Fraction
        Reduction by the meters. [tCO2e]
    checks : sequence of CrossCheck
        Of the period.
    first : date
        Of the period: documents are of that day at the latest.
    """
    asks = {*methodology.billed}.union(*(one.serves for one in methodology.capacities))
    # values of a baseline that no role of an invoice goes with need their documents all the same
    earning = {m.bound.role for m in monitored if m.needs.side == "baseline"}
    asked = asks or (earning if methodology.papers else asks)
    # a building whose meters all stand still would still be given its base load
    told = any(
        m.bound.role in asked and (m.bound.role in methodology.billed or _moved(m))
        for m in monitored
        if m.service.intervals
    )
    if besides.accounting < INVOICED or besides.billed is not None or not told:
        return None
    shown = {m.device.id for m in monitored if invoiced(m, besides, checks)}
    there = [m for m in monitored if m.bound.role in methodology.billed]
    missing = [
        f"no invoices with their files show what {name} tells{_why(name, besides, checks)}"
        for name in dict.fromkeys(m.device.id for m in there)
        if name not in shown
    ]
    missing += _services(monitored, methodology, parameters, shown)
    given = {**{k: v for m in monitored for k, v in m.params.items()}, **parameters}
    for name in methodology.papers:
        lacks = undocumented(name, given, besides.documents, first)
        if lacks is not None:
            spec = methodology.spec_of(name)
            missing.append(f"{name} ({spec.meaning} [{spec.unit}]; {spec.source}): {lacks}")
    held = asks.union(*(one.uses for one in methodology.consumptions))
    roles = {
        role: [m for m in monitored if m.bound.role == role]
        for role in dict.fromkeys(m.bound.role for m in monitored if m.bound.role in held)
    }
    roles = {r: some for r, some in roles.items() if all(m.device.id in shown for m in some)}
    gained = sum((_gained(some, besides, checks) for some in roles.values()), start=Fraction(0))
    alike = Fraction(0) if gained > TOLERANCE * abs(claimed - gained) else ALIKE
    beyond = {role: _beyond(some, besides, checks, alike) for role, some in roles.items()}
    return Billing(
        tuple(m for m in dict.fromkeys(m.device.id for m in monitored) if m in shown),
        tuple(missing),
        beyond,
    )


def _why(name: str, besides: Besides, checks: Sequence[CrossCheck]) -> str:
    """Say why invoices of a meter that are there do not show it; empty where there is none."""
    bare = {_name(i) for i in besides.invoices if not i.sha256}
    early = {_name(i): i.issued for i in besides.invoices if _early(i)}
    told = []
    for check in checks:
        if check.kind != INVOICE or name not in check.devices:
            continue
        if check.holds is None:
            told.append(f"{check.against} {check.detail}")
        elif not check.holds:
            told.append(f"{check.against} differs by {check.difference_percent} %")
        elif check.against in bare:
            told.append(f"{check.against} has no `sha256`")
        elif check.against in early:
            told.append(f"{check.against} is of {early[check.against]}, before its time ended")
    return f" ({'; '.join(told[:_NAMED])})" if told else ""


def _services(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    shown: Collection[str],
) -> Iterator[str]:
    """Say which services neither their own invoices show nor those of what they take."""
    large = too_large(monitored, methodology, parameters, _BINDING)
    for one in methodology.capacities:
        there = [m for m in serving(monitored, one) if _moved(m)]
        alone = [m.device.id for m in there if m.device.id not in shown]
        # fuel and the like are asked for by themselves
        if one.of or not alone or {*one.serves} <= {*methodology.billed}:
            continue
        names = ", ".join(dict.fromkeys(alone))
        taken = consumption_of(methodology, one)
        if taken is None:
            if one.parameter in large:
                yield (
                    f"no invoices with their files show what {names} tells, and less than half of"
                    f" {one.parameter} was delivered, so that it bounds nothing"
                )
            continue
        if len({(m.bound.role, tuple(sorted(m.params.items()))) for m in there}) > 1:
            yield (
                f"no invoices with their files show what {names} tells; electricity would show how"
                " much was delivered, and not of which kind"
            )
            continue
        users = [m.device.id for m in monitored if m.bound.role in taken.uses]
        bare = [name for name in dict.fromkeys(users) if name not in shown]
        if bare or not users:
            power = f", nor its electricity, {', '.join(bare)}" if bare else ""
            yield f"no invoices with their files show what {names} tells{power}"


def _moved(one: Monitored) -> bool:
    return any(part.metered for part in one.parts)


def invoiced(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> bool:
    """
    Whether invoices with their files show a device's quantity over nearly all its time.

    Time for which another invoice says something else is not shown.
    """
    begin = one.service.first * INTERVAL_US
    end = begin + one.service.intervals * INTERVAL_US
    refuted = [(c.from_us, c.to_us) for c in _refuting(one, besides, checks)]
    holding = [(c.from_us, c.to_us) for c in _holding(one, besides, checks)]
    shown = _length([*holding, *refuted], begin, end) - _length(refuted, begin, end)
    return shown >= COVERED * (end - begin)


def _length(spans: Sequence[tuple[int, int]], begin: int, end: int) -> int:
    """Time that spans cover together. [us]"""
    covered, reached = 0, begin
    for first, last in sorted(spans):
        covered += max(0, min(last, end) - max(first, reached))
        reached = max(reached, last)
    return covered


def _refuting(
    one: Monitored, besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons of a device with invoices that do not hold."""
    for check in checks:
        if (
            check.kind == INVOICE
            and one.device.id in check.devices
            and check.quantity == one.needs.quantity
            and check.holds is False
            and not _agrees(check, besides.accounting)
        ):
            yield check


def _holding(
    one: Monitored, besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons of a device with invoices that count as evidence."""
    timely = besides.accounting < INVOICED
    documents = {_name(i) for i in besides.invoices if i.sha256 and (timely or not _early(i))}
    for check in checks:
        if (
            check.kind == INVOICE
            and check.against in documents
            and one.device.id in check.devices
            and check.quantity == one.needs.quantity
            and Fraction(check.tolerance_percent) <= TOLERANCE * 100
            and _agrees(check, besides.accounting)
        ):
            yield check


def _name(one: Invoice) -> str:
    """Return an invoice's name, as comparisons have it."""
    return f"{one.id}: {one.issuer}, {one.number}"


def _early(one: Invoice) -> bool:
    """Whether an invoice was written more than a day before its time ended: it was not metered."""
    return one.issued < local_date(one.to_us - 1, "UTC") - timedelta(days=1)


def _agrees(check: CrossCheck, accounting: int) -> bool:
    """
    Whether an invoice says what the known time of its meters does.

    Where more is lost than it may leave out, the rest is taken for the whole, and may be lower by
    as much more, as what was lost may have been higher.
    """
    known = Fraction(check.coverage)
    if known >= COVERED or accounting < INVOICED:
        return bool(check.holds) and known >= COVERED
    if check.holds is None or known < _KNOWN:
        return False
    ours, theirs = int(check.ours) / known, int(check.theirs)
    return (known - TOLERANCE) * theirs <= ours <= (1 + TOLERANCE) * theirs


def _apart(
    role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons of a role's meters that count as evidence, none over the time of another."""
    held = {(c.from_us, c.to_us, c.against): c for m in role for c in _holding(m, besides, checks)}
    reached: dict[str, int] = {}
    for _, check in sorted(held.items()):
        if any(check.from_us < reached.get(name, check.from_us) for name in check.devices):
            continue
        reached |= dict.fromkeys(check.devices, check.to_us)
        yield check


def _gained(role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]) -> Fraction:
    """What a reduction would be lower by if invoices counted in place of meters. [tCO2e]"""
    return sum((Fraction(c.effect_t) for c in _apart(role, besides, checks)), start=Fraction(0))


def _beyond(
    role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck], alike: Fraction
) -> Fraction:
    """What meters of a role count more than their invoices allow, or less. [base units]"""
    theirs, time_us = 0, 0
    for check in _apart(role, besides, checks):
        theirs += int(check.theirs)
        time_us += (check.to_us - check.from_us) * len(check.devices)
    if not time_us:
        return Fraction(0)
    whole_us = sum(m.service.intervals for m in role) * INTERVAL_US
    told = theirs * max(Fraction(1), Fraction(whole_us, time_us))
    counted = sum((m.counted(p) for m in role for p in m.parts), start=Fraction(0))
    baseline = role[0].needs.side == "baseline"
    # what differs by less is the same
    far = counted - told if baseline else told - counted
    return max(Fraction(0), far) if far > alike * told else Fraction(0)


def as_invoiced(
    monitored: Sequence[Monitored],
    billed: Mapping[str, Fraction],
    edges: Sequence[int],
    timezone: str,
) -> list[Monitored]:
    """
    Count of each role what its invoices show, where that is less favourable.

    Parameters
    ----------
    billed : mapping of str to Fraction
        As `Billing.beyond` has it. [base units]
    edges : sequence of int
        Of the stretches. [interval numbers]
    """
    found = list(monitored)
    begin_us, end_us = edges[0] * INTERVAL_US, edges[-1] * INTERVAL_US
    for role, excess in billed.items():
        there = [i for i, m in enumerate(found) if m.bound.role == role]
        if not excess or not there:
            continue
        if found[there[0]].needs.side == "baseline":
            places = 0, len(edges) - 1
            take_off(found, (role,), places, begin_us, end_us, excess, BILLED, timezone)
            continue
        metered = sum(p.metered for i in there for p in found[i].parts)
        shares = sum(len(found[i].parts) for i in there)
        for i in there:
            parts = []
            for part in found[i].parts:
                share = Fraction(part.metered, metered) if metered else Fraction(1, shares)
                more = Raised(begin_us, end_us, MORE, excess * share)
                parts.append(replace(part, raised=(*part.raised, more)))
            found[i] = replace(found[i], parts=tuple(parts))
    return found


def undocumented(
    name: str, parameters: Inputs, documents: Sequence[Document], first: date
) -> str | None:
    """Say what a value lacks; None where a document of before the period shows it."""
    if name not in parameters:
        return "not given"
    held = next((d for d in documents if d.parameter == name), None)
    if held is None:
        return "no document is named"
    given = {"by": held.by, "issued": held.issued, "sha256": held.sha256}
    lacks = [f"`{key}`" for key, value in given.items() if value is None]
    if lacks:
        return f"its document {held.document} has no {', '.join(lacks)}"
    if held.issued is not None and held.issued > first:
        return f"its document {held.document} is of {held.issued}, after the period began"
    return None


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.3g} %"
