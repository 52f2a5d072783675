"""Values in PostgreSQL's form: timestamps, arrays, and JSON with exact numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from psycopg.types.json import Jsonb

# before and after all
FAR_US = 2**62
_BEYOND = 2**61


def stamp(us: int) -> str:
    """Return a time as text that PostgreSQL reads exactly; `infinity` beyond its range."""
    if abs(us) >= _BEYOND:
        return "infinity" if us > 0 else "-infinity"
    text = np.datetime_as_string(np.datetime64(us, "us"), timezone="UTC")
    return str(text)


def us_of(text: str) -> int:
    """Return the time in a text written by `stamp`. [us UTC]"""
    if text.endswith("infinity"):
        return -FAR_US if text.startswith("-") else FAR_US
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))


def of_numbers(numbers: Iterable[int]) -> str:
    """Return integers as PostgreSQL array text."""
    return "{" + ",".join(map(str, numbers)) + "}"


def of_ids(ids: Iterable[str]) -> str:
    """Return registry ids, which contain no quotes, as PostgreSQL array text."""
    text = '","'.join(ids)
    return '{"' + text + '"}' if text else "{}"


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def exact(text: str) -> Any:
    """Return the value of JSON text as given by PostgreSQL (`column::text`)."""
    return json.loads(text, parse_float=Decimal, parse_int=_whole)


def jsonb(value: Any) -> Jsonb:
    """Return a value wrapped as a jsonb parameter."""
    return Jsonb(value, dumps=_ENCODER.encode)


def _whole(text: str) -> int | Decimal:
    """Return an int, or beyond 64 bits a Decimal, which the encoder supports."""
    number = int(text)
    return number if -(2**63) < number < 2**63 else Decimal(text)
