"""
Digest of a statement's evidence: one Merkle leaf per device and day.

The statement contains the root, the evidence pack the leaves, so that a verifier can name the
device-day that differs, and one device-day can be proved without disclosing the others.

    leaf = RFC 6962 leaf hash of JCS {"day", "device", "rows", "sha256", "table"}

where `sha256` is of the day's canonical bytes.  Leaves ascend by device, day and table, compared as
UTF-8 bytes; the root is that of RFC 6962.

The canonical bytes of a day's rows are equal on every machine.  A statement identifies its readings
by their hash, so the bytes must not depend on a database, a file format, a processor or the order
of a query.  All numbers are little-endian; n is the number of rows:

    magic      8 bytes  b"tonne-r1"
    n          uint64
    columns    uint32   number of columns that follow the times
    times      n int64  microseconds since 1970-01-01T00:00:00Z
    then each column, in the order of the UTF-8 bytes of their names:
    length     uint16   bytes of the name
    name       UTF-8
    kind       1 byte   b"i" int64, b"f" IEEE 754 binary64, b"s" text
    present    (n + 7) // 8 bytes, bit k % 8 of byte k // 8 is 1 if row k has a value
    values     "i", "f": n times 8 bytes, 0 where there is no value
               "s": n uint32 lengths in bytes, then the UTF-8 texts without gaps

Rules for a unique form: NaN is not a value.  -0.0 is written as 0.0.  Booleans and smaller integers
are "i", smaller floats "f".  A column without any value is omitted, so that a channel added to a
class later does not change old days.  Rows ascend by time and, at one time, by their columns in
name order, a missing value first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.signatures.canonical import MAX_SAFE_INTEGER
from mrv.signatures.merkle_tree import leaf_hash, root_hash

MAGIC = b"tonne-r1"
_HEADER_BYTES = len(MAGIC) + 8
_VALUE_BYTES = 8
_Array = npt.NDArray[np.generic]
_Mask = npt.NDArray[np.bool_]


def column_bytes(
    times_us: npt.NDArray[np.int64],
    columns: Mapping[str, _Array],
    valid: Mapping[str, _Mask] | None = None,
) -> bytes:
    """
    Return the canonical bytes of rows given as columns.

    Parameters
    ----------
    times_us : int64 array, n
        Time of each row, in any order. [microseconds since the epoch, UTC]
    columns : mapping of str to array, n
        Values by column name: booleans, integers, floats, texts, or objects of
        one of these kinds with None for no value.
    valid : mapping of str to bool array, n, optional
        False where a column has no value, for column types without a null.

    Returns
    -------
    bytes
        Bytes in the form above.

    Raises
    ------
    CanonicalError
        Naming the column whose length, kind or value cannot be written.
    """
    rows = Rows(times_us, columns, valid)
    rows.sort()
    return b"".join(rows.cut(0, len(times_us)))


class Rows:
    """
    Rows of many days, read once, divided into the bytes of each day.

    A whole file is read at once and then divided into device-days, because a column takes as long
    to read for a day as for a year.

    `times_us`, `columns`, `valid`: as for `column_bytes`.
    Raises CanonicalError as `column_bytes` does.
    """

    __slots__ = ("_bytes", "_columns", "times")

    def __init__(
        self,
        times_us: npt.NDArray[np.int64],
        columns: Mapping[str, _Array],
        valid: Mapping[str, _Mask] | None = None,
    ) -> None:
        self.times = _integers("time", times_us, np.ones(len(times_us), np.bool_))
        self._bytes = _bytes_of(self.times)
        self._columns: list[_Column] = []
        for name in sorted(columns, key=str.encode):
            present = None if valid is None else valid.get(name)
            values, mask = _read(name, columns[name], present, len(self.times))
            if mask.any():
                self._columns.append(_column(name, values, mask))

    def sort(self) -> None:
        """Sort the rows in canonical order."""
        order = _order(self.times, [(c.values, c.present) for c in self._columns])
        if order is not None:
            self.times = self.times[order]
            self._bytes = _bytes_of(self.times)
            self._columns = [
                _column(c.name, c.values[order], c.present[order]) for c in self._columns
            ]

    def cut(self, begin: int, end: int) -> list[bytes | memoryview]:
        """
        Return the canonical bytes of a range of rows, in consecutive parts.

        The rows of the range must be in canonical order; rows with strictly ascending times are.
        """
        rows, first, last = end - begin, begin * _VALUE_BYTES, end * _VALUE_BYTES
        every = b"\xff" * (rows // 8) + (bytes([(1 << rows % 8) - 1]) if rows % 8 else b"")
        parts: list[bytes | memoryview] = [b"", self._bytes[first:last]]
        count = 0
        for column in self._columns:
            bits = every
            if not column.whole:
                present = column.present[begin:end]
                if not present.any():
                    continue
                bits = np.packbits(present, bitorder="little").tobytes()
            count += 1
            body = column.bytes
            parts += (
                column.head,
                bits,
                _texts(column.values[begin:end]) if body is None else body[first:last],
            )
        parts[0] = MAGIC + _uint(rows, 8) + _uint(count, 4)
        return parts


class _Column(NamedTuple):
    """A column as read; `whole`: whether every row has a value; `bytes`: bytes of all numbers."""

    name: str
    head: bytes
    values: _Array
    present: _Mask
    whole: bool
    bytes: memoryview | None


def row_count(data: bytes) -> int:
    """Return the number of rows in canonical bytes."""
    if not data.startswith(MAGIC) or len(data) < _HEADER_BYTES:
        raise CanonicalError(f"bytes do not start with {MAGIC!r}; make them with column_bytes")
    return int.from_bytes(data[len(MAGIC) : _HEADER_BYTES], "little")


def _read(name: str, values: _Array, present: _Mask | None, rows: int) -> tuple[_Array, _Mask]:
    """Return values as int64, float64 or str objects, cleared where missing, and the mask."""
    if values.shape != (rows,) or (present is not None and present.shape != (rows,)):
        raise CanonicalError(
            f"column {name!r} has the shape {values.shape}; pass a value, and a mask if any, for"
            f" each of {rows} times"
        )
    if values.dtype.kind == "O" and values.strides == (0,) and present is None and rows > 1:
        single, there = _read(name, np.array(values[:1]), None, 1)  # all rows are the same object
        if single.dtype.kind == "O":
            return np.broadcast_to(single, (rows,)), np.broadcast_to(there, (rows,))
    mask = np.ones(rows, np.bool_) if present is None else present.astype(np.bool_)
    if values.dtype.kind == "O":
        mask = mask & np.array([value is not None for value in values], np.bool_)
        values = _typed(name, values, mask)
    match values.dtype.kind:
        case "b" | "i" | "u":
            return _integers(name, values, mask), mask
        case "f":
            return _floats(name, values, mask)
        case "U" | "O":
            return np.where(mask, values.astype(object), ""), mask
    raise CanonicalError(f"column {name!r} contains {values.dtype}; pass numbers or texts")


def _typed(name: str, values: _Array, mask: _Mask) -> _Array:
    """Return an object array as a numeric array of one kind, or unchanged for texts."""
    kinds = {type(value) for value in values[mask]}
    if kinds <= {str}:
        return values
    if not (kinds <= {int, bool} or kinds <= {float}):
        value_text = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise CanonicalError(
            f"column {name!r} contains {value_text}; pass only str, only int or only float"
        )
    try:
        return np.where(mask, values, 0).astype(np.float64 if float in kinds else np.int64)
    except OverflowError as error:
        raise CanonicalError(
            f"column {name!r} has an integer beyond 64 bits; pass numbers below 2**63"
        ) from error


def _integers(name: str, values: _Array, mask: _Mask) -> _Array:
    if values.dtype.kind not in "biu":
        raise CanonicalError(f"column {name!r} contains {values.dtype}; pass whole numbers")
    whole = values if mask.all() else np.where(mask, values, np.zeros((), values.dtype))
    if whole.dtype.kind == "u" and len(whole) and int(whole.max()) >= 2**63:
        raise CanonicalError(
            f"column {name!r} has {whole.max()}, beyond 64 bits; pass numbers below 2**63"
        )
    return np.ascontiguousarray(whole, dtype="<i8")


def _floats(name: str, values: _Array, mask: _Mask) -> tuple[_Array, _Mask]:
    if values.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise CanonicalError(f"column {name!r} is wider than a 64-bit float; round it first")
    mask = mask & ~np.isnan(values)
    if not mask.any():
        return np.zeros(len(values), "<f8"), mask
    known = values.astype("<f8", copy=False)
    numbers = (known if mask.all() else np.where(mask, known, 0.0)) + 0.0  # 0.0 for -0.0
    if np.isinf(numbers).any():
        raise CanonicalError(f"column {name!r} has an infinite value; pass finite values")
    return numbers.astype("<f8", copy=False), mask


def _order(times: _Array, columns: list[tuple[_Array, _Mask]]) -> npt.NDArray[np.intp] | None:
    """Return the indices of the rows in canonical order; None if they are already."""
    if bool((times[1:] > times[:-1]).all()):  # type: ignore[operator]  # int64 arrays compare
        return None
    keys: list[_Array] = [times]
    for values, present in columns:
        keys += [present, np.unique(values, return_inverse=True)[1]]
    return np.lexsort(keys[::-1])  # lexsort gives precedence to its last key


def _column(name: str, values: _Array, present: _Mask) -> _Column:
    label = name.encode()
    kind = {"i": b"i", "f": b"f"}.get(values.dtype.kind, b"s")
    head, whole = _uint(len(label), 2) + label + kind, bool(present.all())
    body = None if kind == b"s" else _bytes_of(values)
    return _Column(name, head, values, present, whole, body)


def _texts(values: _Array) -> bytes:
    is_constant = values.strides == (0,)
    texts: list[str] = values[:1].tolist() if is_constant else values.tolist()
    if texts and (
        is_constant or texts.count(texts[0]) == len(texts)
    ):  # names are often equal in all rows
        item = texts[0].encode()
        return _uint(len(item), 4) * len(values) + item * len(values)
    encoded = [text.encode() for text in texts]
    return np.array([len(text) for text in encoded], "<u4").tobytes() + b"".join(encoded)


def _uint(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")


def _bytes_of(values: _Array) -> memoryview:
    return values.view(np.uint8).data


_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN = re.compile(r"[A-Za-z0-9_-]+")


class DayKey(NamedTuple):
    """Key of rows: device, local day and table."""

    device: str
    day: date
    table: str


class DayLeaf(NamedTuple):
    """
    Hash and number of the rows of one device on one local day: a leaf of the Merkle tree.
    Leaves sort as in a digest: texts compare as their UTF-8 bytes do.

    `device`, `day`, `table`: key of the rows; the day is a date in the project's time zone,
    YYYY-MM-DD.
    `rows`: number of rows.
    `sha256`: hash of their canonical bytes, in hex.
    """

    device: str
    day: str
    table: str
    rows: int
    sha256: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Return the key of the rows: device, day and table."""
        return self.device, self.day, self.table

    def hash(self) -> bytes:
        """Return the hash of the leaf in the tree."""
        if _PLAIN.fullmatch(self.device) and _PLAIN.fullmatch(self.table):
            # the same bytes as canonical.encode gives for such names, in less time
            return leaf_hash(
                f'{{"day":"{self.day}","device":"{self.device}","rows":{self.rows},'
                f'"sha256":"{self.sha256}","table":"{self.table}"}}'.encode()
            )
        return leaf_hash(canonical.encode(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return the leaf as a JSON object, as it is hashed and stored in an evidence pack."""
        return {
            "device": self.device,
            "day": self.day,
            "table": self.table,
            "rows": self.rows,
            "sha256": self.sha256,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return the leaf from the result of `to_json`; other values are rejected."""
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
    Merkle root of device-days, and its leaves.

    `root`: Merkle root in hex; without leaves, the hash of the empty tree.
    `leaves`: leaves in order.
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

    `key`: device, day and table of the rows.
    `data`: their canonical bytes, as returned by `column_bytes`.
    """
    return DayLeaf(
        key.device, key.day.isoformat(), key.table, row_count(data), canonical.sha256_hex(data)
    )


def cut_leaf(key: DayKey, rows: Rows, begin: int, end: int) -> DayLeaf:
    """
    Return the leaf of a range of rows; equal to `day_leaf` of their bytes.

    `key`: device, day and table of the rows.
    `rows`: rows in canonical order from `begin` to `end`.
    """
    digest = sha256()
    for data in rows.cut(begin, end):
        digest.update(data)
    return DayLeaf(key.device, key.day.isoformat(), key.table, end - begin, digest.hexdigest())


def digest_leaves(leaves: Iterable[DayLeaf]) -> Digest:
    """Return the digest of leaves in any order; a repeated device-day is rejected."""
    ordered = tuple(sorted(leaves))
    for item, other in pairwise(ordered):
        if item.key == other.key:
            raise CanonicalError(
                f"{item.table} of {item.device} on {item.day} occurs twice; pass its rows together"
            )
    return Digest(root_hash(leaf.hash() for leaf in ordered).hex(), ordered)


def differences(expected: Iterable[DayLeaf], actual: Iterable[DayLeaf]) -> list[Difference]:
    """
    Return device-days that differ, in the order of the leaves.

    `expected`: leaves in the statement.
    `actual`: leaves calculated from the evidence.
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
