"""Projects and devices of the registry."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from services.api.schemas.base import Shape


class Project(Shape):
    """A project of the registry."""

    id: str = Field(examples=["nck-pv"])
    name: str = Field(examples=["Rooftop PV"])
    methodology: str = Field(examples=["jcm-vn-am007"])
    version: str = Field(examples=["1.0"])
    timezone: str = Field(examples=["Asia/Ho_Chi_Minh"])
    crediting_from: date
    crediting_to: date
    action: str | None = Field(examples=["1-03"])
    parameters: dict[str, Any]
    expected: dict[str, Any]


class Service(Shape):
    """A device's part in a project; half-open in time."""

    device: str
    role: str = Field(examples=["generation"])
    from_: datetime = Field(alias="from")
    to: datetime


class ProjectDetail(Project):
    """A project and what serves it."""

    devices: list[Service]


class Device(Shape):
    """A device of the registry."""

    id: str = Field(examples=["inv-001"])
    site: str
    class_: str = Field(alias="class", examples=["pv_inverter"])
    profile: str
    gateway: str | None
    rated_power_w: int | None
    installed: datetime
    removed: datetime | None
    serial: str | None


class Calibration(Shape):
    """A certificate of a meter."""

    performed: date
    valid_until: date
    certificate: str
    accuracy_class: str | None
    max_error_percent: str | None


class DeviceDetail(Device):
    """A device with its certificates, and when it was last heard."""

    calibrations: list[Calibration]
    state: Literal["online", "late", "offline"] | None
    last_reading: datetime | None
