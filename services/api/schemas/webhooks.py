"""Webhooks as sent and received by the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from services.api.schemas.base import Id, Line, Shape

WebhookName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", examples=["registry"])]
Topic = Literal["statement", "finding", "alarm"]


class NewWebhook(Shape):
    """A webhook to be registered; without `projects`: all of them."""

    id: WebhookName
    url: Annotated[
        str, Field(min_length=1, max_length=2000, examples=["https://registry.example/tonne"])
    ]
    topics: Annotated[list[Topic], Field(min_length=1, max_length=3, examples=[["statement"]])]
    projects: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None


class Webhook(Shape):
    """A webhook; `waiting` and `dead` are deliveries, `delivered` is the last success."""

    id: WebhookName
    url: str = Field(examples=["https://registry.example/tonne"])
    topics: list[Topic] = Field(examples=[["statement"]])
    projects: list[str] | None
    author: str = Field(examples=["the admin"])
    created: datetime
    ended: datetime | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    waiting: int = Field(examples=[0])
    dead: int = Field(examples=[0])
    delivered: datetime | None = Field(examples=["2026-02-05T03:00:00Z"])


class MadeWebhook(Webhook):
    """A webhook with its secret, which is shown only once."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class NewSecret(Shape):
    """Time for which the previous secret also signs. [h]"""

    overlap_h: int = Field(default=24, ge=0, le=168, examples=[24])


class MadeSecret(Shape):
    """The new secret of a webhook, which is shown only once."""

    id: WebhookName
    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class WebhookDelivery(Shape):
    """Delivery of an event to a webhook, and the result of the last attempt."""

    sequence: int = Field(examples=[17])
    event: UUID = Field(examples=["0b0e7a52-4f0c-4b4a-9a3e-3c1d7f0a2b11"])
    type: str = Field(examples=["tonne.statement.issued"])
    subject: str = Field(examples=["TN-roof-1-20260101-20260201-1"])
    at: datetime
    state: Literal["waiting", "delivered", "dead"] = Field(examples=["delivered"])
    attempts: int = Field(examples=[1])
    due: datetime = Field(examples=["2026-02-05T03:00:00Z"])
    tried: datetime | None = Field(examples=["2026-02-05T03:00:00Z"])
    status: int | None = Field(examples=[204])
    error: str | None = Field(examples=[None])


class Replay(Shape):
    """Events to resend: by id, all from a time on, or all undelivered."""

    events: list[UUID] = Field(default_factory=list, max_length=1000, examples=[[]])
    since: datetime | None = None
    dead: bool = Field(default=False, examples=[True])


class Replayed(Shape):
    """Number of events resent, and time of the oldest stored one."""

    events: int = Field(examples=[3])
    oldest_kept: datetime | None = Field(default=None, examples=["2026-02-05T03:00:30Z"])


class Ending(Shape):
    """Reason for the end of a webhook."""

    reason: Annotated[Line, Field(max_length=200)] = "removed"
