"""Schemas of statements, their steps and periods, log entries and proofs, and sampling lists."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape, State
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
    """Whether a statement is valid now."""

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
