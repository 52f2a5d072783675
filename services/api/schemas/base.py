"""What all schemas share: identifiers, states, problems, pages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
State = Literal[
    "draft", "submitted", "under_verification", "verified", "rejected", "issued", "superseded",
    "revoked",
]  # fmt: skip
# a line of text: no control characters, which no database and no page would show
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Shape(BaseModel):
    """Base of all: unknown keys are refused in requests."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def pages(item: type[Shape]) -> type[BaseModel]:
    """Return the shape of a page of items."""
    from pydantic import create_model  # noqa: PLC0415 - only at start

    return create_model(
        f"{item.__name__}Page",
        __base__=Shape,
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(str | None, ...),
    )
