"""Schemas of API requests and answers for OpenAPI; those of the programme, and all others."""

# ruff: noqa: F403 - the package exports all schemas of its files

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import Field

from services.api.schemas.people import *
from services.api.schemas.people import Shape
from services.api.schemas.registry import *
from services.api.schemas.statements import *


class CityModel(Shape):
    """The city's account of an action, modelled. [t CO2e a year]"""

    target_t_per_year: str | None
    target_year: int | None
    reported_t: str | None
    reported_percent_of_target: str | None


class Projects(Shape):
    """Emission reductions measured by the projects of an action. [t CO2e]"""

    count: int
    expected_t_per_year: str | None
    monitored_t: str | None
    monitored_percent_of_target: str | None
    issued_credits_t: int | None


class Action(Shape):
    """An action of the programme; `part_of` names the action that includes it."""

    action: str
    name: str
    part_of: str | None
    city_model: CityModel
    projects: Projects


class Transferable(Shape):
    """Maximum credits of a project that may be transferred abroad, and the clause."""

    project: str
    action: str | None
    issued_credits_t: int
    transferable_t: int | Literal["not determined"]
    basis: str
    condition: str | None


class Transfer(Shape):
    """Rules of a transfer abroad, and the permitted amounts."""

    rules: str
    in_force: date
    projects: list[Transferable]


class Programme(Shape):
    """The city's modelled and the projects' measured tonnes; the two are not added."""

    programme: str
    year: int | None
    accounts: str
    actions: list[Action]
    transfer: Transfer | None


class SystemProject(Shape):
    """A project of a system: expected, measured and transferable tonnes. [t CO2e]"""

    project: str
    name: str
    counted: bool = Field(description="Whether the project belongs to the programme.")
    system: str | None
    action: str | None
    methodology: str
    expected_t_per_year: str | None
    expected_t_so_far: str | None
    expected_ahead_t: str | None = Field(description="Amount expected for the rest of the year.")
    monitored_t: str | None
    measured_percent_of_expected: str | None
    plan_error: str | None = Field(description="Why the plant cannot reach its estimate.")
    issued_credits_t: int
    issued_by_grade_t: dict[str, str] | None = Field(
        description="Credits by grade of evidence; null where no statement states grades."
    )
    transferable_t: int | Literal["not determined"]
    transfer_basis: str
    provisional: list[str]


class SystemIndicator(Shape):
    """A station's year: number of days, and of exceedances; not part of any tonnes."""

    device: str
    system: str
    indicator: str
    days: int
    days_judged: int
    days_exceeded: int | None
    mean: float | None
    highest: float | None
    lowest: float | None


class SystemField(Shape):
    """A rice field's year by its water tube; a dry-down counts once it is flooded again."""

    device: str
    system: str
    days: int
    dry_days: int
    dry_downs: int
    lowest_cm: float | None


class SystemReport(Shape):
    """A system of the programme; `tCO2` null: no methodology, or no measurement."""

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
    fields: list[SystemField]
    registry: dict[str, Any] | None


class ParkMember(Shape):
    """Amounts that a member generated, received and supplied, by resource and direction."""

    site: str
    name: str
    balance: dict[str, dict[str, str | None]]


class ParkFlow(Shape):
    """Amount metered by a device, from one member to another."""

    device: str
    of: Literal["energy", "heat", "water", "waste"]
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    amount: str | None
    unit: str
    measured_share: str


class Park(Shape):
    """
    Balance of an eco-industrial park in a time span, end excluded; amounts as decimal text.

    `not_accounted` are projects with measurements that are not yet in `monitored_t`.
    """

    park: str
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    members: list[ParkMember]
    park_balance: dict[str, dict[str, str | None]]
    flows: list[ParkFlow]
    monitored_t: str | None
    not_accounted: list[str] = Field(examples=[["wastewater-1"]])


class Money(Shape):
    """Cost, savings or revenue of energy in one currency; not part of any tonnes."""

    kind: Literal["cost", "earned", "saved"]
    amount: str = Field(examples=["1234.50"])
    currency: str = Field(examples=["EUR"])
    energy_kwh: str = Field(examples=["4115.000"])


class ProjectMoney(Money):
    """Cost, savings or revenue of a project's energy in one currency."""

    project: str
    name: str


class IssuedStatement(Shape):
    """Valid statement and the whole tonnes that it credits for the year; `to` is exclusive. [t]"""

    statement: str
    project: str
    name: str
    begin: str = Field(alias="from")
    end: str = Field(alias="to")
    credited_t: int = Field(examples=[10])


class StandingCause(Shape):
    """Current alarms with one cause; empty for a past year."""

    kind: str = Field(examples=["device_silent"])
    severity: Literal["critical", "major", "minor"]
    since: str = Field(examples=["2026-02-05T10:00+07:00"])
    subjects: list[str] = Field(examples=[["inv-1"]])
    places: list[str] = Field(examples=[["Depot"]])
    cost_t_per_day: str | None = Field(examples=["0.412"])


class ProgrammeReport(Programme):
    """Progress of the programme, with every system; statements and alarms of all projects."""

    systems: list[SystemReport]
    statements: list[IssuedStatement]
    alarms: list[StandingCause]
    without_system: list[SystemProject]
    parks: list[Park]
    money: list[ProjectMoney]
