"""
How many issued credits may be transferred abroad, under Decree 112/2026.

Article 6 caps the share by the list of Annex I in which the project's measure
stands, and by whether the host makes a corresponding adjustment.  Where the class
of a project is not set, nothing is worked out: no share is better than a guess.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources

from mrv.rounding import floor_credit

NOT_DETERMINED = "not determined"


@dataclass(frozen=True, slots=True)
class Rules:
    """The decree's numbers, for projects of its country; shares by list number."""

    id: str
    country: str
    title: str
    in_force: date
    source: str
    certainty: str
    without_adjustment: Fraction
    with_adjustment: dict[int, Fraction]
    conditions: dict[str, str]


@dataclass(frozen=True, slots=True)
class TransferClass:
    """
    Where a project stands in Annex I: list 1 or 2, measure such as `I.6`.

    `adjusted` says whether the host makes a corresponding adjustment; None: not set.
    """

    number: int | None = None
    measure: str | None = None
    adjusted: bool | None = None


@dataclass(frozen=True, slots=True)
class Transferable:
    """
    The most that may be transferred; None where the class is not set.

    `basis` says by which rule, or what is missing; `condition` what the measure
    asks for besides.
    """

    credit_t: int | None
    share: Fraction | None
    basis: str
    condition: str | None = None


@cache
def rules() -> Rules:
    """Read the decree's numbers."""
    text = (resources.files(__package__) / "decree_112_2026.toml").read_text("utf-8")
    said = tomllib.loads(text)
    return Rules(
        id=said["id"],
        country=said["country"],
        title=said["title"],
        in_force=said["in_force"],
        source=said["source"],
        certainty=said["certainty"],
        without_adjustment=Fraction(Decimal(said["without_adjustment"])),
        with_adjustment={
            int(number): Fraction(Decimal(one["with_adjustment"]))
            for number, one in said["list"].items()
        },
        conditions=said["condition"],
    )


def transferable(credit_t: int, project: TransferClass, country: str | None) -> Transferable:
    """
    Whole credits of a project that may be transferred abroad at most.

    Parameters
    ----------
    credit_t : int
        Issued so far; a transfer may only be authorised after issuance. [t]
    project : TransferClass
    country : str or None
        Of the project.

    Returns
    -------
    Transferable
        Rounded down.
    """
    decree = rules()
    if country != decree.country:
        where = country or "no country that is known"
        text = f"no rules of transfers abroad are known for projects in {where}"
        return Transferable(None, None, f"{NOT_DETERMINED}: {text}")
    if project.adjusted is None:
        return _unknown("corresponding_adjustment is not set")
    if project.number is None:
        return _unknown("the list of Annex I is not set; what stands in none is a matter to ask")
    if project.adjusted:
        share = decree.with_adjustment[project.number]
        basis = f"list {project.number}, with corresponding adjustment"
    else:
        share = decree.without_adjustment
        basis = "without corresponding adjustment"
    measure = f"{project.number}-{project.measure}"
    return Transferable(
        credit_t=floor_credit(share * credit_t),
        share=share,
        basis=f"{decree.source}: {basis} [{decree.certainty}]",
        condition=decree.conditions.get(measure),
    )


def _unknown(what: str) -> Transferable:
    return Transferable(None, None, f"{NOT_DETERMINED}: {what}; set it in the project's `transfer`")
