"""Contradictions in authority data: one function per rule, each names the entry."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

import msgspec

from mrv.errors import ExportError
from mrv.exports import source
from mrv.exports.entered import (
    Authority,
    Authorization,
    Facility,
    Itmos,
    Participant,
    Registration,
    Submission,
    Supply,
    Units,
)
from mrv.exports.holdings import holdings

_APPROACH = re.compile(r"^CA[0-9]{4}$")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
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
    """A statement that ranges of units are compared with."""

    @property
    def name(self) -> str:
        """The statement's id."""

    def vintage(self, year: int) -> int | None:
        """Return whole tonnes credited of a vintage; None without any. [t]"""


class Problem(NamedTuple):
    """A rule not met: section and name of the entry, and a sentence with value and remedy."""

    section: str
    name: str
    text: str


def check(authority: Authority, sources: Sequence[Credited] = ()) -> None:
    """
    Refuse entries that contradict each other or the statements.

    Parameters
    ----------
    authority : Authority
    sources : sequence of Credited
        Statements with which ranges of units are compared; others are not known here.

    Raises
    ------
    ExportError
        Naming the rule, the entry and its value.
    """
    for one in problems(authority, sources):
        raise ExportError(one.text)


def problems(authority: Authority, sources: Sequence[Credited] = ()) -> Iterator[Problem]:
    """Yield every rule that entries do not meet; see `check`."""
    names = [f"{a.id} version {a.version}" for a in authority.authorizations]
    yield from _unique("registrations", (one.project for one in authority.registrations))
    yield from _unique("authorizations", names)
    yield from _unique("submissions", map(submission_name, authority.submissions))
    for one in authority.registrations:
        for text in _registration(one):
            yield Problem("registrations", one.project, text)
    yield from _authorizations(authority)
    yield from _submissions(authority)
    yield from _written(authority)
    yield from _unique("facilities", (one.site for one in authority.facilities))
    for facility in authority.facilities:
        for text in _facility(facility):
            yield Problem("facilities", facility.site, text)
    yield from _against_statements(authority, sources)


def authorization_name(one: Authorization) -> str:
    """Return the name of one version of an authorization."""
    return f"{one.id} version {one.version}"


def submission_name(one: Submission) -> str:
    """Return the name of one version of a Party's year."""
    return f"{one.party} {one.year} version {one.version}"


def _unique(section: str, names: Iterable[str]) -> Iterator[Problem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield Problem(section, name, f"{section}: {name} is entered {count} times; keep one")


def _submissions(authority: Authority) -> Iterator[Problem]:
    last: dict[tuple[str, int], Submission] = {}
    for one in sorted(authority.submissions, key=lambda s: (s.party, s.year, s.version)):
        before = last.get((one.party, one.year))
        for text in _submission(one, before):
            yield Problem("submissions", submission_name(one), text)
        last[one.party, one.year] = one


def _submission(one: Submission, before: Submission | None) -> Iterator[str]:
    where = f"submissions[{one.year}]"
    yield from _party(f"{where}.party", one.party)
    if one.year not in _YEARS:
        yield f"{where}.year {one.year}: reports under Article 6.2 begin with 2021"
    if one.version < 1:
        yield f"{where}.version {one.version}: versions start at 1"
    if one.date.year <= one.year:
        yield (
            f"{where}.date {one.date}: holdings are those of 31 December, so the date must be later"
        )
    if one.ndc_from > one.ndc_to:
        yield f"{where}: the NDC's period {one.ndc_from} to {one.ndc_to} ends before it begins"
    if before is not None and one.date < before.date:
        yield (
            f"{where}.date {one.date}: version {before.version} has the date {before.date}; "
            "a later version must not have an earlier date"
        )


def _written(authority: Authority) -> Iterator[Problem]:
    """Refuse texts that are blank, that hold control characters, or that a sheet would compute."""
    named: list[tuple[str, str, object]] = [
        *(("registrations", one.project, one) for one in authority.registrations),
        *(("authorizations", authorization_name(one), one) for one in authority.authorizations),
        *(("submissions", submission_name(one), one) for one in authority.submissions),
        *(("facilities", one.site, one) for one in authority.facilities),
    ]
    for section, name, one in named:
        tables = section in ("authorizations", "submissions")
        for path, text in _texts(msgspec.to_builtins(one)):
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
        for key, one in value.items():
            yield from _texts(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one, path)


def _party(where: str, code: str | None) -> Iterator[str]:
    if code is not None and not source.is_party(code):
        yield (
            f"{where} {code!r} is not a Party: a Party is named by its ISO 3166-1 "
            "alpha-3 code, such as VNM"
        )


def _registration(one: Registration) -> Iterator[str]:
    where = f"registrations[{one.project}]"
    for key, found in (("verifications", one.verifications), ("issuances", one.issuances)):
        for twice in _unique(f"{where}.{key}", (entry.statement for entry in found)):
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
        yield from _listed(f"{where}.cdop.{key}", getattr(one.cdop, key), source.cdop()[key])
    for attestation in one.disclosures.attestations or ():
        yield from _listed(
            f"{where}.disclosures.attestations", attestation, source.cdop()["attestation"]
        )
    for goal in one.cdop.sdgs:
        yield from _listed(f"{where}.cdop.sdgs", goal, source.cdop()["sdg"])
    whole = source.cad_trust()["whole"]
    yield from _listed(
        f"{where}.cad_trust.project_status", one.cad_trust.project_status, whole["project_status"]
    )
    yield from _listed(f"{where}.cad_trust.unit_type", one.cad_trust.unit_type, whole["unit_type"])
    yield from _listed(f"{where}.validation.type", one.validation.type, whole["validation_type"])
    yield from _listed(
        f"{where}.estimation.status", one.estimation.status, source.cdop()["estimation_status"]
    )
    for units in one.units:
        yield from _listed(f"{where}.units.status", units.status, whole["unit_status"])
        yield from _listed(
            f"{where}.units.cdop_status", units.cdop_status, source.cdop()["unit_status"]
        )
    if one.place is not None:
        yield from _listed(f"{where}.place.region", one.place.region, source.cdop()["region"])
        if source.country(one.place.country) is None:
            yield (
                f"{where}.place.country {one.place.country!r} is not an ISO 3166-1 alpha-3 "
                "code; give one such as VNM"
            )
    yield from _disjoint(f"{where}.units", one.units)
    yield from _participants(f"{where}.participants", one.participants)


def _participants(where: str, found: Sequence[Participant]) -> Iterator[str]:
    """Refuse shares that are none, or that are not the whole together."""
    for twice in _unique(where, (one.name for one in found)):
        yield twice.text
    wrong = [text for one in found for text in _decimal(f"{where}[{one.name}]", one.share_percent)]
    yield from wrong
    for one in found:
        yield from _party(f"{where}[{one.name}].side", one.side)
    if found and not wrong and (total := sum(Decimal(one.share_percent) for one in found)) != 100:  # noqa: PLR2004 - percent
        yield f"{where}: the shares sum to {total} %, not 100 %"


def _listed(where: str, value: str | None, known: Iterable[str]) -> Iterator[str]:
    if value is not None and value not in known:
        yield f"{where} {value!r} is not in the format's list: {'; '.join(known)}"


def _disjoint(where: str, ranges: Sequence[Units | Itmos]) -> Iterator[str]:
    """Refuse ranges that run backwards, or that share a number."""
    for one in ranges:
        if not 0 < one.first <= one.last:
            yield f"{where}: {one.first} to {one.last} is not a range; first <= last"
    ordered = sorted(ranges, key=lambda one: one.first)
    for one, other in itertools.pairwise(ordered):
        if other.first <= one.last:
            yield (
                f"{where}: ranges {one.first}-{one.last} and {other.first}-{other.last} "
                "overlap; each unit has one number"
            )


def _against_statements(authority: Authority, sources: Sequence[Credited]) -> Iterator[Problem]:
    """Refuse more units than a statement credited of a vintage, over all entries of a section."""
    known = {one.name: one for one in sources}
    ranges: list[tuple[str, str, Units | Itmos]] = [
        ("registrations", one.project, units)
        for one in authority.registrations
        for units in one.units
    ]
    ranges += [
        ("authorizations", authorization_name(one), units)
        for one in authority.authorizations
        for units in one.units
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
    for one in authority.authorizations:
        name = authorization_name(one)
        for text in _authorization(one):
            yield Problem("authorizations", name, text)
        for units in one.units:
            by_registry[one.approach, one.party, units.registry].append(units)
            last[one.approach, one.party, units.registry] = name
    dated: dict[str, Authorization] = {}
    for one in sorted(authority.authorizations, key=lambda a: (a.id, a.version)):
        before = dated.get(one.id)
        if before is not None and one.date < before.date:
            yield Problem(
                "authorizations",
                authorization_name(one),
                f"authorizations[{one.id}].date {one.date}: version {before.version} "
                f"has the date {before.date}; a later version must not have an earlier "
                "date",
            )
        dated[one.id] = one
    for key, ranges in by_registry.items():
        approach, party, registry = key
        for text in _disjoint(f"ITMOs of {approach} {party} in registry {registry}", ranges):
            yield Problem("authorizations", last[key], text)


def _authorization(one: Authorization) -> Iterator[str]:
    where = f"authorizations[{one.id}]"
    for key in ("party", "authorized_party", "oimp_party"):
        yield from _party(f"{where}.{key}", getattr(one, key))
    for action in one.actions:
        for code in (action.from_party, action.to_party):
            yield from _party(f"{where}.actions of {action.date}: party", code)
    if not _APPROACH.match(one.approach):
        yield f"{where}.approach {one.approach!r}: must be CA and four digits"
    if one.version < 1:
        yield f"{where}.version {one.version}: versions start at 1"
    for entity in one.entities:
        if source.country(entity.country) is None:
            yield (
                f"{where}.entities[{entity.id}].country {entity.country!r} is not an "
                "ISO 3166-1 alpha-3 code; give one such as VNM"
            )
    yield from _words(one, where)
    total = sum(units.quantity for units in one.units)
    if one.quantity is not None and total > one.quantity:
        yield (
            f"{where}: units of {total} t are entered but {one.quantity} t are authorized; "
            "correct the wrong figure"
        )
    try:
        holdings([one], [(one, action) for action in one.actions])
    except ExportError as error:
        yield str(error)


def _words(one: Authorization, where: str) -> Iterator[str]:
    for key, known in (
        ("metric", METRICS),
        ("mitigation", MITIGATION),
        ("purposes", PURPOSES),
        ("first_transfer", FIRST_TRANSFERS),
    ):
        value = getattr(one, key)
        if value is not None and value not in known:
            yield f"{where}.{key} {value!r} is not one of {'; '.join(known)}"


def _facility(one: Facility) -> Iterator[str]:
    where = f"facilities[{one.site}]"
    if one.tax_code is not None and not _TAX_CODE.match(one.tax_code):
        yield (
            f"{where}.tax_code {one.tax_code!r}: must consist of digits, with a "
            "hyphen before a branch"
        )
    if one.uncertainty_percent is not None:
        yield from _decimal(f"{where}.uncertainty_percent", one.uncertainty_percent)
    for twice in _unique(f"{where}.supplies", (supply.id for supply in one.supplies)):
        yield twice.text
    metered = (f"{s.device} {s.quantity}" for s in one.supplies if s.device is not None)
    for twice in _unique(f"{where}.supplies", metered):
        yield f"{twice.text}: energy must be counted only once"
    for supply in one.supplies:
        yield from _supply(f"{where}.supplies[{supply.id}]", supply)


def _supply(where: str, one: Supply) -> Iterator[str]:
    if one.line not in LINES:
        yield f"{where}.line {one.line!r} is not one of {', '.join(LINES)}"
    if (one.device is None) != (one.quantity is None):
        yield f"{where}: a meter needs both `device` and `quantity`"
    if one.device is not None and one.entered:
        yield f"{where}: it is counted by a meter and also entered; keep one"
    if one.line == "fuel" and one.device is not None and one.fuel is None:
        yield f"{where}.fuel is missing; name it, such as diesel"
    for twice in _unique(f"{where}.entered", (str(entered.year) for entered in one.entered)):
        yield twice.text
    for entered in one.entered:
        yield from _decimal(f"{where}.entered[{entered.year}].emissions_t", entered.emissions_t)


def _decimal(where: str, text: str) -> Iterator[str]:
    if not _AMOUNT.match(text):
        yield f"{where} {text!r} is not a non-negative number, such as '12.5'"
