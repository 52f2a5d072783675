"""
Quantities that only an invoice corroborates: without independent evidence, no reduction.

Electricity of a building, its weather, the fuel of burners stand alone: no other quantity of the
project moves with them, and half the electricity or twice the warmth would be savings.  What a
plant delivers, and the electricity that it takes for that, are reported by its own meters, and a
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

Steam counts within what a plant was built for, by documents or by invoices.  Where an invoice with
its file is there and says less than its meters, by more than it may differ, the invoice counts for
its time: the buyer paid for no more.  A meter that reports 1.9 times what is invoiced does so at
other times too, so that its time without an invoice counts in the same proportion.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from ingest.model import INTERVAL_US
from mrv.accounting.design_capacity import consumption_of, serving, too_large
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoiced_amounts import ALIKE, beyond, gained, unshown_share
from mrv.accounting.invoiced_time import TOLERANCE, differing, documents, holding, invoiced, unshown
from mrv.accounting.period_result import INVOICE, CrossCheck, Finding
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides, Document
from mrv.rounding import exact_sum
from mrv.texts import Text, text

RULE = "EVD-03"
# of a capacity that bounds what takes no electricity: twice of less would fit
_BINDING = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Billing:
    """
    What invoices show of the roles that nothing else does.

    Attributes
    ----------
    devices : tuple of str
        Meters that invoices corroborate.
    missing : tuple of Text
        What is not corroborated; without it all is.
    beyond : mapping of str to Fraction
        By role, what its meters gain by differing from the invoices. [base units]
    less : tuple of Text
        Which invoices say less than their meters, where these count by something else.
    """

    devices: tuple[str, ...]
    missing: tuple[Text, ...]
    beyond: Mapping[str, Fraction]
    less: tuple[Text, ...] = ()

    def finding(self) -> Finding:
        """Say what is missing."""
        if self.missing:
            return Finding(RULE, False, (*self.missing, text("EVD-03.nothing_counts")))
        if self.less:
            return Finding(RULE, False, self.less)
        covered = text("invoice.cover", devices=self.devices)
        return Finding(RULE, True, (covered,) if self.devices else ())


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
    Compare what only invoices show with them; None where no rule asks.

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
    moved = any(
        m.bound.role in asked and (m.bound.role in methodology.billed or _moved(m))
        for m in monitored
        if m.service.intervals
    )
    if not moved:
        return None
    shown = {m.device.id for m in monitored if invoiced(m, besides, checks)}
    there = {m.device.id: m for m in monitored if m.bound.role in methodology.billed}
    alone = [one for name, one in there.items() if name not in shown]
    missing = [*unshown(alone, besides, checks)]
    missing += _services(monitored, methodology, parameters, besides, checks, shown)
    given = {**{k: v for m in monitored for k, v in m.params.items()}, **parameters}
    for name in methodology.papers:
        lacks = undocumented(name, given, besides.documents, first)
        if lacks is not None:
            missing.append(text("document.lacking", parameter=name, lacks=lacks))
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
    bounded = {
        role
        for one in methodology.capacities
        if consumption_of(methodology, one) is None and not one.of
        for role in one.serves
    }.difference(roles, methodology.billed)
    for role in dict.fromkeys(m.bound.role for m in monitored if m.bound.role in bounded):
        found = _exceeded([m for m in monitored if m.bound.role == role], besides, checks)
        if found is not None:
            excess[role] = max(found.quantity, excess.get(role, Fraction(0)))
            less.append(found.said)
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


def _services(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    parameters: Inputs,
    besides: Besides,
    checks: Sequence[CrossCheck],
    shown: Collection[str],
) -> Iterator[Text]:
    """Say which services neither their own invoices show nor those of what they take."""
    large = too_large(monitored, methodology, parameters, _BINDING)
    for one in methodology.capacities:
        there = [m for m in serving(monitored, one) if _moved(m)]
        alone = [m for m in there if m.device.id not in shown]
        # fuel and the like are asked for by themselves
        if one.of or not alone or {*one.serves} <= {*methodology.billed}:
            continue
        taken = consumption_of(methodology, one)
        if taken is None:
            if one.parameter in large:
                yield from unshown(alone, besides, checks)
                yield text("EVD-03.no_bound", parameter=one.parameter)
            continue
        if len({(m.bound.role, tuple(sorted(m.params.items()))) for m in there}) > 1:
            yield from unshown(alone, besides, checks)
            yield text("EVD-03.kinds")
            continue
        users = [m for m in monitored if m.bound.role in taken.uses]
        bare = [m for m in users if m.device.id not in shown]
        if bare or not users:
            yield from unshown([*alone, *bare], besides, checks)


def _moved(one: Monitored) -> bool:
    return any(part.metered for part in one.parts)


def undocumented(
    name: str, parameters: Inputs, documents: Sequence[Document], first: date
) -> Text | None:
    """Say what a value lacks; None where a document of before the period shows it."""
    if name not in parameters:
        return text("document.no_value")
    held = next((d for d in documents if d.parameter == name), None)
    if held is None:
        return text("document.none")
    given = {"by": held.by, "issued": held.issued, "sha256": held.sha256}
    lacks = tuple(f"`{key}`" for key, value in given.items() if value is None)
    if lacks:
        return text("document.incomplete", document=held.document, lacks=lacks)
    if held.issued is not None and held.issued > first:
        return text("document.late", document=held.document, issued=str(held.issued))
    return None


# --- invoices that say less than meters of what takes no electricity ------------------------


class _Exceeded(NamedTuple):
    """What meters of a role report beyond their invoices [base units], and the text for it."""

    quantity: Fraction
    said: Text


def _exceeded(
    role: Sequence[Monitored], besides: Besides, checks: Sequence[CrossCheck]
) -> _Exceeded | None:
    """
    Return what a role's meters count beyond invoices that say less; None where none does.

    Parameters
    ----------
    role : sequence of Monitored
        All meters of a role of the baseline.
    checks : sequence of CrossCheck
        Of the period.
    """
    names = {m.device.id for m in role}
    less = list(_less(names, role[0].needs.quantity, besides, checks))
    ours, theirs = (sum(int(v) for v in values) for values in
                    ((c.ours for c in less), (c.theirs for c in less)))  # fmt: skip
    if not ours:
        return None
    shown = {name for check in less for name in check.devices}
    bare = sum(_uncovered(m, less, besides, checks) for m in role if m.device.id in shown)
    more = ours - theirs + bare * (1 - Fraction(theirs, ours))
    metered = sum(p.metered for m in role for p in m.parts)
    counted = sum((m.counted(p) for m in role for p in m.parts), start=Fraction(0))
    excess = more - (metered - counted)
    if excess <= 0:
        return None
    invoices = tuple(map(differing, less))
    return _Exceeded(
        excess, text("EVD-03.invoices_less", devices=tuple(sorted(shown)), invoices=invoices)
    )


def _less(
    names: set[str], quantity: str, besides: Besides, checks: Sequence[CrossCheck]
) -> Iterator[CrossCheck]:
    """Comparisons with invoices that say less, none over the time of another."""
    counting = documents(besides)
    reached: dict[str, int] = {}
    for check in sorted(checks, key=lambda c: (c.from_us, c.to_us, c.against)):
        most = int(check.theirs) * (1 + Fraction(check.tolerance_percent) / 100)
        if (
            check.kind != INVOICE
            or check.holds is not False
            or check.against not in counting
            or check.quantity != quantity
            or not {*check.devices} <= names
            or int(check.ours) <= most
            or any(check.from_us < reached.get(name, check.from_us) for name in check.devices)
        ):
            continue
        reached |= dict.fromkeys(check.devices, check.to_us)
        yield check


def _uncovered(
    one: Monitored, less: Sequence[CrossCheck], besides: Besides, checks: Sequence[CrossCheck]
) -> int:
    """What a meter reported of time of which no invoice is. [base units]"""
    if one.series is None:
        return 0
    bare = np.ones(len(one.series), dtype=np.bool_)
    of = (c for c in less if one.device.id in c.devices)
    for check in (*of, *holding(one, besides, checks)):
        begin, end = (
            max(0, us // INTERVAL_US - one.service.first) for us in (check.from_us, check.to_us)
        )
        bare[begin:end] = False
    return exact_sum(one.series[bare].astype(np.int64)) if bare.any() else 0
