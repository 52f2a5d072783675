"""
What a plant delivers, and who else than the plant shows it: no evidence, no tonne.

Water, mass and load are told by the plant's own meter alone, and nobody outside sees whether it
tells three times as much.  Two things are evidence: what the plant was built for, each value in a
document with its date before the period, its giver and the hash of its file; or invoices with
the hashes of their files, over nearly all of the time.  A check meter is the plant's own as well.
Where neither is there, what is delivered counts nothing: COD of the inflow counts 0, a pump's
water as much as its electricity moved before the project, any other service 0.  The condition
names what is missing and what it costs.

Within the design all meters of a plant may still be too high together.  Where no invoice shows
what was delivered, nor the electricity that it took, a condition says by how much.  These are
rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from mrv.accounting.design_capacity import (
    at_capacity,
    consumption_of,
    electricity,
    serving,
    too_large,
)
from mrv.accounting.device_period import Monitored
from mrv.accounting.invoice_evidence import undocumented, with_reasons
from mrv.accounting.invoiced_time import COVERED, TOLERANCE, invoiced
from mrv.accounting.period_result import CrossCheck, Finding
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.registry.project import Besides, Sample
from mrv.service_bounds import Capacity, Consumption

RULE = "EVD-02"
OUTSIDE = "EVD-03"
FUEL = "EVD-07"
NOT_SHOWN = "nothing but the plant's own meters shows it, and 0 counts"
UNCOUNTED = "only its own meter shows it; no documents of the design, no invoices"
BEFORE = "only its own meter shows it: what its electricity moved before the project counts"
_PLACES = 6
_FUEL_METER = "fuel_meter"


@dataclass(frozen=True, slots=True)
class Bare:
    """A service without evidence: the meters that tell it, and what is missing."""

    capacity: Capacity
    devices: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """
    Services of a closed period, and what it is held against.

    Attributes
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch.
    besides : Besides
        With documents, invoices and laboratory results.
    checks : sequence of CrossCheck
        Of the period.
    """

    monitored: Sequence[Monitored]
    methodology: Methodology
    parameters: Inputs
    besides: Besides
    checks: Sequence[CrossCheck]

    def bare(self, first: date) -> list[Bare]:
        """Return those that nothing but the plant's own meters shows, by a period's first day."""
        found = []
        for one in self.methodology.capacities:
            missing = tuple(self._missing(one, first))
            alone = self._alone(one) if missing else ()
            if alone:
                found.append(Bare(one, tuple(dict.fromkeys(alone)), missing))
        return found

    def outside(self) -> Iterator[Finding]:
        """Say of each service by how much the plant's meters may be too high together."""
        yield from self._moved()
        yield from self._burnt()
        for one in self.methodology.capacities:
            # what takes electricity is held by invoices (`invoice_evidence`)
            if consumption_of(self.methodology, one) is not None:
                continue
            there = [m for m in serving(self.monitored, one) if any(s.value for s in m.stretches)]
            if one.of or not there or one.parameter not in self.parameters:
                continue
            if {*one.serves} <= {*self.methodology.billed}:
                continue
            names = ", ".join(dict.fromkeys(m.device.id for m in there))
            if all(map(self._invoiced, there)):
                yield Finding(OUTSIDE, True, f"invoices of {names}")
                continue
            quantities = ", ".join(sorted({m.needs.quantity for m in there}))
            yield Finding(
                OUTSIDE,
                False,
                f"no invoice with its file shows what {names} tells: within {one.parameter} they"
                f" may claim too much together, and {_percent(self._room(one, there))} more than"
                " they do would fit; give invoices of others of what was delivered, with `sha256`"
                f" (`quantity: {quantities}`) (`tonne invoice import`)",
            )

    def _moved(self) -> Iterator[Finding]:
        """Say where nobody but the operator tells what vehicles took, and how far they went."""
        for one in self.methodology.consumptions:
            if not one.by_model:
                continue
            there = [m for m in self.monitored if m.bound.role in one.serves]
            users = [m for m in self.monitored if m.bound.role in one.uses]
            # without a charger the methodology's own condition does not hold
            if not users or not any(s.value for m in there for s in m.stretches):
                continue
            names = ", ".join(dict.fromkeys(m.device.id for m in there))
            yield self._by_invoices(
                OUTSIDE,
                users,
                f"took: with {names} they may be too high together, up to the mean of the"
                " vehicle's class; give the supplier's invoices of the charging (`tonne invoice"
                " import`)",
            )

    def _burnt(self) -> Iterator[Finding]:
        """Say which fuel of the project nobody but its own meter tells (TOOL03 [M])."""
        there = [
            m
            for m in self.monitored
            if m.needs.side == "project"
            and _FUEL_METER in m.needs.classes
            and any(p.metered for p in m.parts)
        ]
        if there:
            yield self._by_invoices(
                FUEL,
                there,
                "burnt, and a lower figure would leave more; give the supplier's invoices of the"
                " fuel (`quantity: flow`, `tonne invoice import`)",
            )

    def _by_invoices(self, rule: str, meters: Sequence[Monitored], lacks: str) -> Finding:
        """Say whether invoices show what meters tell, and what it means where they do not."""
        lacking = [m.device.id for m in meters if not self._invoiced(m)]
        if not lacking:
            names = ", ".join(dict.fromkeys(m.device.id for m in meters))
            return Finding(rule, True, f"invoices of {names}")
        why = with_reasons(lacking, meters, self.besides, self.checks)
        return Finding(rule, False, f"no invoice with its file shows what {why} {lacks}")

    def users(self) -> tuple[str, ...]:
        """Return the meters of what services take."""
        uses = {role for one in self.methodology.consumptions for role in one.uses}
        return tuple(dict.fromkeys(m.device.id for m in self.monitored if m.bound.role in uses))

    def _room(self, one: Capacity, there: Sequence[Monitored]) -> Fraction:
        """Share of what was delivered that would fit within the capacity besides."""
        served = sum(s.value for m in there for s in m.stretches)
        most = at_capacity(there, one, self.parameters)
        return max(Fraction(0), most / served - 1)

    def _alone(self, one: Capacity) -> tuple[str, ...]:
        """Meters that nobody else shows."""
        there = [m for m in serving(self.monitored, one) if any(p.metered for p in m.parts)]
        if one.of:
            told = not self.parameters.get(one.of) or one.of in laboratory(self.besides.samples)
            return () if told else tuple(m.device.id for m in there)
        return tuple(m.device.id for m in there if not self._invoiced(m))

    def _invoiced(self, one: Monitored) -> bool:
        """Whether invoices with their files show a device's quantity over nearly all its time."""
        return invoiced(one, self.besides, self.checks)

    def _missing(self, one: Capacity, first: date) -> Iterator[str]:
        """Say what of a service's design is not given, or not documented."""
        taken = consumption_of(self.methodology, one)
        names = [one.parameter, *([taken.by_design] if taken is not None and not one.of else [])]
        for name in names:
            spec = self.methodology.parameters[name]
            said = undocumented(name, self.parameters, self.besides.documents, first)
            if said is not None:
                yield f"{name} ({spec.meaning} [{spec.unit}]; {spec.source}): {said}"
            elif taken is not None and name == taken.by_design:
                yield from self._foreign(taken)
            elif taken is None and name in too_large(
                self.monitored, self.methodology, self.parameters
            ):
                yield f"{name}: less than a fifth of it was delivered, so that it bounds nothing"

    def _foreign(self, taken: Consumption) -> Iterator[str]:
        """Say where a plant took several times the electricity that its design says."""
        served = sum(
            s.value for m in self.monitored if m.bound.role in taken.serves for s in m.stretches
        )
        used = electricity(self.monitored, taken)
        rate = Fraction(self.parameters[taken.by_design]) / taken.per_base
        if served and used > taken.most * rate * served:
            yield (
                f"{taken.by_design}: {_told(used / served * taken.per_base)} {taken.unit} were"
                f" used, more than {_told(taken.most)} times that; it is not the plant's"
            )


def built_for(
    methodology: Methodology, parameters: Inputs, besides: Besides, role: str, first: date
) -> Fraction | None:
    """
    Return the most of a role in a day that documents of before a period say; None without.

    Such a plant cannot have taken more while its meter was lost, either: a weighbridge that was
    lost for two weeks was charged with the 1,000 t that one weighs in an hour at most.

    Returns
    -------
    Fraction or None
        [base units/d]
    """
    return min(
        (
            Fraction(parameters[one.parameter]) * one.base_units
            for one in methodology.capacities
            if role in one.serves
            and not one.of
            and not undocumented(one.parameter, parameters, besides.documents, first)
        ),
        default=None,
    )


def laboratory(samples: Sequence[Sample]) -> frozenset[str]:
    """Return the parameters that laboratories told, each result with the hash of its report."""
    unkept = {s.parameter for s in samples if not s.sha256}
    return frozenset(s.parameter for s in samples) - unkept


def shown(some: Sequence[Bare]) -> str:
    """
    Say what is missing of the services without evidence, and what to give.

    In place of `{cost}` stands by how much the reduction is lower. [tCO2e]
    """
    told = dict.fromkeys(text for one in some for text in one.missing)
    what = "; ".join(dict.fromkeys(_what(one) for one in some))
    name = some[0].capacity.parameter
    return (
        f"{what}: {'; '.join(told)}. It costs {{cost}} t. Give each"
        " value in the project's `parameters`, and under its name in `documents` where it stands,"
        f" such as {name}: {{document: licence 12/2025, by: who gave it, issued: 2025-03-01,"
        " sha256: hash of its file}, of a day before the period; or invoices with their `sha256`"
        f" over {_percent(COVERED)} of the time that differ by at most {_percent(TOLERANCE)}"
    )


def _what(one: Bare) -> str:
    if one.capacity.of:
        return f"{one.capacity.of} rests on the plant's own analyser and counts 0"
    return f"what {', '.join(one.devices)} tells rests on that meter alone and counts nothing"


def not_counted(
    methodology: Methodology, named: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], frozenset[str]]:
    """
    Return the devices that count nothing, and the parameters that count 0.

    Parameters
    ----------
    named : mapping of str to sequence of str
        Meters of the services without evidence, by the parameter of their design.
    """
    devices, zero = dict[str, str](), set[str]()
    for one in methodology.capacities:
        if one.parameter not in named:
            continue
        strong = {c.of for c in methodology.capacities if c.of and c.serves == one.serves}
        taken = consumption_of(methodology, one)
        # water without a known load earns nothing, and what its gas loses is still counted
        zero |= strong
        if not strong and (taken is None or not taken.before):
            devices |= dict.fromkeys(named[one.parameter], UNCOUNTED)
    # what goes out is at most what comes in
    zero |= {n for n, spec in methodology.parameters.items() if spec.unmeasured in zero}
    return devices, frozenset(zero)


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.3g} %"
