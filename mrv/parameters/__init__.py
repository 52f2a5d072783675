"""
Parameters of methodologies and indicators: named numbers with unit and bounds, read exactly.

Numbers of JSON or YAML become `Fraction`; bounds detect unit errors (losses of 6.15 where 0.0615 is
meant).  `evidence.toml` declares the possible evidence of monitored quantities and entered values,
and its grades; undeclared values have grade D (the project participant's own statement).  A
programme requires grades in its trust root.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from importlib import resources
from math import ceil, floor
from typing import Any, Literal, NamedTuple, get_args

import msgspec

from mrv.errors import MethodologyError

# prefixes of published values; another value replaces them only if it gives the lower reduction
_OFFICIAL = ("grid", "gwp")
# prefix of published lists that a documented national or measured value may replace
_OPEN = "rice."


@dataclass(frozen=True, slots=True)
class Plausible:
    """
    Plausible ranges of a value: ascending, inclusive, decimal text in its unit.

    `source`: the reference.  A value outside is replaced by the nearest limit, or, if `either` is
    set, by the limit that gives the lower reduction.  A value below `rare` is used, with a finding
    that states the reason `why`.
    """

    ranges: tuple[tuple[str, str], ...]
    source: str
    either: bool = False
    rare: str = "0"
    why: str = ""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """
    Specification of one number of a methodology.

    `minimum`, `maximum`, `below`: limits as decimal text in `unit`, inclusive except `below`.
    `places`: allowed decimals.
    `factor`: kind and direction of the published number that is the default.
    `published`: prefix of the kinds of published numbers to choose from.
    `option`: JCM monitoring option (A public data, B transactions, C own meters); empty: fixed ex
    ante.
    `frequency`, `side`: monitoring frequency, and side of the account.
    `certainty`: of the reference: [R] primary text, [T] transcription, [r] secondary source, [B]
    back-solved, [M] unverified.
    `channels`, `per`: role and channels that measure it, by the mean over `per`; for two channels,
    the share of the first that is removed before the second.
    `unmeasured`: value without measurement: a number, or the name of another parameter.
    `lower_of`: whether the entered value applies if it is below the measured one.
    `plausible`: range of plausible values; outside it, the limit with the lower reduction applies.
    `undocumented`: value that applies without a dated document.
    `lit`: role and channels that detect a flame, each with its lowest reading and the parameter of
    its highest: the value applies to the flow with a flame, 0 to the rest.
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
    places: int | None = None
    source: str = ""
    certainty: str = "[M]"
    symbol: str = ""
    option: Literal["", "A", "B", "C"] = ""
    frequency: str = ""
    side: Literal["", "baseline", "project", "both"] = ""
    factor: tuple[str, Literal["avoided", "consumed", "either"]] | None = None
    published: str = ""
    channels: tuple[str, ...] = ()
    per: int = 1
    unmeasured: str | None = None
    lower_of: bool = False
    plausible: Plausible | None = None
    undocumented: str | None = None
    lit: tuple[str, tuple[tuple[str, str, str], ...]] | None = None

    @property
    def by_publication(self) -> bool:
        """Return whether a published value applies unless a third party's document states one."""
        default = self.factor is not None and not self.published.startswith(_OFFICIAL)
        return default or self.published.startswith(_OPEN)


@dataclass(frozen=True, slots=True)
class ListSpec:
    """Specification of a list of records with the same keys, such as one per PV system."""

    meaning: str
    fields: Mapping[str, ParameterSpec | ChoiceSpec]
    required: bool = True


@dataclass(frozen=True, slots=True)
class NumbersSpec:
    """Specification of a list of numbers; with `gaps`, null is a missing number."""

    meaning: str
    item: ParameterSpec
    length: tuple[int, int]
    gaps: bool = False
    required: bool = True


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """Specification of an object with known keys, such as the tonnes of each polymer."""

    meaning: str
    fields: Spec
    required: bool = True


@dataclass(frozen=True, slots=True)
class MapSpec:
    """
    Specification of an object whose keys the user chooses, each with a record of
    the same keys.
    """

    meaning: str
    fields: Mapping[str, ParameterSpec]
    required: bool = True


@dataclass(frozen=True, slots=True)
class ChoiceSpec:
    """Specification of an input that is one of a few given words."""

    meaning: str
    choices: tuple[str, ...]
    source: str
    default: str | None = None

    @property
    def required(self) -> bool:
        """Return whether the input is required."""
        return self.default is None


@dataclass(frozen=True, slots=True)
class DateSpec:
    """Specification of an input that is a local date, as text: 2026-01-31."""

    meaning: str
    source: str
    required: bool = True


AnySpec = ParameterSpec | ListSpec | NumbersSpec | RecordSpec | MapSpec | ChoiceSpec | DateSpec
Spec = Mapping[str, AnySpec]


# maximum digits, more than any quantity of this domain has, to limit memory
_DIGITS = 30
# decimal places of a rounded mean
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

    `spec`: mapping of key to specification.
    `values`: parsed JSON or YAML: numbers as int, Decimal, Fraction or float (a float counts as its
    shortest decimal text).
    `where`: source of the values, for the error: a file, or `projects[roof-1].parameters`.
    Raises MethodologyError that names the key, its value and what to change.

    Returns: `Fraction` a number, `int` a whole number, `date` a date, text a choice, lists and
    dicts of these.  Absent optional keys without a default stay absent.
    """
    if not isinstance(values, Mapping):
        raise MethodologyError(f"{where}: {_quoted(values)} must be an object with {_names(spec)}")
    for key in values:
        if key not in spec:
            raise MethodologyError(f"{where}: unknown key {key!r}; known keys: {_names(spec)}")
    result: dict[str, Any] = {}
    for key, item in spec.items():
        if key in values:
            result[key] = _read_value(item, values[key], key, where)
        elif isinstance(item, ParameterSpec | ChoiceSpec) and item.default is not None:
            text = item.default
            result[key] = (
                text
                if isinstance(item, ChoiceSpec)
                else _read_number(item, Decimal(text), f"{where}: {key}")
            )
        elif item.required:
            unit = f" [{item.unit}]" if isinstance(item, ParameterSpec) else ""
            raise MethodologyError(f"{where}: {key!r} is missing; enter {item.meaning}{unit}")
    return result


def _read_value(spec: AnySpec, value: object, key: str, where: str) -> Any:
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

    Raises MethodologyError if it is not a number (a string, a boolean, null), not finite, or of an
    implausible magnitude.
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
    """Return a mean rounded conservatively to nine decimal places; one with fewer is unchanged."""
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


Code = Literal["signature", "invoice", "document", "laboratory", "published", "region",
               "default", "certificate", "analyser"]  # fmt: skip
Grade = Literal["A", "B", "C", "D"]
GRADES: tuple[Grade, ...] = get_args(Grade)
# grades that a programme may require; not A, as few meters, suppliers and laboratories sign
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
        """Return the share of the reduction for which a parameter may have any grade. [1]"""
        return Fraction(self.above_percent) / 100

    def at_least(self, other: RequiredGrades) -> bool:
        """Return whether the requirements are at least as strict as others."""
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
    Return the grades that a programme requires, from its trust root.

    Raises ValueError if it has another form, grade or share.
    """
    result: dict[str, Any] = record if isinstance(record, dict) else {}
    keys = "quantities", "parameters", "above_percent"
    texts = (result.get(key) for key in keys)
    required = RequiredGrades(*(text if isinstance(text, str) else "" for text in texts))  # type: ignore[arg-type]
    if not {required.quantities, required.parameters} <= {*ASKABLE}:
        raise ValueError(
            f"the grades {required.quantities!r} and {required.parameters!r} of a programme's "
            "evidence must be B, C or D in `quantities` and `parameters`"
        )
    share = required.above_percent
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", share):
        raise ValueError(
            f"`above_percent` of a programme's evidence is {share!r}; write a number in quotes, "
            'such as "5"'
        )
    if required.share > 1 or record != required.to_json():
        raise ValueError(
            f"evidence of a programme must have only {', '.join(keys)}, and above_percent up to 100"
        )
    return required


class Declared(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    Possible evidence of a value, and its published ranges.

    `by`: codes of `evidence.toml`.
    `ranges`: decimal text in the parameter's unit, ascending.
    `source`: source of the ranges.
    `regions`: ranges of a region of countries, in place of the worldwide ones.
    """

    by: tuple[Code, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    source: str = ""
    regions: dict[str, tuple[tuple[str, str], ...]] = {}

    def ranges_in(self, country: str | None) -> tuple[tuple[str, str], ...]:
        """Return the published (lowest, highest) ranges for a country, in the parameter's unit."""
        return self.regions.get(region_of(country) or "", self.ranges)


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    roles: dict[str, tuple[Code, ...]]
    parameters: dict[str, Declared]
    regions: dict[str, tuple[str, ...]]


_NOTHING = Declared()
# default of a programme that states no requirements
USUAL = RequiredGrades()


def of_parameter(name: str) -> Declared:
    """Return the possible evidence of a parameter of a project or device; empty if undeclared."""
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
