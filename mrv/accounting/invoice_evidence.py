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
and of time without an invoice the mean of the others (`invoiced_amounts`).  Which invoices count
and of which time is in `invoiced_time`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from mrv.accounting.design_capacity import consumption_of, serving, too_large
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.exceeded_invoices import exceeded
from mrv.accounting.invoiced_amounts import ALIKE, beyond, gained, unshown_share
from mrv.accounting.invoiced_time import (
    COVERED,
    COVERED_AT_LEAST,
    TOLERANCE,
    invoiced,
    name_of,
    shown_us,
    time_of,
    too_early,
)
from mrv.accounting.period_result import INVOICE, CrossCheck, Finding
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides

RULE = "EVD-03"
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
    less : tuple of str
        Which invoices say less than their meters, where these count by something else.
    """

    devices: tuple[str, ...]
    missing: tuple[str, ...]
    beyond: Mapping[str, Fraction]
    less: tuple[str, ...] = ()

    def finding(self) -> Finding:
        """Say what is missing, what to give, and in place of `{cost}` what it costs."""
        if self.less and not self.missing:
            return Finding(
                RULE,
                False,
                f"{'; '.join(self.less)}, which costs {{cost}} t. Correct the meter, or give all"
                " invoices of what was delivered",
            )
        if not self.missing:
            names = ", ".join(self.devices)
            return Finding(RULE, True, f"invoices of {names}" if names else "")
        return Finding(
            RULE,
            False,
            f"{'; '.join(self.missing)}. Nothing is reduced until then, which costs"
            " {cost} t. Give the supplier's"
            " invoices, of weather the figures of the weather service, with the `sha256` of their"
            f" files, over {_percent(COVERED)} of the time and differing by at most"
            f" {_percent(TOLERANCE)} (`tonne invoice import`). Of time before the first invoice and"
            " after the last none is needed where it is shorter than that invoice and than a"
            f" month, and {_percent(COVERED_AT_LEAST)} of the time are covered",
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
    if not told:
        return None
    shown = {m.device.id for m in monitored if invoiced(m, besides, checks)}
    there = {m.device.id: m for m in monitored if m.bound.role in methodology.billed}
    missing = [
        f"no invoices with their files show what {name} tells{_why(one, besides, checks)}"
        for name, one in there.items()
        if name not in shown
    ]
    missing += _services(monitored, methodology, parameters, besides, checks, shown)
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
    roles = {role: _held_of(some, shown) for role, some in roles.items()}
    roles = {role: some for role, some in roles.items() if some}
    lower = sum((gained(some, besides, checks) for some in roles.values()), start=Fraction(0))
    alike = Fraction(0) if lower > TOLERANCE * abs(claimed - lower) else ALIKE
    excess = {r: beyond(some, monitored, besides, checks, alike) for r, some in roles.items()}
    for role, more in _by_electricity(monitored, methodology, besides, checks, shown):
        excess[role] = max(more, excess.get(role, Fraction(0)))
    less = []
    # what invoices show is held to them above; what takes electricity is shown by that
    alone = {
        role
        for one in methodology.capacities
        if consumption_of(methodology, one) is None and not one.of
        for role in one.serves
    }.difference(roles, methodology.billed)
    for role in dict.fromkeys(m.bound.role for m in monitored if m.bound.role in alone):
        found = exceeded([m for m in monitored if m.bound.role == role], besides, checks)
        if found is not None:
            excess[role] = max(found.quantity, excess.get(role, Fraction(0)))
            less.append(found.told)
    return Billing(
        tuple(m for m in dict.fromkeys(m.device.id for m in monitored) if m in shown),
        tuple(missing),
        excess,
        tuple(less),
    )


def _held_of(role: Sequence[Monitored], shown: Collection[str]) -> list[Monitored]:
    """Return the meters of a role that are held against invoices; of emissions all, or none."""
    found = [m for m in role if m.device.id in shown]
    return found if len(found) == len(role) or role[0].needs.side == "baseline" else []


def _by_electricity(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    besides: Besides,
    checks: Sequence[CrossCheck],
    shown: Collection[str],
) -> Iterator[tuple[str, Fraction]]:
    """Say what of a service rests on electricity of time without an invoice. [base units]"""
    for one in methodology.capacities:
        taken = consumption_of(methodology, one)
        there = [m for m in serving(monitored, one) if m.needs.side == "baseline"]
        if one.of or taken is None or all(m.device.id in shown for m in there):
            continue
        users = [m for m in monitored if m.bound.role in taken.uses]
        if not users or any(m.device.id not in shown for m in users):
            continue
        share = unshown_share(users, monitored, besides, checks)
        for role in dict.fromkeys(m.bound.role for m in there) if share else ():
            some = [m for m in there if m.bound.role == role]
            yield role, share * sum((m.counted(p) for m in some for p in m.parts), Fraction(0))


def _why(one: Monitored, besides: Besides, checks: Sequence[CrossCheck]) -> str:
    """Say why invoices of a meter that are there do not show it; empty where there is none."""
    name, no_evidence, told = one.device.id, _no_evidence(besides), list[str]()
    for check in checks:
        if check.kind != INVOICE or name not in check.devices:
            continue
        if check.holds is None:
            told.append(f"{check.against}: {check.detail}")
        elif not check.holds:
            off = check.difference_percent
            differs = ": its amount is 0" if off is None else f" differs by {off} %"
            told.append(f"{check.against}{differs}")
        elif check.against in no_evidence:
            told.append(f"{check.against} {no_evidence[check.against]}")
    begin, end = time_of(one)
    share = Fraction(shown_us(one, besides, checks), max(1, end - begin))
    if share:
        told.insert(0, f"they cover {_percent(share)} of its time")
    return f" ({'; '.join(told[:_NAMED])})" if told else ""


def _no_evidence(besides: Besides) -> dict[str, str]:
    """Say why invoices are no evidence, whatever they say."""
    wide = {
        name_of(i): f"has a `tolerance_percent` of {i.percent}, above {_percent(TOLERANCE)}"
        for i in besides.invoices
        if Fraction(i.percent) > TOLERANCE * 100
    }
    early = {
        name_of(i): f"is of {i.issued}, before its time ended"
        for i in besides.invoices
        if too_early(i)
    }
    bare = {name_of(i): "has no `sha256`" for i in besides.invoices if not i.sha256}
    return wide | early | bare | {name_of(i): i.doubt for i in besides.invoices if i.doubt}


def _services(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    besides: Besides,
    checks: Sequence[CrossCheck],
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
        names = with_reasons(alone, monitored, besides, checks)
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
            why = with_reasons(bare, monitored, besides, checks)
            power = f", nor its electricity, {why}" if bare else ""
            yield f"no invoices with their files show what {names} tells{power}"


def with_reasons(
    names: Sequence[str],
    monitored: Sequence[Monitored],
    besides: Besides,
    checks: Sequence[CrossCheck],
) -> str:
    """Name meters, each with the reason why invoices of it that are there do not show it."""
    there = {m.device.id: m for m in monitored}
    reasons = {n: _why(there[n], besides, checks) for n in names}
    same = defaultdict[str, list[str]](list)
    for n, why in reasons.items():
        same[why or n].append(n)
    return ", ".join(f"{', '.join(some)}{reasons[some[0]]}" for some in same.values())


def _moved(one: Monitored) -> bool:
    return any(part.metered for part in one.parts)


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.3g} %"
