"""
Inputs of a methodology: named numbers with unit and bounds, read exactly.

Numbers of JSON or YAML become `Fraction`; bounds detect unit errors (losses of 6.15 where 0.0615 is
meant).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from mrv.errors import MethodologyError
from mrv.parameters.specs import (
    AnySpec,
    ChoiceSpec,
    DateSpec,
    ListSpec,
    MapSpec,
    NumbersSpec,
    ParameterSpec,
    RecordSpec,
    Spec,
)

# No quantity of this field comes near; a longer exponent would only cost memory.
_DIGITS = 30
# of a mean that is no decimal number
_SCALE = 10**9


__all__ = [
    "ChoiceSpec",
    "DateSpec",
    "Inputs",
    "ListSpec",
    "MapSpec",
    "NumbersSpec",
    "ParameterSpec",
    "RecordSpec",
    "Spec",
    "exact",
    "read",
    "rounded",
]

Inputs = Mapping[str, Any]


def read(spec: Spec | Mapping[str, ParameterSpec], values: object, where: str) -> dict[str, Any]:
    """
    Return the checked inputs with exact numbers.

    Parameters
    ----------
    spec : mapping of key to specification
    values : object
        Parsed JSON or YAML: numbers as int, Decimal, Fraction or float (a float counts as its
        shortest decimal text).
    where : str
        Source of the values, for the error: a file, or `projects[roof-1].parameters`.

    Returns
    -------
    dict
        `Fraction` a number, `int` a whole number, `date` a date, text a choice, lists and dicts of
        these.  Absent optional keys without a default stay absent.

    Raises
    ------
    MethodologyError
        Names the key, its value and what to change.
    """
    if not isinstance(values, Mapping):
        raise MethodologyError(f"{where}: {_quoted(values)} must be an object with {_names(spec)}")
    for key in values:
        if key not in spec:
            raise MethodologyError(f"{where}: unknown key {key!r}; known keys: {_names(spec)}")
    result: dict[str, Any] = {}
    for key, item in spec.items():
        if key in values:
            result[key] = _read_one(item, values[key], key, where)
        elif isinstance(item, ParameterSpec | ChoiceSpec) and item.default is not None:
            text = item.default
            result[key] = (
                text
                if isinstance(item, ChoiceSpec)
                else _read_number(item, Decimal(text), f"{where}: {key}")
            )
        elif item.required:
            unit = f" [{item.unit}]" if isinstance(item, ParameterSpec) else ""
            raise MethodologyError(f"{where}: {key!r} is missing; give {item.meaning}{unit}")
    return result


def _read_one(spec: AnySpec, value: object, key: str, where: str) -> Any:
    name = f"{where}: {key}"
    result: Any
    match spec:
        case ParameterSpec():
            result = _read_number(spec, value, name)
        case ListSpec():
            rows = _list(value, name, f"object with {_names(spec.fields)}")
            result = [read(spec.fields, row, f"{name}[{i}]") for i, row in enumerate(rows)]
        case NumbersSpec():
            result = _read_numbers(spec, value, name)
        case RecordSpec():
            result = read(spec.fields, value, name)
        case MapSpec():
            result = _read_map(spec, value, name)
        case ChoiceSpec():
            result = _read_choice(spec, value, name)
        case _:
            result = _read_date(spec, value, name)
    return result


def _list(value: object, name: str, of: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise MethodologyError(f"{name} = {_quoted(value)} must be a list of at least one {of}")
    return value


def _read_numbers(spec: NumbersSpec, value: object, name: str) -> list[Fraction | int | None]:
    numbers = _list(value, name, f"number [{spec.item.unit}]")
    shortest, longest = spec.length
    if not shortest <= len(numbers) <= longest:
        raise MethodologyError(
            f"{name} has {len(numbers)} numbers but must have {shortest} to {longest}: "
            f"{spec.meaning}"
        )
    return [
        None if item is None and spec.gaps else _read_number(spec.item, item, f"{name}[{i}]")
        for i, item in enumerate(numbers)
    ]


def _read_map(spec: MapSpec, value: object, name: str) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        raise MethodologyError(
            f"{name} = {_quoted(value)} must be an object with at least one name, each with"
            f" {_names(spec.fields)}: {spec.meaning}"
        )
    return {key: read(spec.fields, item, f"{name}.{key}") for key, item in value.items()}


def _read_choice(spec: ChoiceSpec, value: object, name: str) -> str:
    if value not in spec.choices:
        known = ", ".join(spec.choices)
        raise MethodologyError(f"{name} = {_quoted(value)} must be one of {known}: {spec.meaning}")
    return str(value)


def _read_date(spec: DateSpec, value: object, name: str) -> date:
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise MethodologyError(
            f'{name} = {_quoted(value)} must be a date such as "2026-01-31": {spec.meaning}'
        ) from None


def _read_number(spec: ParameterSpec, value: object, name: str) -> Fraction | int:
    number = exact(value, name)
    message = f"{name} = {_quoted(value)}"
    unit = f"{spec.meaning} [{spec.unit}]"
    if spec.choices and number not in spec.choices:
        raise MethodologyError(
            f"{message} must be one of {', '.join(map(str, spec.choices))}: {unit}"
        )
    if number < Fraction(spec.minimum):
        raise MethodologyError(f"{message} must not be less than {spec.minimum}: {unit}")
    if spec.maximum is not None and number > Fraction(spec.maximum):
        raise MethodologyError(f"{message} must not be more than {spec.maximum}: {unit}")
    if spec.below is not None and number >= Fraction(spec.below):
        raise MethodologyError(f"{message} must be below {spec.below}: {unit}")
    if spec.places is not None and (number * 10**spec.places).denominator != 1:
        raise MethodologyError(f"{message} must not have more than {spec.places} decimals: {unit}")
    if not (spec.integer or spec.choices):
        return number
    if number.denominator != 1:
        raise MethodologyError(f"{message} must be a whole number: {unit}")
    return number.numerator


def exact(value: object, name: str) -> Fraction:
    """
    Return a number of JSON, YAML or a factor file as a fraction.

    Raises
    ------
    MethodologyError
        If it is not a number (a string, a boolean, null), not finite, or out of
        any plausible magnitude.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float | Fraction):
        raise MethodologyError(
            f"{name} = {_quoted(value)} must be a number, written without quotes"
        )
    if isinstance(value, Fraction):
        return value
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise MethodologyError(f"{name} = {number} must be a finite number")
    lowest = number.as_tuple().exponent
    if number.adjusted() > _DIGITS or (isinstance(lowest, int) and lowest < -_DIGITS):
        raise MethodologyError(
            f"{name} = {_quoted(value)} has more than {_DIGITS} digits before or after the "
            "point; round it"
        )
    return Fraction(number)


def rounded(value: Fraction, spec: ParameterSpec) -> Fraction:
    """
    Return a mean as decimal text of nine places, rounded conservatively.

    A value with fewer places is unchanged.
    """
    scaled = value * _SCALE
    up = spec.side == "project" and not spec.lower_of
    return Fraction(ceil(scaled) if up else floor(scaled), _SCALE)


def _names(spec: Mapping[str, Any]) -> str:
    return ", ".join(spec)


def _quoted(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value) if isinstance(value, Decimal | Fraction) else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - a line's worth
