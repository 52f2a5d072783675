"""
Grades of evidence: what each meter and each entered value rests on, and what it carries.

Grades are those of `mrv/rules/words`: A signed by a key that is not the claimant's, B a third
party's document with the hash of its file, C an instrument under valid calibration that no
other source contradicts, D the claimant's own statement, or any other instrument.  What a claim
rests on is as good as the weakest evidence that carries it: the share at a grade or below is that
of the meters there, or what one entered value there carries, whichever is more.

A meter of the project's side carries what it could hide: that it ran at its highest plausible rate
throughout, at most the whole reduction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.evidenced_time import TOLERANCE, name_of, uncovered_share
from mrv.accounting.period_result import METERED, PARAMETER, EvidenceItem
from mrv.countries import country_of
from mrv.errors import MrvError
from mrv.parameters.evidence import GRADES, Grade, of_parameter, of_role, region_of
from mrv.parameters.inputs import Inputs
from mrv.parameters.specs import ParameterSpec
from mrv.registry.declared import Sample
from mrv.registry.project import Document
from mrv.rounding import decimal_text
from mrv.rules.account import ZERO, Account
from mrv.rules.effects import LABORATORY
from mrv.rules.facts import Facts
from mrv.rules.invoiced_use import applied
from mrv.rules.published import published_of

# of a value that has no account at 0: its effect at a hundredth less, a hundred times
_LESS = Fraction(99, 100)
_PLACES = 6


def evidence_of(facts: Facts, account: Account) -> tuple[EvidenceItem, ...]:
    """Grade every meter and entered value of a period; those that carry most come first."""
    found = [*_meters(facts, account), *of_values(facts, account)]
    return tuple(sorted(found, key=lambda one: (-Fraction(one.tonnes), one.name, one.grade)))


def carried(account: Account) -> dict[str, Fraction]:
    """Return the emissions that each meter's quantity stands for, whichever side. [tCO2e]"""
    found: dict[str, Fraction] = {}
    for one in account.views:
        found[one.device.id] = found.get(one.device.id, Fraction(0)) + _carries(account, one)
    return found


def _carries(account: Account, one: Monitored) -> Fraction:
    rates = ((one.counted(part), account.pricing.rate(one, part.year)) for part in one.parts)
    return sum((abs(quantity * rate) for quantity, rate in rates), start=Fraction(0))


def _hides(account: Account, one: Monitored) -> Fraction:
    """Return the reduction that a meter's readings alone leave there. [tCO2e]"""
    tonnes = _carries(account, one)
    if one.needs.side == "baseline" or one.rate is None:
        return tonnes
    hours = [Fraction((b - a) * INTERVAL_US, HOUR_US) for a, b in (p.edges for p in one.parts)]
    prices = (account.pricing.rate(one, part.year) for part in one.parts)
    most = sum((one.rate * h * abs(price) for h, price in zip(hours, prices, strict=True)), ZERO)
    return max(tonnes, min(most, abs(account.reduction_t)))


def signed(
    items: Iterable[EvidenceItem], meters: Collection[str], share: Fraction
) -> tuple[EvidenceItem, ...]:
    """Grade a share of what some meters measured as signed by the meters themselves."""
    found = []
    for one in items:
        signable = one.kind == METERED and "signature" in of_role(one.role)
        if not signable or one.name not in meters or not share:
            found.append(one)
            continue
        part = decimal_text(Fraction(one.tonnes) * share, _PLACES, "down")
        rest = decimal_text(Fraction(one.tonnes) - Fraction(part), _PLACES, "down")
        found.append(replace(one, grade="A", tonnes=part))
        if Fraction(rest):
            found.append(replace(one, tonnes=rest))
    return tuple(found)


def shares(items: Sequence[EvidenceItem], reduction_t: Fraction) -> dict[Grade, str]:
    """
    Return the share of the reduction by grade; they add up to 1.

    Parameters
    ----------
    reduction_t : Fraction
        What meters and values carry a part of. [tCO2e]
    """
    meters = [one for one in items if one.kind == METERED]
    values = [one for one in items if one.kind == PARAMETER]
    whole = sum((Fraction(one.tonnes) for one in meters), start=Fraction(0))
    if reduction_t > 0:
        whole = min(whole, reduction_t)
    found: dict[Grade, str] = {}
    below = Fraction(0)
    for place in reversed(range(len(GRADES))):
        worst = GRADES[place:]
        metered = sum((Fraction(o.tonnes) for o in meters if o.grade in worst), start=Fraction(0))
        # what rests on no meter has no evidence
        share = metered / whole if whole else Fraction(1)
        if reduction_t > 0:
            entered = (Fraction(o.tonnes) / reduction_t for o in values if o.grade in worst)
            share = max([share, *entered])
        share = Fraction(1) if place == 0 else min(Fraction(1), max(share, below))
        found[GRADES[place]] = decimal_text(share - below, _PLACES, "half_even")
        below = share
    return {grade: found[grade] for grade in GRADES}


def _meters(facts: Facts, account: Account) -> Iterator[EvidenceItem]:
    """Grade each meter's quantity; time without a certificate by itself."""
    for one in account.views:
        tonnes = _hides(account, one)
        if not tonnes:
            continue
        shown, evidence = of_role(one.bound.role), facts.evidence
        if "invoice" in shown and (facts.invoiced(one) or _counts_by_invoice(facts, one)):
            signed = evidence.signed()
            grade: Grade = "A" if signed.invoiced(one) else "B"
            of = signed if grade == "A" else evidence
            # the first one counts on where it is that of more use
            first = {name_of(new): name_of(old) for old, new, _ in facts.besides.replaced}
            showing = (c.against for c in (*of.showing(one), *of.more(one)))
            invoices = {first.get(name, name) for name in showing}
            if facts.shared_invoice(one):
                grade = "C"  # the others' calibrated meters
            yield _meter(one, grade, tonnes, sorted(invoices))
            continue
        calibrated = "certificate" in shown and not evidence.contradicted(one)
        bare = uncovered_share(one) if calibrated else Fraction(1)
        if bare < 1:
            yield _meter(one, "C", tonnes * (1 - bare), [c.certificate for c in one.calibrations])
        if bare:
            yield _meter(one, "D", tonnes * bare, [])


def _counts_by_invoice(facts: Facts, one: Monitored) -> bool:
    """Whether invoices that state more than a meter count in its place, over nearly all time."""
    spans = applied(facts).get(one.device.id, ()) if one.needs.side == "project" else ()
    return bool(spans) and facts.evidence.covered(one, spans)


def _meter(one: Monitored, grade: Grade, tonnes: Fraction, shown_by: Iterable[str]) -> EvidenceItem:
    return EvidenceItem(
        METERED, one.device.id, one.bound.role, grade, decimal_text(tonnes, _PLACES, "down"),
        tuple(dict.fromkeys(shown_by)),
    )  # fmt: skip


class Entered(NamedTuple):
    """A value that was entered: the project's, or that of some devices of a role."""

    name: str
    role: str
    spec: ParameterSpec
    devices: tuple[str, ...] = ()


def of_values(facts: Facts, account: Account) -> Iterator[EvidenceItem]:
    """Grade each value that was entered, of the project and of its devices."""
    yield from (item for item, _ in graded_values(facts, account))


def graded_values(facts: Facts, account: Account) -> Iterator[tuple[EvidenceItem, Entered]]:
    """Grade each value that was entered; of devices that a document states apart from others."""
    for one in _entered(facts, account):
        grade, shown_by = _grade(facts, account, one)
        # a case is no amount: it carries what the least favourable one would not give
        effects = [] if one.spec.choices else [abs(_effect(account, one))]
        if grade > "B":
            now = account.reduced(account.parameters)
            effects += (now - left for left in _at_ends(facts, account, one))
        tonnes = min(max(effects, default=ZERO), abs(account.reduction_t))
        if not one.spec.choices or tonnes:
            shown = decimal_text(tonnes, _PLACES, "down")
            item = EvidenceItem(PARAMETER, one.name, one.role, grade, shown, tuple(shown_by))
            yield item, one


def _entered(facts: Facts, account: Account) -> Iterator[Entered]:
    method = facts.methodology
    for name, spec in method.parameters.items():
        # a year is no amount
        if spec.unit != "year" and name in facts.project.parameters and name in account.parameters:
            yield Entered(name, "", spec)
    for role, needs in method.roles.items():
        for name, spec in needs.params.items():
            here = [m.device.id for m in account.entered
                    if m.bound.role == role and name in m.bound.params]  # fmt: skip
            stated = [one for one in here if _documents(facts, name, one)]
            rest = [one for one in here if one not in stated]
            for devices in (stated, rest):
                if devices:
                    yield Entered(name, role, spec, tuple(dict.fromkeys(devices)))


def _grade(facts: Facts, account: Account, one: Entered) -> tuple[Grade, Sequence[str]]:
    """Return the grade of an entered value, and what shows it."""
    besides, shown, name = facts.besides, of_parameter(one.name).by, one.name
    if name in besides.at_published:
        return "B", []
    if not one.role:
        reports = [s for s in besides.samples if s.parameter == name and s.sha256]
        if reports and "laboratory" in shown:
            return _by_hand(reports), [s.sample for s in reports]
        if name in account.how or account.parameters[name] != facts.parameters[name]:
            if account.how.get(name) == LABORATORY:
                return "D", []  # of which no report can be found
            # a published or conservative value counts, or what the plant's own analyser measured
            return _of_analyser(account, name) if name in besides.channels else ("B", [])
    documents = _documents(facts, name, one.devices[0] if one.devices else None)
    if documents:
        return _by_hand(documents), [one.document for one in documents]
    published = _published(facts, account, one)
    return ("D", []) if published is None else ("B", published)


def _by_hand(rows: Iterable[Document | Sample]) -> Grade:
    """Return the grade of rows of third parties: A where each is signed by who gave it."""
    return "A" if all(one.signed for one in rows) else "B"


def _documents(facts: Facts, name: str, device: str | None) -> list[Document]:
    """
    Return the documents that state a value, of the project or of a device.

    One of the period itself states it too: that it is no older is a finding (PAR-05, PAR-07).
    """
    if "document" not in of_parameter(name).by:
        return []
    besides, parameters = facts.besides, facts.methodology.parameters
    given: Mapping[str, object] = facts.project.parameters if device is None else {name: None}
    last = facts.last
    if name in parameters and parameters[name].by_publication:
        last = date.max  # a publication may be of any day
    if undocumented(name, given, besides.documents, last) is not None:
        return []
    # a value that no document states is the operator's word
    found = [d for d in besides.documents if d.parameter == name]
    return [d for d in found if d.stated(device) is not None]


def _published(facts: Facts, account: Account, one: Entered) -> list[str] | None:
    """
    Return the ids of the published factors that a value is; None where it is the claimant's word.

    Of a list it is the one of the project's region: which of the others is the plant's own is the
    claimant's word.  A value that gives no more than what is published at its most conservative
    rests on no one's word.
    """
    now, equal = account.reduced(account.parameters), list[str]()
    if not one.role:
        value = account.parameters[one.name]
        kind, others = published_of(one.spec, facts.project, facts.factors)
        equal = [factor.id for factor in others if factor.value == value]
        shown = of_parameter(one.name).by
        if equal and "published" in shown and "list" not in kind:
            return equal
        region = region_of(country_of(facts.project)) if "region" in shown else None
        own = [factor for factor in others if factor.kind.endswith(f".{region}")]
        if own and all(_reduced_to(account, one, factor.value) >= now for factor in own):
            return equal
        if "default" in shown:
            usual = {k: v for k, v in account.parameters.items() if k != one.name}
            if account.reduced(usual) >= now:
                return equal
    left = [*_at_ends(facts, account, one)]
    return equal if left and min(left) >= now else None


def ends_of(facts: Facts, one: Entered, value: Fraction) -> list[Fraction]:
    """Return the ends of what is published of a value: of its range, of its list, its default."""
    declared, spec = of_parameter(one.name), one.spec
    plausible = () if spec.plausible is None else spec.plausible.ranges
    ranges = declared.ranges_in(country_of(facts.project)) or plausible
    found: list[Fraction] = []
    if ranges:
        # an edge of two ranges belongs to the upper one
        spans = [(Fraction(low), Fraction(high)) for low, high in reversed(ranges)]
        found += [*min(spans, key=lambda span: max(span[0] - value, value - span[1], ZERO))]
    found += map(Fraction, spec.choices)
    if spec.undocumented is not None:
        found.append(Fraction(spec.undocumented))
    _, others = published_of(spec, facts.project, facts.factors)
    return [*found, *(factor.value for factor in others)]


def values_of(account: Account, one: Entered) -> dict[Fraction, list[str | None]]:
    """Return the values that count, each with its devices; None of the project."""
    if not one.role:
        return {Fraction(account.parameters[one.name]): [None]}
    found: dict[Fraction, list[str | None]] = {}
    for m in account.entered:
        if m.device.id in one.devices and m.bound.role == one.role:
            found.setdefault(Fraction(m.params[one.name]), []).append(m.device.id)
    return found


def _at_ends(facts: Facts, account: Account, one: Entered) -> Iterator[Fraction]:
    """Yield what the period comes to by each end of what is published of a value. [tCO2e]"""
    ends = (end for value in values_of(account, one) for end in ends_of(facts, one, value))
    for end in dict.fromkeys(ends):
        with suppress(MrvError, ZeroDivisionError):
            yield _reduced_to(account, one, end)


def _reduced_to(account: Account, one: Entered, value: Fraction) -> Fraction:
    whole = int(value) if one.spec.choices or one.spec.integer else value
    return account.reduced(*_with(account, one, whole))


def _of_analyser(account: Account, name: str) -> tuple[Grade, Sequence[str]]:
    """Return the grade of what the plant's own analyser measured: that of its calibration."""
    role = account.methodology.parameters[name].channels[:1]
    meters = [one for one in account.entered if one.bound.role in role]
    if not meters or any(uncovered_share(one) > TOLERANCE for one in meters):
        return "D", []
    return "C", sorted({c.certificate for one in meters for c in one.calibrations})


def _effect(account: Account, one: Entered) -> Fraction:
    """
    Return by how much the reduction is another one without a value, a role's or the project's.

    All of the reduction, where there is no account without it. [tCO2e]
    """
    now = account.reduced(account.parameters)
    for share in (ZERO, _LESS):
        try:
            left = account.reduced(*_with(account, one, share, scaled=True))
            return (now - left) / (1 - share)
        except (MrvError, ZeroDivisionError):
            continue
    return now


def _with(
    account: Account, entered: Entered, value: Fraction | int, *, scaled: bool = False
) -> tuple[Inputs, list[Monitored]]:
    """Return parameters and devices with another value in place, or a share of the one there."""
    name = entered.name

    def put(known: Inputs) -> Inputs:
        return {**known, name: _less(known[name], Fraction(value)) if scaled else value}

    if not entered.role:
        return put(account.parameters), list(account.entered)
    return account.parameters, [
        replace(one, params=put(one.params))
        if one.bound.role == entered.role and one.device.id in entered.devices
        else one
        for one in account.entered
    ]


def _less(value: Any, share: Fraction) -> Any:
    """Return a share of a value; a count stays whole."""
    return int(value * share) if isinstance(value, int) else Fraction(value) * share
