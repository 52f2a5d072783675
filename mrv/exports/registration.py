"""
Data of a project's registration, units and validation, entered by an authority or registry.

Absent data are reported as missing by the export that needs them; see docs/registries.md.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import Struct

Day = date


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all entries: keyword-only, immutable; unknown keys are rejected."""


class Units(Entry, frozen=True, kw_only=True):
    """
    Consecutive serial numbers of whole tonnes of one vintage and one statement.

    `first` and `last` are included.  `type`, `status` and similar: terms of the format's lists.
    """

    statement: str
    vintage: int
    first: int
    last: int
    serial: str
    account: str | None = None
    status: str | None = None
    cdop_status: str | None = None
    status_reason: str | None = None
    status_date: Day | None = None

    @property
    def quantity(self) -> int:
        """Return the number of units in the range, one tonne each. [t]"""
        return self.last - self.first + 1


class ForwardRequest(Entry, frozen=True, kw_only=True):
    """A forward action request of the validation, with the number in its report."""

    id: str
    text: str


class Validation(Entry, frozen=True, kw_only=True):
    """The validation of a project: its number in the registry, and open forward action requests."""

    id: int | None = None
    type: str | None = None
    body: str | None = None
    date: Day | None = None
    report: str | None = None
    period_number: int | None = None
    forward_actions: tuple[ForwardRequest, ...] = ()


class InForce(Entry, frozen=True, kw_only=True):
    """
    A form, guideline, methodology or design document of a programme, with its version.

    `until` is the last day on which the version is in force.
    """

    name: str
    version: str
    since: Day
    until: Day | None = None


class Consulted(Entry, frozen=True, kw_only=True):
    """The local stakeholder consultation: its end and its record."""

    date: Day
    document: str


class Elsewhere(Entry, frozen=True, kw_only=True):
    """Participation of a project or of its devices in another programme, last day included."""

    programme: str
    since: Day
    until: Day | None = None
    project_id: str | None = None


class Letter(Entry, frozen=True, kw_only=True):
    """A Party's letter of approval or authorisation, with its day and reference."""

    party: str
    kind: Literal["approval", "authorisation"]
    date: Day
    reference: str


class Rights(Entry, frozen=True, kw_only=True):
    """The document that proves who owns the reductions, such as a contract with the households."""

    document: str
    by: str
    date: Day


class Criterion(Entry, frozen=True, kw_only=True):
    """An eligibility criterion of a programme of activities, and the document that proves it."""

    name: str
    document: str


class Grievance(Entry, frozen=True, kw_only=True):
    """Input or grievance of a stakeholder, and the answer to it; `date` is its day."""

    date: Day
    text: str
    answer: str | None = None


class Inclusion(Entry, frozen=True, kw_only=True):
    """Inclusion of a component project activity in a programme of activities."""

    programme: str
    date: Day
    criteria: tuple[Criterion, ...] = ()


class Renewal(Entry, frozen=True, kw_only=True):
    """Renewal of a crediting period: its first day, and the design with the updated baseline."""

    since: Day
    design: str


class Verified(Entry, frozen=True, kw_only=True):
    """Data that a registry adds to the verification of a statement."""

    statement: str
    id: str | None = None
    visit_from: Day | None = None
    visit_to: Day | None = None
    report: str | None = None


class Issued(Entry, frozen=True, kw_only=True):
    """The issuance of a statement's units by a registry."""

    statement: str
    id: str | None = None
    date: Day | None = None
    url: str | None = None
    status: str | None = None


class Estimated(Entry, frozen=True, kw_only=True):
    """The ex-ante estimate of a project's reductions in a registry."""

    id: int | None = None
    date: Day | None = None
    status: str | None = None
    reason: str | None = None


class Participant(Entry, frozen=True, kw_only=True):
    """A participant of a JCM project: its Party, its share of the credits, its account."""

    name: str
    side: str
    share_percent: str
    account: str | None = None


class Place(Entry, frozen=True, kw_only=True):
    """Location of a project: alpha-3 country, UN M49 region, subdivision in words."""

    country: str
    region: str | None = None
    subdivision: str | None = None
    city: str | None = None
    address: str | None = None


class CdopWords(Entry, frozen=True, kw_only=True):
    """Terms of the lists of the Carbon Data Open Protocol."""

    programme: str | None = None
    standard: str | None = None
    registry: str | None = None
    project_status: str | None = None
    project_sector: str | None = None
    project_type: str | None = None
    mitigation_type: str | None = None
    unit_type: str | None = None
    sdgs: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()


class CadTrustWords(Entry, frozen=True, kw_only=True):
    """Terms of the picklists of CAD Trust."""

    project_status: str | None = None
    sectors: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    unit_type: str | None = None
    cobenefits: tuple[str, ...] = ()


class Disclosures(Entry, frozen=True, kw_only=True):
    """Disclosures of a project, by the keys of the Carbon Data Open Protocol."""

    attestations: tuple[str, ...] | None = None
    carbon_concession_contract_length: bool | None = None
    carbon_concession_contract: str | None = None
    carbon_credit_ownership_attestation: bool | None = None
    carbon_credit_ownership_documentation: str | None = None
    child_labor_attestation: bool | None = None
    child_labor_documentation: str | None = None
    community_frameworks: str | None = None
    cultural_site_borders: bool | None = None
    cultural_site_designation: bool | None = None
    labor_worker_attestation: bool | None = None
    labor_worker_documentation: str | None = None
    land_right_attestation: bool | None = None
    land_rights_documentation: str | None = None
    land_ownership_attestation: bool | None = None
    land_ownership_documentation: str | None = None
    legal_compliance_attestation: bool | None = None
    legal_compliance_documentation: str | None = None
    previous_project_crediting_program: bool | None = None
    project_governance_structure: str | None = None
    public_comment: bool | None = None
    public_comment_summary: str | None = None


class Contribution(Entry, frozen=True, kw_only=True):
    """Contribution of a project to a sustainable development goal in a statement's period."""

    statement: str
    goal: str
    what: str
    amount: str | None = None
    unit: str | None = None
    document: str | None = None


class Registration(Entry, frozen=True, kw_only=True):
    """
    Registration of a project in a registry.

    `signed_percent`: share of the energy that its programme requires to be signed.
    `methodologies`, `designs`: versions that the programme registered.  A statement has to use the
    versions in force on each day of its period.
    `other_programmes`, `grievances`: `none` if the participants declare that there are none.
    """

    project: str
    programme: str | None = None
    registry: str | None = None
    programme_id: str | None = None
    project_id: str | None = None
    link: str | None = None
    description: str | None = None
    developer: str | None = None
    status_date: Day | None = None
    registered: Day | None = None
    methodology_link: str | None = None
    place: Place | None = None
    validation: Validation = Validation()
    estimation: Estimated = Estimated()
    verifications: tuple[Verified, ...] = ()
    issuances: tuple[Issued, ...] = ()
    units: tuple[Units, ...] = ()
    participants: tuple[Participant, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    negative_impacts: str | None = None
    consultation: Consulted | None = None
    signed_percent: str | None = None
    forms: tuple[InForce, ...] = ()
    methodologies: tuple[InForce, ...] = ()
    designs: tuple[InForce, ...] = ()
    other_programmes: tuple[Elsewhere, ...] | Literal["none"] | None = None
    letters: tuple[Letter, ...] = ()
    rights: Rights | None = None
    grievances: tuple[Grievance, ...] | Literal["none"] | None = None
    inclusion: Inclusion | None = None
    renewals: tuple[Renewal, ...] = ()
    cdop: CdopWords = CdopWords()
    cad_trust: CadTrustWords = CadTrustWords()
    disclosures: Disclosures = Disclosures()
