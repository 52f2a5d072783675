"""
SenML in CBOR, RFC 8428 section 6: an array of maps with whole-number labels.

Labels of later extensions may be text; those ending in "_" must be understood.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import cbor2

from ingest.errors import PayloadError
from ingest.formats.senml import Number, Record, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.reading import Stated

CONTENT_TYPES = ("application/senml+cbor",)
_LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
_NUMBERS = {"bs", "bv", "bt", "bver", "v", "s", "t", "ut"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "bn": str, "bu": str, "n": str, "u": str, "vs": str, "vb": bool, "vd": bytes,
}  # fmt: skip
_MAX_NUMBER = 2**1023


def decode(payload: bytes, received_us: int) -> Sequence[Stated]:
    """
    Readings of one pack, one a time.

    Parameters
    ----------
    payload : bytes
    received_us : int
        When it was received, which relative times count from. [us UTC]

    Raises
    ------
    PayloadError
        With reason `malformed_cbor`, `wrong_shape`, `label_unknown`, or one of
        `ingest.formats.senml.resolve`.
    """
    found = _loads(payload)
    if not isinstance(found, list):
        raise PayloadError("wrong_shape", f"senml_cbor: {type(found).__name__}, not an array")
    return resolve([_record(i, item) for i, item in enumerate(found)], received_us)


def _loads(payload: bytes) -> Any:
    try:
        return cbor2.loads(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise PayloadError("malformed_cbor", f"senml_cbor: {error!s:.200}") from None


def _record(i: int, item: Any) -> Record:
    if not isinstance(item, dict):
        raise PayloadError("wrong_shape", f"senml_cbor: record {i} is no map")
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
    raise PayloadError("wrong_shape", f"senml_cbor: record {i}: {name} is {value!r:.40}")


def _unknown(i: int, label: Any) -> None:
    """Pass over a label of an extension, unless it must be understood."""
    if isinstance(label, str) and label.endswith("_"):
        raise PayloadError(
            "label_unknown", f"senml_cbor: record {i}: {label!r:.80} must be understood"
        )


def _number(value: Any) -> Number:
    """Plain floats; what is no number is left for `resolve` to refuse by name."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return str(value)[:40]
    if isinstance(value, int) and abs(value) >= _MAX_NUMBER:
        return "a number beyond any quantity"
    return float(value)
