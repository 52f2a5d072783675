"""Projects, devices, their quantities, and the sewerage registry."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from ingest.classes import QUANTITIES
from services.api.schemas.people import Alarm, Shape


class Project(Shape):
    """A project of the registry."""

    id: str = Field(examples=["roof-1"])
    name: str = Field(examples=["Rooftop PV"])
    methodology: str = Field(examples=["ams-i-d"])
    version: str = Field(examples=["1.0"])
    timezone: str = Field(
        examples=["Europe/Berlin"],
        description="IANA name; after a change, each later name with its first local date: "
        "Asia/Kolkata, from 2026-07-01 Asia/Kathmandu.",
    )
    crediting_from: date
    crediting_to: date
    action: str | None = Field(examples=["1-03"])
    parameters: dict[str, Any]
    expected: dict[str, Any]


class Service(Shape):
    """A device's role in a project; `to` is exclusive."""

    device: str
    role: str = Field(examples=["generation"])
    from_: datetime = Field(alias="from")
    to: datetime


class AccountPart(Shape):
    """
    Part of a project's account, from a statement, the preliminary account, or intervals.

    `before_t` is the amount if no document and invoice were missing; intervals have no such
    deduction.  Both days are included.
    """

    source: Literal["issued", "closed", "open", "quarter hours"]
    statement: str | None = Field(examples=["TN-roof-1-20260201-20260301-1"])
    first_day: date = Field(examples=["2026-02-01"])
    last_day: date = Field(examples=["2026-02-28"])
    reduction_t: str | None = Field(examples=["12.510"])
    before_t: str | None = Field(examples=["12.601"])
    problem: str | None = Field(examples=[None])


class ProjectDetail(Project):
    """A project, its devices, and the parts of its account."""

    devices: list[Service]
    account: list[AccountPart]


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
    commissioned: date | None
    serial: str | None


class Calibration(Shape):
    """A certificate of a meter."""

    performed: date
    valid_until: date
    certificate: str
    accuracy_class: str | None
    max_error_percent: str | None
    serial: str | None
    channel: str | None = Field(examples=["ch4_percent"])
    found_error_percent: str | None = Field(examples=["0.8"])
    last_test: bool
    laboratory: str | None = Field(examples=["Quatest 3"])
    accreditation: str | None = Field(examples=["VILAS 004"])


class Served(Shape):
    """A project to which a device is or was assigned; `to` is exclusive."""

    project: str
    role: str = Field(examples=["generation"])
    from_: datetime = Field(alias="from")
    to: datetime


class Register(Shape):
    """
    Value of a register after metering; base units.

    `rose` is its last increase; `waiting_at` is the value of a second register sequence that is not
    confirmed yet, and `waiting` the number of its readings.
    """

    quantity: str = Field(examples=["energy_export"])
    unit: str = Field(examples=["Wh"])
    interval: datetime
    stands_at: int
    read: datetime | None
    rose: datetime | None
    waiting_at: int | None
    waiting: int | None


class DayAmount(Shape):
    """A quantity of a local day of the device's site; base units."""

    day: date
    quantity: str = Field(examples=["energy_export"])
    value: int
    unit: str = Field(examples=["Wh"])
    measured_h: float
    unknown_h: float


class QuarterAmount(Shape):
    """Quantity of one of today's intervals; base units."""

    start: datetime
    quantity: str = Field(examples=["energy_export"])
    value: int
    unit: str = Field(examples=["Wh"])


class FlagCount(Shape):
    """Readings of the last seven days flagged by a quality test."""

    channel: str
    test: str
    readings: int
    last: datetime


class Refused(Shape):
    """A rejected message."""

    id: int
    received: datetime
    reason: str
    detail: str
    topic: str
    principal: str


class Credential(Shape):
    """A credential of a device, without its secret."""

    kind: Literal["certificate", "password"]
    serial: str | None
    issued: datetime
    expires: datetime | None
    revoked: datetime | None
    reason: str | None


class PvArray(Shape):
    """Current PV modules of an inverter; angles in degrees, azimuth from north."""

    dc_power_w: int | None
    tilt: float | None
    azimuth: float | None
    temperature_coefficient_percent: float | None
    since: datetime


class PvDay(Shape):
    """
    Local day of an inverter before today, by IEC 61724-1; null if unknown.

    `no_ratio` is the reason for a missing performance ratio.  `expected_kwh` follows from the
    measured irradiance.  Losses are `standing_kwh` at standstill, `clipped_kwh` at the power
    limit, and `other_kwh` for all other causes.
    """

    day: date
    energy_kwh: float
    yield_h: float | None
    performance_ratio: float | None
    performance_ratio_25: float | None
    availability: float | None
    energy_availability: float | None
    expected_kwh: float | None
    standing_kwh: float | None
    clipped_kwh: float | None
    other_kwh: float | None
    no_ratio: str | None


class PvTrend(Shape):
    """Yearly change of the performance ratio at 25 °C [%/a], and its 95 % confidence interval."""

    percent_per_year: float
    low: float
    high: float
    first_day: date
    last_day: date


class PvSoiling(Shape):
    """
    Energy lost by soiling over all days of the inverter [%], and its 95 % confidence interval.

    `intervals` is the number of periods between cleanings. `missing` is the reason without a
    figure: `short`, less than a year of days; `gaps`, half of the days or more without a ratio;
    `unclear`, a fifth of the days or more show no soiling rate.
    """

    percent: float | None
    low: float | None
    high: float | None
    intervals: int | None
    missing: Literal["short", "gaps", "unclear"] | None


class Pv(Shape):
    """
    Data of a PV inverter.

    `against_site` is its yield of the last week relative to the median inverter of its plant, less
    one; null for fewer than three.
    """

    array: PvArray | None
    days: list[PvDay]
    against_site: float | None
    trend: PvTrend | None
    soiling: PvSoiling


class Behind(Shape):
    """Number of devices behind a gateway, and of those reporting."""

    devices: int
    online: int


class DeviceDetail(Device):
    """
    Device: state and cause, metered quantities, rejected messages.

    `cause` is empty while it reports.  `cost_t` is the reduction lost by its missing data so far.
    [t CO2e]
    """

    registered: bool
    calibrations: list[Calibration]
    state: Literal["online", "late", "offline", "not commissioned"] | None
    cause: Literal[
        "",
        "removed",
        "gateway",
        "refused",
        "credential",
        "will",
        "not commissioned",
        "never heard",
        "silence",
    ]
    since: datetime | None
    what_to_do: str
    runbook: str = Field(examples=["docs/runbook.md#gatewaydark"])
    cost_t: str | None
    cost_t_per_day: str | None
    side: Literal["baseline", "project", "both"] | None
    last_reading: datetime | None
    received: datetime | None
    expected_s: float | None
    gateway_dark: bool | None
    gateway_heard: datetime | None
    behind: Behind
    said: str | None
    said_at: datetime | None
    firmware: str | None
    completeness_today: float | None
    clock: str | None
    clock_offset_s: float | None
    clock_drift_s_per_day: float | None
    maker: str | None
    model: str | None
    site_name: str
    timezone: str
    attributes: dict[str, Any]
    projects: list[Served]
    newest: dict[str, float | int]
    registers: list[Register]
    days: list[DayAmount]
    today: list[QuarterAmount]
    flags: list[FlagCount]
    refused: list[Refused]
    credentials: list[Credential]
    alarms: list[Alarm]
    pv: Pv | None


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


class Place(Shape):
    """A GeoJSON geometry, longitude first."""

    type: Literal["Point", "LineString"]
    coordinates: list[Any]


class SewerFeature(Shape):
    """A pipe, manhole, pumping station or outfall; unknown values are omitted."""

    type: Literal["Feature"]
    id: str
    geometry: Place
    properties: dict[str, Any]


class Sewers(Shape):
    """Assets in a window of the map; `next` is the value for `after`, if there are more."""

    type: Literal["FeatureCollection"]
    features: list[SewerFeature]
    next: str | None


class SewerEvent(Shape):
    """An inspection or work of an asset; condition 1 (as new) to 5 (about to fail)."""

    day: date
    what: Literal["inspection", "work"]
    kind: str
    condition: int | None
    note: str


class Sewer(SewerFeature):
    """An asset with its history, the newest first."""

    history: list[SewerEvent]
