"""Documents of sales or purchases (monitoring option B), as submitted and as stored."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Percent = Annotated[str, Field(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,6})?)$")]
_MOST = 1_000


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

    invoices: list[NewInvoice] = Field(min_length=1, max_length=_MOST)


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
