"""Schemas of statements, periods, log proofs, findings, opinions, signatures, approvals."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from services.api.schemas.people import Id, Line, Shape, State
from services.issuer.planning import Kind


class Sampled(Shape):
    """Device-days that the verifier sampled: drawn at random, by risk, and in the population."""

    statement: str
    state: Literal["under_verification"]
    random: int
    by_risk: int
    population: int


class Entry(Shape):
    """An entry of the log; `body` is its text, `leaf_hash` base64."""

    index: int
    kind: str
    statement: str | None
    appended: datetime
    body: str
    leaf_hash: str


class Inclusion(Shape):
    """Proof that an entry is in the log of a size (RFC 9162, 2.1.3); hashes in base64."""

    index: int
    size: int
    leaf_hash: str
    root_hash: str
    hashes: list[str]


class Consistency(Shape):
    """Proof that the log of a size extends an earlier one (RFC 9162, 2.1.4); hashes in base64."""

    first: int
    second: int
    first_root: str
    second_root: str
    hashes: list[str]


class Statement(Shape):
    """A statement in a list."""

    statement: str = Field(examples=["TN-roof-1-20260101-20260201-1"])
    project: str
    state: State
    begin: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    credit_t: int
    supersedes: str | None


class Step(Shape):
    """A step of a statement's life."""

    state: State
    at: datetime
    by: str
    reason: str | None


class StatementDetail(Statement):
    """A statement, its steps and its signed documents so far."""

    events: list[Step]
    document: dict[str, Any]
    verification: dict[str, Any] | None


class Status(Shape):
    """Current state of a statement: since when, why, and by which statement it was replaced."""

    statement: str
    state: State
    since: datetime
    reason: str | None
    superseded_by: str | None


class SubmissionLine(Shape):
    """A check of a request for issuance: missing items, and page of the report."""

    part: Literal["completeness", "information"]
    check: Line = Field(examples=["calibrated"])
    title: str = Field(examples=["Calibration of each meter for the whole period"])
    holds: bool
    lacking: list[str] = Field(examples=[["inv-2: 93.2 %"]])
    chapter: str = Field(examples=["Meters and calibration"])
    page: int | None = Field(examples=[4])


class Submission(Shape):
    """Results of a completeness check and an information and reporting check."""

    statement: Id
    state: State
    complete: bool
    checks: list[SubmissionLine]


class Due(Shape):
    """A due item of a project; `due` is null for an open one."""

    kind: Kind = Field(examples=["calibration"])
    what: str = Field(examples=["inv-2"])
    due: date | None = Field(examples=["2027-12-20"])
    state: Literal["overdue", "open", "soon", "later"]
    responsible: str | None = Field(examples=["Energy manager"])


class Schedule(Shape):
    """Due items of a project, open ones first, then by day."""

    project: str = Field(examples=["roof-1"])
    today: date = Field(examples=["2027-11-30"])
    due: list[Due]


class ClosePeriod(Shape):
    """Local dates of the project, or RFC 3339; end excluded."""

    begin: str = Field(alias="from", max_length=40, examples=["2026-01-01"])
    end: str = Field(alias="to", max_length=40, examples=["2026-02-01"])


class ClosedPeriod(Shape):
    """The draft of a closed period; `new` is false if it existed."""

    statement: str
    state: State
    new: bool
    reduction_t: str = Field(examples=["10.836590"])
    credit_t: int


class Issued(Shape):
    """An issued statement's log index, and the answers of its time-stamp authorities."""

    statement: str
    state: State
    log_index: int
    notes: tuple[str, ...] = Field(
        default=(), examples=[["stamped by Example TSA at 2026-03-05T02:00:00Z"]]
    )


class Reason(Shape):
    """Reason for a step, stored in the record."""

    reason: Line = Field(max_length=2_000, examples=["late readings of inv-003"])


What = Literal["raised", "answered", "closed"]


class FindingStep(Shape):
    """Event of a finding; `sha256` is of the signed document's canonical bytes."""

    event: What
    by: str
    at: str
    text: str
    sha256: str


class FindingAbout(Shape):
    """Devices and local days of a finding; `to` is the day after, and absent days are all."""

    devices: list[str] = Field(default=[], examples=[["inv-1"]])
    begin: str | None = Field(default=None, alias="from", examples=["2026-03-02"])
    end: str | None = Field(default=None, alias="to", examples=["2026-03-04"])


class Finding(Shape):
    """Finding with its current state; `effect_t` is the overstatement of the reduction."""

    finding: str
    kind: Literal["CAR", "CL", "OBS", "FAR"]
    state: Literal["open", "answered", "closed"]
    effect_t: str | None
    events: list[FindingStep]
    about: FindingAbout | None = None


class Findings(Shape):
    """A statement's findings, in the order in which they were raised."""

    statement: str
    findings: list[Finding]


class TakenEvent(Shape):
    """The finding of the accepted event, in its current state."""

    statement: str
    state: Literal["under_verification"]
    finding: Finding


class Judged(Shape):
    """The statement's state after the verifier's opinion was accepted."""

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


class TakenApproval(Shape):
    """Number of people who have approved the issue of a statement."""

    statement: str
    state: Literal["verified"]
    approvals: int


class TakenList(Shape):
    """A published status list."""

    project: str
    valid_from: str


_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Percent = Annotated[str, Field(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)$")]
_MAX_ROWS = 1_000


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

    invoices: list[NewInvoice] = Field(min_length=1, max_length=_MAX_ROWS)


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
