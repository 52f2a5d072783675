"""
What the registry says of a period's meters that a statement has to say too.

One physical meter has one id; a certificate covers the meter that it names; a rating that
was recorded after the time that it counts for, or a meter at the site that is in no
project, needs a reason.  What is wrong is a condition that does not hold, and what nobody
can tell apart earns nothing until it is mended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from psycopg import Connection

from mrv.accounting import outside_meters
from mrv.calendar import local_date, utc_text
from mrv.documents.coded import Coded, coded
from mrv.documents.monitoring import FactorAccepted
from mrv.documents.plan import RegistryCondition
from mrv.method_lives import broken
from mrv.methodologies import find
from mrv.registry.project import Certified, Document, Invoice, Project, Sample
from mrv.signatures.organisations import stem
from mrv.texts import plain, text
from services.issuer import acceptances, contradicting_papers, repeated_days, same_series
from services.issuer.contradicting_papers import papers
from services.issuer.outside_meters import outside
from services.issuer.repeated_days import repeated_elsewhere
from services.issuer.same_series import same_elsewhere
from services.issuer.unserved_time import covered, lifetime, serving, unserved
from services.registry import meters
from services.registry.authority import entered_records, life_of
from services.registry.entries import Device, Rating, Registry
from services.registry.entries import Project as Entry
from services.registry.parameter_documents import document_of
from services.store.registry.entries_from_rows import load_ratings, load_registry
from services.store.statements.energy_certificates import beside, certified
from services.store.timeseries.beyond_rating import beyond_rating

METERS = "REG-01"
CERTIFICATES = "REG-02"
REPLACEMENTS = "REG-03"
RATINGS = "REG-04"
SCALE = "MTR-01"
BOUNDARY = "BND-01"
CERTIFIED = "CLM-01"  # the database knows it too
SAME_ENERGY = "CLM-01"
LIFE = "PLN-03"
EX_ANTE = "PAR-07"
_SHOWN = 5


class Told(NamedTuple):
    """
    Conditions, devices that earn nothing and why, certified energy, rated powers by time.

    `accepted` are factors of registry files that are entered as accepted, `samples` are what
    laboratories found in the period, `documents` what the plant's design stands in, `invoices`
    those that touch it, each with its doubt, `replaced` those that another one corrects, with
    that one and the reason.
    """

    conditions: tuple[RegistryCondition, ...]
    accepted: tuple[FactorAccepted, ...]
    uncounted: dict[str, str]
    certified: dict[tuple[str, str], tuple[Certified, ...]]
    ratings: dict[str, tuple[tuple[int, int], ...]]
    samples: tuple[Sample, ...]
    documents: tuple[Document, ...] = ()
    invoices: tuple[Invoice, ...] = ()
    replaced: tuple[tuple[Invoice, Invoice, str], ...] = ()


def told(conn: Connection, project: Project, from_us: int, to_us: int) -> Told:
    """
    Hold the registry against what a period asks of it.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    """
    period_us = from_us, to_us
    registry = load_registry(conn)
    recorded = load_ratings(conn)
    mains = sorted({d.device for d in project.devices})
    every = registry.devices  # made anew at each look
    devices = [every[name] for name in mains]
    twice = {
        other.id: meters.duplicate_meter(one, other)
        for one, other in meters.same_meters(registry)
        if other.id in mains
    }
    alike = [
        meters.alike_meter(one, other)
        for one, other in meters.alike_meters(registry)
        if {one.id, other.id} & set(mains)
    ]
    accepted = acceptances.acceptances(conn, registry)
    operators = acceptances.operators(conn)
    since = {name: held[0][1] for name, held in recorded.items() if held}
    same = same_elsewhere(conn, registry, project, (from_us, to_us), since)
    days = repeated_elsewhere(conn, registry, project, (from_us, to_us), since, same)
    given = papers(conn, registry, project, from_us, to_us)
    reasons = _reasons(registry, project.id)
    left = unserved(conn, registry, project, reasons, period_us)
    late = {
        shown: [t for d in devices for t in _back_dated(d.id, recorded[d.id], to_us, shown=shown)]
        for shown in (False, True)
    }
    found = [
        (METERS, [*_unnamed(devices), *(f"{d}: {text}" for d, text in twice.items()), *alike]),
        (CERTIFICATES, [*_certificates(devices)]),
        (REPLACEMENTS, [*_replacements(devices)]),
        (RATINGS, late[False]),
        (SCALE, [str(one) for one in beyond_rating(conn, *period_us, mains)]),
        (EX_ANTE, [*_undocumented(project, registry.projects[project.id], operators)]),
        (contradicting_papers.OWN_INVOICES, given.own),
        (contradicting_papers.RULE, given.contradicting),
        (acceptances.FACTORS, [*acceptances.brought(project, registry, accepted)]),
        (acceptances.DEBT, [*acceptances.debts(conn, project, accepted, (from_us, to_us))]),
        (same_series.RULE, same.alike),
        (same_series.INSIDE, same.inside),
        (repeated_days.RULE, days.alike),
        (LIFE, [*expired(registry, project, to_us)]),
        (SAME_ENERGY, beside(conn, mains, from_us, to_us)),
        (outside_meters.RULE, [*outside(conn, project, left, period_us)]),
        (BOUNDARY, [*_outside(project, registry, period_us)]),
    ]
    elsewhere = certified(conn, mains, from_us, to_us)
    given_reasons = "; ".join(f"{name}: {text}" for name, text in sorted(reasons.items()))
    conditions = [
        RegistryCondition(rule=rule, holds=False, texts=_coded(_listed(texts)))
        for rule, texts in found
        if texts
    ]
    if elsewhere:
        named = tuple(
            coded(
                text(
                    "CLM-01.certified",
                    device=device,
                    certificate=one.certificate,
                    scheme=one.scheme,
                    wh=int(one.value.sum()),
                )
            )
            for (device, _), held in elsewhere.items()
            for one in held
        )
        conditions.append(RegistryCondition(rule=CERTIFIED, holds=True, texts=named))
    if late[True] and not late[False]:
        conditions.append(
            RegistryCondition(rule=RATINGS, holds=True, texts=_coded(_listed(late[True])))
        )
    if given_reasons and not found[-1][1]:
        conditions.append(RegistryCondition(rule=BOUNDARY, holds=True, texts=_coded(given_reasons)))
    return Told(
        tuple(conditions),
        tuple(acceptances.factors_accepted(project, registry, accepted)),
        {**days.uncounted, **same.uncounted, **twice},
        elsewhere,
        {d.id: rated_powers(recorded[d.id]) for d in devices if recorded[d.id]},
        _samples(registry.projects[project.id], project.timezone, from_us, to_us),
        tuple(
            one
            for one in _design(project, registry.projects[project.id], operators)
            if one.parameter not in given.parameters
        ),
        given.invoices,
        given.replaced,
    )


def _design(project: Project, entry: Entry, operators: Collection[str]) -> tuple[Document, ...]:
    """Documents of what the plant was built for; one that its operator wrote is none."""
    designed = find(project.methodology, project.version).documented
    given = entry.documents or {}
    known = {*project.parameters}.union(*(bound.params for bound in project.devices))
    found = [document_of(name, given[name]) for name in designed if name in known and name in given]
    return tuple(one for one in found if one.by is None or stem(one.by) not in operators)


def expired(registry: Registry, project: Project, to_us: int) -> Iterator[str]:
    """Say where a period's methodology has ended in the programme that registered the project."""
    for record in entered_records(registry).registrations:
        if record.project == project.id:
            life = life_of(record, project.methodology, project.version)
            if life is not None:
                last = local_date(to_us - 1, project.timezone)
                yield from broken(life, record.registered, last + timedelta(days=1))


def _samples(entry: Entry, timezone: str, from_us: int, to_us: int) -> tuple[Sample, ...]:
    """What was sampled on the local days of a period."""
    first, last = local_date(from_us, timezone), local_date(to_us - 1, timezone)
    return tuple(s for s in entry.laboratory or () if first <= s.taken <= last)


def _coded(words: str) -> tuple[Coded, ...]:
    return tuple(map(coded, plain(words)))


def _listed(texts: Sequence[str]) -> str:
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more


def rated_powers(held: Sequence[tuple[Rating, datetime]]) -> tuple[tuple[int, int], ...]:
    """
    Rated powers that count, from when on.

    What was recorded later than with the meter itself raises nothing for the time before it
    was recorded: no one saw the larger inverter then, unless the hash of its data sheet is
    given.  Nor does what was recorded with the meter and names no document.
    """
    began = min(recorded for _, recorded in held)
    # the last row of a time corrects those before it
    held = [*{one.begins: (one, recorded) for one, recorded in held}.values()]
    shown = {one for one, at in held if one.sha256 or (at == began and one.document)}
    shown.add(held[0][0])
    found: list[tuple[int, int]] = []
    for moment in sorted({one.begins for one, _ in held} | {recorded for _, recorded in held}):
        said = [(one, recorded) for one, recorded in held if one.begins <= moment]
        known = [i for i, (one, at) in enumerate(said) if at <= moment or one in shown]
        if known:
            watt = min(one.rated_power_w for one, _ in said[known[-1] :])
            if not found or found[-1][1] != watt:
                found.append((_us(moment), watt))
    return tuple(found)


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000


def _unnamed(devices: Sequence[Device]) -> Iterator[str]:
    for device in devices:
        if not (device.maker and device.serial):
            lacks = " and ".join(n for n in ("maker", "serial") if not getattr(device, n))
            yield f"{device.id} has no {lacks} in the registry; add it"


def _certificates(devices: Sequence[Device]) -> Iterator[str]:
    for device in devices:
        for one in device.calibrations or ():
            if one.serial is None:
                yield f"{device.id}: certificate {one.certificate} names no serial; add it"
            elif (
                device.serial is not None
                and one.serial != device.serial
                and not any(swap.at.date() > one.performed for swap in device.replacements or ())
            ):
                yield (
                    f"{device.id}: certificate {one.certificate} names {one.serial}, and the meter"
                    f" is {device.serial}; it covers nothing"
                )


def _replacements(devices: Sequence[Device]) -> Iterator[str]:
    for device in devices:
        for swap in device.replacements or ():
            if swap.document is None:
                yield (
                    f"{device.id}: the replacement of {utc_text(_us(swap.at))} names no document"
                    " of the old register's last and the new one's first value; add it"
                )


def _back_dated(
    name: str, held: Sequence[tuple[Rating, datetime]], to_us: int, *, shown: bool
) -> Iterator[str]:
    """Say which ratings were recorded after they began, those with a file's hash or the others."""
    for (before, _), (one, recorded) in pairwise(held):
        dated = one.begins < recorded and _us(one.begins) < to_us
        if dated and shown and one.sha256:
            yield (
                f"{name}: {one.rated_power_w:,} W counts in place of {before.rated_power_w:,} W"
                f" from {utc_text(_us(one.begins))}, recorded on {utc_text(_us(recorded))} by"
                f" {one.document} (SHA-256 {one.sha256})"
            )
        elif dated and not shown and not one.sha256:
            first = recorded == min(at for _, at in held)
            lower = one.rated_power_w > before.rated_power_w and not (first and one.document)
            yield (
                f"{name}: {one.rated_power_w:,} W in place of {before.rated_power_w:,} W from"
                f" {utc_text(_us(one.begins))} was recorded on {utc_text(_us(recorded))}"
                + (f" ({one.document})" if one.document else "; no document is named")
                + ("; until then the lower one counts" if lower else "")
            )


def _undocumented(project: Project, entry: Entry, operators: Collection[str]) -> Iterator[str]:
    """Numbers that the owner typed once and for all, of which no document is named."""
    method = find(project.methodology, project.version)
    typed = {name: spec for name, spec in method.parameters.items() if name in project.parameters}
    for bound in project.devices:
        specs = method.roles[bound.role].params
        typed |= {name: spec for name, spec in specs.items() if name in bound.params}
    for name, spec in typed.items():
        measured = spec.option or spec.published or spec.factor is not None
        if not measured and name not in (entry.documents or {}):
            yield f"{name} ({spec.meaning}): name in the project's `documents` what it rests on"
    for name in method.documented:
        paper = (entry.documents or {}).get(name)
        by = paper.get("by") if isinstance(paper, Mapping) else None
        if by is not None and stem(by) in operators:
            yield f"{name}: its document is by {by}, who operates the plant; name another giver's"


def _reasons(registry: Registry, project: str) -> dict[str, str]:
    """Why meters of the site are outside of a project's boundary."""
    return {one.device: one.reason for one in registry.projects[project].boundary or ()}


def _outside(project: Project, registry: Registry, period_us: tuple[int, int]) -> Iterator[str]:
    """Meters of the project's sites that could be of its project side, and are in no project."""
    method = find(project.methodology, project.version)
    kinds = {c for need in method.roles.values() if need.side == "project" for c in need.classes}
    mine = {d.device for d in project.devices}
    devices = registry.devices
    sites = {devices[name].site for name in mine}
    reasons = _reasons(registry, project.id)
    served = serving(registry)
    for device in devices.values():
        if device.site not in sites or device.class_id not in kinds:
            continue
        if device.check_of in mine or device.id in reasons:
            continue
        installed, removed = lifetime(device)
        begin, end = max(installed, period_us[0]), min(removed, period_us[1])
        if begin < end and not covered(served[device.id], begin, end):
            yield (
                f"{device.id} ({device.class_id}) at {device.site} is in no project, or not all"
                " of the time; bind it, or say in the project's `boundary` why it does not serve"
            )
