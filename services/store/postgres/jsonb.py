"""jsonb in and out with exact numbers: whole ones as int, others as Decimal, never as float."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
from psycopg.types.json import Jsonb

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def exact(text: str) -> Any:
    """Parse JSON text as PostgreSQL gives it (`column::text`)."""
    return json.loads(text, parse_float=Decimal, parse_int=_whole)


def jsonb(value: Any) -> Jsonb:
    """Wrap a value for a jsonb parameter."""
    return Jsonb(value, dumps=_ENCODER.encode)


def _whole(text: str) -> int | Decimal:
    """Return an int, or a Decimal beyond 64 bits, which the encoder takes."""
    number = int(text)
    return number if -(2**63) < number < 2**63 else Decimal(text)
