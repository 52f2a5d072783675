"""
JSON of a calculation with exact numbers: inputs with unique keys, and results.

Inputs of a calculation: a JSON file with exact numbers, each key once.

Results as JSON whose numbers are written from exact fractions, not through binary floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ingest.json_faults import describe_fault
from mrv.errors import MethodologyError
from mrv.rounding import decimal_text

_PLACES = 6


def name_of(file: Any) -> str:
    """Return the name of an open file; standard input may have none."""
    return str(getattr(file, "name", "<stdin>"))


def read_json(file: Any, wanted: Mapping[str, Any], asked: str) -> object:
    """
    Return the inputs in a file.

    Parameters
    ----------
    file : binary file
    wanted : mapping
        Specification of the inputs, by key.
    asked : str
        Id of what is to be computed, for the error.

    Raises
    ------
    MethodologyError
        If it is not JSON, holds a key twice, or wraps the inputs once more.
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
        raise MethodologyError(f"{name}: not JSON in UTF-8: {describe_fault(error)}") from None
    if isinstance(document, dict) and "inputs" in document and "inputs" not in wanted:
        raise MethodologyError(
            f"{name}: 'inputs' is not a key of {asked}; give only the object under 'inputs'"
        )
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MethodologyError(f"key {twice!r} appears twice; give it once")
    return result


def write_json(result: Mapping[str, Any], *, compact: bool) -> str:
    """
    Write a result, on one line or with one key per line.

    Fractions get at most six decimals, half up; whole numbers, texts, lists
    and mappings are written as they are.
    """
    pairs = [f"{json.dumps(key)}: {_text(value)}" for key, value in result.items()]
    return "{" + ", ".join(pairs) + "}" if compact else "{\n  " + ",\n  ".join(pairs) + "\n}"


def _text(value: object) -> str:
    if isinstance(value, Fraction):
        return _number(value)
    if isinstance(value, list):
        return "[" + ", ".join(_text(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_text(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def _number(value: Fraction) -> str:
    whole, _, decimals = decimal_text(value, _PLACES, "half_up").partition(".")
    text = f"{whole}.{decimals.rstrip('0') or '0'}"
    return "0.0" if text == "-0.0" else text
