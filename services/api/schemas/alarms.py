"""Alarms: fault, start, cost, acknowledgement."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from services.api.schemas.base import Shape

# a text of several lines; no database keeps a NUL
Said = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")]


class Alarm(Shape):
    """
    Alarm of a device, a gateway or a project.

    `cost_t_per_day` is the project's reduction lost by missing data [t CO2e]; null without a price,
    and, like the number of devices, if the caller does not see every project concerned.
    """

    id: int
    kind: str = Field(examples=["gateway_silent"])
    severity: Literal["critical", "major", "minor"]
    state: Literal["open", "acknowledged", "cleared"]
    subject_type: Literal["device", "gateway", "project"]
    subject: str = Field(examples=["gw-01"])
    part: str = Field(examples=[""], description="Channel or indicator, for a device with several.")
    class_: str | None = Field(alias="class", examples=["energy_meter"])
    site: str | None
    projects: list[str]
    since: datetime
    raised: datetime = Field(examples=["2026-02-05T03:00:30Z"])
    cause: str = Field(examples=["silence"])
    cause_now: Literal["refused", "credential"] | None = Field(
        examples=[None],
        description="Current cause of the outage, if it differs from the cause at the start: "
        "messages are rejected, or no valid credential. `what_to_do` refers "
        "to it.",
    )
    detail: dict[str, Any] = Field(examples=[{}])
    devices: int | None = Field(examples=[48])
    cost_t_per_day: str | None = Field(examples=["0.412"])
    cleared: datetime | None = Field(examples=[None])
    acknowledged: datetime | None = Field(examples=["2026-02-05T03:10:00Z"])
    acknowledged_by: str | None = Field(examples=["the operator"])
    timezone: str = Field(
        examples=["Europe/Berlin"], description="Only alarms of this site or project."
    )
    what_to_do: str = Field(examples=["Check the gateway: its power supply, its uplink."])
    runbook: str = Field(examples=["docs/runbook.md#gatewaydark"])


class AlarmEvent(Shape):
    """An event of an alarm; events are only added."""

    event: Literal["raised", "acknowledged", "commented", "cleared"]
    at: datetime
    actor: str = Field(examples=["the operator"])
    text: str = Field(examples=["a technician is on the way"])


class AlarmDetail(Alarm):
    """An alarm with its history."""

    history: list[AlarmEvent]


class AlarmRemark(Shape):
    """A comment with an acknowledgement; may be empty."""

    text: Said = Field(default="", examples=["a technician is on the way"])
