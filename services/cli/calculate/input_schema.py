"""
JSON Schema of a calculation's inputs, and reading and writing of its JSON with exact numbers.

Each number also has `unit`, `symbol`, `source`, `certainty` ([R] read, [T] transcribed, [r]
secondary source, [B] back-solved, [M] unverified), for monitored numbers `option` and `frequency`,
and published values to choose from. Validators ignore these extra keywords. Each input key may
occur only once; results are written from exact fractions, not through binary floats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ingest.errors import describe_fault
from mrv import factors
from mrv.errors import MethodologyError
from mrv.model import Factor, Indicator, Methodology, Tool
from mrv.parameters import (
    AnySpec,
    ChoiceSpec,
    ListSpec,
    MapSpec,
    NumbersSpec,
    ParameterSpec,
    RecordSpec,
)
from mrv.rounding import decimal_text
from mrv.rules import titled
from mrv.steps import Published

if TYPE_CHECKING:
    from mrv.exante import Estimate


_PLACES = 6


def name_of(file: Any) -> str:
    """Return the name of an open file, or a placeholder for standard input without a name."""
    return str(getattr(file, "name", "<stdin>"))


def read_json(file: Any, wanted: Mapping[str, Any], identifier: str) -> object:
    """
    Return the inputs in a file.

    `wanted`: specification of the inputs, by key.
    `identifier`: id of the methodology, tool or indicator, for errors.
    Raises MethodologyError if it is not JSON, has a key twice, or has the inputs in a further
    object.
    """
    name = name_of(file)
    try:
        document: object = json.loads(
            file.read().decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=Decimal,
            object_pairs_hook=_once,
        )
    except MethodologyError as error:
        raise MethodologyError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise MethodologyError(
            f"{name}: not JSON in UTF-8: {describe_fault(error)}; correct the file"
        ) from None
    if isinstance(document, dict) and "inputs" in document and "inputs" not in wanted:
        raise MethodologyError(
            f"{name}: 'inputs' is not a key of {identifier}; enter only the object under 'inputs'"
        )
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MethodologyError(f"key {twice!r} appears twice; enter it once")
    return result


def write_json(result: Mapping[str, Any], *, compact: bool) -> str:
    """
    Return a result as JSON text, on one line or with one key per line.

    Fractions get at most six decimals, rounded half up; whole numbers, texts, lists and mappings
    are written unchanged.
    """
    pairs = [f"{json.dumps(key)}: {_text(value)}" for key, value in result.items()]
    return "{" + ", ".join(pairs) + "}" if compact else "{\n  " + ",\n  ".join(pairs) + "\n}"


def _text(value: object) -> str:
    if isinstance(value, Fraction):
        return _number_text(value)
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_text(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _number_text(value: Fraction) -> str:
    whole, _, decimals = decimal_text(value, _PLACES, "half_up").partition(".")
    text = f"{whole}.{decimals.rstrip('0') or '0'}"
    return "0.0" if text == "-0.0" else text


# placeholder for an input's value in the kind of a factor
_NAMED = re.compile(r"\{\w+\}")
_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def methodology(method: Methodology) -> dict[str, Any]:
    """Return the JSON Schema of a methodology's inputs; its metadata is under `methodology`."""
    roles = {
        role: {
            "classes": list(needs.classes),
            "quantity": needs.quantity,
            "less": needs.less or None,
            "side": needs.side,
            "required": needs.required,
            "symbol": needs.symbol,
            "source": needs.source,
            "option": "C",
            "yearly_cap": None if needs.cap is None else needs.cap[0],
            "params": _object(needs.params),
        }
        for role, needs in method.roles.items()
    }
    about = {
        "id": method.id,
        "factors": _used(method),
        "versions": list(method.versions),
        "reference": method.reference,
        "programme": method.programme,
        "countries": list(method.countries),
        "additive": method.additive,
        "live": bool(roles),
        "roles": roles,
        "parameters": _object(method.parameters),
        "applicability": [
            *(
                f"{_titled(check.clause)}{' (other inputs are rejected)' if check.refuses else ''}"
                for check in method.applicability
            ),
            *(_titled(condition.clause) for condition in method.conditions if not condition.first),
        ],
        "rules": list(method.rules),
    }
    return {**_document(method, method.version), "methodology": about}


def _titled(clause: str) -> str:
    """Return the title of a condition; with its name in a statement, if that is another."""
    title = titled(clause)
    return clause if title == clause else f"{title} (`{clause}`)"


def tool(definition: Tool) -> dict[str, Any]:
    """Return the JSON Schema of a tool's inputs."""
    about = {
        "id": definition.id,
        "version": definition.version,
        "reference": definition.reference,
        "factors": _used(definition),
    }
    return {**_document(definition, definition.version), "tool": about}


def indicator(definition: Indicator) -> dict[str, Any]:
    """Return the JSON Schema of an indicator's inputs."""
    about = {"id": definition.id, "reference": definition.reference}
    return {**_document(definition, ""), "indicator": about}


def estimate(definition: Estimate) -> dict[str, Any]:
    """Return the JSON Schema of the inputs of an ex-ante estimate."""
    return {
        **_document(definition, ""),
        "estimate": {"id": definition.id, "reference": definition.reference},
    }


def _document(
    definition: Methodology | Tool | Indicator | Estimate, version: str
) -> dict[str, Any]:
    return {
        "$schema": _DRAFT,
        "title": f"{definition.id} {version}".rstrip() + f": {definition.title}",
        "description": definition.notes,
        **_object(definition.inputs),
    }


def _object(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {key: _property(spec) for key, spec in fields.items()},
        "required": [
            key
            for key, spec in fields.items()
            if spec.required and getattr(spec, "default", None) is None
        ],
        "additionalProperties": False,
    }


def _property(spec: AnySpec) -> dict[str, Any]:
    schema: dict[str, Any]
    match spec:
        case ParameterSpec():
            schema = _number(spec)
        case ListSpec():
            schema = {"type": "array", "minItems": 1, "items": _object(spec.fields)}
        case NumbersSpec():
            shortest, longest = spec.length
            item = _number(spec.item)
            if spec.gaps:
                item = {**item, "type": [item["type"], "null"]}
            schema = {"type": "array", "minItems": shortest, "maxItems": longest, "items": item}
        case RecordSpec():
            schema = _object(spec.fields)
        case MapSpec():
            schema = {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": _object(spec.fields),
            }
        case ChoiceSpec():
            schema = {"enum": list(spec.choices), "source": spec.source}
            if spec.default is not None:
                schema["default"] = spec.default
        case _:
            schema = {"type": "string", "format": "date", "source": spec.source}
    return {"description": spec.meaning, **schema}


def _number(spec: ParameterSpec) -> dict[str, Any]:
    texts = ("unit", "symbol", "source", "certainty", "option", "frequency", "side")
    bounds = {"minimum": spec.minimum, "maximum": spec.maximum, "exclusiveMaximum": spec.below}
    schema: dict[str, Any] = {
        "description": spec.meaning,
        "type": "integer" if spec.integer or spec.choices else "number",
        **{key: _plain(text) for key, text in bounds.items() if text is not None},
        **{key: getattr(spec, key) for key in texts if getattr(spec, key)},
    }
    if spec.choices:
        schema["enum"] = list(spec.choices)
    if spec.places is not None:
        schema["places"] = spec.places
    if spec.default is not None:
        schema["default"] = _plain(spec.default)
    if spec.factor is not None and spec.factor[0] != factors.GRID:
        factor = factors.load().select(*spec.factor)
        schema |= {"default": _plain(factor.text), "default_factor": _factor(factor)}
    if spec.published == factors.GRID:
        schema["of_country"] = True  # the input is the grid factor of the project's country
    elif spec.published:
        schema["published"] = [*map(_factor, _begin_with(spec.published))]
    return schema


def _used(definition: Methodology | Tool) -> list[dict[str, Any]]:
    """Return a method's factors from the factor book, with their emissions side."""
    parts = (part for part in definition.steps.parts if isinstance(part, Published))
    declared = [(_NAMED.sub("*", p.kind), {p.direction, p.zero}) for p in parts]
    kinds = _begin_with(*definition.uses) if definition.uses else []
    there = {(each.kind, each.direction) for each in factors.load()}
    return [_factor(each) for each in kinds if _is_used(each, declared, there)]


def _is_used(
    factor: Factor, declared: Sequence[tuple[str, set[str]]], there: Collection[tuple[str, str]]
) -> bool:
    """
    Return whether an equation uses a factor.

    That is a factor of a side in `declared` (kind pattern, sides), or a factor of either side if
    `there` (kind, side of all factors) lacks the declared side.
    """
    sides = [side for kind, of in declared if fnmatchcase(factor.kind, kind) for side in of if side]
    fallen = any((factor.kind, side) not in there for side in sides)
    return not sides or factor.direction in sides or (factor.direction == "either" and fallen)


def _begin_with(*kinds: str) -> list[Factor]:
    book = factors.load().within(None)  # factors of single countries are not part of the schema
    return [factor for factor in book if factor.kind.startswith(kinds)]


def _factor(factor: Factor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "value": _plain(factor.text),
        "unit": factor.unit,
        "direction": factor.direction,
        "valid_from": _day(factor.valid_from),
        "valid_to": _day(factor.valid_to),
        "source": factor.source,
        "certainty": f"[{factor.certainty}]",
        "verified": factor.verified,
        "sha256": factor.sha256,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _plain(text: str) -> int | float:
    """Return a JSON number as int or float for display; calculations do not use it."""
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else float(number)
