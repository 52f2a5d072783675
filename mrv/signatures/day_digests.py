"""
Digest of a statement's evidence: one Merkle leaf per device and day.

The statement contains the root, the evidence pack the leaves, so that a verifier can name the
device-day that differs, and one device-day can be proved without disclosing the others.

    leaf = RFC 6962 leaf hash of JCS {"day", "device", "rows", "sha256", "table"}

where `sha256` is of the day's canonical bytes (see rows).  Leaves ascend by
device, day and table, compared as UTF-8 bytes; the root is that of RFC 6962.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple, Self

from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.canonical import MAX_SAFE_INTEGER
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from mrv.signatures.row_bytes import Rows, row_count

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


class DayKey(NamedTuple):
    """Key of rows: device, local day and table."""

    device: str
    day: date
    table: str


@dataclass(frozen=True, slots=True)
class DayLeaf:
    """
    One device-day.

    Parameters
    ----------
    device, day, table : str
        Key of the rows; the day is a date in the project's time zone, YYYY-MM-DD.
    rows : int
        Number of rows.
    sha256 : str
        Hash of their canonical bytes, in hex.
    """

    device: str
    day: str
    table: str
    rows: int
    sha256: str

    @property
    def key(self) -> tuple[bytes, bytes, bytes]:
        """Return the sort key of leaves."""
        return self.device.encode(), self.day.encode(), self.table.encode()

    def hash(self) -> bytes:
        """Return the hash of the leaf in the tree."""
        if _PLAIN.fullmatch(self.device) and _PLAIN.fullmatch(self.table):
            # what canonical.encode writes for such names, without walking the value
            return leaf_hash(
                f'{{"day":"{self.day}","device":"{self.device}","rows":{self.rows},'
                f'"sha256":"{self.sha256}","table":"{self.table}"}}'.encode()
            )
        return leaf_hash(canonical.encode(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return the leaf as hashed, and as in an evidence pack."""
        return {
            "device": self.device,
            "day": self.day,
            "table": self.table,
            "rows": self.rows,
            "sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return a leaf from `to_json`; other values are refused."""
        wanted = {"device": str, "day": str, "table": str, "rows": int, "sha256": str}
        if {name: type(value) for name, value in record.items()} != wanted:
            raise CanonicalError(
                f"digest leaf {record!r} must have exactly the keys {', '.join(wanted)}"
            )
        if not _SHA256.fullmatch(record["sha256"]):
            raise CanonicalError(
                f"digest leaf has sha256 {record['sha256']!r}; it must have 64 hex digits"
            )
        if not _DAY.fullmatch(record["day"]) or not 0 <= record["rows"] <= MAX_SAFE_INTEGER:
            raise CanonicalError(
                f"digest leaf {record!r} must have a day, as 2026-01-31, and a number of rows"
            )
        return cls(**record)


@dataclass(frozen=True, slots=True)
class Digest:
    """
    Root and leaves.

    Parameters
    ----------
    root : str
        Merkle root in hex; for no leaves, the hash of nothing.
    leaves : tuple of DayLeaf
        Leaves in order.
    """

    root: str
    leaves: tuple[DayLeaf, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A device-day that differs, and how."""

    device: str
    day: str
    table: str
    change: str

    def __str__(self) -> str:
        return f"{self.table} of {self.device} on {self.day}: {self.change}"


def day_leaf(key: DayKey, data: bytes) -> DayLeaf:
    """
    Return the leaf of a day's rows.

    Parameters
    ----------
    key : DayKey
        Device, day and table of the rows.
    data : bytes
        Their canonical bytes, of `rows.column_bytes`.
    """
    return DayLeaf(
        key.device, key.day.isoformat(), key.table, row_count(data), canonical.sha256_hex(data)
    )


def cut_leaf(key: DayKey, rows: Rows, begin: int, end: int) -> DayLeaf:
    """
    Return the leaf of a range of rows; equal to `day_leaf` of their bytes.

    Parameters
    ----------
    key : DayKey
        Device, day and table of the rows.
    rows : Rows
        Rows in canonical order from `begin` to `end`.
    """
    data = b"".join(rows.cut(begin, end))
    return DayLeaf(
        key.device, key.day.isoformat(), key.table, end - begin, canonical.sha256_hex(data)
    )


def digest_leaves(leaves: Iterable[DayLeaf]) -> Digest:
    """Return the digest of leaves in any order; a repeated device-day is refused."""
    by_key = sorted(((leaf.key, leaf) for leaf in leaves), key=itemgetter(0))
    ordered = tuple(leaf for _, leaf in by_key)
    for (key, item), (other, _) in pairwise(by_key):
        if key == other:
            raise CanonicalError(
                f"{item.table} of {item.device} on {item.day} occurs twice; pass its rows together"
            )
    return Digest(root_hash(leaf.hash() for leaf in ordered).hex(), ordered)


def differences(expected: Iterable[DayLeaf], actual: Iterable[DayLeaf]) -> list[Difference]:
    """
    Return device-days that differ, in the order of the leaves.

    Parameters
    ----------
    expected : iterable of DayLeaf
        Leaves in the statement.
    actual : iterable of DayLeaf
        Leaves calculated from the evidence.
    """
    was = {leaf.key: leaf for leaf in expected}
    now = {leaf.key: leaf for leaf in actual}
    result = []
    for key in sorted(was.keys() | now.keys()):
        what = _change(was.get(key), now.get(key))
        if what:
            leaf = was.get(key) or now[key]
            result.append(Difference(leaf.device, leaf.day, leaf.table, what))
    return result


def _change(was: DayLeaf | None, now: DayLeaf | None) -> str:
    if now is None:
        return "rows are missing"
    if was is None:
        return f"{now.rows} rows were added"
    if was.rows != now.rows:
        return f"{was.rows} rows became {now.rows}"
    return "" if was.sha256 == now.sha256 else f"values among its {was.rows} rows were changed"
