"""Jobs: steps of a statement's life that are done while nobody waits."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from services.api.schemas.base import Shape


class Job(Shape):
    """
    A step that was asked for.

    `ahead` counts the jobs that stand before it; `status` and `result` are what the request
    would have been answered, and `detail` why it was refused.
    """

    job: UUID = Field(examples=["5f0c9c3e-6d0e-5a27-9d2c-0c7c2a4f9d11"])
    kind: str = Field(examples=["close"])
    subject: str = Field(examples=["nck-pv"], description="The project, or the statement.")
    state: Literal["queued", "running", "done", "refused", "failed"] = Field(examples=["done"])
    ahead: int = Field(examples=[0])
    asked: datetime = Field(examples=["2026-02-05T03:00:00Z"])
    began: datetime | None = Field(examples=["2026-02-05T03:00:01Z"])
    ended: datetime | None = Field(examples=["2026-02-05T03:00:12Z"])
    status: int | None = Field(examples=[201])
    result: dict[str, Any] | None = Field(examples=[{"state": "draft", "credit_t": 10}])
    detail: str | None = Field(examples=[None])
