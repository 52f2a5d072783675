"""Schemas of interval quantities, emissions and rejected messages."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from ingest.classes import QUANTITIES
from services.api.schemas.base import Shape


class Interval(Shape):
    """A quantity in 15 minutes from `start`; energy in whole Wh."""

    start: datetime
    quantity: str = Field(
        examples=["energy_export"], json_schema_extra={"enum": [q.name for q in QUANTITIES]}
    )
    value: int
    unit: str = Field(examples=["Wh"])
    quality: Literal["measured", "estimated", "suspect"]
    measured_share: float = Field(ge=0, le=1)


class Emission(Shape):
    """A project's emissions in 15 minutes from `start`. [ug CO2e]"""

    start: datetime
    baseline_ug: int
    project_ug: int
    leakage_ug: int
    reduction_ug: int


class Letter(Shape):
    """A rejected message and the reason."""

    id: int
    received: datetime
    topic: str
    device_id: str | None
    reason: str
    detail: str
    content_type: str | None
    size: int
