"""Findings, opinions, signatures, approvals and status lists, signed elsewhere and submitted."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape

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
