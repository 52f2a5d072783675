"""jsonb values with exact numbers: integers as int, others as Decimal, never float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

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
