"""
Codec of SenML in CBOR, RFC 8428 section 6: an array of maps with integer labels.

Labels of later extensions may be text; those ending in "_" must be understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain
from math import isfinite
from types import NoneType
from typing import Any, NoReturn

import cbor2

from ingest.errors import PayloadError
from ingest.formats import senml_cbor_fast as senml_layout
from ingest.formats.senml import Number, Record, resolve
from ingest.formats.senml_json_fast import row
from ingest.reading import Codec, Reading, Row

_LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_BU, _BT, _BN, _N, _U, _V = -4, -3, -2, 0, 1, 2
_UNITS, _TIMES = {str, NoneType}, (float, int)
_NUMBERS = {"bs", "bv", "bt", "bver", "v", "s", "t", "ut"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "bn": str, "bu": str, "n": str, "u": str, "vs": str, "vb": bool, "vd": bytes,
}  # fmt: skip
_MAX_NUMBER = 2**1023


def decode(payload: bytes, received_us: int) -> Sequence[Reading]:
    """
    Return the readings of one pack, one per time.

    Parameters
    ----------
    payload : bytes
    received_us : int
        Time of receipt, to which relative times refer. [us UTC]

    Raises
    ------
    PayloadError
        With reason `malformed_cbor`, `wrong_shape`, `label_unknown`, or one of
        `ingest.formats.senml.resolve`.
    """
    if (known := senml_layout.read(payload)) is not None:
        return (known,)
    result = _loads(payload)
    if not isinstance(result, list):
        raise PayloadError(
            "wrong_shape",
            f"senml_cbor: the message is a {type(result).__name__}; send an array of records",
        )
    if (plain := _plain(result)) is not None:
        senml_layout.learn(payload, plain)
        return (plain,)
    return resolve([_record(i, item) for i, item in enumerate(result)], received_us)


def _loads(payload: bytes) -> Any:
    try:
        return cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PayloadError("malformed_cbor", f"senml_cbor: {error!s:.200}") from None


def _plain(items: list[Any]) -> Row | None:
    """Return the row of a plain pack, numbers at its base time; None for another pack."""
    names, numbers, entries = [], [], 0
    try:
        for record in items:
            name, number = record[_N], record[_V]
            if type(name) is not str or type(number) is not float:
                return None
            names.append(name)
            numbers.append(number)
            entries += len(record)
        first = items[0]
        base, seconds, unit = first.get(_BN, ""), first[_BT], first.get(_BU, "")
        units: list[str | None] = [None] * len(items)
        if entries > 2 * len(items) + len(first) - 2:  # more than a name and a value in some
            units = _units(items)
        entries -= (_BN in first) + (_BU in first) + 1 + len(items) - units.count(None)
    except (KeyError, IndexError, TypeError, AttributeError):
        return None
    if entries != 2 * len(items) or type(base) is not str or type(unit) is not str:
        return None
    if type(seconds) not in _TIMES or not isfinite(sum(numbers)) or not _whole_labels(items):
        return None
    if unit:
        units = [own or str(unit) for own in units]
    return row(seconds, base, tuple(names), numbers, units)


def _units(items: list[Any]) -> list[str | None]:
    units = [record.get(_U) for record in items]
    if {*map(type, units)} <= _UNITS:
        return units
    raise TypeError


def _whole_labels(items: list[Any]) -> bool:
    """Return whether all labels are integers: Python treats 2.0 and 2 as one key, CBOR does not."""
    return {*map(type, chain.from_iterable(items))} == {int}


def _record(i: int, item: Any) -> Record:
    if not isinstance(item, dict):
        raise PayloadError("wrong_shape", f"senml_cbor: record {i} is not a map; see RFC 8428")
    record = Record()
    for label, value in item.items():
        name = _LABELS.get(label) if type(label) is int else None
        if name is None:
            _unknown(i, label)
        elif type(value) is float:
            setattr(record, name, value if name in _NUMBERS else _wrong(i, name, value))
        elif name in _NUMBERS:
            setattr(record, name, _number(value))
        else:
            known = isinstance(value, _KINDS[name])
            setattr(record, name, value if known else _wrong(i, name, value))
    return record


def _wrong(i: int, name: str, value: Any) -> NoReturn:
    raise PayloadError(
        "wrong_shape",
        f"senml_cbor: record {i}: {name} is {value!r:.40}, which RFC 8428 does not allow; send "
        "the types of that standard",
    )


def _unknown(i: int, label: Any) -> None:
    """Ignore a label of an extension; PayloadError if it must be understood."""
    if isinstance(label, str) and label.endswith("_"):
        raise PayloadError(
            "label_unknown",
            f"senml_cbor: record {i}: label {label!r:.80} is not supported; omit the record",
        )


def _number(value: Any) -> Number:
    """Return a float, or the name of a wrong type, which `resolve` rejects."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return f"a {type(value).__name__}"
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        return "a number beyond any quantity"
    return float(value)


CODEC = Codec(
    name="senml_cbor",
    content_types=("application/senml+cbor",),
    decode=decode,
    starts=bytes(range(0x80, 0xA0)),  # a CBOR array
    recognises=lambda _payload: True,
    order=0,
)
