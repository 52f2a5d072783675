"""What the API answers and takes, as OpenAPI tells it."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.classes import QUANTITIES

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


class PublicKey(Shape):
    """A public key, whose it is and what its signature counts for."""

    name: str = Field(examples=["demo-operator"])
    role: Literal["operator", "verifier", "log", "witness"]
    multikey: str = Field(
        alias="publicKeyMultibase", examples=["z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"]
    )
    valid_from: str | None = Field(default=None, alias="validFrom")
    valid_until: str | None = Field(default=None, alias="validUntil")


class Keyring(Shape):
    """The keys that are enrolled."""

    keys: list[PublicKey]


class Me(Shape):
    """Who asks, and what may be seen; `projects` null is everything."""

    id: str = Field(examples=["key:4m2k9x0qpz1c"])
    name: str = Field(examples=["Third-party entity"])
    role: Literal["public", "operator", "verifier", "auditor", "admin"]
    projects: list[str] | None


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


class Interval(Shape):
    """A quantity in 15 minutes from `start`; energy in whole Wh."""

    start: datetime
    quantity: str = Field(examples=["energy_export"], json_schema_extra={
        "enum": [q.name for q in QUANTITIES]})  # fmt: skip
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


class Statement(Shape):
    """A statement in a list."""

    statement: str = Field(examples=["TN-nck-pv-20260101-20260201-1"])
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


class Entry(Shape):
    """An entry of the log; `body` is its text, `leaf_hash` base64."""

    index: int
    kind: str
    statement: str | None
    appended: datetime
    body: str
    leaf_hash: str


class Inclusion(Shape):
    """That an entry is in the log of a size (RFC 9162, 2.1.3); hashes base64."""

    index: int
    size: int
    leaf_hash: str
    root_hash: str
    hashes: list[str]


class Consistency(Shape):
    """That the log of a size goes on from an earlier one (RFC 9162, 2.1.4); hashes base64."""

    first: int
    second: int
    first_root: str
    second_root: str
    hashes: list[str]


class Letter(Shape):
    """A message that was refused, and why."""

    id: int
    received: datetime
    topic: str
    device_id: str | None
    reason: str
    detail: str
    content_type: str | None
    size: int


class CityModel(Shape):
    """The city's account of an action, modelled. [t CO2e a year]"""

    target_t_per_year: str | None
    target_year: int | None
    reported_t: str | None
    reported_percent_of_target: str | None


class Projects(Shape):
    """The projects' account of an action, measured. [t CO2e]"""

    count: int
    expected_t_per_year: str | None
    monitored_t: str | None
    monitored_percent_of_target: str | None
    issued_credits_t: int | None


class Action(Shape):
    """An action of the programme; `part_of` names the one whose figures hold these too."""

    action: str
    name: str
    part_of: str | None
    city_model: CityModel
    projects: Projects


class Transferable(Shape):
    """What of a project's issued credits may go abroad, and by which clause."""

    project: str
    action: str | None
    issued_credits_t: int
    transferable_t: int | Literal["not determined"]
    basis: str
    condition: str | None


class Transfer(Shape):
    """The rules of a transfer abroad, and what they let go."""

    rules: str
    in_force: date
    projects: list[Transferable]


class Programme(Shape):
    """Two accounts beside each other, never added."""

    programme: str
    year: int | None
    accounts: str
    actions: list[Action]
    transfer: Transfer


class SystemProject(Shape):
    """A project of a system: expected against measured, and what may go abroad. [t CO2e]"""

    project: str
    name: str
    system: str | None
    action: str | None
    methodology: str
    expected_t_per_year: str | None
    expected_t_so_far: str | None
    monitored_t: str | None
    measured_percent_of_expected: str | None
    issued_credits_t: int
    transferable_t: int | Literal["not determined"]
    transfer_basis: str
    provisional: list[str]


class SystemIndicator(Shape):
    """A station's year: how many days, and how many exceed their limits; never carbon."""

    device: str
    system: str
    indicator: str
    days: int
    days_judged: int
    days_exceeded: int | None
    mean: float | None
    highest: float | None
    lowest: float | None


class SystemReport(Shape):
    """A system of the programme; `tCO2` null: nothing counts it, or nothing was measured."""

    system: str
    title: str
    kind: Literal["carbon", "indicator", "registry"]
    reason: str | None
    devices: int
    devices_heard: int
    tCO2: str | None  # noqa: N815 - the unit's own spelling
    expected_t: str | None
    issued_credits_t: int | None
    projects: list[SystemProject]
    indicators: list[SystemIndicator]
    registry: dict[str, Any] | None


class ParkMember(Shape):
    """What a member made, got and gave, by what it is."""

    site: str
    name: str
    balance: dict[str, dict[str, str]]


class ParkFlow(Shape):
    """What a device counted, from which member to which."""

    device: str
    of: Literal["energy", "heat", "water", "waste"]
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    amount: str | None
    unit: str
    measured_share: str


class Park(Shape):
    """An eco-industrial park's balance in a half-open time; amounts as decimal text."""

    park: str
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    members: list[ParkMember]
    park_balance: dict[str, dict[str, str]]
    flows: list[ParkFlow]
    monitored_t: str | None


class ProgrammeReport(Programme):
    """The two accounts, and every system."""

    systems: list[SystemReport]
    without_system: list[SystemProject]
    parks: list[Park]


class Place(Shape):
    """A GeoJSON geometry, longitude first."""

    type: Literal["Point", "LineString"]
    coordinates: list[Any]


class SewerFeature(Shape):
    """A pipe, manhole, pumping station or outfall; what is not known is left out."""

    type: Literal["Feature"]
    id: str
    geometry: Place
    properties: dict[str, Any]


class Sewers(Shape):
    """Assets in a window of the map; `next` is what to ask `after`, where there are more."""

    type: Literal["FeatureCollection"]
    features: list[SewerFeature]
    next: str | None


class SewerEvent(Shape):
    """What was seen of an asset, or done to it; condition 1 (as new) to 5 (about to fail)."""

    day: date
    what: Literal["inspection", "work"]
    kind: str
    condition: int | None
    note: str


class Sewer(SewerFeature):
    """An asset with its history, the newest first."""

    history: list[SewerEvent]


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
    """An issued statement's place in the log."""

    statement: str
    state: State
    log_index: int


class Reason(Shape):
    """Why a step is taken; it stands in the record."""

    reason: Line = Field(max_length=2_000, examples=["late readings of inv-003"])


class NewKey(Shape):
    """An API key to be made; no `projects`: all of them."""

    name: Line = Field(max_length=200, examples=["Third-party entity"])
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[Id] | None = Field(default=None, max_length=1_000)
    expires: datetime | None = None


class Key(Shape):
    """An API key without its secret."""

    id: str
    name: str
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[str] | None
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None


class MadeKey(Key):
    """A key just made; the token is shown this once."""

    token: str


class AuditRow(Shape):
    """A write or download; `request` is a digest of its query."""

    id: int
    at: datetime
    principal: str
    role: str
    method: str
    path: str
    status: int
    request: str


def pages(item: type[Shape]) -> type[BaseModel]:
    """Return the shape of a page of items."""
    from pydantic import create_model  # noqa: PLC0415 - only at start

    return create_model(
        f"{item.__name__}Page",
        __base__=Shape,
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(str | None, ...),
    )
