"""
Numbers of Sparkplug B: what a metric's field means under its datatype.

The wire has no signed field.  An Int8, Int16 or Int32 travels in an unsigned one
as two's complement, which encoders extend to 8, 16, 32 or 64 bits as they like;
a field that its datatype cannot hold is refused, never wrapped.
"""

from __future__ import annotations

from math import isfinite

from ingest.errors import PayloadError

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
    """Tell whether values of a datatype can be measurements."""
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
        As the birth declares it.
    field : str
        Which field of the metric's `value` is set.
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
            raise PayloadError("not_finite", f"{value} is no measurement; send it as null")
        return value
    if datatype == BOOLEAN and field == "boolean_value":
        return float(value)
    raise PayloadError("datatype_mismatch", f"{field} under {name_of(datatype)}")


def whole(datatype: int, value: int) -> int:
    """
    Return a whole number from its unsigned field.

    Raises
    ------
    PayloadError
        `datatype_mismatch` where the datatype has no such number.
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
    raise PayloadError("datatype_mismatch", f"{value} is no {name_of(datatype)}")
