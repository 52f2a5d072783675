"""
The systems of the programme, and the maximum of credits that may be transferred.

A system without a methodology has no tonnes: null, never 0.

A country's rules are in `transfer.toml` of its folder.  Viet Nam limits the share by the list of
Annex I of Decree 112/2026 that contains the project's measure, and by the corresponding adjustment
of the host.  Without the class of a project there is no result.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Annotated

from mrv import countries
from mrv.registry import Key
from mrv.rounding import floor_credit
from mrv.texts import Text, text


@dataclass(frozen=True, slots=True)
class System:
    """
    A pilot or project of the programme.

    `reason`: why there is no methodology; `annex`: its measure in Annex I of Decree 112/2026, if
    listed.
    """

    id: str
    title: str
    methods: tuple[str, ...]
    reason: str | None = None
    annex: str | None = None
    note: str | None = None


@cache
def load() -> Mapping[str, System]:
    """Return all systems by id."""
    text = (resources.files(__package__) / "programme_systems.toml").read_text("utf-8")
    entries = tomllib.loads(text)["system"]
    return MappingProxyType(
        {entry["id"]: System(**{**entry, "methods": tuple(entry["methods"])}) for entry in entries}
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """
    Provisions of a decree.  `with_adjustment`: transferable share of the credits if the host makes
    a corresponding adjustment, by number of the list.
    """

    id: str
    in_force: date
    source: str
    certainty: str
    without_adjustment: Fraction
    with_adjustment: dict[int, Fraction]
    conditions: dict[str, str]


@dataclass(frozen=True, slots=True)
class TransferClass:
    """
    Class of a project in Annex I of the decree: list 1 or 2, measure such as `I.6`.

    `adjusted`: whether the host makes a corresponding adjustment; None: not stated.
    """

    number: Annotated[int | None, Key("list", low=1, high=2)] = None
    measure: str | None = None
    adjusted: Annotated[bool | None, Key("corresponding_adjustment")] = None


@dataclass(frozen=True, slots=True)
class Transferable:
    """
    Maximum of credits that may be transferred; None if the project's class is not stated.

    `basis`: the rule, or what is missing; `condition`: further requirements of the measure.
    """

    credit_t: int | None
    share: Fraction | None
    basis: Text
    condition: str | None = None


@cache
def rules(country: str | None) -> Rules | None:
    """Return the provisions of a country's decree; None if none are known."""
    decree = countries.ruling("transfer").get(country or "")
    if decree is None:
        return None
    return Rules(
        id=decree["id"],
        in_force=decree["in_force"],
        source=decree["source"],
        certainty=decree["certainty"],
        without_adjustment=Fraction(Decimal(decree["without_adjustment"])),
        with_adjustment={
            int(number): Fraction(Decimal(item["with_adjustment"]))
            for number, item in decree["list"].items()
        },
        conditions=decree["condition"],
    )


def transferable(credit_t: int, project: TransferClass, country: str | None) -> Transferable:
    """
    Return the maximum whole credits of a project that may be transferred abroad.

    `credit_t`: issued so far; a transfer may only be authorised after issuance. [t]
    `country`: country of the project.

    Rounded down.
    """
    decree = rules(country)
    if decree is None:
        lacking = text("transfer.no_rules", country=country) if country else None
        return Transferable(None, None, lacking or text("transfer.no_country"))
    if project.adjusted is None:
        return Transferable(None, None, text("transfer.no_adjustment"))
    if project.number is None:
        return Transferable(None, None, text("transfer.no_list"))
    if project.adjusted:
        share = decree.with_adjustment[project.number]
        basis = text("transfer.with_adjustment", list=project.number)
    else:
        share = decree.without_adjustment
        basis = text("transfer.without_adjustment")
    measure = f"{project.number}-{project.measure}"
    return Transferable(
        credit_t=floor_credit(share * credit_t),
        share=share,
        basis=text(
            "transfer.basis",
            source=decree.source,
            basis=basis,
            certainty=text(f"certainty.read_{decree.certainty}"),
        ),
        condition=decree.conditions.get(measure),
    )
