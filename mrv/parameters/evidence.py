"""
Grades of monitored quantities and entered values by evidence, and the required grades.

Declared in `evidence.toml`; undeclared values have grade D (the project participant's own
statement).  A programme requires grades in its trust root.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, get_args

import msgspec

Code = Literal["signature", "invoice", "document", "laboratory", "published", "region",
               "default", "certificate", "analyser"]  # fmt: skip
CODES: tuple[Code, ...] = get_args(Code)
Grade = Literal["A", "B", "C", "D"]
GRADES: tuple[Grade, ...] = get_args(Grade)
# few meters, suppliers and laboratories sign: no programme can ask for it
ASKABLE: tuple[Grade, ...] = ("B", "C", "D")


class RequiredGrades(NamedTuple):
    """
    Grades of evidence that a programme requires, of quantities and of parameters.

    A parameter that affects at most `above_percent` of the reduction may have any grade.  Grades of
    a quantity: C an instrument under valid calibration, B an invoice, D no requirement.
    """

    quantities: Grade = "C"
    parameters: Grade = "B"
    above_percent: str = "5"

    @property
    def share(self) -> Fraction:
        """Return the share of the reduction that may depend on a parameter of any grade. [1]"""
        return Fraction(self.above_percent) / 100

    def at_least(self, other: RequiredGrades) -> bool:
        """Return whether the requirements are at least those of another."""
        return (
            self.quantities <= other.quantities
            and self.parameters <= other.parameters
            and self.share <= other.share
        )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form in a trust root and a plan."""
        return {
            "quantities": self.quantities,
            "parameters": self.parameters,
            "above_percent": self.above_percent,
        }


def required_of(record: Any) -> RequiredGrades:
    """
    Return the requirements of a programme.

    Raises ValueError if it has another form, grade or share.
    """
    result: dict[str, Any] = record if isinstance(record, dict) else {}
    keys = "quantities", "parameters", "above_percent"
    texts = (result.get(key) for key in keys)
    required = RequiredGrades(*(text if isinstance(text, str) else "" for text in texts))  # type: ignore[arg-type]
    if not {required.quantities, required.parameters} <= {*ASKABLE}:
        raise ValueError(
            "`quantities` and `parameters` of a programme's evidence must be B, C or D"
        )
    share = required.above_percent
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", share):
        raise ValueError(
            '`above_percent` of a programme\'s evidence must be a number in quotes, such as "5"'
        )
    if required.share > 1 or record != required.to_json():
        raise ValueError(
            "evidence of a programme must have quantities, parameters and above_percent"
        )
    return required


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Possible evidence of a value, and its published ranges.

    Attributes
    ----------
    by : tuple of str
        Codes of `evidence.toml`.
    ranges : tuple of (str, str)
        Decimal text in the parameter's unit, ascending.
    source : str
        Source of the ranges.
    regions : mapping
        Ranges of a region of countries, in place of the worldwide ones.
    """

    by: tuple[Code, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    source: str = ""
    regions: dict[str, tuple[tuple[str, str], ...]] = {}

    def ranges_in(self, country: str | None) -> tuple[tuple[str, str], ...]:
        """Return the published ranges of a country."""
        return self.regions.get(region_of(country) or "", self.ranges)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    roles: dict[str, tuple[Code, ...]]
    parameters: dict[str, Declared]
    regions: dict[str, tuple[str, ...]]


_NOTHING = Declared()
# what is asked for where a programme says nothing
USUAL = RequiredGrades()


def of_parameter(name: str) -> Declared:
    """Return possible evidence of a parameter of a project or device; empty if undeclared."""
    return parameters().get(name, _NOTHING)


def of_role(name: str) -> tuple[Code, ...]:
    """Return the possible evidence of a role's quantity; empty where undeclared."""
    return roles().get(name, ())


def parameters() -> Mapping[str, Declared]:
    """Return all parameters whose possible evidence is declared."""
    return _table().parameters


def roles() -> Mapping[str, tuple[Code, ...]]:
    """Return the possible kinds of evidence of each declared meter role."""
    return _table().roles


def region_of(country: str | None) -> str | None:
    """Return the region of a country in kinds of published factors; None if unknown."""
    named = (region for region, some in _table().regions.items() if country in some)
    return next(named, None)


@cache
def _table() -> _Table:
    source = resources.files("mrv.parameters").joinpath("evidence.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(source), _Table)
