"""
Documents of a verification; and the JSON Schema (2020-12) of each signed document.

The verifier's credential has the opinion on a signed statement, materiality and findings.  Each
event of a finding is a credential signed by its author.  Further documents: the operators'
approvals of the issue, if two or more are required (`mrv.statement.states`); the list of
device-days to examine, if drawn (`mrv.statement.sampling`); a project's status list, which marks
superseded and revoked statements (`mrv.statement.states`).
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mrv.documents import (
    UNSET,
    Coded,
    Form,
    Hex,
    Number,
    RelatedResource,
    SignedCredential,
    Time,
    UnsetType,
    Whole,
)
from mrv.documents.period_account import Misstatements
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Statement


class StatusBits(Form):
    """One bit per statement, compressed: multibase base64url of gzip."""

    id: str
    type: Literal["BitstringStatusList"]
    status_purpose: str
    encoded_list: str


class StatusList(SignedCredential):
    """
    The operator's signed list of statements that are no longer valid; `valid_until` is absent in
    lists of tonne 0.1.0.
    """

    valid_until: Time | UnsetType = UNSET
    credential_subject: StatusBits


Drawn = Literal["at random", "by risk"]


class SampledDay(Form):
    """A sampled device-day in a role, with the reasons; `metered` in `unit`."""

    device: str
    role: str
    day: str
    drawn: Drawn
    weight: Whole
    reasons: tuple[str, ...]
    metered: Whole
    unit: str


class Sample(Form):
    """Draw and seed, number of device-days in all and drawn, and the device-days drawn."""

    id: str
    draw: str
    seed: Hex
    population: Whole
    random: Whole
    by_risk: Whole
    items: tuple[SampledDay, ...]


class SamplingList(SignedCredential):
    """List of the device-days that a verifier sampled, signed by the verifier."""

    credential_subject: Sample
    related_resource: tuple[RelatedResource, ...]


class Approved(Form):
    """The statement to be issued, and its verification."""

    id: str
    verification_sha256: Hex


class IssueApproval(SignedCredential):
    """Operator's signed approval to issue a verified statement."""

    credential_subject: Approved
    related_resource: tuple[RelatedResource, ...]


Kind = Literal["CAR", "CL", "OBS", "FAR"]
What = Literal["raised", "answered", "closed"]
State = Literal["open", "answered", "closed"]
MAX_CHARACTERS = 10_000
FindingName = Annotated[str, Meta(pattern=r"^(CAR|CL|OBS|FAR)-[1-9][0-9]{0,3}$")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_CHARACTERS, pattern=r"\S")]


class About(Form):
    """Devices and local days to which a finding refers; `to` is the day after."""

    devices: tuple[str, ...] = ()
    from_: str | UnsetType = UNSET
    to: str | UnsetType = UNSET


class FindingSaid(Form):
    """
    One event of a finding: statement, finding, kind of event and text.

    `about`: only for the event that raises the finding.

    `effect_t`: overstatement of the reduction, negative for an understatement; for a closing event,
    the remaining effect.
    """

    id: str
    finding: FindingName
    event: What
    text: Text
    effect_t: Number | None
    about: About | UnsetType = UNSET


class FindingEvent(SignedCredential):
    """An event of a finding, signed by the verifier (raised, closed) or the operator (answered)."""

    credential_subject: FindingSaid
    related_resource: tuple[RelatedResource, ...]


# the last two are the terms of the newer edition of ISO 14064-3
Opinion = Literal["unqualified", "qualified", "adverse", "disclaimer", "unmodified", "modified"]
Assurance = Literal["reasonable", "limited"]
VerifierText = Annotated[str, Meta(max_length=MAX_CHARACTERS)]
# requirements of JCM guidelines for verification and the CDM validation and verification standard
Requirement = Literal[
    "eligibility",
    "implementation",
    "monitoring",
    "calibration",
    "calculation",
    "double_counting",
    "earlier_findings",
    # required if the reduction is above the ex-ante estimate
    "estimate",
    # required for surveys, and if the methodology requires it
    "sampling",
    "replaced",
    "residues",
]


class EventShown(Form):
    """An event of a finding, with the digest of its document."""

    event: What
    by: str
    at: Time
    text: str
    sha256: Hex


class FindingShown(Form):
    """
    A finding with its events; or a remark, which has only `kind` and `text`.

    Raises ValueError if fields of both, or only some of a finding's, are given.
    """

    kind: Kind
    text: str | UnsetType = UNSET
    finding: FindingName | UnsetType = UNSET
    state: State | UnsetType = UNSET
    effect_t: Number | UnsetType | None = UNSET
    events: tuple[EventShown, ...] | UnsetType = UNSET
    about: About | UnsetType = UNSET

    def __post_init__(self) -> None:
        of_finding = (self.finding, self.state, self.effect_t, self.events)
        values = [field is not UNSET for field in of_finding]
        if any(values) != all(values) or (self.text is UNSET) != all(values):
            raise ValueError(
                "a finding has finding, kind, state, effect_t and events; a remark "
                "has kind and text"
            )

    @property
    def remark(self) -> bool:
        """Return whether the entry is a remark: listed with the findings, but not a finding."""
        return self.finding is UNSET


class UnmetCondition(Form):
    """
    A rule or condition not met according to the statement, as found by the verifier.

    `reason`: why the verifier closed the finding; absent for an open one.
    """

    rule: str
    texts: tuple[Coded, ...]
    reason: VerifierText | UnsetType = UNSET


class ParameterVerified(Form):
    """
    Verification of a monitored parameter in the verifier's words; `device` null: all devices.

    `means`: procedure.  `source`: origin of the figure.  `cross_checked`: other sources with which
    it was compared.  `opinion`: result.
    """

    parameter: str
    device: str | None = None
    means: VerifierText
    source: VerifierText
    cross_checked: VerifierText
    opinion: VerifierText


class RequirementVerified(Form):
    """Verification of a requirement, and its result."""

    requirement: Requirement
    means: VerifierText
    opinion: VerifierText


class PersonNamed(Form):
    """A person and function, in the verifier's words."""

    name: str
    function: str


class SiteVisit(Form):
    """A site visit: day, place, actions and observations."""

    day: str
    place: str
    text: str


class Conclusion(Form):
    """
    Conclusions of the verifier: the credential's subject.

    `misstatements`: absent in tonne 0.1.0, in which findings were not signed and remarks were plain
    texts.
    `unmet`: conditions not met, with the verifier's reason; absent in tonne 0.1.0.
    `parameters`, `requirements`: verification of each; absent in tonne 0.1.0.
    `procedure`: description of the work by the verifier; generated in tonne 0.1.0.
    `team`, `site_visits`, `reviewer`, `signatory`, `accreditation`: absent if the verifier does not
    state them; the reviewer is not a member of the team (ISO 14064-3 [M]).
    """

    id: str
    opinion: Opinion
    level_of_assurance: Assurance
    materiality_percent: Number
    misstatements: Misstatements | UnsetType = UNSET
    findings: tuple[FindingShown | str, ...]
    unmet: tuple[UnmetCondition, ...] | UnsetType = UNSET
    parameters: tuple[ParameterVerified, ...] | UnsetType = UNSET
    requirements: tuple[RequirementVerified, ...] | UnsetType = UNSET
    procedure: str | UnsetType = UNSET
    team: tuple[PersonNamed, ...] | UnsetType = UNSET
    site_visits: tuple[SiteVisit, ...] | UnsetType = UNSET
    reviewer: PersonNamed | UnsetType = UNSET
    signatory: PersonNamed | UnsetType = UNSET
    accreditation: str | UnsetType = UNSET

    @property
    def listed_findings(self) -> tuple[FindingShown, ...]:
        """Return findings and remarks in one form; a plain text is a remark."""
        return tuple(
            FindingShown(kind="OBS", text=finding) if isinstance(finding, str) else finding
            for finding in self.findings
        )


class Verification(SignedCredential):
    """The verifier's signed credential on a statement, with the conclusions."""

    credential_subject: Conclusion
    related_resource: tuple[RelatedResource, ...]


DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: dict[str, type[Form]] = {
    "statement": Statement,
    "verification": Verification,
    "finding": FindingEvent,
    "approval": IssueApproval,
    "sampling-list": SamplingList,
    "status-list": StatusList,
    "plan": PlanExtract,
}


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document. Raises KeyError for a name not in `DOCUMENTS`."""
    # through JSON text, so that an empty default is a list and not a tuple
    encoded = msgspec.json.encode(msgspec.json.schema(DOCUMENTS[name]))
    result: dict[str, Any] = msgspec.json.decode(encoded)
    return {"$schema": DIALECT, "$id": f"urn:tonne:schema:{name}", **result}
