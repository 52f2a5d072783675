"""
Rows of the audit file required by JCM and ISO 14064-3 forms, and signatories' conclusions.

Values come from the registry or the verifier; None is shown as not stated.

Uncertainty of a sum of meters:

    U = sqrt(sum((u_i x_i)^2)) / |sum(x_i)|
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
from mrv.documents import UNSET, Issuer, Proof, UnsetType, words_of, write
from mrv.documents.monitoring import MonitoredParameter, PlanVersion
from mrv.documents.statement import Claims
from mrv.registry.calibration import class_percent
from mrv.registry.monitoring_plan import PROCEDURES, REGISTERED, Line, called
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.rounding import plain_text
from mrv.rules import titled
from mrv.statement.conditions import reasons_of, unanswered, unmet
from mrv.statement.conformity import CONSECUTIVE, FIXED, RULE
from mrv.statement.findings import about_text
from mrv.statement.opinion import requirements
from mrv.statement.plan_extract import NOWHERE
from mrv.texts import render

_UG = 10**6  # micrograms of the unit text: millionths of a tonne


class Uncertainty(NamedTuple):
    """Uncertainty of a sum: in t CO2e, and as a share of it [%]; None where not determined."""

    tonnes: str | None
    percent: str | None


def percent_of(parameter: MonitoredParameter) -> Fraction | None:
    """Return the maximum permissible error of a meter [%]; None where not stated."""
    result = [
        Fraction(c.max_error_percent)
        if c.max_error_percent is not None
        else class_percent(c.accuracy_class)
        for c in parameter.calibrations
    ]
    known = [percent for percent in result if percent is not None]
    return max(known) if known and len(known) == len(result) else None


def combined(parameters: Sequence[MonitoredParameter]) -> Uncertainty:
    """Return the combined uncertainty of all meters; not determined if that of one is unknown."""
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
    """Return the square root, rounded up to a multiple of 1/parts."""
    scaled = -(-square * parts * parts // 1)
    root = isqrt(int(scaled))
    return Fraction(root if root * root == scaled else root + 1, parts)


def _decimal(units: int, parts: int) -> str:
    places = len(str(parts)) - 1
    whole, rest = divmod(int(units), parts)
    return f"{whole}.{rest:0{places}d}"


def percent_text(percent: Fraction | None) -> str | None:
    """Return a percentage as decimal text with two places, rounded up; None if unknown."""
    return None if percent is None else _decimal(-(-percent * 100 // 1), 100)


Row = list[str | None]


def meter_rows(facts: Facts, words: Words) -> Iterator[Row]:
    """Yield each meter: device, maker and model, serial, ratings, uncertainty."""
    for parameter in facts.parameters:
        basis = parameter.meter.gas_basis and words[f"gas.{parameter.meter.gas_basis}"]
        named = " ".join(
            text for text in (parameter.meter.maker, parameter.meter.model, basis) if text
        )
        percent = percent_text(percent_of(parameter))
        yield [
            parameter.device,
            named or None,
            parameter.meter.serial,
            _ratings(parameter, facts, words),
            None if percent is None else words.number(percent),
        ]


def point_rows(facts: Facts) -> list[Row]:
    """Return each meter with its monitoring point and loads, and the common meters."""
    common = dict.fromkeys(c.main for c in facts.plan.common)
    placed = [(p.device, p.meter.point or None, p.meter.feeds or ()) for p in facts.parameters]
    placed += [(main, *facts.plan.points.get(main, NOWHERE)) for main in common]
    return [[name, point, ", ".join(feeds) or None] for name, point, feeds in placed]


def _ratings(parameter: MonitoredParameter, facts: Facts, words: Words) -> str | None:
    result = parameter.meter.ratings or ()
    if not result:
        rated = next(
            (d.rated_power_w for d in facts.plan.devices if d.id == parameter.device), None
        )
        return None if rated is None else f"{words.number(str(rated))} W"
    begun = (local_date(instant_us(r.from_, "UTC"), facts.timezone).isoformat() for r in result)
    texts = (
        f"{words.number(r.rated_power_w)} W ({words.day(day)})"
        for r, day in zip(result, begun, strict=True)
    )
    return "; ".join(texts)


def uncertainty_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the uncertainty of the sum, and how it is combined, each with its name."""
    uncertainty = combined(facts.parameters)
    if uncertainty.tonnes is None:
        yield words["uncertainty_sum"], words["uncertainty_unknown"]
    else:
        share = "" if uncertainty.percent is None else f"; {words.in_percent(uncertainty.percent)}"
        yield words["uncertainty_sum"], f"{words.number(uncertainty.tonnes)} t CO2e{share}"
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
    """Return the longest mean reading interval of the devices of a monitoring-plan line. [min]"""
    mine = (parameter for parameter in facts.parameters if parameter.role == line.parameter)
    every = [
        s
        for parameter in mine
        if line.device in (None, parameter.device) and (s := cadence_s(parameter)) is not None
    ]
    return plain_text(max(every) / 60, 1) if every else None


def procedure_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the responsible person of each plan version, and its procedures."""
    if not facts.plan.versions:
        yield words["plan_responsible"], None
    for version in facts.plan.versions:
        yield f"{words['plan_responsible']} ({version.name})", version.responsible or None
        answer = {**dict.fromkeys(PROCEDURES, ""), **version.procedures}
        for about, message in answer.items():
            yield words.get(f"procedure.{about}", about), message.strip() or None


def deviation_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield deviations from the plan: as found by tonne, and as stated by the operator."""
    conditions = [
        condition
        for condition in facts.subject.applicability
        if not condition.holds and condition.name in (RULE, FIXED, CONSECUTIVE)
    ]
    computed = "; ".join(
        f"{titled(condition.name, words.language)}: {condition.words(words.language)}"
        for condition in conditions
    )
    yield words["deviations_computed"], computed or words["deviations_none"]
    for item in facts.subject.monitoring_plan or ():
        if item.kind:
            yield words.filled("plan_of_version", item.version), _of_version(item, facts, words)
    lines = [
        message
        for version in facts.plan.versions
        for about, message in version.procedures.items()
        if about.strip().lower() == "deviations"
    ]
    yield words["deviations_operator"], "; ".join(lines) or None


def _of_version(version: PlanVersion, facts: Facts, words: Words) -> str:
    """Return the description of a plan version: kind, reason, entry, approval, differences."""
    kind = render(called(version.kind or REGISTERED), words.language)
    lines = [words.filled("plan_kind", kind, words.day(version.from_))]
    if version.to:
        lines.append(words.filled("plan_until", words.day(version.to)))
    lines.append(words.filled("plan_reason", version.reason or ""))
    if version.entered:
        timezone = facts.subject.monitoring_period.timezone
        entered = local_date(instant_us(version.entered, "UTC"), timezone)
        lines.append(words.filled("plan_entered", words.day(entered.isoformat())))
    if version.approval:
        by = version.approval
        lines.append(words.filled("plan_approved", by.by, words.day(by.date), by.reference))
    else:
        lines.append(words["plan_not_approved"])
    if version.differs is not UNSET:
        differs = "; ".join(words_of(each, words.language) for each in version.differs)
        lines.append(words.filled("plan_differs", differs) if differs else words["plan_same"])
    return "; ".join(lines)


def arrival_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the figures on the arrival of the readings, as in the statement, each with its name."""
    arrival = facts.subject.arrival
    if not arrival:
        yield words["arrival"], None
        return
    counts = map(words.number, (arrival.readings, arrival.not_noted))
    yield words["arrival"], words.filled("arrival_text", *counts)
    share = words.in_percent(arrival.late_percent)
    yield words["arrival_late"], f"{words.number(arrival.late)}; {share}"
    yield (
        words["arrival_at_once"],
        words.filled(
            "arrival_days", *map(words.number, (arrival.at_once_days, arrival.device_days))
        ),
    )


def signed_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the share of signed energy by kind, as in the statement."""
    signed_energy = facts.subject.signed_energy
    if not signed_energy:
        yield words["signed"], None
        return
    for share in signed_energy.shares:
        kwh = words.number(f"{Decimal(share.energy_wh) / 1_000:f}")
        yield words[f"signed.{share.kind}"], f"{words.in_percent(share.share_percent)}; {kwh} kWh"
    yield words["signed_signers"], ", ".join(signed_energy.signers) or words["signed_none"]
    counts = (signed_energy.values, signed_energy.stored, signed_energy.contradicted)
    yield words["signed_values"], words.filled("signed_values_text", *map(words.number, counts))


def verifier_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield team, site visits, accreditation and signatory, as stated by the verifier."""
    conclusion = facts.opinion.credential_subject if facts.opinion else None
    team = "; ".join(
        f"{person.name}, {person.function}" for person in (conclusion and conclusion.team) or ()
    )
    visits = "; ".join(
        f"{visit.day}, {visit.place}: {visit.text}"
        for visit in (conclusion and conclusion.site_visits) or ()
    )
    reviews = (conclusion and conclusion.reviewer) or None
    signs = (conclusion and conclusion.signatory) or None
    yield words["team"], team or None
    yield words["site_visits"], visits or None
    yield words["accreditation"], (conclusion and conclusion.accreditation) or None
    yield words["reviewer"], None if reviews is None else f"{reviews.name}, {reviews.function}"
    yield words["signatory"], None if signs is None else f"{signs.name}, {signs.function}"


def status_url(facts: Facts) -> str | None:
    """
    Return the address of the public page with the status of the statement; None if
    it has none.
    """
    base = facts.plan.public_url
    return None if base is None else f"{base}/statements/{facts.name}"


def cadence_s(parameter: MonitoredParameter) -> Fraction | None:
    """
    Return the mean interval of a device's readings; None without readings. [s]

    The number of readings divides the measured time, as an inverter may switch off at night;
    without measured time, all time that is not missing.
    """
    count = parameter.readings.count - parameter.readings.outside_period
    measured = Fraction(parameter.coverage.measured_s)
    there = Fraction(parameter.coverage.installed_s) - Fraction(parameter.coverage.missing_s)
    return (measured or there) / count if count > 0 and there > 0 else None


def anomalies(subject: Claims) -> dict[str, list[date]]:
    """Return the local days of each device with an hour or more of missing or unusual data."""
    zone = subject.monitoring_period.timezone
    lost: defaultdict[tuple[str, date], int] = defaultdict(int)
    result: set[tuple[str, date]] = set()
    for gap in subject.gaps:
        for day, begin, end in days(instant_us(gap.from_, "UTC"), instant_us(gap.to, "UTC"), zone):
            inside = min(end, instant_us(gap.to, "UTC")) - max(begin, instant_us(gap.from_, "UTC"))
            lost[gap.device, day] += inside
    result |= {key for key, us in lost.items() if us >= HOUR_US}
    for test in subject.unusual_readings or ():
        for run in test.days or ():
            first, end_day = date.fromisoformat(run.from_), date.fromisoformat(run.to)
            result |= {(run.device, first + timedelta(k)) for k in range((end_day - first).days)}
    by_device: dict[str, list[date]] = {}
    for device, day in sorted(result):
        by_device.setdefault(device, []).append(day)
    return by_device


class FindingRow(NamedTuple):
    """A finding, or one event of it, as a table row; None where empty."""

    name: str
    kind: str
    event: str
    by: str | None
    at: str | None
    text: str
    effect_t: str | None


def opinion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield names and values of the opinion; None where no document states it."""
    yield words["statement"], facts.name
    yield words["state"], state(facts, words)
    yield from signer_rows(facts, words)
    yield from conclusion_rows(facts, words)
    yield from evidence_rows(facts, words)


def signer_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield preparer and verifier, each with time and key of the signature."""
    statement, opinion = facts.stated, facts.opinion
    proof = first_proof(statement.proof)
    yield words["preparer"], _signer(facts, statement.issuer)
    yield words["signed_at"], words.moment(proof.created, facts.timezone) if proof else None
    yield words["preparer_key"], proof.verification_method if proof else None
    if opinion is not None:
        theirs = first_proof(opinion.proof)
        yield words["verifier"], _signer(facts, opinion.issuer)
        yield words["verified_at"], words.moment(opinion.valid_from, facts.timezone)
        yield words["verifier_key"], theirs.verification_method if theirs else None


def _signer(facts: Facts, issuer: Issuer | UnsetType) -> str | None:
    if issuer is UNSET:
        return None
    organisation = facts.organisation(issuer)
    return organisation if organisation == issuer.name else f"{organisation} ({issuer.name})"


def conclusion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield opinion, assurance, materiality and activities, each with its name."""
    if facts.opinion is None:
        yield words["opinion"], words["not_verified"]
        return
    conclusion = facts.opinion.credential_subject
    yield words["opinion"], words.get(f"opinion.{conclusion.opinion}", conclusion.opinion)
    level = conclusion.level_of_assurance
    yield words["assurance"], words.get(f"assurance.{level}", level)
    yield words["materiality"], words.in_percent(conclusion.materiality_percent)
    errors = conclusion.misstatements
    if errors:
        net = errors.net_misstatement_t, errors.net_share_percent
        absolute = errors.absolute_misstatement_t, errors.absolute_share_percent
        yield words["misstatement_net"], _error(*net, words)
        yield words["misstatement_absolute"], _error(*absolute, words)
        yield words["material"], words["yes" if errors.material else "no"]
    # the verifier's own text; that of tonne 0.1.0 was generated
    if conclusion.procedure and conclusion.unmet is not UNSET:
        yield words["procedure"], conclusion.procedure


def finding_rows(facts: Facts, words: Words) -> Iterator[FindingRow]:
    """Yield the events of each finding, then the verifier's remarks."""
    for finding in facts.findings:
        kind = words.get(f"finding.{finding.kind}", finding.kind)
        if not finding.finding:
            yield FindingRow(words["remark"], kind, "", None, None, finding.text or "", None)
            continue
        events = finding.events or ()
        for place, event in enumerate(events):
            last = place == len(events) - 1
            name = words.get(f"finding.{event.event}", event.event)
            effect = finding.effect_t or None if last else None
            where = about_text(finding.about) if finding.about is not UNSET and place == 0 else ""
            message = f"{where}: {event.text}" if where else event.text
            yield FindingRow(finding.finding, kind, name, event.by, event.at, message, effect)


def condition_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str, str]]:
    """Yield the conditions not met: rule, detail, severity and remedy."""
    opinion = facts.opinion
    conclusion = None if opinion is None else opinion.credential_subject
    remaining = (
        unmet(facts.subject) if conclusion is None else unanswered(facts.subject, conclusion)
    )
    reasons = {} if conclusion is None else reasons_of(conclusion)
    for item in unmet(facts.subject):
        if conclusion is None or item in remaining:
            request = words[f"finding.{item.severity}"], words["finding.open"]
            answer = f"{', '.join(request)}. {item.remedy_words(words.language)}".strip()
        else:
            answer = words.filled("finding.closed_for", reasons[item.rule, item.texts])
        yield titled(item.rule, words.language), item.words(words.language), answer


def parameter_rows(facts: Facts, words: Words) -> list[list[str | None]]:
    """Return a row on the verification of each monitored parameter."""
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    return [
        [
            words.get(f"role.{parameter.parameter}", parameter.parameter)
            + ("" if parameter.device is None else f" ({parameter.device})"),
            parameter.means.strip() or None,
            parameter.source.strip() or None,
            parameter.cross_checked.strip() or None,
            parameter.opinion.strip() or None,
        ]
        for parameter in (conclusion and conclusion.parameters) or ()
    ]


def requirement_rows(facts: Facts, words: Words) -> list[list[str | None]]:
    """Return a row on the verification of each requirement, including those without a text."""
    conclusion = None if facts.opinion is None else facts.opinion.credential_subject
    result = {r.requirement: r for r in (conclusion and conclusion.requirements) or ()}
    rows: list[list[str | None]] = []
    for requirement in requirements(facts.subject):
        item = result.get(requirement)
        cells = (None, None) if item is None else (item.means.strip(), item.opinion.strip())
        rows.append([words[f"requirement.{requirement}"], *(cell or None for cell in cells)])
    return rows


def open_findings(facts: Facts) -> tuple[int, int]:
    """Return the number of corrective action and clarification requests: all, and open."""
    findings = [f for f in facts.findings if f.kind in {"CAR", "CL"} and not f.remark]
    return len(findings), sum(finding.state != "closed" for finding in findings)


def evidence_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the digests of the evidence, the log entry and the program, each with its name."""
    if facts.opinion is not None:
        for related in facts.opinion.related_resource:
            yield words["digest_of_statement"], related.digest_sri
    for name, digest in write(facts.subject.digests).items():
        yield words.get(f"digest.{name}", name), digest
    yield (
        words["log_entry"],
        (words["not_in_log"] if facts.log_index is None else str(facts.log_index)),
    )
    if facts.issued is not None:
        yield words["issue_time"], facts.issued
    for stamp in facts.stamps:
        yield words["time_stamp"], f"{stamp.time}, {stamp.signer}"
    if facts.log_index is not None and not facts.stamps:
        yield words["time_stamp"], words["no_time_stamp"]
    yield words["code_version"], facts.subject.code_version


def state(facts: Facts, words: Words) -> str:
    """Return the state of the statement, with its successor if any."""
    text = words[f"state.{facts.state}"]
    return f"{text}: {facts.superseded_by}" if facts.superseded_by else text


def first_proof(proof: Proof | tuple[Proof, ...] | UnsetType) -> Proof | None:
    """Return the proof of a signed document, the first of a set; None of a draft."""
    if isinstance(proof, tuple):
        return proof[0]
    return proof or None


def _error(tonnes: str, share: str | None, words: Words) -> str:
    text = f"{words.number(tonnes)} t CO2e"
    return text if share is None else f"{text}; {words.in_percent(share)} {words['of_reduction']}"
