"""Values and times of the plan extract as JSON holds them: decimals as text, no floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mrv.calendar import instant_us, utc_text
from mrv.rounding import decimal_of
from mrv.signatures.canonical import MAX_SAFE_INTEGER

_DECIMAL = "$decimal"


def number_out(value: Any) -> str | None:
    """Write a number as the text that was typed; a float as its shortest text."""
    if value is None:
        return None
    return repr(value) if isinstance(value, float) else str(value)


def values_out(value: Any) -> Any:
    """Write parameters of any shape; a number that JSON readers might round as its text."""
    match value:
        case Mapping():
            return {name: values_out(inner) for name, inner in value.items()}
        case list() | tuple():
            return [values_out(inner) for inner in value]
        case bool() | str() | None:
            return value
        case int() if abs(value) <= MAX_SAFE_INTEGER:
            return value
    return {_DECIMAL: number_out(value)}


def values_in(value: Any) -> Any:
    """Read what `values_out` wrote."""
    match value:
        case dict() if value.keys() == {_DECIMAL}:
            return decimal_of(value[_DECIMAL])
        case dict():
            return {name: values_in(inner) for name, inner in value.items()}
        case list():
            return [values_in(inner) for inner in value]
    return value


def time_out(us: int | None) -> str | None:
    """Write a time that may be open. [us UTC]"""
    return None if us is None else utc_text(us)


def time_us(text: str) -> int:
    """Read a time. [us UTC]"""
    return instant_us(text, "UTC")


def time_in(text: str | None) -> int | None:
    """Read what `time_out` wrote. [us UTC]"""
    return None if text is None else time_us(text)
