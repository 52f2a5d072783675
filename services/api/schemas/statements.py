"""Statements, their steps, and the periods they are about."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape, State
from services.issuer.planning import Kind


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
    """Whether a statement counts now."""

    statement: str
    state: State
    since: datetime
    reason: str | None
    superseded_by: str | None


class SubmissionLine(Shape):
    """A check of a request for issuance: what lacks, and where it stands in the report."""

    part: Literal["completeness", "information"]
    check: Line = Field(examples=["calibrated"])
    title: str = Field(examples=["Calibration of each meter for the whole period"])
    holds: bool
    lacking: list[str] = Field(examples=[["inv-2: 93.2 %"]])
    chapter: str = Field(examples=["Meters and calibration"])
    page: int | None = Field(examples=[4])


class Submission(Shape):
    """What a completeness check and an information and reporting check would find."""

    statement: Id
    state: State
    complete: bool
    checks: list[SubmissionLine]


class Due(Shape):
    """Something of a project that is due; `due` is null of what is open now."""

    kind: Kind = Field(examples=["calibration"])
    what: str = Field(examples=["inv-2"])
    due: date | None = Field(examples=["2027-12-20"])
    state: Literal["overdue", "open", "soon", "later"]
    responsible: str | None = Field(examples=["Energy manager"])


class Schedule(Shape):
    """What of a project is due, what is open first, then by day."""

    project: str = Field(examples=["roof-1"])
    today: date = Field(examples=["2027-11-30"])
    due: list[Due]


class ClosePeriod(Shape):
    """Local dates of the project, or RFC 3339; half-open."""

    begin: str = Field(alias="from", max_length=40, examples=["2026-01-01"])
    end: str = Field(alias="to", max_length=40, examples=["2026-02-01"])


class ClosedPeriod(Shape):
    """The draft of a closed period; `new` unless the same was there."""

    statement: str
    state: State
    new: bool
    reduction_t: str = Field(examples=["10.836590"])
    credit_t: int


class Issued(Shape):
    """An issued statement's place in the log, and what its time-stamp authorities answered."""

    statement: str
    state: State
    log_index: int
    notes: tuple[str, ...] = Field(
        default=(), examples=[["stamped by Example TSA at 2026-03-05T02:00:00Z"]]
    )


class Reason(Shape):
    """Why a step is taken; it stands in the record."""

    reason: Line = Field(max_length=2_000, examples=["late readings of inv-003"])
