"""
What a plant delivers and uses, and which independent evidence corroborates it.

Water, mass and load are reported by the plant's own meter alone, and no other party sees whether
it reports three times as much.  Two things are evidence: what the plant was built for, each value
in a document with its date before the period, its giver and the hash of its file; or invoices with
the hashes of their files, over nearly all of the time.  A check meter is the plant's own as well.
Where neither is there, what is delivered counts nothing: COD of the inflow counts 0, a pump's
water as much as its electricity moved before the project, any other service 0.

Within the design all meters of a plant may still be too high together.  Where no invoice shows
what was delivered, nor the electricity that it took, a finding says by how much.

A fan's meter of which the transformer ratio is typed ten times too low reports a tenth, and the
rest of a plant looks the same.  So a finding asks for the supplier's invoices, as for fuel.  It is
settled where they cover the use as `invoiced_time` says, where a check meter agrees with it, where
the meter's own power is recorded and agrees with its register, or where a higher invoice is
applied already (`invoiced_use`).  What vehicles are charged with is asked for by itself.  Nothing
is asked where all that is not shown would change less than a hundredth of the reduction at its
highest plausible value: the rated power of the meter over all of its time, or ten times what it
reported where that is more.  These are rules of tonne's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.corroborated_energy import agreeing
from mrv.accounting.design_capacity import (
    at_capacity,
    consumption_of,
    electricity,
    serving,
    too_large,
)
from mrv.accounting.device_period import Monitored
from mrv.accounting.device_results import Pricing
from mrv.accounting.entered_values import undocumented
from mrv.accounting.invoiced_time import Spans, covered, evidenced, invoiced, percent, unshown
from mrv.accounting.period_result import CrossCheck, Finding
from mrv.model import Methodology
from mrv.parameters.inputs import Inputs
from mrv.quantity_text import amount_text, plain_text
from mrv.registry.project import Besides, Sample
from mrv.rounding import decimal_text
from mrv.service_bounds import Capacity, Consumption
from mrv.texts import Text, text

RULE = "EVD-02"
OUTSIDE = "EVD-03"
USED = "EVD-07"
NOT_SHOWN = "nothing but the plant's own meters shows it, and 0 counts"
UNCOUNTED, BEFORE = text("EVD-02.uncounted"), text("EVD-02.before")
_PLACES = 6
_FUEL_METER = "fuel_meter"
# of the reduction: what would change it by less is not asked for
_NEGLIGIBLE = Fraction(1, 100)
_TIMES = 10


@dataclass(frozen=True, slots=True)
class Bare:
    """A service without evidence: its meters, and what is missing."""

    capacity: Capacity
    devices: tuple[str, ...]
    missing: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Services:
    """
    Services of a closed period, and the evidence of it.

    Attributes
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch.
    besides : Besides
        With documents, invoices and laboratory results.
    checks : sequence of CrossCheck
        Of the period.
    applied : mapping of str to sequence of (int, int)
        Time of invoices that say more than meters of the project's side, by device. [us UTC]
    """

    monitored: Sequence[Monitored]
    methodology: Methodology
    parameters: Inputs
    besides: Besides
    checks: Sequence[CrossCheck]
    applied: Mapping[str, Spans] = field(default_factory=dict)

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
        for one in self.methodology.capacities:
            # what takes electricity is held by invoices (`invoice_evidence`)
            if consumption_of(self.methodology, one) is not None:
                continue
            there = [m for m in serving(self.monitored, one) if any(s.value for s in m.stretches)]
            if one.of or not there or one.parameter not in self.parameters:
                continue
            if {*one.serves} <= {*self.methodology.billed}:
                continue
            names = _names(there)
            if all(map(self._invoiced, there)):
                yield Finding(OUTSIDE, True, text("invoice.cover", devices=names))
                continue
            yield Finding(
                OUTSIDE,
                False,
                text(
                    "EVD-03.within", devices=names, parameter=one.parameter,
                    percent=percent(self._room(one, there)),
                ),
            )  # fmt: skip

    def _moved(self) -> Iterator[Finding]:
        """Say where only the operator reports what vehicles took, and how far they went."""
        for one in self.methodology.consumptions:
            there = [m for m in self.monitored if m.bound.role in one.serves]
            users = [m for m in self.monitored if m.bound.role in one.uses]
            # without a charger the methodology's own condition does not hold
            if one.by_model and users and any(s.value for m in there for s in m.stretches):
                yield self._by_invoices(
                    OUTSIDE, users, text("EVD-03.charging", devices=_names(there))
                )

    def burnt(self) -> Iterator[Finding]:
        """Say which fuel of the project only its own meter reports (TOOL03 [M])."""
        there = [
            m
            for m in self.monitored
            if m.needs.side == "project"
            and _FUEL_METER in m.needs.classes
            and any(p.metered for p in m.parts)
        ]
        if there:
            yield self._by_invoices(USED, there, text("EVD-07.fuel"))

    def electricity(self, reduction_t: Fraction, pricing: Pricing) -> Iterator[Finding]:
        """
        Say which electricity of the project only its own meter reports.

        Parameters
        ----------
        reduction_t : Fraction
            Of the period. [tCO2e]
        """
        charging = {r for one in self.methodology.consumptions if one.by_model for r in one.uses}
        there = [
            m
            for m in self.monitored
            if m.needs.side == "project"
            and m.needs.unit == "Wh"
            and m.bound.role not in charging
            and m.service.intervals
        ]
        if not there or reduction_t <= 0:
            return
        shown = [(m, self._witness(m)) for m in there]
        alone = [m for m, witness in shown if witness is None]
        if not alone:
            yield Finding(USED, True, tuple(dict.fromkeys(w for _, w in shown if w is not None)))
            return
        more = [_at_most(m, pricing) for m in alone]
        tonnes = sum((t for _, t in more), start=Fraction(0))
        if tonnes < _NEGLIGIBLE * reduction_t:
            return
        counted = sum((m.counted(p) for m in alone for p in m.parts), start=Fraction(0))
        most = counted + sum(wh for wh, _ in more)
        yield Finding(
            USED,
            False,
            (
                *unshown(alone, self.besides, self.checks),
                text(
                    "EVD-07.electricity",
                    counted=amount_text(counted, "Wh"), most=amount_text(most, "Wh"),
                    effect=decimal_text(tonnes, _PLACES, "up"),
                ),
            ),
        )  # fmt: skip

    def _witness(self, one: Monitored) -> Text | None:
        """Say what corroborates a meter's electricity; None where nothing does."""
        name = one.device.id
        if self._invoiced(one):
            return text("invoice.cover", devices=(name,))
        if self._applied(one):
            return text("EVD-07.applied", device=name)
        check = agreeing(one, self.besides, self.checks)
        if check is not None:
            return text("EVD-07.witness", device=name, witness=check.witness)
        gauged = (name, one.needs.quantity) in self.besides.gauged
        return text("EVD-07.power", device=name) if gauged else None

    def _applied(self, one: Monitored) -> bool:
        """Whether invoices that are applied to a meter cover its time."""
        spans = self.applied.get(one.device.id, ())
        return bool(spans) and covered(one, self.besides, self.checks, spans)

    def _by_invoices(self, rule: str, meters: Sequence[Monitored], means: Text) -> Finding:
        """Say whether invoices corroborate meters, and what it means where they do not."""
        lacking = [m for m in meters if not self._invoiced(m) and not self._applied(m)]
        if not lacking:
            return Finding(rule, True, text("invoice.cover", devices=_names(meters)))
        return Finding(rule, False, (*unshown(lacking, self.besides, self.checks), means))

    def users(self) -> tuple[str, ...]:
        """Return the meters of what services take."""
        uses = {role for one in self.methodology.consumptions for role in one.uses}
        return _names([m for m in self.monitored if m.bound.role in uses])

    def _room(self, one: Capacity, there: Sequence[Monitored]) -> Fraction:
        """Share of what was delivered that would fit within the capacity besides."""
        served = sum(s.value for m in there for s in m.stretches)
        most = at_capacity(there, one, self.parameters)
        return max(Fraction(0), most / served - 1)

    def _alone(self, one: Capacity) -> tuple[str, ...]:
        """Meters that nothing else corroborates."""
        there = [m for m in serving(self.monitored, one) if any(p.metered for p in m.parts)]
        if one.of:
            known = not self.parameters.get(one.of) or one.of in laboratory(self.besides.samples)
            return () if known else tuple(m.device.id for m in there)
        return tuple(m.device.id for m in there if not evidenced(m, self.besides, self.checks))

    def _invoiced(self, one: Monitored) -> bool:
        """Whether invoices with their files show a device's quantity over nearly all its time."""
        return invoiced(one, self.besides, self.checks)

    def _missing(self, one: Capacity, first: date) -> Iterator[Text]:
        """Say what of a service's design is not given, or not documented."""
        taken = consumption_of(self.methodology, one)
        names = [one.parameter, *([taken.by_design] if taken is not None and not one.of else [])]
        for name in names:
            lacks = undocumented(name, self.parameters, self.besides.documents, first)
            if lacks is not None:
                yield text("document.lacking", parameter=name, lacks=lacks)
            elif taken is not None and name == taken.by_design:
                yield from self._foreign(taken)
            elif taken is None and name in too_large(
                self.monitored, self.methodology, self.parameters
            ):
                yield text("EVD-02.no_bound", parameter=name)

    def _foreign(self, taken: Consumption) -> Iterator[Text]:
        """Say where a plant took several times the electricity that its design says."""
        served = sum(
            s.value for m in self.monitored if m.bound.role in taken.serves for s in m.stretches
        )
        used = electricity(self.monitored, taken)
        rate = Fraction(self.parameters[taken.by_design]) / taken.per_base
        if served and used > taken.most * rate * served:
            yield text(
                "EVD-02.foreign", parameter=taken.by_design, unit=taken.unit,
                used=plain_text(used / served * taken.per_base, 3), times=plain_text(taken.most, 1),
            )  # fmt: skip


def _names(meters: Sequence[Monitored]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.device.id for m in meters))


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
    """Return the parameters of laboratories' results, each with the hash of its report."""
    unkept = {s.parameter for s in samples if not s.sha256}
    return frozenset(s.parameter for s in samples) - unkept


def without_evidence(some: Sequence[Bare]) -> tuple[Text, ...]:
    """Say which services have no evidence, and what is missing of each."""
    alone = [
        text("EVD-02.analyser", parameter=one.capacity.of)
        if one.capacity.of
        else text("EVD-02.alone", devices=one.devices)
        for one in some
    ]
    return tuple(dict.fromkeys((*alone, *(lack for one in some for lack in one.missing))))


def not_counted(
    methodology: Methodology, named: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Text], frozenset[str]]:
    """
    Return the devices that count nothing, and the parameters that count 0.

    Parameters
    ----------
    named : mapping of str to sequence of str
        Meters of the services without evidence, by the parameter of their design.
    """
    devices, zero = dict[str, Text](), set[str]()
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


def _at_most(one: Monitored, pricing: Pricing) -> tuple[Fraction, Fraction]:
    """Return what a meter may have used at most beyond what counts. [Wh, tCO2e]"""
    metered = sum(part.metered for part in one.parts)
    counted = sum((one.counted(part) for part in one.parts), start=Fraction(0))
    rated = (one.rate or Fraction(0)) * Fraction(one.service.intervals * INTERVAL_US, HOUR_US)
    more = max(rated, Fraction(_TIMES * metered)) - counted
    if more <= 0:
        return Fraction(0), Fraction(0)
    return more, more * max(pricing.rate(one, part.year) for part in one.parts)
