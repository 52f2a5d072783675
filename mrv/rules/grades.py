"""
Grades of evidence: what each meter and each entered value rests on, and what it carries.

Grades are those of `mrv/rules/words`: A signed by a key that is not the claimant's, B a third
party's document with the hash of its file, C an instrument under valid calibration, D the
claimant's own statement, or an instrument without.  What a claim rests on is as good as the
weakest evidence that carries it: the share at a grade or below is that of the meters there, or
what one entered value there carries, whichever is more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.evidenced_time import TOLERANCE, uncovered_share
from mrv.accounting.period_result import GRADES, METERED, PARAMETER, EvidenceItem, Grade
from mrv.calendar import local_date
from mrv.errors import MrvError
from mrv.rounding import decimal_text
from mrv.rules.account import Account
from mrv.rules.facts import Facts
from mrv.rules.published import published_of

# of a value that has no account at 0: its effect at a hundredth less, a hundred times
_LESS = Fraction(99, 100)
_PLACES = 6


def evidence_of(facts: Facts, account: Account) -> tuple[EvidenceItem, ...]:
    """Grade every meter and entered value of a period; those that carry most come first."""
    found = [*_meters(facts, account), *_parameters(facts, account)]
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


def signed(
    items: Iterable[EvidenceItem], meters: Collection[str], share: Fraction
) -> tuple[EvidenceItem, ...]:
    """Grade a share of what some meters measured as signed by the meters themselves."""
    found = []
    for one in items:
        if one.kind != METERED or one.name not in meters or not share:
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
        What values carry a part of. [tCO2e]
    """
    meters = [one for one in items if one.kind == METERED]
    values = [one for one in items if one.kind == PARAMETER]
    whole = sum((Fraction(one.tonnes) for one in meters), start=Fraction(0))
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
        tonnes = _carries(account, one)
        if not tonnes:
            continue
        if facts.invoiced(one):
            invoices = {c.against for c in facts.evidence.showing(one)}
            yield _meter(one, "B", tonnes, sorted(invoices))
            continue
        bare = uncovered_share(one)
        if bare < 1:
            yield _meter(one, "C", tonnes * (1 - bare), [c.certificate for c in one.calibrations])
        if bare:
            yield _meter(one, "D", tonnes * bare, [])


def _meter(one: Monitored, grade: Grade, tonnes: Fraction, shown_by: Iterable[str]) -> EvidenceItem:
    return EvidenceItem(
        METERED, one.device.id, one.bound.role, grade, decimal_text(tonnes, _PLACES, "down"),
        tuple(dict.fromkeys(shown_by)),
    )  # fmt: skip


def _parameters(facts: Facts, account: Account) -> Iterator[EvidenceItem]:
    """Grade each number that was entered, of the project and of its devices."""
    method = facts.methodology
    named = [("", name, spec) for name, spec in method.parameters.items()
             if name in facts.project.parameters and name in account.parameters]  # fmt: skip
    named += [
        (role, name, spec)
        for role, needs in method.roles.items()
        for name, spec in needs.params.items()
        if any(one.bound.role == role and name in one.bound.params for one in account.entered)
    ]
    for role, name, spec in named:
        # a case or a year is no amount
        if not (spec.choices or spec.unit == "year"):
            tonnes = min(abs(_effect(account, role, name)), abs(account.reduction_t))
            grade, shown_by = _grade(facts, account, name, role)
            shown = decimal_text(tonnes, _PLACES, "down")
            yield EvidenceItem(PARAMETER, name, role, grade, shown, tuple(shown_by))


def _grade(facts: Facts, account: Account, name: str, role: str) -> tuple[Grade, Sequence[str]]:
    """Return the grade of an entered value, of the project or of a role, and what shows it."""
    besides = facts.besides
    reports = [s.sample for s in besides.samples if s.parameter == name and s.sha256]
    if reports:
        return "B", reports
    given: Mapping[str, object] = facts.project.parameters
    if role:
        given = {name: None}
    elif name in account.how or account.parameters[name] != facts.parameters[name]:
        # a published or conservative value counts, or what the plant's own analyser measured
        return _of_analyser(account, name) if name in besides.channels else ("B", [])
    else:
        spec = facts.methodology.parameters[name]
        _, others = published_of(spec, facts.project, facts.factors)
        equal = [one.id for one in others if one.value == account.parameters[name]]
        if equal:
            return "B", equal
    last = local_date(facts.period_us[0], facts.timezone)
    if name in facts.methodology.parameters and facts.methodology.parameters[name].by_publication:
        last = date.max  # a publication may be of any day
    if undocumented(name, given, besides.documents, last) is None:
        found = [d for d in besides.documents if d.parameter == name]
        devices: list[str | None] = [
            one.device.id
            for one in account.entered
            if one.bound.role == role and name in one.bound.params
        ]
        # a value that no document states, of any device, is the operator's word
        if all(any(d.stated(device) is not None for d in found) for device in devices or [None]):
            return "B", [d.document for d in found]
    return "D", []


def _of_analyser(account: Account, name: str) -> tuple[Grade, Sequence[str]]:
    """Return the grade of what the plant's own analyser measured: that of its calibration."""
    role = account.methodology.parameters[name].channels[:1]
    meters = [one for one in account.entered if one.bound.role in role]
    if not meters or any(uncovered_share(one) > TOLERANCE for one in meters):
        return "D", []
    return "C", sorted({c.certificate for one in meters for c in one.calibrations})


def _effect(account: Account, role: str, name: str) -> Fraction:
    """
    Return by how much the reduction is another one without a value, a role's or the project's.

    All of the reduction, where there is no account without it. [tCO2e]
    """
    now = account.reduced(account.parameters)

    def reduced(share: Fraction) -> Fraction:
        if not role:
            value = account.parameters[name]
            return account.reduced({**account.parameters, name: _less(value, share)})
        views = [
            replace(one, params={**one.params, name: _less(one.params[name], share)})
            if one.bound.role == role and name in one.params
            else one
            for one in account.entered
        ]
        return account.reduced(account.parameters, views)

    for share in (Fraction(0), _LESS):
        try:
            return (now - reduced(share)) / (1 - share)
        except (MrvError, ZeroDivisionError):
            continue
    return now


def _less(value: Any, share: Fraction) -> Any:
    """Return a share of a value; a count stays whole."""
    return int(value * share) if isinstance(value, int) else Fraction(value) * share
