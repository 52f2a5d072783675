"""Contradictions in authority data: one function per rule; each problem names the entry."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from mrv import exports
from mrv.errors import ExportError
from mrv.exports.entered import (
    Authority,
    Authorization,
    Facility,
    Itmos,
    Submission,
    Supply,
    holdings,
)
from mrv.exports.registration import Participant, Registration, Units

_APPROACH = re.compile(r"^CA[0-9]{4}$")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WHOLE_PERCENT = 100
_YEARS = range(2021, 2101)
PURPOSES = ("NDC", "OIMP", "IMP", "OP", "NDC and OIMP", "NDC and IMP", "NDC and OP")
FIRST_TRANSFERS = (
    "Authorization",
    "Issuance",
    "Use or cancellation",
    "First international transfer",
)
LINES = ("fuel", "process", "waste", "electricity", "steam")
_TAX_CODE = re.compile(r"^[0-9]{8,14}(-[0-9]{3})?$")
_AMOUNT = re.compile(r"^[0-9]{1,15}(\.[0-9]{1,9})?$")
METRICS, MITIGATION = ("GHG", "Non-GHG"), ("Emission reductions", "Removals")


class Credited(Protocol):
    """A statement with credited tonnes, for comparison with ranges of units."""

    @property
    def name(self) -> str:
        """Return the statement's id."""

    def vintage(self, year: int) -> int | None:
        """Return whole tonnes credited of a vintage; None without any. [t]"""


class Problem(NamedTuple):
    """Violated rule: section and name of the entry, and a sentence with value and remedy."""

    section: str
    name: str
    text: str


def check(authority: Authority, sources: Sequence[Credited] = ()) -> None:
    """
    Check that entries contradict neither each other nor the statements.

    `sources`: statements for comparison with ranges of units.
    Raises ExportError that names the rule, the entry and its value.
    """
    for problem in problems(authority, sources):
        raise ExportError(problem.text)


def problems(authority: Authority, sources: Sequence[Credited] = ()) -> Iterator[Problem]:
    """Yield every rule that entries do not meet; see `check`."""
    names = [f"{a.id} version {a.version}" for a in authority.authorizations]
    yield from _unique(
        "registrations", (registration.project for registration in authority.registrations)
    )
    yield from _unique("authorizations", names)
    yield from _unique("submissions", map(submission_name, authority.submissions))
    for registration in authority.registrations:
        for text in _registration(registration):
            yield Problem("registrations", registration.project, text)
    yield from _authorizations(authority)
    yield from _submissions(authority)
    yield from _written(authority)
    yield from _unique("facilities", (facility.site for facility in authority.facilities))
    for facility in authority.facilities:
        for text in _facility(facility):
            yield Problem("facilities", facility.site, text)
    yield from _against_statements(authority, sources)


def authorization_name(authorization: Authorization) -> str:
    """Return the name of a version of an authorization, for errors."""
    return f"{authorization.id} version {authorization.version}"


def submission_name(submission: Submission) -> str:
    """Return the name of a version of a Party's annual submission, for errors."""
    return f"{submission.party} {submission.year} version {submission.version}"


def _unique(section: str, names: Iterable[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(section, name, f"{section}: {name} is entered {count} times; keep one")


def _submissions(authority: Authority) -> Iterator[Problem]:
    last: dict[tuple[str, int], Submission] = {}
    for submission in sorted(authority.submissions, key=lambda s: (s.party, s.year, s.version)):
        before = last.get((submission.party, submission.year))
        for text in _submission(submission, before):
            yield Problem("submissions", submission_name(submission), text)
        last[submission.party, submission.year] = submission


def _submission(submission: Submission, before: Submission | None) -> Iterator[str]:
    where = f"submissions[{submission.year}]"
    yield from _party(f"{where}.party", submission.party)
    if submission.year not in _YEARS:
        yield f"{where}.year {submission.year}: reports under Article 6.2 begin with 2021"
    if submission.version < 1:
        yield f"{where}.version {submission.version}: versions start at 1"
    if submission.date.year <= submission.year:
        yield (
            f"{where}.date {submission.date}: holdings are those of 31 December, so the date must"
            " be later"
        )
    if submission.ndc_from > submission.ndc_to:
        period = f"{submission.ndc_from} to {submission.ndc_to}"
        yield f"{where}: the NDC's period {period} ends before it begins"
    if before is not None and submission.date < before.date:
        yield (
            f"{where}.date {submission.date}: version {before.version} has the date {before.date}; "
            "a later version must not have an earlier date"
        )


def _written(authority: Authority) -> Iterator[Problem]:
    """
    Yield texts that are blank, contain control characters, or would be computed by a
    spreadsheet.
    """
    named: list[tuple[str, str, object]] = [
        *(("registrations", r.project, r) for r in authority.registrations),
        *(("authorizations", authorization_name(a), a) for a in authority.authorizations),
        *(("submissions", submission_name(s), s) for s in authority.submissions),
        *(("facilities", facility.site, facility) for facility in authority.facilities),
    ]
    for section, name, item in named:
        tables = section in ("authorizations", "submissions")
        for path, text in _texts(msgspec.to_builtins(item)):
            place = f"{section}[{name}]{path} {text!r}"
            plain = text if tables else text.replace("\n", " ")
            if not plain.strip() or not plain.isprintable():
                problem = (
                    f"{place} is blank or contains control characters; write it as one line of text"
                )
                yield Problem(section, name, problem)
            elif tables and text.startswith(FORMULA):
                problem = (
                    f"{place}: a spreadsheet would read this as a formula; begin with a letter"
                )
                yield Problem(section, name, problem)


def _texts(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, path)


def _party(where: str, code: str | None) -> Iterator[str]:
    if code is not None and not exports.is_party(code):
        yield (
            f"{where} {code!r} is not a Party: a Party is named by its ISO 3166-1 "
            "alpha-3 code, such as VNM"
        )


def _registration(registration: Registration) -> Iterator[str]:
    where = f"registrations[{registration.project}]"
    for key, result in (
        ("verifications", registration.verifications),
        ("issuances", registration.issuances),
    ):
        for twice in _unique(f"{where}.{key}", (entry.statement for entry in result)):
            yield twice.text
    for key in (
        "programme",
        "standard",
        "registry",
        "project_status",
        "project_sector",
        "project_type",
        "mitigation_type",
        "unit_type",
    ):
        yield from _listed(
            f"{where}.cdop.{key}", getattr(registration.cdop, key), exports.cdop_lists()[key]
        )
    for attestation in registration.disclosures.attestations or ():
        yield from _listed(
            f"{where}.disclosures.attestations", attestation, exports.cdop_lists()["attestation"]
        )
    for goal in registration.cdop.sdgs:
        yield from _listed(f"{where}.cdop.sdgs", goal, exports.cdop_lists()["sdg"])
    whole = exports.cad_trust_lists()["whole"]
    yield from _listed(
        f"{where}.cad_trust.project_status",
        registration.cad_trust.project_status,
        whole["project_status"],
    )
    yield from _listed(
        f"{where}.cad_trust.unit_type", registration.cad_trust.unit_type, whole["unit_type"]
    )
    yield from _listed(
        f"{where}.validation.type", registration.validation.type, whole["validation_type"]
    )
    yield from _listed(
        f"{where}.estimation.status",
        registration.estimation.status,
        exports.cdop_lists()["estimation_status"],
    )
    for units in registration.units:
        yield from _listed(f"{where}.units.status", units.status, whole["unit_status"])
        yield from _listed(
            f"{where}.units.cdop_status", units.cdop_status, exports.cdop_lists()["unit_status"]
        )
    if registration.place is not None:
        yield from _listed(
            f"{where}.place.region", registration.place.region, exports.cdop_lists()["region"]
        )
        if exports.country(registration.place.country) is None:
            yield (
                f"{where}.place.country {registration.place.country!r} is not an ISO 3166-1 alpha-3"
                " "
                "code; enter one such as VNM"
            )
    yield from _disjoint(f"{where}.units", registration.units)
    yield from _participants(f"{where}.participants", registration.participants)


def _participants(where: str, participants: Sequence[Participant]) -> Iterator[str]:
    """Yield a sentence on each share that is invalid, and on shares that do not add up to 100 %."""
    for twice in _unique(where, (participant.name for participant in participants)):
        yield twice.text
    wrong = [
        text
        for participant in participants
        for text in _decimal(f"{where}[{participant.name}]", participant.share_percent)
    ]
    yield from wrong
    for participant in participants:
        yield from _party(f"{where}[{participant.name}].side", participant.side)
    if (
        participants
        and not wrong
        and (total := sum(Decimal(participant.share_percent) for participant in participants))
        != _WHOLE_PERCENT
    ):
        yield f"{where}: the shares sum to {total} %, not 100 %"


def _listed(where: str, value: str | None, known: Iterable[str]) -> Iterator[str]:
    if value is not None and value not in known:
        yield f"{where} {value!r} is not in the format's list: {'; '.join(known)}"


def _disjoint(where: str, ranges: Sequence[Units | Itmos]) -> Iterator[str]:
    """Yield a sentence on each number range that is reversed or overlaps another."""
    for item in ranges:
        if not 0 < item.first <= item.last:
            yield f"{where}: {item.first} to {item.last} is not a range; first <= last"
    ordered = sorted(ranges, key=lambda range_: range_.first)
    for item, other in itertools.pairwise(ordered):
        if other.first <= item.last:
            yield (
                f"{where}: ranges {item.first}-{item.last} and {other.first}-{other.last} "
                "overlap; each unit has one number"
            )


def _against_statements(authority: Authority, sources: Sequence[Credited]) -> Iterator[Problem]:
    """Yield errors where a section has more units of a vintage than a statement credited."""
    known = {credited.name: credited for credited in sources}
    ranges: list[tuple[str, str, Units | Itmos]] = [
        ("registrations", registration.project, units)
        for registration in authority.registrations
        for units in registration.units
    ]
    ranges += [
        ("authorizations", authorization_name(authorization), units)
        for authorization in authority.authorizations
        for units in authorization.units
    ]
    entered: Counter[tuple[str, str, int]] = Counter()
    owner: dict[tuple[str, str, int], str] = {}
    for section, name, units in ranges:
        key = section, units.statement, units.vintage
        entered[key] += units.quantity
        owner[key] = name
    for (section, statement, year), quantity in entered.items():
        if statement not in known:
            continue
        credited = known[statement].vintage(year)
        if credited is None or quantity > credited:
            yield Problem(
                section,
                owner[section, statement, year],
                f"{section}.units: {quantity} t of vintage {year} are entered, but {statement} "
                f"credits only {credited or 0} t of it; correct the quantity",
            )


def _authorizations(authority: Authority) -> Iterator[Problem]:
    by_registry: dict[tuple[str, str, str], list[Itmos]] = defaultdict(list)
    last: dict[tuple[str, str, str], str] = {}
    for authorization in authority.authorizations:
        name = authorization_name(authorization)
        for text in _authorization(authorization):
            yield Problem("authorizations", name, text)
        for units in authorization.units:
            by_registry[authorization.approach, authorization.party, units.registry].append(units)
            last[authorization.approach, authorization.party, units.registry] = name
    dated: dict[str, Authorization] = {}
    for authorization in sorted(authority.authorizations, key=lambda a: (a.id, a.version)):
        before = dated.get(authorization.id)
        if before is not None and authorization.date < before.date:
            yield Problem(
                "authorizations",
                authorization_name(authorization),
                f"authorizations[{authorization.id}].date {authorization.date}: version"
                f" {before.version} "
                f"has the date {before.date}; a later version must not have an earlier "
                "date",
            )
        dated[authorization.id] = authorization
    for key, ranges in by_registry.items():
        approach, party, registry = key
        for text in _disjoint(f"ITMOs of {approach} {party} in registry {registry}", ranges):
            yield Problem("authorizations", last[key], text)


def _authorization(authorization: Authorization) -> Iterator[str]:
    where = f"authorizations[{authorization.id}]"
    for key in ("party", "authorized_party", "oimp_party"):
        yield from _party(f"{where}.{key}", getattr(authorization, key))
    for action in authorization.actions:
        for code in (action.from_party, action.to_party):
            yield from _party(f"{where}.actions of {action.date}: party", code)
    if not _APPROACH.match(authorization.approach):
        yield f"{where}.approach {authorization.approach!r}: must be CA and four digits"
    if authorization.version < 1:
        yield f"{where}.version {authorization.version}: versions start at 1"
    for entity in authorization.entities:
        if exports.country(entity.country) is None:
            yield (
                f"{where}.entities[{entity.id}].country {entity.country!r} is not an "
                "ISO 3166-1 alpha-3 code; enter one such as VNM"
            )
    yield from _words(authorization, where)
    total = sum(units.quantity for units in authorization.units)
    if authorization.quantity is not None and total > authorization.quantity:
        yield (
            f"{where}: units of {total} t are entered but {authorization.quantity} t are"
            " authorized; "
            "correct the wrong figure"
        )
    try:
        holdings([authorization], [(authorization, action) for action in authorization.actions])
    except ExportError as error:
        yield str(error)


def _words(authorization: Authorization, where: str) -> Iterator[str]:
    for key, known in (
        ("metric", METRICS),
        ("mitigation", MITIGATION),
        ("purposes", PURPOSES),
        ("first_transfer", FIRST_TRANSFERS),
    ):
        value = getattr(authorization, key)
        if value is not None and value not in known:
            yield f"{where}.{key} {value!r} is not one of {'; '.join(known)}"


def _facility(facility: Facility) -> Iterator[str]:
    where = f"facilities[{facility.site}]"
    if facility.tax_code is not None and not _TAX_CODE.match(facility.tax_code):
        yield (
            f"{where}.tax_code {facility.tax_code!r}: must consist of digits, with a "
            "hyphen before a branch"
        )
    if facility.uncertainty_percent is not None:
        yield from _decimal(f"{where}.uncertainty_percent", facility.uncertainty_percent)
    for twice in _unique(f"{where}.supplies", (supply.id for supply in facility.supplies)):
        yield twice.text
    metered = (f"{s.device} {s.quantity}" for s in facility.supplies if s.device is not None)
    for twice in _unique(f"{where}.supplies", metered):
        yield f"{twice.text}: energy must be counted only once"
    for supply in facility.supplies:
        yield from _supply(f"{where}.supplies[{supply.id}]", supply)


def _supply(where: str, supply: Supply) -> Iterator[str]:
    if supply.line not in LINES:
        yield f"{where}.line {supply.line!r} is not one of {', '.join(LINES)}"
    if (supply.device is None) != (supply.quantity is None):
        yield f"{where}: a meter needs both `device` and `quantity`"
    if supply.device is not None and supply.entered:
        yield f"{where}: it is counted by a meter and also entered; keep one"
    if supply.line == "fuel" and supply.device is not None and supply.fuel is None:
        yield f"{where}.fuel is missing; name it, such as diesel"
    for twice in _unique(f"{where}.entered", (str(entered.year) for entered in supply.entered)):
        yield twice.text
    for entered in supply.entered:
        yield from _decimal(f"{where}.entered[{entered.year}].emissions_t", entered.emissions_t)


def _decimal(where: str, text: str) -> Iterator[str]:
    if not _AMOUNT.match(text):
        yield f"{where} {text!r} is not a non-negative number, such as '12.5'"
