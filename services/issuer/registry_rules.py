"""
Rules on registry data: validity of meters, invoices and documents of a period.

Each function of a rule yields findings and excluded meters for `mrv.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from mrv.accounting.entered_values import undocumented
from mrv.calendar import local_date, utc_text
from mrv.documents import UNSET, coded
from mrv.documents.plan import RegistryCondition
from mrv.method_lives import broken
from mrv.model import LINE_DIAGRAM, METER_KEYS
from mrv.parameters import of_parameter
from mrv.registry import Calibration, Sample
from mrv.registry.monitoring_plan import PERMANENT
from mrv.registry.project import Document, Excluded, Project
from mrv.rounding import UG_PER_T, six_places
from mrv.signatures.organisations import stem
from mrv.texts import Text, Value, text, texts_of
from services.issuer import trust
from services.issuer.doubted_invoices import Cited
from services.issuer.left_out_meters import boundary_reasons
from services.issuer.left_out_use import reported, supplying
from services.issuer.registry_facts import Barred, Judged, Ratings, RegistryFacts, Validity, listed
from services.issuer.same_series import Copy
from services.registry import meters
from services.registry.declared import document_of
from services.registry.entries import CALIBRATION_EVERY, Device, calibration_every

LIFE = "PLN-03"
_DIGITS = 12  # of a printed hash


class Outcome(NamedTuple):
    """Outcome of the registry rules: findings, and the meters that they exclude."""

    conditions: tuple[RegistryCondition, ...]
    excluded: tuple[Excluded, ...]


def judged(facts: RegistryFacts) -> Outcome:
    """Return the findings of all registry rules, and the meters that they exclude."""
    conditions, excluded = list[RegistryCondition](), list[Excluded]()
    for rule, judge in JUDGES:
        for item in judge(facts):
            if isinstance(item, Barred):
                excluded.append(Excluded(item.device, rule, item.reason))
            else:
                texts = tuple(map(coded, texts_of(item.texts)))
                severity = item.severity or UNSET
                conditions.append(
                    RegistryCondition(rule=rule, holds=item.holds, texts=texts, severity=severity)
                )
    return Outcome(tuple(conditions), tuple(excluded))


def known_meters(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-01: yield meters without maker or serial number, duplicates, similar serials."""
    roles, twice = facts.methodology.roles, dict[str, Text]()
    earning = {d.device for d in facts.project.devices if roles[d.role].side == "baseline"}
    for device, other in facts.same:
        twice[other.id] = meters.duplicate_meter(device, other)
    yield from (Barred(name, why) for name, why in twice.items() if name in earning)
    texts = [
        text(
            "REG-01.no_serial" if item.maker
            else "REG-01.no_maker" if item.serial else "REG-01.no_maker_or_serial",
            device=item.id,
        )
        for item in facts.devices
        if not (item.maker and item.serial)
    ]  # fmt: skip
    texts += [why for name, why in twice.items() if name not in earning]
    texts += [meters.alike_meter(device, other) for device, other in facts.alike]
    yield from listed(texts)


def certificates(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-02: yield findings on certificates: serial number, changed dates, issuer, interval."""
    texts = [*_changed_dates(facts)]
    for device in facts.devices:
        for calibration in device.calibrations or ():
            of = {"device": device.id, "certificate": calibration.certificate}
            if calibration.serial is None:
                texts.append(text("REG-02.no_serial", **of))
            elif meters.of_other_meter(device, calibration):
                other = {"named": calibration.serial, "serial": device.serial or ""}
                texts.append(text("REG-02.other_serial", **of, **other))
            texts += _dependent(facts, device, calibration)
    yield from listed([*texts, *_longer_intervals(facts), *_longer_than_issued(facts)])


def _changed_dates(facts: RegistryFacts) -> Iterator[Text]:
    """Yield certificates with other dates than in issued statements."""
    now: dict[tuple[str, str], list[Calibration]] = {}
    for device in facts.devices:
        for calibration in device.calibrations or ():
            now.setdefault((device.id, calibration.certificate), []).append(calibration)
    for was in facts.issued:
        current = now.get((was.device, was.certificate), ())
        dates = [(str(c.performed), str(c.valid_until)) for c in current]
        if dates and (was.performed, was.valid_until) not in dates:
            yield text(
                "REG-02.other_dates", device=was.device, certificate=was.certificate,
                performed=dates[0][0], until=dates[0][1], statement=was.statement,
                was_performed=was.performed, was_until=was.valid_until,
            )  # fmt: skip


def _longer_intervals(facts: RegistryFacts) -> Iterator[Text]:
    """Yield calibration intervals that were lengthened after the period began."""
    for name, lengthened in sorted(facts.lengthened.items()):
        of: dict[str, Value] = {
            "device": name, "before": lengthened.before, "changed": utc_text(lengthened.changed_us),
        }  # fmt: skip
        if lengthened.now is None:
            yield text("REG-02.no_interval", **of)
        else:
            yield text("REG-02.longer_interval", **of, now=lengthened.now)


def _longer_than_issued(facts: RegistryFacts) -> Iterator[Text]:
    """Yield calibration intervals above the issued ones without an approved change of plan."""
    first = local_date(facts.period_us[0], facts.project.timezone)
    changes = [
        version.begins
        for version in facts.entry.monitoring or ()
        if version.kind == PERMANENT and version.approval is not None and version.begins <= first
    ]
    for device in facts.devices:
        was = facts.intervals.get(device.id)
        now = calibration_every(device.attributes.get(CALIBRATION_EVERY))
        if was is None or (now and now <= was.months):
            continue
        if not any(begins > was.since for begins in changes):
            of: dict[str, Value] = {"before": was.months, "statement": was.statement}
            months = text("REG-02.none") if now is None else str(now)
            yield text("REG-02.longer_than_issued", device=device.id, now=months, **of)


def by_operator(facts: RegistryFacts, calibration: Calibration) -> bool:
    """Return whether the operator or an affiliate issued a certificate, without accreditation."""
    laboratory = calibration.laboratory
    return laboratory is not None and not calibration.accreditation and facts.own(laboratory)


def _dependent(facts: RegistryFacts, device: Device, calibration: Calibration) -> Iterator[Text]:
    """Yield the finding of a certificate by the operator or the maker, without an accreditation."""
    laboratory = calibration.laboratory
    if laboratory is None or calibration.accreditation is not None:
        return
    of = {"device": device.id, "certificate": calibration.certificate, "laboratory": laboratory}
    if by_operator(facts, calibration):
        yield text("REG-02.by_operator", **of)
    elif device.maker is not None and stem(laboratory) == stem(device.maker):
        yield text("REG-02.by_maker", **of)


def replacements(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-03: yield replacements and moved meters without a document."""
    bare = [
        text("REG-03.no_document", device=device.id, time=utc_text(_us(swap.at)))
        for device in facts.devices
        for swap in device.replacements or ()
        if swap.document is None
    ]
    elsewhere, renamed = _moved(facts)
    yield from listed([*bare, *elsewhere])
    # the operator must explain a renamed point; its readings remain valid
    yield from listed(renamed, severity="observation")
    if not (bare or elsewhere or renamed):
        yield from listed(_same_meters(facts), holds=True)


def _same_meters(facts: RegistryFacts) -> Iterator[Text]:
    """Yield texts on entered replacements by the same meter: its certificate remains valid."""
    begin, end = facts.period_us
    for device in facts.devices:
        at = [_us(swap.at) for swap in device.replacements or () if swap.same_meter]
        at = sorted(us for us in at if begin <= us < end)
        if at:
            yield text(
                "REG-03.same_meter", device=device.id, count=len(at),
                first=utc_text(at[0]), last=utc_text(at[-1]),
            )  # fmt: skip


def _moved(facts: RegistryFacts) -> tuple[list[Text], list[Text]]:
    """Return texts on meters with another load than before, and on renamed monitoring points."""
    zone = facts.project.timezone
    last = local_date(facts.period_us[1] - 1, zone)
    events = [e for e in facts.entry.events or () if e.what == "moved" and e.document]
    elsewhere, renamed = list[Text](), list[Text]()
    for device in facts.devices:
        was = facts.placed.get(device.id)
        attributes = device.attributes
        point, feeds = str(attributes.get("point", "")), tuple(attributes.get("feeds") or ())
        if was is None or any(
            device.id in event.devices and was.since <= event.begins <= last for event in events
        ):
            continue
        of: dict[str, Value] = {
            "device": device.id, "before": was.point, "now": point or text("REG-03.no_point"),
            "feeds": feeds or text("REG-03.no_point"), "fed": was.feeds or text("REG-03.no_point"),
        }  # fmt: skip
        if set(map(stem, was.feeds)) != set(map(stem, feeds)):
            elsewhere.append(text("REG-03.moved", **of))
        elif stem(was.point) != stem(point):
            renamed.append(text("REG-03.moved", **of))
    return elsewhere, renamed


def late_ratings(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-04: yield rated powers that were recorded after they took effect."""
    late = [text for name, rows in facts.ratings.items()
            for text in _back_dated(name, rows, facts.period_us[1])]  # fmt: skip
    bare = [text for text, hashed in late if not hashed]
    yield from listed(bare)
    if not bare:
        yield from listed((text for text, _ in late), holds=True)


def _back_dated(name: str, rows: Ratings, to_us: int) -> Iterator[tuple[Text, bool]]:
    """Yield the effect of each late rating, and whether a document supports it."""
    for (before, _), (rating, recorded) in pairwise(rows):
        if not (rating.begins < recorded and _us(rating.begins) < to_us):
            continue
        values: dict[str, Value] = {
            "device": name, "power": rating.rated_power_w, "before": before.rated_power_w,
            "begins": utc_text(_us(rating.begins)), "recorded": utc_text(_us(recorded)),
            "document": rating.document or text("REG-04.no_document"),
        }  # fmt: skip
        if rating.sha256:
            yield text("REG-04.corrected", sha256=rating.sha256, **values), True
            continue
        first = recorded == min(at for _, at in rows)
        lower = rating.rated_power_w > before.rated_power_w and not (first and rating.document)
        yield text("REG-04.late_lower" if lower else "REG-04.late", **values), False


def implausible_ratings(facts: RegistryFacts) -> Iterator[Judged]:
    """MTR-01: yield registers that rise many times faster than their rated power allows."""
    yield from listed(beyond.text() for beyond in facts.beyond)


def copies_inside(facts: RegistryFacts) -> Iterator[Judged]:
    """MTR-03: yield meters of the project that duplicate another of its meters."""
    yield from _copies(c for c in facts.copies if c.project is None and not c.days_before)


def copies_elsewhere(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-02: yield meters that duplicate another project's meter, or an earlier time."""
    yield from _copies(copy for copy in facts.copies if copy.project or copy.days_before)
    # the registry of a revoked statement may have issued and sold units
    revoked = (text("CLM-02.revoked", **statement._asdict()) for statement in facts.revoked)
    yield from listed(revoked, severity="CL")


def _copies(copies: Iterable[Copy]) -> Iterator[Judged]:
    result = [*copies]
    excluded = {copy.device: copy for copy in result if copy.excluded}
    yield from (Barred(name, copy.reason) for name, copy in excluded.items())
    remaining = [copy for copy in result if copy.device not in excluded]
    yield from listed(copy.alike for copy in remaining if copy.equal)
    # a proportional or noisy copy still counts, but the operator must explain it
    yield from listed((copy.alike for copy in remaining if not copy.equal), severity="CL")


def issued_design(facts: RegistryFacts) -> Iterator[Judged]:
    """PLN-01: yield a design document that differs from the issued file of the same version."""
    design_ = facts.entry.design
    was = next((d for d in facts.designs if design_ and d.version == design_.version), None)
    if design_ is not None and was is not None and was.sha256 != design_.sha256:
        of: dict[str, Value] = {"version": was.version, "statement": was.statement}
        digests = {"before": f"{was.sha256[:_DIGITS]}...", "now": f"{design_.sha256[:_DIGITS]}..."}
        yield from listed([text("PLN-01.other_file", **of, **digests)])


# --- documents and invoices ---------------------------------------------------------------


def documented_values(facts: RegistryFacts) -> Iterator[Judged]:
    """PAR-07: yield manually entered constants without a document."""
    method, parameters = facts.methodology, facts.entry.documents or {}
    typed = {n: spec for n, spec in method.parameters.items() if n in facts.project.parameters}
    for bound in facts.project.devices:
        specs = method.roles[bound.role].params
        typed |= {name: spec for name, spec in specs.items() if name in bound.params}
    texts = [
        text("PAR-07.no_document", parameter=name)
        for name, spec in typed.items()
        # `close` reports constants that need a dated document, and defaults
        if not (
            spec.option
            or spec.published
            or spec.factor is not None
            or name in method.dated
            or "default" in of_parameter(name).by
        )
        and name not in parameters
    ]
    for name in method.documented:
        value = parameters.get(name)
        by = value.get("by") if isinstance(value, Mapping) else None
        if by is not None and facts.own(by):
            texts.append(text("PAR-07.own_document", parameter=name, by=by))
    yield from listed(texts)


def design(facts: RegistryFacts) -> Iterator[Document]:
    """Yield documents of values and line diagrams, except those by the operator."""
    parameters = facts.entry.documents or {}
    known = {*facts.project.parameters, LINE_DIAGRAM, METER_KEYS}
    known = known.union(*(bound.params for bound in facts.project.devices))
    for name in dict.fromkeys((*facts.methodology.documented, *parameters)):
        if name in known and name in parameters and name not in facts.invoices.unsupported:
            document = document_of(name, parameters[name])
            if document.by is None or not facts.own(document.by):
                yield document


def own_laboratories(facts: RegistryFacts) -> Iterator[Judged]:
    """PAR-06: yield results of the operator's own laboratory, or of an affiliated one."""
    yield from listed(
        text("PAR-06.own_laboratory", parameter=sample.parameter, sample=sample.sample,
             laboratory=sample.laboratory)
        for sample in samples_of(facts)
        if facts.own(sample.laboratory)
    )  # fmt: skip


def samples_of(facts: RegistryFacts) -> Iterator[Sample]:
    """Yield the laboratory samples of the period."""
    zone = facts.project.timezone
    first, last = (local_date(us, zone) for us in (facts.period_us[0], facts.period_us[1] - 1))
    yield from (s for s in facts.entry.laboratory or () if first <= s.taken <= last)


def own_invoices(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-08: yield invoices issued by the plant's operator."""
    yield from listed(
        text("EVD-08.own_invoice", invoice=invoice.id, issuer=invoice.issuer, number=invoice.number)
        for invoice in facts.invoices.own
    )


def contradicting_documents(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-09: yield corrections by another issuer, and contradicting documents with one file."""
    of_period = {invoice.id for invoice in facts.invoices.touching}
    texts = [
        text(
            "EVD-09.other_issuer", invoice=new.id, issuer=new.issuer, number=new.number,
            first=old.id, first_issuer=old.issuer, first_number=old.number,
        )
        for new, old in facts.invoices.foreign
        if new.id in of_period
    ]  # fmt: skip
    for sha256, every in facts.invoices.shared.items():
        mine = [cited for cited in every if cited.project == facts.project.id]
        if any(cited.kind == "document" or cited.name in of_period for cited in mine):
            names = dict.fromkeys(_cited(cited, facts, of_period) for cited in every)
            texts.append(
                text("EVD-09.one_file", documents=tuple(names), sha256=f"{sha256[:_DIGITS]}...")
            )
    yield from listed(texts)


def _cited(cited: Cited, facts: RegistryFacts, of_period: set[str]) -> Text:
    """Return the name of a document, or of an invoice of another period or project."""
    own = cited.project == facts.project.id
    if cited.invoice is None:
        if own:
            return text("EVD-09.document", parameter=cited.name)
        return text("EVD-09.document_elsewhere", parameter=cited.name, project=cited.project)
    if not own:
        return text("EVD-09.invoice_elsewhere", project=cited.project)
    invoice = cited.invoice
    if cited.name in of_period:
        return text(
            "EVD-09.invoice", invoice=invoice.id, issuer=invoice.issuer, number=invoice.number
        )
    zone = facts.project.timezone
    begin, end = (str(local_date(us, zone)) for us in (invoice.from_us, invoice.to_us))
    return text("EVD-09.invoice_of", begin=begin, end=end)


# --- programme ----------------------------------------------------------------------------


def debts(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-04: yield negative reductions at the project's sites that no project has taken over."""
    yield from listed(_debt(facts, *debt) for debt in facts.owed)


def _debt(facts: RegistryFacts, statement: str, ug: int) -> Text:
    remaining = six_places(Fraction(ug, UG_PER_T), "down")
    of = {"statement": statement, "project": facts.project.id, "left": remaining}
    by = facts.accepted.get(("debt", statement, facts.project.id))
    if by is None:
        return text("CLM-04.owed", **of)
    return text("CLM-04.accepted", **of, acceptance=trust.acceptance_of(by))


def ended_methodology(facts: RegistryFacts) -> Iterator[Judged]:
    """PLN-03: yield a methodology that has expired in the project's programme."""
    yield from listed(expired(facts.lives, facts.project, facts.period_us[1]))


def expired(lives: Iterable[Validity], project: Project, to_us: int) -> Iterator[Text]:
    """Yield a finding if a period's methodology has expired in the project's programme."""
    after = local_date(to_us - 1, project.timezone) + timedelta(days=1)
    for life, registered in lives:
        yield from broken(life, registered, after)


def boundary(facts: RegistryFacts) -> Iterator[Judged]:
    """BND-01: yield excluded meters of the site with their quantities and emissions."""
    drawn = _drawn(facts)
    requests, confirmed = list[Text](), list[Text]()
    for out in facts.left_out:
        by = drawn if out.is_excluded else None
        result = reported(out, facts.project, facts.factors, facts.period_us, by)
        if result is not None:
            (requests if by is None else confirmed).append(result)
    yield from listed(requests)
    yield from listed(confirmed, severity="observation")
    above = (line for out in facts.left_out for line in supplying(out, facts.project))
    yield from listed(above, holds=True)
    yield from listed(
        text("BND-01.unbound", device=device.id, kind=device.class_id, site=device.site)
        for device in facts.unbound
    )
    if not facts.unbound:
        reasons = sorted(boundary_reasons(facts.registry, facts.project.id).items())
        outside = (text("BND-01.outside", device=name, reason=why) for name, why in reasons)
        yield from listed(outside, holds=True, maximum=None)


def _drawn(facts: RegistryFacts) -> Document | None:
    """Return a third party's line diagram issued before the period; None if there is none."""
    documents = [*design(facts)]
    first = local_date(facts.period_us[0], facts.project.timezone)
    if undocumented(LINE_DIAGRAM, {LINE_DIAGRAM: ""}, documents, first) is not None:
        return None
    return next(document for document in documents if document.parameter == LINE_DIAGRAM)


def certified_energy(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-01: yield energy certificates at the site."""
    yield from listed(
        text("CLM-01.beside", certificate=name, device=device)
        for name, device in facts.certified_elsewhere
    )
    yield from listed(
        (
            text("CLM-01.certified", device=device, certificate=item.certificate,
                 scheme=item.scheme, wh=int(item.value.sum()))
            for (device, _), certified in facts.certified.items()
            for item in certified
        ),
        holds=True,
        maximum=None,  # without a maximum, as the database compares every certificate
    )  # fmt: skip


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


# in the order in which findings are printed
JUDGES: tuple[tuple[str, Callable[[RegistryFacts], Iterator[Judged]]], ...] = (
    ("REG-01", known_meters),
    ("REG-02", certificates),
    ("REG-03", replacements),
    ("REG-04", late_ratings),
    ("PLN-01", issued_design),
    ("MTR-01", implausible_ratings),
    ("PAR-07", documented_values),
    ("PAR-06", own_laboratories),
    ("EVD-08", own_invoices),
    ("EVD-09", contradicting_documents),
    ("CLM-04", debts),
    ("CLM-02", copies_elsewhere),
    ("MTR-03", copies_inside),
    (LIFE, ended_methodology),
    ("CLM-01", certified_energy),
    ("BND-01", boundary),
)
