"""Entries of the log, and proofs of them."""

from __future__ import annotations

from datetime import datetime

from services.api.schemas.base import Shape


class Entry(Shape):
    """An entry of the log; `body` is its text, `leaf_hash` base64."""

    index: int
    kind: str
    statement: str | None
    appended: datetime
    body: str
    leaf_hash: str


class Inclusion(Shape):
    """Proof that an entry is in the log of a size (RFC 9162, 2.1.3); hashes in base64."""

    index: int
    size: int
    leaf_hash: str
    root_hash: str
    hashes: list[str]


class Consistency(Shape):
    """Proof that the log of a size extends an earlier one (RFC 9162, 2.1.4); hashes in base64."""

    first: int
    second: int
    first_root: str
    second_root: str
    hashes: list[str]
