"""Approvals of an issue and status lists, as their holders signed them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from services.api.schemas.base import Line, Shape
from services.api.schemas.findings import Signed, Time

# a list of 16,777,216 bits, packed
_MOST = 3_000_000


class Approved(Shape):
    """The statement to be issued, and its verification."""

    id: Line = Field(max_length=200)
    verification: str = Field(alias="verificationSha256", pattern="^[0-9a-f]{64}$")


class IssueApproval(Signed):
    """An operator's approval, as `tonne statement approve PACK --out FILE` signs it."""

    subject: Approved = Field(alias="credentialSubject")


class TakenApproval(Shape):
    """Number of people who have approved the issue of a statement so far."""

    statement: str
    state: Literal["verified"]
    approvals: int


class StatusBits(Shape):
    """One bit per statement, compressed: multibase base64url of gzip."""

    id: Line = Field(max_length=200)
    type: Literal["BitstringStatusList"]
    purpose: Line = Field(alias="statusPurpose", max_length=40)
    encoded: str = Field(alias="encodedList", max_length=_MOST, pattern="^u[A-Za-z0-9_-]+$")


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
