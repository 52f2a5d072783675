"""
The envelope of a Kafka record: magic bytes, schema number, digest, content.

    "TONW"  u16 schema  sha256 of what follows  content of that schema

The digest is over the content as it is stored, so that a record cut short or written
by somebody else is told from one of ours before a byte of it is read.
"""

from __future__ import annotations

import hashlib
import struct

from ingest.errors import PayloadError

SCHEMA = 2  # what is written
OLDEST = 1  # what is read: Arrow tables, as 0.1.0 wrote them
_MAGIC = b"TONW"
_HEAD = struct.Struct(">4sH32s")


class WireError(PayloadError):
    """A record that is no parcel of ours: `foreign_record`, `damaged_record`, `unknown_schema`."""


def seal(content: bytes) -> bytes:
    """Put content of today's schema into a record."""
    return _HEAD.pack(_MAGIC, SCHEMA, hashlib.sha256(content).digest()) + content


def unseal(record: bytes) -> tuple[int, memoryview]:
    """
    Return a record's schema number and content.

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
    if not OLDEST <= schema <= SCHEMA:
        raise WireError(
            "unknown_schema",
            f"schema {schema}; this version reads {OLDEST} to {SCHEMA}:"
            " bring workers up before bridges",
        )
    content = memoryview(record)[_HEAD.size :]
    if hashlib.sha256(content).digest() != digest:
        raise WireError("damaged_record", f"{len(content)} bytes do not match their digest")
    return schema, content
