"""
Rows of the audit file required by JCM and ISO 14064-3 forms, in words.

All of it is what the registry or the verifier wrote; what no one wrote is None, and shown
as not stated.

Uncertainty of each meter, and of the sum of what they metered.

    U = sqrt(sum((u_i x_i)^2)) / |sum(x_i)|

(IPCC 2006 Guidelines, volume 1, chapter 3, equation 3.2: uncertain quantities that are
added.)  u_i is the largest permissible error of the meter by its certificates, or by its
accuracy class; x_i are the emissions that its readings stand for, baseline positive and
project negative.  The meters' errors are taken as independent.  Shown figures are rounded
up: an uncertainty is never shown as less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from ingest.model import HOUR_US
from mrv.calendar import days, instant_us, local_date
from mrv.documents.form import UNSET, words_of
from mrv.documents.monitoring import MonitoredParameter, PlanVersion
from mrv.documents.statement import Claims
from mrv.quantity_text import plain_text
from mrv.registry.calibration import class_percent
from mrv.registry.monitoring_plan import PROCEDURES, REGISTERED, Line, called
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.rules import titled
from mrv.statement.conformity import CONSECUTIVE, FIXED, RULE
from mrv.texts import render

_UG = 10**6  # a millionth of a tonne


class Uncertainty(NamedTuple):
    """Uncertainty of a sum: in t CO2e, and as a share of it [%]; None where not determined."""

    tonnes: str | None
    percent: str | None


def percent_of(parameter: MonitoredParameter) -> Fraction | None:
    """Return the maximum permissible error of a meter [%]; None where not stated."""
    found = [
        Fraction(c.max_error_percent)
        if c.max_error_percent is not None
        else class_percent(c.accuracy_class)
        for c in parameter.calibrations
    ]
    known = [percent for percent in found if percent is not None]
    return max(known) if known and len(known) == len(found) else None


def combined(parameters: Sequence[MonitoredParameter]) -> Uncertainty:
    """Return the combined uncertainty of all meters; not determined where one is unknown."""
    total, squares = Fraction(0), Fraction(0)
    for parameter in parameters:
        percent = percent_of(parameter)
        if percent is None:
            return Uncertainty(None, None)
        amount = Fraction(parameter.emissions_t)
        total += amount if parameter.side == "baseline" else -amount
        squares += (percent / 100 * amount) ** 2
    tonnes = _root_up(squares, _UG)
    share = None if not total else _decimal(-(-tonnes * 10_000 // abs(total)), 100)
    return Uncertainty(_decimal(int(tonnes * _UG), _UG), share)


def _root_up(square: Fraction, parts: int) -> Fraction:
    """Square root, rounded up to one of so many parts of one."""
    scaled = -(-square * parts * parts // 1)
    root = isqrt(int(scaled))
    return Fraction(root if root * root == scaled else root + 1, parts)


def _decimal(units: int, parts: int) -> str:
    places = len(str(parts)) - 1
    whole, rest = divmod(int(units), parts)
    return f"{whole}.{rest:0{places}d}"


def percent_text(percent: Fraction | None) -> str | None:
    """Return a percentage with two places, rounded up."""
    return None if percent is None else _decimal(-(-percent * 100 // 1), 100)


Row = list[str | None]


def meter_rows(facts: Facts, words: Words) -> Iterator[Row]:
    """Yield each meter: device, maker and model, serial, ratings, uncertainty."""
    for one in facts.parameters:
        basis = one.meter.gas_basis and words[f"gas.{one.meter.gas_basis}"]
        named = " ".join(text for text in (one.meter.maker, one.meter.model, basis) if text)
        percent = percent_text(percent_of(one))
        yield [
            one.device,
            named or None,
            one.meter.serial,
            _ratings(one, facts, words),
            None if percent is None else words.number(percent),
        ]


def point_rows(facts: Facts) -> list[Row]:
    """Return each meter with its monitoring point and load, as in the statement."""
    return [
        [one.device, one.meter.point or None, ", ".join(one.meter.feeds or ()) or None]
        for one in facts.parameters
    ]


def _ratings(one: MonitoredParameter, facts: Facts, words: Words) -> str | None:
    found = one.meter.ratings or ()
    if not found:
        rated = next((d.rated_power_w for d in facts.plan.devices if d.id == one.device), None)
        return None if rated is None else f"{words.number(str(rated))} W"
    begun = (local_date(instant_us(r.from_, "UTC"), facts.timezone).isoformat() for r in found)
    texts = (
        f"{words.number(r.rated_power_w)} W ({words.day(day)})"
        for r, day in zip(found, begun, strict=True)
    )
    return "; ".join(texts)


def uncertainty_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the uncertainty of the sum, and the rule of combination."""
    found = combined(facts.parameters)
    if found.tonnes is None:
        yield words["uncertainty_sum"], words["uncertainty_unknown"]
    else:
        share = "" if found.percent is None else f"; {words.in_percent(found.percent)}"
        yield words["uncertainty_sum"], f"{words.number(found.tonnes)} t CO2e{share}"
    yield words["uncertainty_rule"], words["uncertainty_rule_text"]


def quality_rows(facts: Facts, words: Words) -> Iterator[Row]:
    """Yield each line of the monitoring plan: version, parameter, frequency, QA/QC, responsible."""
    for version in facts.plan.versions:
        for line in version.lines:
            what = line.parameter if line.device is None else f"{line.parameter} ({line.device})"
            checked = line.qa_qc or None
            if line.error_percent is not None:
                by = words.filled("plan_error", words.number(str(line.error_percent)))
                checked = f"{line.qa_qc}; {by}"
            often = words.get(f"frequency.{line.frequency}", line.frequency)
            if every := _delivered(facts, line):
                often = f"{often}; {words.filled('delivered_every', words.number(every))}"
            yield [version.name, what, often, checked, line.responsible or None]


def _delivered(facts: Facts, line: Line) -> str | None:
    """Return how often the slowest device of a line gave a reading. [min]"""
    mine = (one for one in facts.parameters if one.role == line.parameter)
    every = [
        s for one in mine if line.device in (None, one.device) and (s := cadence_s(one)) is not None
    ]
    return plain_text(max(every) / 60, 1) if every else None


def procedure_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the responsible person of each plan version, and its procedures."""
    if not facts.plan.versions:
        yield words["plan_responsible"], None
    for version in facts.plan.versions:
        yield f"{words['plan_responsible']} ({version.name})", version.responsible or None
        told = {**dict.fromkeys(PROCEDURES, ""), **version.procedures}
        for about, said in told.items():
            yield words.get(f"procedure.{about}", about), said.strip() or None


def deviation_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield deviations from the plan: as computed, and as stated by the operator."""
    conditions = [
        one
        for one in facts.subject.applicability
        if not one.holds and one.name in (RULE, FIXED, CONSECUTIVE)
    ]
    computed = "; ".join(
        f"{titled(one.name, words.language)}: {one.words(words.language)}" for one in conditions
    )
    yield words["deviations_computed"], computed or words["deviations_none"]
    for one in facts.subject.monitoring_plan or ():
        if one.kind:
            yield words.filled("plan_of_version", one.version), _of_version(one, facts, words)
    said = [
        told
        for version in facts.plan.versions
        for about, told in version.procedures.items()
        if about.strip().lower() == "deviations"
    ]
    yield words["deviations_operator"], "; ".join(said) or None


def _of_version(one: PlanVersion, facts: Facts, words: Words) -> str:
    """Say what a version is, why, when it was entered, who approved it, what differs."""
    kind = render(called(one.kind or REGISTERED), words.language)
    said = [words.filled("plan_kind", kind, words.day(one.from_))]
    if one.to:
        said.append(words.filled("plan_until", words.day(one.to)))
    said.append(words.filled("plan_reason", one.reason or ""))
    if one.entered:
        timezone = facts.subject.monitoring_period.timezone
        entered = local_date(instant_us(one.entered, "UTC"), timezone)
        said.append(words.filled("plan_entered", words.day(entered.isoformat())))
    if one.approval:
        by = one.approval
        said.append(words.filled("plan_approved", by.by, words.day(by.date), by.reference))
    else:
        said.append(words["plan_not_approved"])
    if one.differs is not UNSET:
        differs = "; ".join(words_of(each, words.language) for each in one.differs)
        said.append(words.filled("plan_differs", differs) if differs else words["plan_same"])
    return "; ".join(said)


def arrival_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the arrival of the readings, as in the statement."""
    said = facts.subject.arrival
    if not said:
        yield words["arrival"], None
        return
    counts = map(words.number, (said.readings, said.not_noted))
    yield words["arrival"], words.filled("arrival_text", *counts)
    share = words.in_percent(said.late_percent)
    yield words["arrival_late"], f"{words.number(said.late)}; {share}"
    yield (
        words["arrival_at_once"],
        words.filled("arrival_days", *map(words.number, (said.at_once_days, said.device_days))),
    )


def signed_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the share of signed energy by kind, as in the statement."""
    said = facts.subject.signed_energy
    if not said:
        yield words["signed"], None
        return
    for one in said.shares:
        kwh = words.number(f"{Decimal(one.energy_wh) / 1_000:f}")
        yield words[f"signed.{one.kind}"], f"{words.in_percent(one.share_percent)}; {kwh} kWh"
    yield words["signed_signers"], ", ".join(said.signers) or words["signed_nobody"]
    counts = (said.values, said.stored, said.contradicted)
    yield words["signed_values"], words.filled("signed_values_text", *map(words.number, counts))


def verifier_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield team, site visits, accreditation and signatory, as stated by the verifier."""
    said = facts.opinion.credential_subject if facts.opinion else None
    team = "; ".join(f"{one.name}, {one.function}" for one in (said and said.team) or ())
    visits = "; ".join(
        f"{one.day}, {one.place}: {one.text}" for one in (said and said.site_visits) or ()
    )
    reviews = (said and said.reviewer) or None
    signs = (said and said.signatory) or None
    yield words["team"], team or None
    yield words["site_visits"], visits or None
    yield words["accreditation"], (said and said.accreditation) or None
    yield words["reviewer"], None if reviews is None else f"{reviews.name}, {reviews.function}"
    yield words["signatory"], None if signs is None else f"{signs.name}, {signs.function}"


def status_url(facts: Facts) -> str | None:
    """Return the public page with the status of the statement."""
    base = facts.plan.public_url
    return None if base is None else f"{base}/statements/{facts.name}"


def cadence_s(one: MonitoredParameter) -> Fraction | None:
    """
    Return the mean interval of a device's readings; None without readings.

    By the time that they measured, so that an inverter may sleep at night; of readings too far
    apart to measure any, by all time that is not missing.
    """
    count = one.readings.count - one.readings.outside_period
    measured = Fraction(one.coverage.measured_s)
    there = Fraction(one.coverage.installed_s) - Fraction(one.coverage.missing_s)
    return (measured or there) / count if count > 0 and there > 0 else None


def anomalies(subject: Claims) -> dict[str, list[date]]:
    """Return the local days of each device with an hour or more of missing or unusual data."""
    zone = subject.monitoring_period.timezone
    lost: defaultdict[tuple[str, date], int] = defaultdict(int)
    found: set[tuple[str, date]] = set()
    for gap in subject.gaps:
        for day, begin, end in days(instant_us(gap.from_, "UTC"), instant_us(gap.to, "UTC"), zone):
            inside = min(end, instant_us(gap.to, "UTC")) - max(begin, instant_us(gap.from_, "UTC"))
            lost[gap.device, day] += inside
    found |= {key for key, us in lost.items() if us >= HOUR_US}
    for test in subject.unusual_readings or ():
        for run in test.days or ():
            first, end_day = date.fromisoformat(run.from_), date.fromisoformat(run.to)
            found |= {(run.device, first + timedelta(k)) for k in range((end_day - first).days)}
    by_device: dict[str, list[date]] = {}
    for device, day in sorted(found):
        by_device.setdefault(device, []).append(day)
    return by_device
