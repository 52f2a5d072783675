"""
Grades of evidence of each meter and entered value, and the emissions that depend on it.

Grades (`mrv/rules/words`): A: signed by a key other than the claimant's.  B: a third party's
document with the hash of its file.  C: an instrument under valid calibration that no other source
contradicts.  D: the claimant's own statement, or any other instrument.  The share of the reduction
at a grade or below is that of its meters or that of its entered values, whichever is larger.

A meter on the project side has the weight of its highest plausible rate during the whole time, at
most the whole reduction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Literal, NamedTuple

from msgspec import structs

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.coverage import joined
from mrv.accounting.device_period import Monitored
from mrv.accounting.entered_values import undocumented
from mrv.accounting.evidenced_time import TOLERANCE, Corroboration, length, name_of, uncovered_share
from mrv.accounting.period_result import METERED, PARAMETER
from mrv.countries import country_of
from mrv.documents.period_account import EvidenceItem
from mrv.errors import MrvError
from mrv.parameters import GRADES, Grade, Inputs, ParameterSpec, of_parameter, of_role, region_of
from mrv.registry import Sample
from mrv.registry.project import Document
from mrv.rounding import six_places
from mrv.rules.account import ZERO, Account
from mrv.rules.effects import LABORATORY
from mrv.rules.facts import MATERIAL, Facts
from mrv.rules.invoiced_use import applied
from mrv.rules.invoices import ALIKE, invoiced_sums
from mrv.rules.operation import alone_by, max_own_use
from mrv.rules.published import published_of

# the effect of a value that cannot be 0 is estimated as 100 times that of a decrease by 1 %
_LESS = Fraction(99, 100)


def evidence_of(facts: Facts, account: Account) -> tuple[EvidenceItem, ...]:
    """Return the graded evidence of every meter and entered value; largest share first."""
    items = [*_meters(facts, account), *(item for item, _ in graded_values(facts, account))]
    return tuple(sorted(items, key=lambda item: (-Fraction(item.tonnes), item.name, item.grade)))


def carried(account: Account) -> dict[str, Fraction]:
    """Return the emissions of each meter's quantity, on either side. [tCO2e]"""
    result: dict[str, Fraction] = {}
    for view in account.views:
        result[view.device.id] = result.get(view.device.id, Fraction(0)) + _carries(account, view)
    return result


def _carries(account: Account, meter: Monitored) -> Fraction:
    rates = ((part.counted, account.pricing.rate(meter, part.year)) for part in meter.parts)
    return sum((abs(quantity * rate) for quantity, rate in rates), start=ZERO)


def _hides(account: Account, meter: Monitored) -> Fraction:
    """Return the reduction that depends on a meter's readings only. [tCO2e]"""
    tonnes = _carries(account, meter)
    if meter.needs.side == "baseline" or meter.rate is None:
        return tonnes
    hours = [Fraction((b - a) * INTERVAL_US, HOUR_US) for a, b in (p.edges for p in meter.parts)]
    prices = (account.pricing.rate(meter, part.year) for part in meter.parts)
    largest = sum((meter.rate * h * abs(p) for h, p in zip(hours, prices, strict=True)), ZERO)
    return max(tonnes, min(largest, abs(account.claimed_t)))


def signed(
    items: Iterable[EvidenceItem], signed_shares: Mapping[str, Fraction]
) -> tuple[EvidenceItem, ...]:
    """Return the items, with the share of each meter's quantity that it signed at grade A."""
    result = []
    for item in items:
        signable = item.kind == METERED and "signature" in of_role(item.role)
        share = signed_shares.get(item.name, ZERO)
        if not signable or not share:
            result.append(item)
            continue
        part = six_places(Fraction(item.tonnes) * share, "down")
        rest = six_places(Fraction(item.tonnes) - Fraction(part), "down")
        result.append(structs.replace(item, grade="A", tonnes=part))
        if Fraction(rest):
            result.append(structs.replace(item, tonnes=rest))
    return tuple(result)


def shares(items: Sequence[EvidenceItem], reduction_t: Fraction) -> dict[Grade, str]:
    """
    Return the share of the reduction by grade; the shares add up to 1.

    `reduction_t`: reduction to which the shares of meters and values refer. [tCO2e]
    """
    meters = [item for item in items if item.kind == METERED]
    values = [item for item in items if item.kind == PARAMETER]
    whole = sum((Fraction(meter.tonnes) for meter in meters), start=ZERO)
    whole = min(whole, reduction_t) if reduction_t > 0 else whole
    result: dict[Grade, str] = {}
    below = ZERO
    for place in reversed(range(len(GRADES))):
        worst = GRADES[place:]
        metered = sum((Fraction(o.tonnes) for o in meters if o.grade in worst), start=ZERO)
        share = metered / whole if whole else Fraction(1)  # without a meter there is no evidence
        if reduction_t > 0:
            entered = sum((Fraction(o.tonnes) for o in values if o.grade in worst), start=ZERO)
            share = max(share, entered / reduction_t)
        share = Fraction(1) if place == 0 else min(Fraction(1), max(share, below))
        result[GRADES[place]] = six_places(share - below, "half_even")
        below = share
    return {grade: result[grade] for grade in GRADES}


def _meters(facts: Facts, account: Account) -> Iterator[EvidenceItem]:
    """
    Yield the graded evidence of each meter.

    Separate items state its time without a certificate, and the quantity that only invoices
    corroborate.
    """
    for view in account.views:
        tonnes = _hides(account, view)
        if not tonnes:
            continue
        codes, evidence = of_role(view.bound.role), facts.evidence
        if "invoice" in codes and (facts.invoiced(view) or _counts_by_invoice(facts, view)):
            signed = evidence.signed()
            grade: Grade = "A" if signed.invoiced(view) else "B"
            of = signed if grade == "A" else evidence
            # a replaced first invoice with a higher consumption still applies
            first = {name_of(new): name_of(old) for old, new, _ in facts.supporting.replaced}
            invoices = {first.get(c.against, c.against) for c in of.compared(view)}
            if facts.shared_invoice(view):
                grade = "C"  # the main meter's invoice less calibrated meters
            alone = max(_beyond_invoices(facts, view), _by_readings_outside(facts, of, view))
            # a small error of one of two large quantities is a large error of their difference
            if alone <= ALIKE and tonnes * alone <= MATERIAL * abs(account.claimed_t):
                alone = ZERO
            alone = max(alone, _by_division(account, of, view), _by_own_use(facts, view))
            diagram = alone_by(facts, view)
            documents = [*sorted(invoices), *([diagram.document] if diagram else ())]
            yield _meter(view, grade, tonnes * (1 - alone), documents)
            if not alone:
                continue
            tonnes *= alone
        calibrated = "certificate" in codes and not evidence.contradicted(view)
        bare = uncovered_share(view) if calibrated else Fraction(1)
        bare = min(Fraction(1), bare + _by_replacements(facts, view))
        if bare < 1:
            yield _meter(view, "C", tonnes * (1 - bare), [c.certificate for c in view.calibrations])
        if bare:
            yield _meter(view, "D", tonnes * bare, [])


def _beyond_invoices(facts: Facts, meter: Monitored) -> Fraction:
    """
    Return the share of a meter's quantity that only the meter corroborates: the excess over its
    invoices, within their tolerance, plus the quantity of time without an invoice.
    """
    # EVD-05 applies higher invoices
    of = facts.evidence.longest if any(facts.evidence.more(meter)) else None
    sums = invoiced_sums(facts, [meter], of)
    if sums is None or not sums.theirs or not meter.counts:
        return ZERO
    sign = -1 if meter.needs.side == "project" else 1
    alone = max(sign * (meter.counts - sums.theirs - sums.mean), ZERO) + sums.mean
    return min(Fraction(1), alone / meter.counts)


def _by_readings_outside(facts: Facts, evidence: Corroboration, meter: Monitored) -> Fraction:
    """
    Return the share of a meter's quantity that depends on its readings outside the period.

    An invoice that extends beyond the period states only the total of its time.  By itself it
    corroborates the remainder of this total if the meter had its highest rate outside the period.
    On the project side it corroborates the remainder if the meter did not advance outside the
    period, or had its highest rate within it.
    """
    within = apart = ZERO
    baseline = meter.needs.side == "baseline"
    for check in evidence.compared(meter):
        begin, end = max(check.from_us, facts.period_us[0]), min(check.to_us, facts.period_us[1])
        inside_us = max(0, end - begin)
        beyond_us = check.to_us - check.from_us - inside_us
        mine = Fraction(check.theirs_within)
        # baseline: quantity possibly shifted into the period, and quantity metered outside;
        # project side: quantity possibly shifted out of the period, and quantity of the period
        moved, there = (mine, check.outside) if baseline else (Fraction(check.outside), mine)
        rates = [view.rate for view in facts.views if view.device.id in check.devices]
        if None not in rates:
            hours = Fraction(beyond_us if baseline else inside_us, HOUR_US)
            moved = min(moved, max(ZERO, sum(filter(None, rates), ZERO) * hours - there))
        within += mine
        apart += moved if beyond_us else ZERO
    return min(Fraction(1), apart / within) if within else ZERO


def _by_division(account: Account, evidence: Corroboration, meter: Monitored) -> Fraction:
    """
    Return the share of a meter's tonnes that depends on the division of invoices between meters.

    An invoice of several meters states only their total.  By itself it corroborates the total at
    the emissions per unit of one of the meters: the lowest on the baseline side, the highest on the
    project side.
    """
    rates = {view.device.id: _rate(account, view) for view in reversed(account.views)}
    mine, within, apart = _rate(account, meter), ZERO, ZERO
    for check in evidence.compared(meter):
        others = [rates[name] for name in check.devices if name in rates]
        within += check.theirs_within
        if meter.needs.side == "baseline":
            apart += check.theirs_within * (mine - min(others, default=mine))
        else:
            apart += check.theirs_within * (max(others, default=mine) - mine)
    return min(Fraction(1), apart / (within * mine)) if within * mine else ZERO


def _by_own_use(facts: Facts, meter: Monitored) -> Fraction:
    """Return the share of a meter's quantity that own use may consume, if no invoices cover it."""
    if not meter.needs.less or not meter.counts:
        return ZERO
    own = replace(meter, needs=replace(meter.needs, quantity=meter.needs.less, side="project"))
    beyond = _by_readings_outside(facts, facts.evidence, own)
    if facts.evidence.invoiced(own) and beyond <= ALIKE:
        return ZERO
    return min(Fraction(1), max_own_use(facts, meter) / meter.counts)


def _by_replacements(facts: Facts, meter: Monitored) -> Fraction:
    """
    Return the share of a meter's quantity, or of its time if larger, that replacement rows state.

    Such quantities are the steps from the reading before each row to the reading after it.
    """
    swapped, name = facts.supporting.swapped, meter.device.id
    steps = (step for q in meter.needs.quantities for step in swapped.get((name, q), ()))
    whole = joined((a // INTERVAL_US * INTERVAL_US, -(-b // INTERVAL_US) * INTERVAL_US)
                   for a, b in steps)  # fmt: skip
    time_us = length(whole, *meter.span_us)
    if not time_us:
        return ZERO
    stated = sum(map(meter.quantity, whole))
    begin, end = meter.span_us
    share = Fraction(stated, meter.metered) if meter.metered else ZERO
    return min(Fraction(1), max(share, Fraction(time_us, end - begin)))


def _rate(account: Account, meter: Monitored) -> Fraction:
    return max((abs(account.pricing.rate(meter, part.year)) for part in meter.parts), default=ZERO)


def _counts_by_invoice(facts: Facts, meter: Monitored) -> bool:
    """Return whether higher invoices replace a project-side meter in nearly all its time."""
    spans = applied(facts).get(meter.device.id, ()) if meter.needs.side == "project" else ()
    return bool(spans) and facts.evidence.covered(meter, spans)


def _meter(
    meter: Monitored, grade: Grade, tonnes: Fraction, shown_by: Iterable[str]
) -> EvidenceItem:
    return _item(METERED, meter.device.id, meter.bound.role, grade, tonnes, shown_by)


def _item(
    kind: Literal["meter", "parameter"], name: str, role: str,
    grade: Grade, tonnes: Fraction, shown_by: Iterable[str],
) -> EvidenceItem:  # fmt: skip
    rounded, sources = six_places(tonnes, "down"), tuple(dict.fromkeys(shown_by))
    return EvidenceItem(
        kind=kind, name=name, role=role, grade=grade, tonnes=rounded, shown_by=sources
    )


class Entered(NamedTuple):
    """Entered value: of the project, or of devices in a role."""

    name: str
    role: str
    spec: ParameterSpec
    devices: tuple[str, ...] = ()

    @property
    def is_year(self) -> bool:
        """Return whether the value is a calendar year."""
        return self.spec.unit == "year"


def graded_values(facts: Facts, account: Account) -> Iterator[tuple[EvidenceItem, Entered]]:
    """
    Yield each entered value with its graded evidence.

    Devices with a document of the value and those without are separate items.
    """
    for entered in _entered(facts, account):
        grade, shown_by = _grade(facts, account, entered)
        if entered.name in facts.supporting.lit:
            grade = max(grade, "C")  # the plant's own flame detector determines the hours
        # the effect of a choice or a year, which is no amount, is that of the most conservative one
        amount = not (entered.spec.choices or entered.is_year)
        effects = [abs(_effect(account, entered))] if amount else []
        if grade > "B" or entered.is_year:
            now = account.reduced(account.parameters)
            effects += (now - remaining for remaining in _at_ends(facts, account, entered))
        tonnes = min(max(effects, default=ZERO), abs(account.claimed_t))
        if not entered.spec.choices or tonnes:
            of = entered.name, entered.role
            yield _item(PARAMETER, *of, grade, tonnes, shown_by), entered


def _entered(facts: Facts, account: Account) -> Iterator[Entered]:
    method = facts.methodology
    for name, spec in method.parameters.items():
        if name in facts.project.parameters and name in account.parameters:
            yield Entered(name, "", spec)
    for role, needs in method.roles.items():
        for name, spec in needs.params.items():
            here = [m.device.id for m in account.entered
                    if m.bound.role == role and name in m.bound.params]  # fmt: skip
            stated = [value for value in here if _documents(facts, name, value)]
            rest = [value for value in here if value not in stated]
            for devices in (stated, rest):
                if devices:
                    yield Entered(name, role, spec, tuple(dict.fromkeys(devices)))


def _grade(facts: Facts, account: Account, entered: Entered) -> tuple[Grade, Sequence[str]]:
    """Return the grade of an entered value, and the names of its documents."""
    supporting, codes, name = facts.supporting, of_parameter(entered.name).by, entered.name
    if name in supporting.at_published:
        return "B", []
    # grade D for a survey by the project participant, unless a document or report states its result
    surveyed = any(survey.parameter == name for survey in supporting.surveys)
    if not entered.role:
        reports = [s for s in supporting.samples if s.parameter == name and s.sha256]
        if reports and "laboratory" in codes:
            return _by_hand(reports), [s.sample for s in reports]
        changed = name in account.how or account.parameters[name] != facts.parameters[name]
        if changed and not surveyed:
            if account.how.get(name) == LABORATORY:
                return "D", []  # the survey's report is missing
            # a published or conservative value applies, or the mean of the plant's own
            # analyser
            return _of_analyser(account, name) if name in supporting.channels else ("B", [])
    documents = _documents(facts, name, entered.devices[0] if entered.devices else None)
    if documents:
        return _by_hand(documents), [document.document for document in documents]
    published = _published(facts, account, entered)
    return ("D", []) if published is None else ("B", published)


def _by_hand(rows: Iterable[Document | Sample]) -> Grade:
    """Return the grade of third parties' documents or samples: A if all issuers signed, else B."""
    return "A" if all(row.signed for row in rows) else "B"


def _documents(facts: Facts, name: str, device: str | None) -> list[Document]:
    """
    Return the documents that state a value, of the project or of a device.

    Documents issued within the period are included; their date is a finding (PAR-05, PAR-07).
    """
    if "document" not in of_parameter(name).by:
        return []
    supporting, parameters = facts.supporting, facts.methodology.parameters
    values: Mapping[str, object] = facts.project.parameters if device is None else {name: None}
    last = facts.last
    if name in parameters and parameters[name].by_publication:
        last = date.max  # the date of a publication does not matter
    if undocumented(name, values, supporting.documents, last) is not None:
        return []
    # a value without a document is the operator's own statement
    documents = [d for d in supporting.documents if d.parameter == name]
    return [d for d in documents if d.stated(device) is not None]


def _published(facts: Facts, account: Account, entered: Entered) -> list[str] | None:
    """
    Return the ids of published factors that corroborate a value; None if there is none.

    Of a list, only the factor of the project's region counts.  A value that is not more favourable
    than the most conservative published one needs no other evidence.
    """
    now, equal = account.reduced(account.parameters), list[str]()
    if not entered.role:
        value = account.parameters[entered.name]
        kind, others = published_of(entered.spec, facts.project, facts.factors)
        equal = [factor.id for factor in others if factor.value == value]
        codes = of_parameter(entered.name).by
        if equal and "published" in codes and "list" not in kind:
            return equal
        region = region_of(country_of(facts.project)) if "region" in codes else None
        own = [factor for factor in others if factor.kind.endswith(f".{region}")]
        if own and all(_reduced_to(account, entered, factor.value) >= now for factor in own):
            return equal
        if "default" in codes:
            usual = {k: v for k, v in account.parameters.items() if k != entered.name}
            if account.reduced(usual) >= now:
                return equal
    remaining = [*_at_ends(facts, account, entered)]
    return equal if remaining and min(remaining) >= now else None


def ends_of(facts: Facts, entered: Entered, value: Fraction) -> list[Fraction]:
    """
    Return the published values of a parameter [its unit]: ends of its range, its list, its default.

    For a calendar year: the first and the last accepted year.
    """
    declared, spec = of_parameter(entered.name), entered.spec
    plausible = () if spec.plausible is None else spec.plausible.ranges
    ranges = declared.ranges_in(country_of(facts.project)) or plausible
    result: list[Fraction] = []
    if ranges:
        # the common end of two ranges belongs to the upper range
        spans = [(Fraction(low), Fraction(high)) for low, high in reversed(ranges)]
        result += [*min(spans, key=lambda span: max(span[0] - value, value - span[1], ZERO))]
    result += map(Fraction, spec.choices)
    if entered.is_year:
        result += map(Fraction, filter(None, (spec.minimum, spec.maximum)))
    if spec.undocumented is not None:
        result.append(Fraction(spec.undocumented))
    _, others = published_of(spec, facts.project, facts.factors)
    return [*result, *(factor.value for factor in others)]


def values_of(account: Account, entered: Entered) -> dict[Fraction, list[str | None]]:
    """Return the applied values, each with its devices; None for a value of the project."""
    if not entered.role:
        return {Fraction(account.parameters[entered.name]): [None]}
    result: dict[Fraction, list[str | None]] = {}
    for m in account.entered:
        if m.device.id in entered.devices and m.bound.role == entered.role:
            result.setdefault(Fraction(m.params[entered.name]), []).append(m.device.id)
    return result


def _at_ends(facts: Facts, account: Account, entered: Entered) -> Iterator[Fraction]:
    """Yield the reduction with each published end of a value. [tCO2e]"""
    ends = (end for value in values_of(account, entered) for end in ends_of(facts, entered, value))
    for end in dict.fromkeys(ends):
        with suppress(MrvError, ZeroDivisionError):
            yield _reduced_to(account, entered, end)


def _reduced_to(account: Account, entered: Entered, value: Fraction) -> Fraction:
    whole = int(value) if entered.spec.choices or entered.spec.integer else value
    return account.reduced(*_with(account, entered, whole))


def _of_analyser(account: Account, name: str) -> tuple[Grade, Sequence[str]]:
    """Return the grade of the plant's analyser, by its calibration, and its documents' names."""
    role = account.methodology.parameters[name].channels[:1]
    meters = [meter for meter in account.entered if meter.bound.role in role]
    if not meters or any(uncovered_share(meter) > TOLERANCE for meter in meters):
        return "D", []
    return "C", sorted({c.certificate for meter in meters for c in meter.calibrations})


def _effect(account: Account, entered: Entered) -> Fraction:
    """Return the reduction that depends on a value; all of it if this is unknown. [tCO2e]"""
    now = account.reduced(account.parameters)
    for share in (ZERO, _LESS):
        with suppress(MrvError, ZeroDivisionError):
            remaining = account.reduced(*_with(account, entered, share, scaled=True))
            return (now - remaining) / (1 - share)
    return now


def _with(
    account: Account, entered: Entered, value: Fraction | int, *, scaled: bool = False
) -> tuple[Inputs, list[Monitored]]:
    """Return parameters and devices with an entered value replaced, or scaled."""
    name = entered.name

    def put(known: Inputs) -> Inputs:
        if not scaled:
            return {**known, name: value}
        whole = isinstance(known[name], int)  # a count
        return {**known, name: int(known[name] * value) if whole else Fraction(known[name]) * value}

    if not entered.role:
        return put(account.parameters), list(account.entered)
    return account.parameters, [
        replace(meter, params=put(meter.params))
        if meter.bound.role == entered.role and meter.device.id in entered.devices
        else meter
        for meter in account.entered
    ]
