"""Results as JSON whose numbers are written from exact fractions, not through binary floats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from mrv.rounding import decimal_text

_PLACES = 6


def write_json(result: Mapping[str, Any], *, compact: bool) -> str:
    """
    Write a result, one line or one key a line.

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
