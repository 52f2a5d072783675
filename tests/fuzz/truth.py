"""
Numbers that a payload may contain, determined independently of the codecs.

Slow and simple: Python's own JSON reader (strict), RFC 8428 step by step in a loop, and all numbers
in a document.  A codec that returns another number has invented it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import cbor2

from ingest.codecs import cose_sign1
from tests.fuzz import registers

_NUMBERS = (int, float, Decimal)
_LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip


class NotSaidError(AssertionError):
    """A codec returned a number that the payload does not contain."""


def document(payload: bytes) -> Any:
    """Return strict JSON; raises ValueError."""

    def refuse(word: str) -> float:
        raise ValueError(word)

    return json.loads(payload.decode("utf-8"), parse_constant=refuse)


def numbers(value: Any) -> Iterator[float]:
    """Return every number in a document."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif type(value) in (int, float):
        try:
            yield float(value)
        except OverflowError:
            return


def senml(records: list[dict[str, Any]]) -> set[float]:
    """Return every value and sum of a pack, resolved record by record (RFC 8428, section 4.6)."""
    base = {"bv": 0.0, "bs": 0.0}
    found: set[float] = set()
    for record in records:
        base |= {k: record[k] for k in ("bv", "bs") if type(record.get(k)) in _NUMBERS}
        for own, offset in (("v", "bv"), ("s", "bs")):
            if type(record.get(own)) in _NUMBERS:
                with suppress(OverflowError):
                    found.add(float(base[offset]) + float(record[own]))
        if type(record.get("vb")) is bool:
            found.add(float(record["vb"]))
    return found


def _strings(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
    elif isinstance(value, str):
        try:
            yield float(value)
        except ValueError:
            return


def _scaled(value: Any) -> Iterator[float]:
    plain = set(numbers(value))
    yield from plain
    for power in range(-30, 31):
        yield from (n * 10**power if power >= 0 else n / 10**-power for n in plain)


def _cbor(payload: bytes) -> set[float]:
    records = cbor2.loads(payload)
    return senml(
        [{_LABELS[k]: v for k, v in r.items() if type(k) is int and k in _LABELS} for r in records]
    )


def _inside(messages: bytes) -> set[float]:
    """Return the contents of a signed batch: plain JSON, SenML or registers."""
    if messages[:1] not in b"[{":
        return _cbor(messages)
    found = document(messages)
    for key, read in (("blocks", registers.modbus), ("sunspec", registers.sunspec)):
        if f'"{key}"'.encode() in messages:
            return set(read(found))
    senml_records = isinstance(found, list) and all(isinstance(one, dict) for one in found)
    return {*numbers(found), *(senml(found) if senml_records else ())}


def _numbers(payload: bytes) -> set[float]:
    """Return the numbers of a JSON document, the maximum that most encodings can contain."""
    return set(numbers(document(payload)))


SAID: dict[str, Callable[[bytes], set[float]]] = {
    "senml_json": lambda p: senml(document(p)),
    "senml_cbor": _cbor,
    "ocpp16": lambda p: {*_strings(document(p)), *numbers(document(p))},
    "ocpp201": lambda p: {*_scaled(document(p))},
    "sunspec": lambda p: registers.sunspec(document(p)),
    "modbus": lambda p: registers.modbus(document(p)),
    "cose_sign1": lambda p: _inside(cose_sign1.read(p).messages),
}


def check(codec: str, payload: bytes, values: list[float]) -> None:
    """
    Compare the values that a codec returned with the contents of the payload.

    Raises
    ------
    NotSaidError
    """
    try:
        said = SAID.get(codec, _numbers)(payload)
    except ValueError as error:
        raise NotSaidError(f"{codec}: read {values[:3]} of what is no document: {error}") from None
    wrong = [v for v in values if not math.isfinite(v) or v not in said]
    if wrong:
        raise NotSaidError(f"{codec}: {wrong[:3]} stand nowhere in the payload")
