"""Findings, opinions, signatures, approvals and status lists, signed elsewhere and submitted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.api.schemas.base import Id, Line, Shape

# a text of several lines; no database keeps a NUL
Text = Annotated[str, Field(min_length=1, max_length=10_000, pattern=r"^[^\x00]+$")]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,12})?$")]
Time = Annotated[Line, Field(max_length=40)]
_MOST = 10_000
What = Literal["raised", "answered", "closed"]


class FindingStep(Shape):
    """Event of a finding; `sha256` is of the signed document's canonical bytes."""

    event: What
    by: str
    at: str
    text: str
    sha256: str


class Finding(Shape):
    """Finding with its current state; `effect_t` is the overstatement of the reduction."""

    finding: str
    kind: Literal["CAR", "CL", "OBS", "FAR"]
    state: Literal["open", "answered", "closed"]
    effect_t: str | None
    events: list[FindingStep]


class Findings(Shape):
    """A statement's findings, in the order in which they were raised."""

    statement: str
    findings: list[Finding]


class Signed(Shape):
    """Credential as signed by its holder; only its form is described here."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    context: list[Line] = Field(alias="@context", max_length=10)
    id: Line = Field(max_length=300)
    type: list[Line] = Field(max_length=10)
    issuer: dict[str, Any]
    valid_from: Time = Field(alias="validFrom")
    related: list[dict[str, Any]] = Field(alias="relatedResource", max_length=10)
    proof: dict[str, Any]


class FindingSaid(Shape):
    """Contents of an event; the number of a new finding is the next of its kind."""

    id: Line = Field(max_length=200)
    finding: str = Field(pattern=r"^(CAR|CL|OBS|FAR)-[1-9][0-9]{0,3}$")
    event: What
    text: Text
    effect_t: Decimal | None


class FindingEvent(Signed):
    """An event, as `tonne statement finding add|answer|close PACK --out FILE` signs it."""

    subject: FindingSaid = Field(alias="credentialSubject")


class TakenEvent(Shape):
    """The finding of the accepted event, in its current state."""

    statement: str
    state: Literal["under_verification"]
    finding: Finding


_CODED = {"code": "CLM-01.certified", "values": {"device": "inv-1", "certificate": "I-17"}}


class Unmet(Shape):
    """A condition that is not met according to the statement."""

    rule: Text = Field(examples=["PLN-01"])
    texts: list[dict[str, Any]] = Field(max_length=_MOST, examples=[[_CODED]])
    reason: Text | None = Field(
        default=None, examples=["the plan was agreed by letter of 2026-01-05, which I examined"]
    )


class ParameterSaid(Shape):
    """
    Verification of a monitored parameter; without a device: for all without a row of their
    own.
    """

    parameter: Line = Field(max_length=200, examples=["generation"])
    device: Line | None = Field(default=None, max_length=200, examples=["inv-1"])
    means: str = Field(max_length=_MOST, examples=["register read on site, readings recalculated"])
    source: str = Field(max_length=_MOST, examples=["readings of inv-1, certificate C-1"])
    cross_checked: str = Field(
        alias="crossChecked", max_length=_MOST, examples=["invoice 2026-01 of the grid operator"]
    )
    opinion: str = Field(max_length=_MOST, examples=["the amount is what the meter registered"])


class RequirementSaid(Shape):
    """Verification of a requirement."""

    requirement: Line = Field(max_length=200, examples=["calibration"])
    means: str = Field(max_length=_MOST, examples=["certificates compared with the laboratory's"])
    opinion: str = Field(max_length=_MOST, examples=["all meters are certified in the period"])


class Person(Shape):
    """Person and function."""

    name: Line = Field(max_length=200, examples=["Tran Thi Lan"])
    function: Line = Field(max_length=200, examples=["lead verifier"])


class Visit(Shape):
    """A site visit."""

    day: Line = Field(max_length=10, examples=["2026-02-03"])
    place: Line = Field(max_length=200, examples=["Harbour Park"])
    text: Text = Field(examples=["both meters read, seals intact"])


class OpinionSaid(Shape):
    """The opinion, every finding in its current state, and the verifier's descriptions."""

    id: Line = Field(max_length=200)
    opinion: Literal["unqualified", "qualified", "adverse", "disclaimer"]
    assurance: Literal["reasonable", "limited"] = Field(alias="levelOfAssurance")
    materiality_percent: Decimal
    misstatements: dict[str, Any]
    findings: list[dict[str, Any]] = Field(max_length=_MOST)
    unmet: list[Unmet] | None = Field(
        default=None, max_length=_MOST, examples=[[{"rule": "PLN-01", "texts": [_CODED]}]]
    )
    parameters: list[ParameterSaid] | None = Field(
        default=None,
        max_length=_MOST,
        examples=[
            [
                {
                    "parameter": "generation",
                    "device": "inv-1",
                    "means": "register read on site, readings recalculated",
                    "source": "readings of inv-1, certificate C-1",
                    "crossChecked": "invoice of the grid operator",
                    "opinion": "the amount is what the meter registered",
                }
            ]
        ],
    )
    requirements: list[RequirementSaid] | None = Field(
        default=None,
        max_length=_MOST,
        examples=[
            [
                {
                    "requirement": "calibration",
                    "means": "certificates compared with the laboratory's",
                    "opinion": "all meters are certified in the period",
                }
            ]
        ],
    )
    procedure: Text | None = None
    team: list[Person] | None = Field(
        default=None, max_length=100, examples=[[{"name": "Tran Thi Lan", "function": "lead"}]]
    )
    site_visits: list[Visit] | None = Field(
        default=None,
        alias="siteVisits",
        max_length=100,
        examples=[[{"day": "2026-02-03", "place": "Harbour Park", "text": "meters read"}]],
    )
    signatory: Person | None = Field(
        default=None, examples=[{"name": "Le Van Minh", "function": "director"}]
    )
    accreditation: Line | None = Field(default=None, max_length=200, examples=["ACC-017"])


class Verification(Signed):
    """The verifier's credential, as `tonne statement verify PACK --out FILE` signs it."""

    subject: OpinionSaid = Field(alias="credentialSubject")


class Judged(Shape):
    """Result of the opinion for the statement."""

    statement: str
    state: Literal["verified", "rejected"]


class Signature(Shape):
    """Issuer and proof over a draft, as `tonne statement submit DRAFT --out FILE` signs it."""

    issuer: dict[str, Any]
    proof: dict[str, Any]


class Submitted(Shape):
    """The submitted statement; `unmet` lists conditions not met."""

    statement: str
    state: Literal["submitted"]
    unmet: list[str]


# a list of 16,777,216 bits, packed
_MOST_LISTED = 3_000_000


class Approved(Shape):
    """The statement to be issued, and its verification."""

    id: Line = Field(max_length=200)
    verification: str = Field(alias="verificationSha256", pattern="^[0-9a-f]{64}$")


class IssueApproval(Signed):
    """An operator's approval, as `tonne statement approve PACK --out FILE` signs it."""

    subject: Approved = Field(alias="credentialSubject")


class TakenApproval(Shape):
    """Number of people who have approved the issue of a statement."""

    statement: str
    state: Literal["verified"]
    approvals: int


class StatusBits(Shape):
    """One bit per statement, compressed: multibase base64url of gzip."""

    id: Line = Field(max_length=200)
    type: Literal["BitstringStatusList"]
    purpose: Line = Field(alias="statusPurpose", max_length=40)
    encoded: str = Field(alias="encodedList", max_length=_MOST_LISTED, pattern="^u[A-Za-z0-9_-]+$")


class StatusList(Shape):
    """A project's status list, as `tonne statement status-list` signs it."""

    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    context: list[Line] = Field(alias="@context", max_length=10)
    id: Line = Field(max_length=300)
    type: list[Line] = Field(max_length=10)
    issuer: dict[str, Any]
    valid_from: Time = Field(alias="validFrom")
    valid_until: Time | None = Field(default=None, alias="validUntil")
    subject: StatusBits = Field(alias="credentialSubject")
    proof: dict[str, Any]


class TakenList(Shape):
    """A published status list."""

    project: str
    valid_from: str


_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Percent = Annotated[str, Field(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)$")]
_MOST_ROWS = 1_000


class NewInvoice(Shape):
    """
    Invoice to be stored.

    Local days of the project, end excluded; the amount is in kWh (km, m3, t) unless `unit` differs.
    One that `corrects` another replaces it, with a reason.
    """

    id: Id
    issuer: Line = Field(max_length=200)
    number: Line = Field(max_length=200)
    issued: date
    devices: list[Id] = Field(min_length=1, max_length=1_000)
    quantity: Id | None = None
    begin: date = Field(alias="from")
    end: date = Field(alias="to")
    amount: str = Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,6})?$")
    unit: Line | None = Field(default=None, max_length=20)
    tolerance_percent: _Percent | None = None
    sha256: _Sha256 | None = None
    signed: Line | None = Field(default=None, max_length=2_000)
    corrects: Id | None = None
    reason: Line | None = Field(default=None, max_length=1_000)


class Delivery(Shape):
    """Invoices stored together, all or none."""

    invoices: list[NewInvoice] = Field(min_length=1, max_length=_MOST_ROWS)


class Delivered(Shape):
    """Result for an invoice."""

    id: str
    result: Literal["created", "unchanged"]


class Deliveries(Shape):
    """Results for all invoices, in order of submission."""

    results: list[Delivered]


class Invoice(Shape):
    """A stored invoice; `corrected_by` names its correction."""

    id: str
    project: str
    issuer: str
    number: str
    issued: date
    devices: list[str]
    quantity: str
    begin: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    value: str
    unit: str
    tolerance_percent: str
    sha256: str | None
    signed: str | None = None
    corrects: str | None
    reason: str | None
    corrected_by: str | None
    author: str
    imported: datetime
