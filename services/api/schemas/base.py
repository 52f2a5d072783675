"""
Common parts of all schemas: identifiers, states, problems, pages.

Jobs are steps of a statement, and files, executed in the background.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
State = Literal[
    "draft", "submitted", "under_verification", "verified", "rejected", "issued", "superseded",
    "revoked",
]  # fmt: skip
# a line of text: no control characters, which no database and no page would show
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Shape(BaseModel):
    """Base of all schemas: unknown keys are rejected in requests."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def pages(item: type[Shape]) -> type[BaseModel]:
    """Return the schema of a page of items."""
    from pydantic import create_model  # noqa: PLC0415 - only at start

    return create_model(
        f"{item.__name__}Page",
        __base__=Shape,
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(str | None, ...),
    )


class JobSteps(Shape):
    """Progress of a job: steps done, total (null if unknown), and current step."""

    done: int = Field(examples=[2])
    total: int | None = Field(examples=[4])
    step: str = Field(examples=["figures"])


class Job(Shape):
    """
    Requested step or file.

    `ahead` is the number of earlier jobs; `status` and `result` are the answer of the request, and
    `detail` the reason of a rejection. The result of a file has its `url`, size, and expiry.
    """

    job: UUID = Field(examples=["5f0c9c3e-6d0e-5a27-9d2c-0c7c2a4f9d11"])
    kind: str = Field(examples=["close"])
    subject: str = Field(examples=["roof-1"], description="Id of the project, or of the statement.")
    state: Literal["queued", "running", "done", "refused", "failed"] = Field(examples=["done"])
    ahead: int = Field(examples=[0])
    progress: JobSteps | None = Field(examples=[{"done": 4, "total": 4, "step": "draft"}])
    asked: datetime = Field(examples=["2026-02-05T03:00:00Z"])
    began: datetime | None = Field(examples=["2026-02-05T03:00:01Z"])
    ended: datetime | None = Field(examples=["2026-02-05T03:00:12Z"])
    status: int | None = Field(examples=[201])
    result: dict[str, Any] | None = Field(examples=[{"state": "draft", "credit_t": 10}])
    detail: str | None = Field(examples=[None])
