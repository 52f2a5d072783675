"""
Sparkplug B independent of its bytes: metrics declared by a birth, and their numbers.

The encoding has no signed field.  An Int8, Int16 or Int32 is sent in an unsigned field as two's
complement, extended to 8, 16, 32 or 64 bits; a value outside its datatype is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from ingest.errors import PayloadError
from ingest.reading import Names

_SETS = 256


@dataclass(frozen=True, slots=True)
class Tag:
    """Metric declared by a birth certificate."""

    name: str
    alias: int | None
    datatype: int
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """
    Metrics declared by one birth certificate of an edge node or device.

    `born_ms` is the birth's time; `certain_ms` the time up to which later messages certainly belong
    to it, None while it is valid; `asked` whether it answered a rebirth request.  `forms` are known
    layouts of its messages.
    """

    born_ms: int
    tags: tuple[Tag, ...]
    asked: bool = False
    certain_ms: int | None = None
    by_alias: dict[int, Tag] = field(default_factory=dict, compare=False, repr=False)
    by_name: dict[str, Tag] = field(default_factory=dict, compare=False, repr=False)
    forms: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    sets: dict[Any, Names] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.by_name:
            self.by_name.update((tag.name, tag) for tag in self.tags)
            self.by_alias.update((tag.alias, tag) for tag in self.tags if tag.alias is not None)

    def called(self, names: tuple[str, ...], units: tuple[str | None, ...]) -> Names:
        """Return the names of a message's numbers, as one shared object for equal names."""
        result = self.sets.get((names, units))
        if result is None:
            result = Names("", names, units)
            if len(self.sets) < _SETS:
                self.sets[names, units] = result
        return result

    def agrees(self, other: Birth, used: Iterable[int | str]) -> bool:
        """Return whether both births give these aliases and names the same meaning."""
        return all(self._meaning(key) == other._meaning(key) for key in used)

    def _meaning(self, key: int | str) -> Tag | None:
        return self.by_alias.get(key) if isinstance(key, int) else self.by_name.get(key)


INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING = 9, 10, 11, 12
NAMES = (
    "Unknown", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float",
    "Double", "Boolean", "String", "DateTime", "Text", "UUID", "DataSet", "Bytes", "File",
    "Template",
)  # fmt: skip
_BITS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64, UINT8: 8, UINT16: 16, UINT32: 32, UINT64: 64}
_WIDTHS = (8, 16, 32, 64)
_WHOLE = ("int_value", "long_value")
_BROKEN = ("float_value", "double_value")


def is_number(datatype: int) -> bool:
    """Return whether values of a datatype can be measurements."""
    return INT8 <= datatype <= BOOLEAN


def name_of(datatype: int) -> str:
    """Return the specification's name of a datatype."""
    return NAMES[datatype] if datatype < len(NAMES) else f"datatype {datatype}"


def number(datatype: int, field: str, value: float) -> float:
    """
    Return a metric's value.

    Parameters
    ----------
    datatype : int
        Declared by the birth.
    field : str
        The field of the metric's `value` that is set.
    value : int, float or bool

    Raises
    ------
    PayloadError
        `datatype_mismatch` or `not_finite`.
    """
    if datatype in _BITS and field in _WHOLE:
        return float(whole(datatype, int(value)))
    if datatype in (FLOAT, DOUBLE) and field in _BROKEN:
        if not isfinite(value):
            raise PayloadError("not_finite", f"{value} is not a measurement; send it as null")
        return value
    if datatype == BOOLEAN and field == "boolean_value":
        return float(value)
    raise PayloadError("datatype_mismatch", f"{field} under {name_of(datatype)}")


def whole(datatype: int, value: int) -> int:
    """
    Return the signed integer in an unsigned field.

    Raises
    ------
    PayloadError
        `datatype_mismatch` if the datatype has no such number.
    """
    bits = _BITS[datatype]
    if datatype >= UINT8:
        if value < 1 << bits:
            return value
    elif value < 1 << (bits - 1):
        return value
    else:
        for width in _WIDTHS:
            # two's complement in `width` bits of a number that `bits` bits hold
            if bits <= width and (1 << width) - (1 << (bits - 1)) <= value < 1 << width:
                return value - (1 << width)
    raise PayloadError(
        "datatype_mismatch",
        f"{value} is not a {name_of(datatype)}; send a number that its datatype can hold",
    )
