"""
Rules of the registry: which meters, invoices and documents of a period count as what they say.

Each judge reads `RegistryFacts` and yields findings, and meters that count nothing.  The engine of
`mrv.rules` takes these off by the rule that excluded them; what of invoices is doubted counts as
no evidence there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from mrv.accounting.factor_acceptance import parameters_of
from mrv.calendar import local_date, utc_text
from mrv.documents.coded import coded
from mrv.documents.monitoring import FactorAccepted
from mrv.documents.plan import RegistryCondition
from mrv.method_lives import broken
from mrv.methodologies import unit_reductions
from mrv.quantity_text import quantity_text
from mrv.registry.project import Certified, Document, Excluded, Invoice, Project, Sample
from mrv.rounding import UG_PER_T, decimal_text
from mrv.rules.effects import Said
from mrv.signatures.organisations import stem
from mrv.texts import texts_of
from services.issuer import acceptances
from services.issuer.doubted_invoices import Cited
from services.issuer.left_out_meters import LeftOut, Unserved, roles_of
from services.issuer.registry_facts import Lived, Ratings, RegistryFacts
from services.issuer.same_series import Copy
from services.registry import meters
from services.registry.entries import Rating
from services.registry.parameter_documents import document_of

LIFE = "PLN-03"
_SHOWN = 5
_DIGITS = 12  # of a hash that is named
_HOUR_US = 3_600_000_000


class Barred(NamedTuple):
    """A meter of which nothing counts for the baseline, and why."""

    device: str
    reason: str


Judged = Said | Barred


class Outcome(NamedTuple):
    """
    What the registry's rules come to.

    Attributes
    ----------
    accepted : tuple of FactorAccepted
        Factors of registry files that are entered as accepted.
    excluded : tuple of Excluded
        Meters that count nothing, by the rule that says so.
    ratings : mapping of str to tuple of (int, int)
        Rated powers by device, from when on. [us UTC, W]
    documents : tuple of Document
        Of what the plant was built for.
    invoices : tuple of Invoice
        That touch the period; those that are no evidence say why.
    replaced : tuple of (Invoice, Invoice, str)
        Invoices that another one corrects, that one, and the reason given.
    """

    conditions: tuple[RegistryCondition, ...]
    accepted: tuple[FactorAccepted, ...]
    excluded: tuple[Excluded, ...]
    certified: Mapping[tuple[str, str], tuple[Certified, ...]]
    ratings: dict[str, tuple[tuple[int, int], ...]]
    samples: tuple[Sample, ...]
    documents: tuple[Document, ...]
    invoices: tuple[Invoice, ...]
    replaced: tuple[tuple[Invoice, Invoice, str], ...]


def judged(facts: RegistryFacts) -> Outcome:
    """Evaluate every rule of the registry once."""
    conditions, excluded = list[RegistryCondition](), list[Excluded]()
    for rule, judge in JUDGES:
        for one in judge(facts):
            if isinstance(one, Barred):
                excluded.append(Excluded(one.device, rule, one.reason))
            else:
                texts = tuple(map(coded, texts_of(one.texts)))
                conditions.append(RegistryCondition(rule=rule, holds=one.holds, texts=texts))
    zone = facts.project.timezone
    first, last = (local_date(us, zone) for us in (facts.period_us[0], facts.period_us[1] - 1))
    return Outcome(
        tuple(conditions),
        tuple(acceptances.factors_accepted(facts.project, facts.registry, facts.accepted)),
        tuple(excluded),
        facts.certified,
        {name: rated_powers(held) for name, held in facts.ratings.items() if held},
        tuple(s for s in facts.entry.laboratory or () if first <= s.taken <= last),
        tuple(_design(facts)),
        facts.invoices.doubted(),
        facts.invoices.replaced(),
    )


def _listed(texts: Iterable[str], *, holds: bool = False) -> Iterator[Said]:
    """Report one finding of some texts; of none no finding."""
    found = [*texts]
    if found:
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        yield Said(holds, "; ".join(found[:_SHOWN]) + more)


# --- meters -------------------------------------------------------------------------------


def known_meters(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-01: meters without maker or serial, two ids of one meter, serials that read alike."""
    roles, twice = facts.methodology.roles, dict[str, str]()
    earning = {d.device for d in facts.project.devices if roles[d.role].side == "baseline"}
    for one, other in facts.same:
        twice[other.id] = meters.duplicate_meter(one, other)
    yield from (Barred(name, text) for name, text in twice.items() if name in earning)
    texts = []
    for device in facts.devices:
        lacks = " and ".join(n for n in ("maker", "serial") if not getattr(device, n))
        if lacks:
            texts.append(f"{device.id} has no {lacks} in the registry; add it")
    texts += [f"{name}: {text}" for name, text in twice.items() if name not in earning]
    texts += [meters.alike_meter(one, other) for one, other in facts.alike]
    yield from _listed(texts)


def certificates(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-02: calibration certificates that name no serial, or another one."""
    texts = []
    for device in facts.devices:
        for one in device.calibrations or ():
            if one.serial is None:
                texts.append(f"{device.id}: certificate {one.certificate} names no serial; add it")
            elif (
                device.serial is not None
                and one.serial != device.serial
                and not any(swap.at.date() > one.performed for swap in device.replacements or ())
            ):
                texts.append(
                    f"{device.id}: certificate {one.certificate} names {one.serial}, and the meter"
                    f" is {device.serial}; it covers nothing"
                )
    yield from _listed(texts)


def replacements(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-03: replacements of which no document is named."""
    yield from _listed(
        f"{device.id}: the replacement of {utc_text(_us(swap.at))} names no document"
        " of the old register's last and the new one's first value; add it"
        for device in facts.devices
        for swap in device.replacements or ()
        if swap.document is None
    )


def late_ratings(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-04: rated powers that were recorded after they began."""
    late = [text for name, held in facts.ratings.items()
            for text in _back_dated(name, held, facts.period_us[1])]  # fmt: skip
    bare = [text for text, hashed in late if not hashed]
    yield from _listed(bare)
    if not bare:
        yield from _listed((text for text, _ in late), holds=True)


def _back_dated(name: str, held: Ratings, to_us: int) -> Iterator[tuple[str, bool]]:
    """Yield what counts of each rating that was recorded late, and if a file's hash shows it."""
    for (before, _), (one, recorded) in pairwise(held):
        if not (one.begins < recorded and _us(one.begins) < to_us):
            continue
        if one.sha256:
            yield (
                (
                    f"{name}: {one.rated_power_w:,} W counts in place of {before.rated_power_w:,} W"
                    f" from {utc_text(_us(one.begins))}, recorded on {utc_text(_us(recorded))} by"
                    f" {one.document} (SHA-256 {one.sha256})"
                ),
                True,
            )
            continue
        first = recorded == min(at for _, at in held)
        lower = one.rated_power_w > before.rated_power_w and not (first and one.document)
        yield (
            (
                f"{name}: {one.rated_power_w:,} W in place of {before.rated_power_w:,} W from"
                f" {utc_text(_us(one.begins))} was recorded on {utc_text(_us(recorded))}"
                + (f" ({one.document})" if one.document else "; no document is named")
                + ("; until then the lower one counts" if lower else "")
            ),
            False,
        )


def implausible_ratings(facts: RegistryFacts) -> Iterator[Judged]:
    """MTR-01: registers that rise many times faster than their rated power allows."""
    yield from _listed(map(str, facts.beyond))


def copies_inside(facts: RegistryFacts) -> Iterator[Judged]:
    """MTR-03: meters of the project whose series are those of another of its meters."""
    yield from _copies(one for one in facts.copies if one.project is None and not one.days_before)


def copies_elsewhere(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-02: meters whose series are those of another project's meter, or of an earlier time."""
    yield from _copies(one for one in facts.copies if one.project or one.days_before)


def _copies(copies: Iterable[Copy]) -> Iterator[Judged]:
    found = [*copies]
    excluded = {one.device: one for one in found if one.excluded}
    for name, one in excluded.items():
        how = "quarter hour by quarter hour" if one.by_day is None else "day by day"
        yield Barred(name, f"says what {_other(one)} {_verb(one)}, {how}")
    yield from _listed(_alike(one) for one in found if one.device not in excluded)


def _other(one: Copy) -> str:
    return one.other if one.project is None else f"{one.other} ({one.project})"


def _verb(one: Copy) -> str:
    return f"said {one.days_before} days before" if one.days_before else "says"


def _alike(one: Copy) -> str:
    if one.equal:
        return f"{one.device} says what {_other(one)} says where both do"
    if one.by_day is None:
        return f"{one.device} moves as {_other(one)} does"
    ago = f" {one.days_before} days before" if one.days_before else ""
    return (
        f"{one.device}'s days are {one.by_day.ratio:.4g} times those of {_other(one)}{ago}, on"
        f" {one.by_day.days} of {one.by_day.known}"
    )


# --- documents and invoices ---------------------------------------------------------------


def documented_values(facts: RegistryFacts) -> Iterator[Judged]:
    """PAR-07: numbers that were typed once and for all, of which no document is named."""
    method, given = facts.methodology, facts.entry.documents or {}
    typed = {n: spec for n, spec in method.parameters.items() if n in facts.project.parameters}
    for bound in facts.project.devices:
        specs = method.roles[bound.role].params
        typed |= {name: spec for name, spec in specs.items() if name in bound.params}
    texts = [
        f"{name} ({spec.meaning}): name in the project's `documents` what it rests on"
        for name, spec in typed.items()
        if not (spec.option or spec.published or spec.factor is not None) and name not in given
    ]
    for name in method.documented:
        held = given.get(name)
        by = held.get("by") if isinstance(held, Mapping) else None
        if by is not None and stem(by) in facts.operators:
            texts.append(
                f"{name}: its document is by {by}, who operates the plant; name another giver's"
            )
    yield from _listed(texts)


def _design(facts: RegistryFacts) -> Iterator[Document]:
    """Documents of what the plant was built for; one that its operator wrote is none."""
    given = facts.entry.documents or {}
    known = {*facts.project.parameters}.union(*(bound.params for bound in facts.project.devices))
    for name in facts.methodology.documented:
        if name in known and name in given and name not in facts.invoices.unsupported:
            one = document_of(name, given[name])
            if one.by is None or stem(one.by) not in facts.operators:
                yield one


def own_invoices(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-08: invoices by who operates the plant."""
    yield from _listed(
        f"{_named(one)}: {one.issuer} operates the plant; it shows nothing. Give the invoice"
        " or the record of the other side: who supplied it, or who bought it"
        for one in facts.invoices.own
    )


def contradicting_documents(facts: RegistryFacts) -> Iterator[Judged]:
    """EVD-09: corrections by another issuer, and documents that name one file and differ."""
    of_period = {one.id for one in facts.invoices.touching}
    texts = [
        f"{_named(new)} corrects {_named(old)}: only {old.issuer} corrects that, and it counts as"
        f" it was. Give the issuer's own correction (`corrects: {new.id}`), or where the issuer was"
        " mistyped the `number` and `sha256` of the same file"
        for new, old in facts.invoices.foreign
        if new.id in of_period
    ]
    for sha256, some in facts.invoices.shared.items():
        mine = [one for one in some if one.project == facts.project.id]
        if any(one.kind == "document" or one.name in of_period for one in mine):
            names = " and ".join(dict.fromkeys(_cited(one, facts, of_period) for one in some))
            texts.append(
                f"{names} name one file (SHA-256 {sha256[:_DIGITS]}...) and are not one paper:"
                " they show nothing. Give each the hash of its own file, or, where they are one"
                " paper, the same issuer, number and date (an invoice by another one that"
                " `corrects` it), or giver and date"
            )
    yield from _listed(texts)


def _named(one: Invoice) -> str:
    return f"{one.id} ({one.issuer}, {one.number})"


def _cited(one: Cited, facts: RegistryFacts, of_period: set[str]) -> str:
    """Name a document; an invoice of other time by its days, one of another project by that."""
    own = one.project == facts.project.id
    if one.invoice is None:
        return f"the document of {one.name}" + ("" if own else f" of project {one.project}")
    if not own:
        return f"an invoice of project {one.project}"
    if one.name in of_period:
        return _named(one.invoice)
    span = one.invoice.from_us, one.invoice.to_us
    days = (str(local_date(us, facts.project.timezone)) for us in span)
    return f"an invoice of {' to '.join(days)}"


# --- programme ----------------------------------------------------------------------------


def brought_factors(facts: RegistryFacts) -> Iterator[Judged]:
    """FAC-01: factors of registry files, each with what is entered of the acceptance."""
    yield from _listed(acceptances.brought(facts.project, facts.registry, facts.accepted))


def debts(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-04: what others left below zero at the project's sites and no project took."""
    yield from _listed(_debt(facts, *one) for one in facts.owed)


def _debt(facts: RegistryFacts, statement: str, ug: int) -> str:
    project = facts.project.id
    left = f"{statement} left {decimal_text(Fraction(ug, UG_PER_T), 6, 'down')} t"
    by = facts.accepted.get(("debt", statement, project))
    if by is not None:
        return f"{left}, and that it stays behind is {by.told}"
    return (
        f"{left}, and {project} counts other meters at its site: close the next period of"
        " its project, or let the programme accept that it stays behind (`acceptances`)"
    )


def ended_methodology(facts: RegistryFacts) -> Iterator[Judged]:
    """PLN-03: a methodology that has ended in the programme that registered the project."""
    yield from _listed(expired(facts.lives, facts.project, facts.period_us[1]))


def expired(lives: Iterable[Lived], project: Project, to_us: int) -> Iterator[str]:
    """Say where a period's methodology has ended in the programme that registered the project."""
    after = local_date(to_us - 1, project.timezone) + timedelta(days=1)
    for life, registered in lives:
        yield from broken(life, registered, after)


def certified_energy(facts: RegistryFacts) -> Iterator[Judged]:
    """CLM-01: certificates of energy at the site."""
    yield from _listed(f"certificate {name} of {device}" for name, device in facts.certified_beside)
    yield from _listed(
        (f"{device}: certificate {one.certificate}, {one.scheme}, {one.value.sum()} Wh"
         for (device, _), held in facts.certified.items() for one in held),
        holds=True,
    )  # fmt: skip


# --- boundary -----------------------------------------------------------------------------


def boundary(facts: RegistryFacts) -> Iterator[Judged]:
    """BND-01: meters of the site that are left out, what they measured, and what it would cost."""
    yield from _listed(filter(None, (_left_out(one, facts) for one in facts.left_out)))
    yield from _listed(
        f"{one.id} ({one.class_id}) at {one.site} is in no project, or not all"
        " of the time; bind it, or say in the project's `boundary` why it does not serve"
        for one in facts.unbound
    )
    if facts.reasons and not facts.unbound:
        yield Said(True, "; ".join(f"{name}: {text}" for name, text in
                                   sorted(facts.reasons.items())))  # fmt: skip


def _left_out(one: LeftOut, facts: RegistryFacts) -> str:
    texts, of = [], one.of
    if text := _priced(of.class_id, one.measured, facts):
        until = f"told readings until {utc_text(one.last_us)} and " if of.ended else ""
        texts.append(f"{until}measured {text}")
    if one.unknown_us >= _HOUR_US:
        texts.append(
            f"told of {one.unknown_us / _HOUR_US:,.0f} h what its registered `rated_power_w`"
            " does not allow, or a reset, so that nobody knows it"
        )
    if text := _priced(of.class_id, one.rise, facts):
        texts.append(f"told {one.readings:,} readings, in which its register rose by {text}")
    if one.refused.messages:
        text = _priced(of.class_id, one.refused.rise, facts)
        texts.append(
            f"{one.refused.messages:,} of its messages since {utc_text(facts.period_us[0])} were"
            " refused for more than its registered `rated_power_w` could make (correct it and send"
            " them again)" + (f"; the register that they tell rises by {text}" if text else "")
        )
    if not texts:
        return ""
    return (
        f"{_why(of)} {', and '.join(texts)}; bind it to the project, or show the verifier what it"
        " serves (a wiring diagram, a bill of its own)"
    )


def _why(one: Unserved) -> str:
    """Name a meter and why it is left out."""
    if one.project is not None:
        return (
            f"{one.device}, in project {one.project}, of which no statement is closed for that time"
            " (close that period, then this one again),"
        )
    words = []
    if one.reason is not None:
        words.append(f"left out as '{one.reason}'")
    if one.installed_us is not None:
        words.append(f"installed on {utc_text(one.installed_us)}")
    if one.removed_us is not None:
        words.append(f"removed on {utc_text(one.removed_us)}")
    for begin, end in one.served:
        words.append(f"in the account from {utc_text(begin)} to {utc_text(end)} alone")
    if one.moved_to is not None:
        words.append(f"at {one.moved_to} now, and of the project or its site before")
    if one.checks is not None:
        words.append(f"entered as a check meter of {one.checks}, with which it does not agree")
    return f"{one.device}, {', '.join(words or ['in no project'])},"


def _priced(class_id: str, measured: Mapping[str, int], facts: RegistryFacts) -> str:
    """Say what roles of the project's side count of some quantities; empty where nothing."""
    project = facts.project
    year = local_date(facts.period_us[0], project.timezone).year
    parameters = parameters_of(facts.methodology, project.parameters, f"project {project.id}")
    params = {bound.role: bound.params for bound in project.devices}
    most: dict[str, tuple[Fraction, str]] = {}
    for role, needs in roles_of(project, class_id, left_out=True):
        value = measured.get(needs.quantity, 0)
        if value <= 0 or (needs.params and role not in params):
            continue
        unit = unit_reductions(
            facts.methodology, role, params.get(role, {}), parameters, facts.factors, year
        ).project_t
        text = (
            f"{quantity_text(value, needs.unit)}, which as {role} of the project would emit"
            f" {decimal_text(unit * value, 3, 'up')} t"
        )
        most[needs.quantity] = max(most.get(needs.quantity, (unit, text)), (unit, text))
    return " and ".join(text for _, text in most.values())


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


# in the order in which their findings are printed
JUDGES: tuple[tuple[str, Callable[[RegistryFacts], Iterator[Judged]]], ...] = (
    ("REG-01", known_meters),
    ("REG-02", certificates),
    ("REG-03", replacements),
    ("REG-04", late_ratings),
    ("MTR-01", implausible_ratings),
    ("PAR-07", documented_values),
    ("EVD-08", own_invoices),
    ("EVD-09", contradicting_documents),
    ("FAC-01", brought_factors),
    ("CLM-04", debts),
    ("CLM-02", copies_elsewhere),
    ("MTR-03", copies_inside),
    (LIFE, ended_methodology),
    ("CLM-01", certified_energy),
    ("BND-01", boundary),
)
