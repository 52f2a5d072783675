"""Comparison of a period with its monitoring plan, methodology and registered design."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import asin, cos, radians, sin, sqrt
from typing import TYPE_CHECKING

from ingest import classes, profiles
from mrv.accounting.period_result import Finding, PeriodResult
from mrv.accounting.rounded_figures import DESIGN, exceeds, in_force
from mrv.calendar import local_date, utc_text
from mrv.documents import UNSET, copied, text_in
from mrv.documents.monitoring import Planned
from mrv.methodologies import find
from mrv.parameters import exact
from mrv.registry import Calibration, Design, DesignedDevice, Event, Survey
from mrv.registry.monitoring_plan import CORRECTION, Version, blank, called, replaced
from mrv.registry.plan_departures import SURVEY_MONTHS, Meter, again, departures, imprecise, seldom
from mrv.registry.project import FIRST
from mrv.rounding import plain_text
from mrv.signatures.organisations import stem
from mrv.texts import MAX_LINES, Text, Value, devices_of, lines, text

if TYPE_CHECKING:
    from mrv.statement.plan_extract import MonitoringPlan


# shortest period that is not seasonal; a shorter one may be this share above the yearly mean [%, M]
_YEAR_US = 350 * 86_400_000_000
_SEASON = 50
# permitted difference of the rated power from that of an estimate [%, M]
_OFF_CAPACITY = 10
# tolerance of a site's coordinates, which are read from a map [km, M]; the earth's mean radius [km]
_SAME_PLACE_KM, _EARTH_KM = 1, 6_371
# quantities of gas at normal conditions
GASES = ("biogas",)
# fields of a plan's line that state how a parameter is measured
_MEASURED = ("channel", "option", "frequency", "accuracy_class", "error_percent")
GAS_BASES = (DRY, _) = ("dry", "wet")
# maximum full-load hours of a year: of PV with trackers in the sunniest places [M], of any plant
_SUN, _SUN_H, _YEAR_H = "pv_inverter", 2_800, 8_784


def as_designed(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Text]:
    """
    Yield a text on each difference from the registered design, and on a reduction above its
    estimate.
    """
    days = (
        local_date(result.from_us, result.timezone),
        local_date(result.to_us - 1, result.timezone),
    )
    design = plan.declared.design
    if design is not None:
        yield from _equipment(plan, design)
        yield from _phases(design, days[1])
        yield from _commissioned(plan, result, design)
        yield from _elsewhere(plan, design)
        yield from _populations(plan, design)
    yield from _old_surveys(plan, days[0])
    yield from _samples(plan, days[0])
    yield from _full_load(plan)
    yield from _capacity(plan, result)
    method = plan.project.methodology, plan.project.version
    yield from wet_gas(*method, [(d.device, d.role) for d in plan.project.devices], plan.gas)
    if not any(_explains(event, days) for event in plan.declared.events):
        yield from _above(result)


def _rating(watts: int | None) -> Text:
    """Return a registered rated power, or that none is entered."""
    if watts is None:
        return text("value.none")
    return text("value.amount", value=watts, unit="W")


def _equipment(plan: MonitoringPlan, design: Design) -> Iterator[Text]:
    """Yield a text on each difference between the project's devices and the design's equipment."""
    named: dict[tuple[str, str], list[DesignedDevice]] = {}
    for made in design.devices:
        named.setdefault((stem(made.make), stem(made.model)), []).append(made)
    installed: dict[tuple[str, str], list[str]] = {}
    rated = {device.id: device.rated_power_w for device in plan.devices}
    for device in sorted({device.device for device in plan.project.devices}):
        maker, model = plan.meters.get(device, (None, None))
        if named and maker and model:
            installed.setdefault((stem(maker), stem(model)), []).append(device)
    for key, devices in installed.items():
        maker, model = plan.meters[devices[0]]
        of: dict[str, Value] = {"make": maker or "", "model": model or "", "design": design.version}
        number = sum(made.number for made in named.get(key, ()))
        if not number:
            yield text("PLN-01.not_designed", devices=tuple(devices), **of)
        elif len(devices) != number:
            yield text("PLN-01.other_number", held=len(devices), number=number, **of)
        watts = {made.rated_power_w for made in named.get(key, ())}
        for device in devices:
            if watts and None not in watts and rated[device] not in watts:
                held = _rating(rated[device])
                watt = max(watt for watt in watts if watt)
                yield text("PLN-01.other_power", device=device, held=held, watt=watt, **of)
    for made in (rows[0] for key, rows in named.items() if key not in installed):
        number = sum(each.number for each in named[stem(made.make), stem(made.model)])
        of = {"make": made.make, "model": made.model, "design": design.version}
        yield text("PLN-01.not_installed", number=number, **of)


def _populations(plan: MonitoringPlan, design: Design) -> Iterator[Text]:
    """Yield findings on surveys whose population differs from the number of units of the design."""
    designed = {population.parameter: population for population in design.populations}
    for survey in plan.declared.surveys:
        own = designed.get(survey.parameter)
        if own is None:
            continue
        of: dict[str, Value] = {"parameter": survey.parameter, "design": design.version}
        if survey.population != own.number:
            surveyed = survey.population
            yield text("PLN-01.other_population", held=surveyed, number=own.number, **of)
        if own.participants and survey.participants:
            each = Fraction(survey.population, survey.participants)
            planned_each = Fraction(own.number, own.participants)
            if each > planned_each:
                units_each, number = plain_text(each, 2), plain_text(planned_each, 2)
                yield text("PLN-01.units_each", held=units_each, number=number, **of)


def _old_surveys(plan: MonitoringPlan, first: date) -> Iterator[Text]:
    """Yield a text on each parameter whose newest survey was outdated before the period began."""
    version = plan.versions[-1] if plan.versions else None
    method = find(plan.project.methodology, plan.project.version)
    for name in dict.fromkeys(survey.parameter for survey in plan.declared.surveys):
        last = max(survey.taken for survey in plan.declared.surveys if survey.parameter == name)
        due = again(version, name, method, last, SURVEY_MONTHS)
        if due is not None and due < first:
            yield text("PLN-01.old_survey", parameter=name, taken=str(last), due=str(due))


def _samples(plan: MonitoringPlan, first: date) -> Iterator[Text]:
    """
    Yield a text on each survey repeated before it was due, and on each sample with
    replaced units.
    """
    version = plan.versions[-1] if plan.versions else None
    method = find(plan.project.methodology, plan.project.version)
    latest: dict[str, Survey] = {}
    for survey in sorted(plan.declared.surveys, key=lambda s: s.taken):
        name, before = survey.parameter, latest.get(survey.parameter)
        latest[name] = survey
        due = before and again(version, name, method, before.taken, SURVEY_MONTHS)
        if before and due and survey.taken < due and survey.mean != before.mean and due > first:
            yield text(
                "PLN-01.surveyed_again", parameter=name, due=str(due), before=str(before.mean),
                mean=str(survey.mean), taken=str(before.taken), again=str(survey.taken),
            )  # fmt: skip
    for survey in latest.values():
        if survey.replaced:
            values: dict[str, Value] = {"n": survey.n, "replaced": survey.replaced}
            yield text("PLN-01.replaced_units", parameter=survey.parameter, **values)


def uncorrected(versions: Sequence[Version], earlier: Sequence[Version]) -> Iterator[Text]:
    """
    Yield a text on each correction of a plan that changes how a quantity is measured.

    A correction may only document the existing practice; another channel, option, frequency or
    device class, or a removed line, is a change of the plan (CDM project standard,
    post-registration changes).
    """
    for version in versions:
        every = [*earlier, *(version for version in versions if version not in earlier)]
        before = replaced(every, version) if version.kind == CORRECTION else None
        for line in () if before is None else before.lines:
            same = (line.parameter, line.device)
            now = next((n for n in version.lines if (n.parameter, n.device) == same), None)
            if now is None or any(getattr(now, key) != getattr(line, key) for key in _MEASURED):
                yield text(
                    "PLN-01.no_correction", version=version.name, parameter=line.parameter,
                    before=before.name if before else "",
                )  # fmt: skip


def _full_load(plan: MonitoringPlan) -> Iterator[Text]:
    """Yield a finding if the expected yearly energy exceeds the plant's full load."""
    devices = {device.id: (device.class_id, device.rated_power_w) for device in plan.devices}
    bound = ((device.role, *devices[device.device]) for device in plan.project.devices)
    counted = [
        bound_device for bound_device in bound if not plan.energy or bound_device[0] in plan.energy
    ]
    method = plan.project.methodology, plan.project.version
    result = over_full_load(*method, plan.project.expected.get("energy_kwh_per_year"), counted)
    if result is not None:
        yield result


def wet_gas(
    methodology: str, version: str, bound: Iterable[tuple[str, str]], bases: Mapping[str, object]
) -> Iterator[Text]:
    """Yield a text on each gas meter that measures wet gas, or has no stated gas basis."""
    roles = {r for r, need in find(methodology, version).roles.items() if need.quantity in GASES}
    for device in sorted({device for device, role in bound if role in roles}):
        if bases.get(device) != DRY:
            basis = text("plan.wet") if device in bases else text("plan.no_basis")
            yield text("PLN-01.gas_basis", device=device, basis=basis)


def _capacity(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Text]:
    """Yield a finding if the plant's rated power differs from that of the estimate."""
    span = result.from_us, result.to_us, result.timezone
    estimate, _, _ = in_force(plan.project.expected, span)[-1]
    stated = estimate.get("capacity_kw")
    if stated is None:
        return
    roles = find(plan.project.methodology, plan.project.version).roles
    rated = {device.id: device.rated_power_w for device in plan.devices}
    there = [
        rated[device.device]
        for device in plan.project.devices
        if roles[device.role].unit == "Wh" and roles[device.role].side == "baseline"
        and device.from_us < result.to_us and (device.to_us is None or device.to_us >= result.to_us)
    ]  # fmt: skip
    installed_kw = Fraction(sum(watt or 0 for watt in there), 1000)
    if (
        None not in there
        and abs(installed_kw - exact(stated, "capacity_kw")) * 100 > _OFF_CAPACITY * installed_kw
    ):
        begin = str(estimate["from"])
        yield text(
            "PLN-01.capacity", begin=begin, capacity=str(stated), held=plain_text(installed_kw, 3)
        )


def over_full_load(
    methodology: str, version: str, expected: object, devices: Iterable[tuple[str, str, int | None]]
) -> Text | None:
    """
    Return why an estimate exceeds the possible yearly output of its plant; else None.

    `expected`: yearly energy stated in the registry; None if not stated. [kWh]
    `devices` (iterable of (role, class, rated power)): meters of the project; generators are used.
    [W]
    """
    roles = find(methodology, version).roles
    rated = [
        (kind, power)
        for role, kind, power in devices
        if roles[role].unit == "Wh" and roles[role].side == "baseline"
    ]
    watt = sum(power or 0 for _, power in rated)
    if expected is None or not watt or any(power is None for _, power in rated):
        return None
    maximum = _SUN_H if all(kind == _SUN for kind, _ in rated) else _YEAR_H
    hours = exact(expected, "energy_kwh_per_year") * 1000 / watt
    if hours <= maximum:
        return None
    values = {"energy": str(expected), "hours": plain_text(hours, 0), "power": str(watt)}
    return text("PLN-01.full_load", **values, most=maximum)


def _phases(design: Design, last: date) -> Iterator[Text]:
    """Yield a text on each phase that is later than planned and has no reason."""
    for phase in design.phases:
        done = phase.commissioned if phase.commissioned and phase.commissioned <= last else None
        if phase.reason or (done or last) <= phase.planned:
            continue
        of: dict[str, Value] = {"phase": phase.name, "planned": str(phase.planned)}
        if done:
            yield text("PLN-01.phase_late", **of, commissioned=str(done))
        else:
            yield text("PLN-01.phase_open", **of)


def _commissioned(plan: MonitoringPlan, result: PeriodResult, design: Design) -> Iterator[Text]:
    """Yield a finding on a meter that is counted before the first phase was commissioned."""
    phases = [phase for phase in design.phases if phase.commissioned]
    begun = min(phases, key=lambda phase: phase.commissioned or date.max, default=None)
    first = None if begun is None or begun.reason else begun.commissioned
    roles = find(plan.project.methodology, plan.project.version).roles
    installed = {device.id: device.installed_us for device in plan.devices}
    began = [
        (max(device.from_us, installed[device.device], result.from_us), device.device)
        for device in plan.project.devices
        if roles[device.role].side == "baseline"
    ]
    if first is None or not began:
        return
    begin_us, device = min(began)
    begin = local_date(begin_us, result.timezone)
    if begin < first:
        days: dict[str, Value] = {"begin": str(begin), "commissioned": str(first)}
        yield text("PLN-01.before_commissioning", device=device, **days)


def _elsewhere(plan: MonitoringPlan, design: Design) -> Iterator[Text]:
    """Yield a finding if the plant is not at the location of its design."""
    if design.latitude is None or design.longitude is None:
        return
    mine = {device.device for device in plan.project.devices}
    places = {d.place: d.id for d in reversed(plan.devices) if d.id in mine and d.place}
    stated = float(design.latitude), float(design.longitude)
    away = [(_km(stated, place), name) for place, name in places.items()]
    if away and min(away)[0] > _SAME_PLACE_KM:
        km, device = min(away)
        yield text(
            "PLN-01.elsewhere", device=device, km=plain_text(Fraction(km), 1),
            design=design.version,
        )  # fmt: skip


def _km(item: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of two places on the sphere. [km]"""
    (a, x), (b, y) = (map(radians, place) for place in (item, other))
    h = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin((y - x) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(h))


def _explains(event: Event, days: tuple[date, date]) -> bool:
    """Return whether an event with a document explains a reduction above the estimate on days."""
    return event.what == "increase" and bool(event.document) and event.covers(None, *days)


def _above(result: PeriodResult) -> Iterator[Text]:
    whole = result.to_us - result.from_us >= _YEAR_US
    code = "PLN-01.above_estimate" if whole else "PLN-01.above_share"
    for comparison in result.comparisons:
        above = comparison.basis == DESIGN and exceeds(
            comparison.what, comparison.difference_percent
        )
        if above and (whole or Fraction(comparison.difference_percent or 0) > _SEASON):
            yield text(
                code, expected=comparison.expected, actual=comparison.actual,
                percent=str(comparison.difference_percent),
            )  # fmt: skip


RULE = "PLN-01"
CONSECUTIVE = "PLN-02"
FIXED = "PAR-01"
# findings on an estimate or an explained sample, which have no effect on tonnes
_ESTIMATES = (
    "PLN-01.full_load", "PLN-01.capacity", "PLN-01.above_share", "PLN-01.replaced_units",
    "PLN-01.surveyed_again", "PLN-01.not_installed",
)  # fmt: skip
_MAX_REQUEST = 500  # maximum length of a request repeated in a finding


def planned(plan: MonitoringPlan, role: str, device: str) -> Planned | None:
    """Return the line of the newest plan version for a device in a role; None if absent."""
    line = plan.versions[-1].line(role, device) if plan.versions else None
    if line is None:
        return None
    error = UNSET if line.error_percent is None else str(line.error_percent)
    return copied(Planned, line, version=plan.versions[-1].name, error_percent=error)


def conditions(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Finding]:
    """Yield findings on a period's conformity with the versions of its plan, one per subject."""
    if not plan.versions:
        yield Finding(RULE, False, text("PLN-01.none"))
        return
    first = local_date(result.from_us, result.timezone)
    earliest = min(plan.versions, key=lambda v: v.begins)
    texts = list[Text]()
    if earliest.begins > first:
        begins = str(earliest.begins)
        texts.append(text("PLN-01.begins", version=earliest.name, begins=begins))
    if plan.accounting > FIRST:
        texts += [each for version in plan.versions for each in _entered(plan, version, first)]
        texts += uncorrected(plan.versions, plan.versions_before)
        texts += as_designed(plan, result)
        texts += [
            text("PLN-01.departs", version=version.name, wrong=wrong)
            for version in plan.versions
            for wrong in seldom(version, (plan.project.methodology, plan.project.version))
        ]
    texts += [
        text("PLN-01.departs", version=version.name, wrong=wrong)
        for version in plan.versions
        for wrong in _departs(plan, version)
    ]
    if not texts or plan.accounting == FIRST:
        yield Finding(RULE, not texts, lines(texts))
        return
    for code in dict.fromkeys(text_.code for text_ in texts):
        same = [text_ for text_ in texts if text_.code == code]
        yield Finding(RULE, False, lines(same), "observation" if code in _ESTIMATES else "")


def _entered(plan: MonitoringPlan, version: Version, first: date) -> Iterator[Text]:
    """Yield findings on a version without approval or procedures, or entered late."""
    counts = max(first, version.begins)
    if version.approval is None:
        yield text("PLN-01.not_approved", version=version.name, kind=called(version.kind))
    # a date can be entered at any time; only the hash identifies the document
    approval = version.approval
    approved = approval is not None and bool(approval.sha256) and approval.day <= counts
    if version.entered is not None and not approved:
        entered = local_date(version.entered, plan.project.timezone)
        if entered > counts:
            yield text(
                "PLN-01.entered_late", version=version.name, entered=str(entered), begin=str(counts)
            )
    if missing := blank(version, surveyed=bool(plan.declared.surveys)):
        yield text("PLN-01.no_procedure", version=version.name, procedures=missing)


def since_before(plan: MonitoringPlan) -> Iterator[Finding]:
    """Yield findings: spans without a statement, open forward action requests, and changes."""
    # from rule set 2 on, the close reports the values of the issued statement, with their effect
    if plan.changed and plan.accounting == FIRST:
        yield Finding(FIXED, False, "; ".join(plan.changed))
    spans = [
        text("PLN-02.left_out", begin=utc_text(begin), end=utc_text(end))
        for begin, end in plan.unclaimed
    ]
    if spans and plan.accounting == FIRST:
        yield Finding(CONSECUTIVE, False, _as_0_1_0(plan.unclaimed))
    elif spans:
        yield Finding(CONSECUTIVE, False, (*lines(spans), text("PLN-02.close")))
    # one finding for each, so that the verifier can close each with its own justification
    for action in plan.forward:
        yield Finding(
            CONSECUTIVE,
            False,
            text(
                "PLN-02.forward",
                finding=action.finding,
                statement=action.statement or text("PLN-02.validation"),
                said=action.text
                if len(action.text) <= _MAX_REQUEST
                else f"{action.text[:_MAX_REQUEST]}...",
            ),
        )


def _as_0_1_0(unclaimed: Sequence[tuple[int, int]]) -> str:
    """Return the text about spans without a statement in the words that tonne 0.1.0 signed."""
    spans = [f"{utc_text(begin)} to {utc_text(end)}" for begin, end in unclaimed]
    more = f", and {len(spans) - MAX_LINES} more" if len(spans) > MAX_LINES else ""
    return (
        f"no issued statement covers {', '.join(spans[:MAX_LINES])}{more}: "
        "net emissions of that time would not be deducted; close and issue "
        "it too"
    )


def registered(plan: MonitoringPlan, result: PeriodResult) -> Iterator[Finding]:
    """
    Yield the findings of the registry's rules.

    A finding on an excluded meter (BND-01) has the rule's own severity if the consumption is too
    low for the service (MTR-06).
    """
    used = (f for f in result.applicability if f.rule == "MTR-06" and not f.holds)
    short = any(line.code != "MTR-06.no_model" for finding in used for line in finding.lines)
    for item in plan.registry:
        texts = tuple(map(text_in, item.texts))
        severity = "" if short and item.rule == "BND-01" else item.severity or ""
        yield Finding(item.rule, item.holds, texts, severity, devices=devices_of(texts))


def _departs(plan: MonitoringPlan, version: Version) -> Iterator[Text]:
    project = plan.project
    bound = [(d.device, d.role) for d in project.devices]
    meters = {
        d.id: meter(d.class_id, d.profile, plan.calibrations.get(d.id, ())) for d in plan.devices
    }
    yield from departures(version, (project.methodology, project.version), bound, meters)
    yield from imprecise(version, (project.methodology, project.version), meters, bound)


def meter(class_id: str, profile: str, calibrations: Sequence[Calibration]) -> Meter:
    """Return the data of a device for the plan; registers have their names in registry files."""
    device_class = classes.load().get(class_id)
    generic, own = (profiles.load().get((class_id, name)) for name in ("generic", profile))
    if device_class is None or generic is None or own is None:
        return Meter({}, calibrations)
    reads = {source.channel for source in own.channels.values()}
    quantities = {r.name: str(r.quantity) for r in device_class.registers if r.name in reads}
    return Meter(
        {
            source.path: quantities[source.channel]
            for source in generic.channels.values()
            if source.channel in quantities
        },
        calibrations,
    )
