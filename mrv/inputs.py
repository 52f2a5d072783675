"""
What a methodology is given: named numbers with unit and bounds, read exactly.

A number arrives as JSON or YAML wrote it and becomes a `Fraction`; a bound
catches the usual slip of a unit (a loss of 6.15 where 0.0615 is meant).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from mrv.errors import MethodologyError

# No quantity of this field comes near; a longer exponent would only cost memory.
_DIGITS = 30


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    One number that a methodology takes.

    `minimum` and `maximum` are inclusive, `below` is exclusive; all are decimal
    text in `unit`.  `certainty` of the default: [R] read in the primary text,
    [T] in a transcription, [r] second-hand, [B] back-solved, [M] from memory.
    """

    unit: str
    meaning: str
    required: bool = True
    default: str | None = None
    minimum: str = "0"
    maximum: str | None = None
    below: str | None = None
    integer: bool = False
    choices: tuple[int, ...] = ()
    source: str = ""
    certainty: str = "[M]"


@dataclass(frozen=True, slots=True)
class ListSpec:
    """A list of records with the same keys, such as one a PV system."""

    meaning: str
    fields: Mapping[str, ParameterSpec]


Spec = Mapping[str, ParameterSpec | ListSpec]
Inputs = Mapping[str, Any]


def read(spec: Spec, given: object, where: str) -> dict[str, Any]:
    """
    Check a mapping against its specification and make its numbers exact.

    Parameters
    ----------
    spec : mapping of key to ParameterSpec or ListSpec
    given : object
        What JSON or YAML held: numbers as int, Decimal, Fraction or float (a
        float counts as its shortest decimal text).
    where : str
        Where it stands, for the error: a file, or `projects[nck-pv].parameters`.

    Returns
    -------
    dict
        `Fraction` a number, `int` where the specification asks for whole
        numbers, a list of such dicts for a list.  Absent optional keys without
        a default stay absent.

    Raises
    ------
    MethodologyError
        Names the key, its value and what to change.
    """
    if not isinstance(given, Mapping):
        raise MethodologyError(f"{where}: {_shown(given)} must be an object with {_names(spec)}")
    for key in given:
        if key not in spec:
            raise MethodologyError(f"{where}: unknown key {key!r}; known keys: {_names(spec)}")
    result: dict[str, Any] = {}
    for key, one in spec.items():
        if isinstance(one, ListSpec):
            result[key] = _read_list(one, given, key, where)
        elif key in given:
            result[key] = _read_number(one, given[key], f"{where}: {key}")
        elif one.default is not None:
            result[key] = _read_number(one, Decimal(one.default), f"{where}: {key}")
        elif one.required:
            raise MethodologyError(f"{where}: {key!r} is missing; give {one.meaning} [{one.unit}]")
    return result


def _read_list(spec: ListSpec, given: Mapping[str, object], key: str, where: str) -> list[Any]:
    if key not in given:
        raise MethodologyError(f"{where}: {key!r} is missing; give {spec.meaning}")
    rows = given[key]
    if not isinstance(rows, list) or not rows:
        raise MethodologyError(
            f"{where}: {key} = {_shown(rows)} must be a list of at least one object"
            f" with {_names(spec.fields)}"
        )
    return [read(spec.fields, row, f"{where}: {key}[{i}]") for i, row in enumerate(rows)]


def _read_number(spec: ParameterSpec, given: object, name: str) -> Fraction | int:
    number = exact(given, name)
    said = f"{name} = {_shown(given)}"
    unit = f"{spec.meaning} [{spec.unit}]"
    if spec.choices and number not in spec.choices:
        raise MethodologyError(f"{said} must be one of {', '.join(map(str, spec.choices))}: {unit}")
    if number < Fraction(spec.minimum):
        raise MethodologyError(f"{said} must not be less than {spec.minimum}: {unit}")
    if spec.maximum is not None and number > Fraction(spec.maximum):
        raise MethodologyError(f"{said} must not be more than {spec.maximum}: {unit}")
    if spec.below is not None and number >= Fraction(spec.below):
        raise MethodologyError(f"{said} must be below {spec.below}: {unit}")
    if not (spec.integer or spec.choices):
        return number
    if number.denominator != 1:
        raise MethodologyError(f"{said} must be a whole number: {unit}")
    return number.numerator


def exact(given: object, name: str) -> Fraction:
    """
    Turn a number as JSON, YAML or a factor file wrote it into a fraction.

    Raises
    ------
    MethodologyError
        If it is not a number (a string, a boolean, null), not finite, or out of
        any plausible magnitude.
    """
    if isinstance(given, bool) or not isinstance(given, int | Decimal | float | Fraction):
        raise MethodologyError(f"{name} = {_shown(given)} must be a number, written without quotes")
    if isinstance(given, Fraction):
        return given
    number = Decimal(repr(given)) if isinstance(given, float) else Decimal(given)
    if not number.is_finite():
        raise MethodologyError(f"{name} = {number} must be a finite number")
    lowest = number.as_tuple().exponent
    if number.adjusted() > _DIGITS or (isinstance(lowest, int) and lowest < -_DIGITS):
        raise MethodologyError(
            f"{name} = {_shown(given)} has more than {_DIGITS} digits before or after the point"
        )
    return Fraction(number)


def _names(spec: Spec) -> str:
    return ", ".join(spec)


def _shown(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value) if isinstance(value, Decimal | Fraction) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - a line's worth
