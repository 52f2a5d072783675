"""
Data entered by an authority or registry, and holdings of ITMOs by range.

Absent data are reported as missing by the export that needs them.

A range is divided if an action concerns a part of it.  Units that were used or cancelled have no
holder and permit no further action.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from mrv.errors import ExportError
from mrv.exports.registration import Day, Entry, Registration
from mrv.signatures.trust_root import Accepted


class Entity(Entry, frozen=True, kw_only=True):
    """An entity that a Party authorized, with the day and the conditions."""

    id: str
    name: str
    country: str
    date: Day
    conditions: str | None = None
    changes: str | None = None
    additional: str | None = None


class Itmos(Entry, frozen=True, kw_only=True):
    """A range of internationally transferred mitigation outcomes, of one statement's vintage."""

    statement: str
    vintage: int
    first: int
    last: int
    registry: str
    unit_registry: str | None = None
    unit_first: str | None = None
    unit_last: str | None = None

    @property
    def quantity(self) -> int:
        """Return the tonnes in the range. [t]"""
        return self.last - self.first + 1


class Action(Entry, frozen=True, kw_only=True):
    """
    Action on a range of ITMOs, with day and document.

    `reported_in`: version of that year's submission that reports it first.
    """

    date: Day
    type: str
    first: int
    last: int
    registry: str
    document: str
    subtype: str | None = None
    from_party: str | None = None
    to_party: str | None = None
    purpose: str | None = None
    using: str | None = None
    year_of_use: int | None = None
    reported_in: int = 1


class Authorization(Entry, frozen=True, kw_only=True):
    """
    An authorization by a Party under Article 6, paragraph 3, with its scope.

    `document`: the letter of authorization, required by the registry.
    """

    id: str
    project: str
    approach: str
    date: Day
    version: int
    party: str
    quantity: int | None = None
    metric: str = "GHG"
    gwp: str | None = None
    sector: str | None = None
    activity_type: str | None = None
    mitigation: str = "Emission reductions"
    purposes: str | None = None
    first_transfer: str | None = None
    document: str | None = None
    authorized_party: str | None = None
    oimp_party: str | None = None
    timeframe: str | None = None
    terms: str | None = None
    documentation: str | None = None
    additional: str | None = None
    reported_in: int = 1
    entities: tuple[Entity, ...] = ()
    units: tuple[Itmos, ...] = ()
    actions: tuple[Action, ...] = ()


class Submission(Entry, frozen=True, kw_only=True):
    """
    Version of a Party's annual submission.

    `filed`: SHA-256 of its tables (`aef.digest`) when it was filed; from then on its contents
    cannot change.
    """

    party: str
    year: int
    version: int
    date: Day
    ndc_from: int
    ndc_to: int
    filed: str | None = None


class YearEntered(Entry, frozen=True, kw_only=True):
    """Emissions of a year from an unmetered source, as text, with their document. [t CO2e]"""

    year: int
    emissions_t: str
    document: str


class Supply(Entry, frozen=True, kw_only=True):
    """
    Source of a facility's emissions: a fuel, electricity, steam, a process, waste.

    `line`: one of `facility.LINES`.  `device` and `quantity`: its meter; `fuel`: a fuel of the
    factor book.  `entered`: unmetered emissions by year.
    """

    id: str
    line: str
    device: str | None = None
    quantity: str | None = None
    fuel: str | None = None
    entered: tuple[YearEntered, ...] = ()


class Facility(Entry, frozen=True, kw_only=True):
    """A facility that reports its greenhouse gas inventory: a site and its consumption."""

    site: str
    name: str | None = None
    tax_code: str | None = None
    address: str | None = None
    sector: str | None = None
    representative: str | None = None
    uncertainty_percent: str | None = None
    qa_qc: str | None = None
    supplies: tuple[Supply, ...] = ()


class SignedAcceptance(Entry, frozen=True, kw_only=True):
    """A programme's key [Multikey], and its signature under an acceptance [base58]"""

    key: str
    value: str


class Acceptance(Entry, frozen=True, kw_only=True):
    """
    Acceptance by a programme: of a factor in a registry file, or of a balance not carried over.

    `id` is the factor's, or that of the statement with the negative balance; then `project` is the
    project that does not take it over.  `by`, `date`, `document` and `sha256` identify the letter.
    `signature` is the programme's, for a factor.
    """

    subject: Literal["factor", "debt"]
    id: str
    by: str
    date: Day
    document: str
    project: str | None = None
    sha256: str | None = None
    signature: SignedAcceptance | None = None

    def of(self, factor_sha256: str) -> Accepted:
        """Return the signed data of a factor with that digest."""
        day = self.date.isoformat()
        return Accepted(self.id, factor_sha256, self.by, day, self.document, self.sha256)


class Authority(Entry, frozen=True, kw_only=True):
    """All entries that authorities and registries made about projects, statements and Parties."""

    registrations: tuple[Registration, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    submissions: tuple[Submission, ...] = ()
    facilities: tuple[Facility, ...] = ()
    acceptances: tuple[Acceptance, ...] = ()

    def registration(self, project: str) -> Registration:
        """Return a project's registration; an empty one where none was entered."""
        result = (r for r in self.registrations if r.project == project)
        return next(result, Registration(project=project))


def merged(stored: Authority, authority: Authority) -> Authority:
    """Return all entries; those of `authority` replace stored ones of the same name."""
    registrations = {r.project: r for r in (*stored.registrations, *authority.registrations)}
    authorizations = {
        (authorization.id, authorization.version): authorization
        for authorization in (*stored.authorizations, *authority.authorizations)
    }
    submissions = {
        (submission.party, submission.year, submission.version): submission
        for submission in (*stored.submissions, *authority.submissions)
    }
    facilities = {
        facility.site: facility for facility in (*stored.facilities, *authority.facilities)
    }
    acceptances = {
        (acceptance.subject, acceptance.id, acceptance.project): acceptance
        for acceptance in (*stored.acceptances, *authority.acceptances)
    }
    return Authority(
        acceptances=tuple(acceptances.values()),
        facilities=tuple(facilities.values()),
        registrations=tuple(registrations.values()),
        authorizations=tuple(authorizations.values()),
        submissions=tuple(submissions.values()),
    )


def read_authority(record: object, name: str) -> Authority:
    """
    Return the entries of a file.

    `record`: parsed YAML or JSON; days as text.
    `name`: name of the file, for errors.
    Raises ExportError that names the path of the first key that is missing, unknown or of another
    type.
    """
    try:
        return msgspec.convert(record, Authority)
    except msgspec.ValidationError as error:
        raise ExportError(
            f"{name}: {error}; docs/registries.md lists the keys; write an id "
            "that consists of digits in quotes"
        ) from error


TYPES = ("Authorization", "First Transfer", "Transfer", "Acquisition", "Use", "Cancellation")
_MOVING, _ENDING = ("First Transfer", "Transfer", "Acquisition"), ("Use", "Cancellation")


@dataclass(frozen=True, slots=True)
class Holding:
    """
    Range of units with the same history of actions.

    `first`, `last`: first and last serial number, both included.
    `holder`: the Party; None once used or cancelled.
    `units`: the entered range that it is a part of.
    """

    authorization: Authorization
    units: Itmos
    first: int
    last: int
    holder: str | None

    @property
    def quantity(self) -> int:
        """Return the number of tonnes. [t]"""
        return self.last - self.first + 1


def range_of(authorization: Authorization, action: Action) -> Itmos:
    """Return the entered range that contains an action. Raises ExportError if there is none."""
    for units in authorization.units:
        inside = units.first <= action.first <= action.last <= units.last
        if inside and units.registry == action.registry:
            return units
    raise ExportError(
        f"{_named(authorization, action)}: {action.first} to {action.last} is not in any range of "
        f"units of registry {action.registry}; enter the units, or one action per range"
    )


def holdings(
    authorizations: Iterable[Authorization], actions: Iterable[tuple[Authorization, Action]]
) -> list[Holding]:
    """
    Return the holdings after the given actions, by authorization and number.

    `authorizations`: authorizations in force.
    Raises ExportError for an action before the authorization, of units that were used or cancelled,
    or by a Party that does not hold them.
    """
    ranges = [
        Holding(authorization, units, units.first, units.last, authorization.party)
        for authorization in authorizations
        for units in authorization.units
    ]
    for authorization, action in sorted(actions, key=lambda pair: pair[1].date):
        _check(authorization, action)
        units = range_of(authorization, action)
        ranges = [
            part for range_ in ranges for part in _after(range_, authorization, units, action)
        ]
    return sorted(
        ranges,
        key=lambda holding: (holding.authorization.id, holding.units.registry, holding.first),
    )


def _check(authorization: Authorization, action: Action) -> None:
    if action.type not in TYPES:
        raise ExportError(
            f"{_named(authorization, action)}: {action.type!r} is not a type of action; one of "
            f"{', '.join(TYPES)}"
        )
    if action.date < authorization.date:
        raise ExportError(
            f"{_named(authorization, action)}: its date is before the authorization of "
            f"{authorization.date}; correct the date"
        )


def _after(
    item: Holding, authorization: Authorization, units: Itmos, action: Action
) -> Iterable[Holding]:
    """Yield the parts of a holding after an action on a part of it."""
    apart = item.last < action.first or action.last < item.first
    if item.authorization is not authorization or item.units is not units or apart:
        yield item
        return
    if item.first < action.first:
        yield replace(item, last=action.first - 1)
    yield replace(
        item,
        first=max(item.first, action.first),
        last=min(item.last, action.last),
        holder=_holder(item, action),
    )
    if action.last < item.last:
        yield replace(item, first=action.last + 1)


def _holder(item: Holding, action: Action) -> str | None:
    where = _named(item.authorization, action)
    if item.holder is None:
        raise ExportError(
            f"{where}: units from {max(item.first, action.first)} on were used or cancelled "
            "earlier; correct the range"
        )
    giver = action.from_party
    # an acquisition is the other side of a transfer, which may also be entered
    received = action.type == "Acquisition" and item.holder == action.to_party
    if giver is not None and giver != item.holder and not received:
        raise ExportError(
            f"{where}: the units are held by {item.holder}, not by {giver}; correct the "
            "holder or the range"
        )
    if action.type in _ENDING:
        return None
    return action.to_party or item.holder if action.type in _MOVING else item.holder


def _named(authorization: Authorization, action: Action) -> str:
    return f"authorizations[{authorization.id}], {action.type} of {action.date}"
