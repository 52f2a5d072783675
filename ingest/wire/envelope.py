"""
The envelope of a Kafka record: magic bytes, schema number, digest, parts.

    "TONW"  u16 schema  sha256 of what follows  { u32 length, Arrow IPC stream } ...

The digest is over content, so that a record cut short or written by somebody
else is told from one of ours before Arrow reads a byte of it.
"""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from ingest.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

SCHEMA = 1
_MAGIC = b"TONW"
_HEAD = struct.Struct(">4sH32s")
_LENGTH = struct.Struct(">I")


class WireError(PayloadError):
    """A record that is no parcel of ours: `foreign_record`, `damaged_record`, `unknown_schema`."""


def seal(parts: Sequence[bytes]) -> bytes:
    """Put parts into one record."""
    body = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
    return _HEAD.pack(_MAGIC, SCHEMA, hashlib.sha256(body).digest()) + body


def unseal(record: bytes) -> list[bytes]:
    """
    Take a record apart.

    Raises
    ------
    WireError
        When it is not ours, not whole, or of a schema that we do not know.
    """
    if record[:4] != _MAGIC:
        raise WireError(
            "foreign_record",
            f"{len(record)} bytes begin with {record[:4]!r}, not {_MAGIC!r};"
            " let only `tonne bridge` write to this topic",
        )
    if len(record) < _HEAD.size:
        raise WireError("damaged_record", f"{len(record)} bytes are less than a head")
    _, schema, digest = _HEAD.unpack_from(record)
    if schema != SCHEMA:
        raise WireError(
            "unknown_schema",
            f"schema {schema}; this version reads {SCHEMA}: bring workers up before bridges",
        )
    body = record[_HEAD.size :]
    if hashlib.sha256(body).digest() != digest:
        raise WireError("damaged_record", f"{len(body)} bytes do not match their digest")
    return _parts(body)


def _parts(body: bytes) -> list[bytes]:
    parts, at = [], 0
    while at < len(body):
        if at + _LENGTH.size > len(body):
            raise WireError("damaged_record", "ends inside a length")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + length > len(body):
            raise WireError("damaged_record", f"ends inside a part of {length} bytes")
        parts.append(body[at : at + length])
        at += length
    return parts
