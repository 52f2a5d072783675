"""
PostgreSQL's binary COPY format from and to numpy columns, without Python rows.

Rows are written at maximum width into one byte matrix; a mask then removes the padding of NULL
values and short texts. Format: PostgreSQL documentation, COPY, "Binary Format".

`fetch` reads columns of fixed width without NULL, so that all rows have equal length.  The server
sends each row as a separate message, which is slow; for many rows `fetch_runs` reads arrays, one
message for each run of rows.  Array format: `array_send` of PostgreSQL's arrayfuncs.c: number of
dimensions, NULL flag, type, length, lower bound, then each element with its length.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor

from ingest.model import NULL, Float64, Int32, Int64

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_2000_US = 946_684_800_000_000
_LENGTH = 4


class Field(Protocol):
    """Column of a binary COPY."""

    def width(self) -> int:
        """Return the size of the widest value, without its length word. [byte]"""
        ...

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write length words and values to `out`; set `keep` to False for padding."""
        ...


@dataclass(frozen=True, slots=True)
class Words:
    """Texts as a byte matrix of fixed width, encoded once and selected by row."""

    matrix: Bytes
    lengths: Int64

    @staticmethod
    def of(texts: Sequence[str]) -> Words:
        """Return texts encoded as UTF-8, padded to the longest."""
        raw = [text.encode() for text in texts]
        lengths = np.array([len(r) for r in raw], dtype=np.int64)
        width = int(lengths.max(initial=0))
        padded = b"".join(r.ljust(width, b"\0") for r in raw)
        return Words(np.frombuffer(padded, np.uint8).reshape(len(raw), width), lengths)


@dataclass(frozen=True, slots=True)
class Text:
    """Text column: row i has the text `index[i]`."""

    words: Words
    index: NDArray[np.integer]

    def width(self) -> int:
        """Return the length of the longest text. [byte]"""
        return int(self.words.matrix.shape[1])

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the texts without their padding."""
        lengths = self.words.lengths[self.index]
        out[:, :_LENGTH] = lengths.astype(">i4").view(np.uint8).reshape(-1, _LENGTH)
        out[:, _LENGTH:] = self.words.matrix[self.index]
        keep[:, _LENGTH:] = np.arange(self.width()) < lengths[:, None]


@dataclass(frozen=True, slots=True)
class Int8:
    """Bigint column; NULL where the value is `ingest.model.NULL`."""

    values: Int64

    def width(self) -> int:
        """Return the size of a bigint. [byte]"""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the integers in big-endian order."""
        _fill8(out, keep, self.values.astype(">i8").view(np.uint8), self.values == NULL)


@dataclass(frozen=True, slots=True)
class Int2:
    """Smallint column without NULLs."""

    values: NDArray[np.int16]

    def width(self) -> int:
        """Return the size of a smallint. [byte]"""
        return 2

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the integers in big-endian order."""
        del keep
        out[:, :_LENGTH] = (0, 0, 0, 2)
        out[:, _LENGTH:] = self.values.astype(">i2").view(np.uint8).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Float8:
    """Double precision column; NULL where the value is NaN."""

    values: Float64

    def width(self) -> int:
        """Return the size of a double. [byte]"""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the doubles in big-endian order."""
        _fill8(out, keep, self.values.astype(">f8").view(np.uint8), np.isnan(self.values))


@dataclass(frozen=True, slots=True)
class Time:
    """Timestamptz column from microseconds UTC; NULL as for `Int8`."""

    values: Int64

    def width(self) -> int:
        """Return the size of a timestamptz. [byte]"""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the times as microseconds since 2000."""
        moved = np.where(self.values == NULL, 0, self.values - EPOCH_2000_US)
        _fill8(out, keep, moved.astype(">i8").view(np.uint8), self.values == NULL)


@dataclass(frozen=True, slots=True)
class Blob:
    """Column of bytes as bytea, text or, with `version`, jsonb; None is NULL."""

    values: Sequence[bytes | None]
    version: bytes = b""

    def width(self) -> int:
        """Return the size of the longest value. [byte]"""
        return max((len(v) for v in self.values if v is not None), default=0) + len(self.version)

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write the length and the bytes of each value; None has the length -1."""
        keep[:, _LENGTH:] = False
        for i, value in enumerate(self.values):
            if value is None:
                out[i, :_LENGTH] = 255
                continue
            whole = self.version + value
            out[i, :_LENGTH] = np.frombuffer(len(whole).to_bytes(_LENGTH, "big"), np.uint8)
            out[i, _LENGTH : _LENGTH + len(whole)] = np.frombuffer(whole, np.uint8)
            keep[i, _LENGTH : _LENGTH + len(whole)] = True


def _fill8(out: Bytes, keep: Mask, raw: Bytes, null: Mask) -> None:
    out[:, :_LENGTH] = (0, 0, 0, 8)
    out[:, _LENGTH:] = raw.reshape(-1, 8)
    if null.any():
        out[null, :_LENGTH] = 255
        keep[null, _LENGTH:] = False


def encode(fields: Sequence[Field], rows: int) -> bytes:
    """
    Return rows as a complete binary COPY stream.

    `fields`: one per column, in the order of the COPY's column list.
    `rows`: number of rows.
    """
    widths = [_LENGTH + field.width() for field in fields]
    out = np.empty((rows, 2 + sum(widths)), dtype=np.uint8)
    keep = np.ones(out.shape, dtype=np.bool_)
    out[:, :2] = np.frombuffer(len(fields).to_bytes(2, "big"), np.uint8)
    at = 2
    for field, width in zip(fields, widths, strict=True):
        field.fill(out[:, at : at + width], keep[:, at : at + width])
        at += width
    return HEADER + out[keep].tobytes() + TRAILER


# PostgreSQL type -> numpy type of its binary form
_TYPES = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float8": ">f8", "timestamptz": ">i8"}
# start of a row: number of fields, length of the first field, and its value, an int4
_NUMBER = struct.Struct(">hii")
_LENGTH_WORD = struct.Struct(">i")
_ARRAY = struct.Struct(">iiiii")
_NONE = {"int8": np.int64(NULL), "float8": np.float64("nan")}


def fetch(
    cursor: Cursor, query: str, arguments: Sequence[Any], types: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """
    Return the columns of a query as arrays.

    `query`: a SELECT of exactly the columns of `types`, in their order.
    `types`: PostgreSQL type by column name: int2, int4, int8, float8, or timestamptz, which becomes
    microseconds UTC.
    Raises ValueError if a column contains NULL, or is of another type.
    """
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", arguments) as copy:
        data = b"".join(bytes(block) for block in copy)
    fields: list[Any] = [("", ">i2")]
    for name, kind in types.items():
        fields += [(f"{name} length", ">i4"), (name, _TYPES[kind])]
    row = np.dtype([(name or "fields", form) for name, form in fields])
    body = memoryview(data)[len(HEADER) : len(data) - len(TRAILER)]
    if len(body) % row.itemsize:
        raise ValueError(
            f"rows of {len(types)} columns do not match: a value is NULL or of another type"
        )
    rows = np.frombuffer(body, row)
    return {name: _native(rows, name, kind, row) for name, kind in types.items()}


def _native(rows: NDArray[Any], name: str, kind: str, row: np.dtype[Any]) -> NDArray[Any]:
    if (rows[f"{name} length"] != row[name].itemsize).any():
        raise ValueError(f"column {name} contains NULL or is not {kind}")
    values = rows[name].astype(row[name].newbyteorder("="))
    return values + EPOCH_2000_US if kind == "timestamptz" else values


class Runs(NamedTuple):
    """Rows received in runs: for each row the number of its run, and its columns."""

    run: Int32
    columns: dict[str, NDArray[Any]]


def fetch_runs(
    cursor: Cursor, query: str, arguments: Sequence[Any], types: Mapping[str, str]
) -> Runs:
    """
    Return the rows of a query that selects them as arrays, one row for each run.

    `query`: a SELECT of the run's number (int4, unique) and an array for each of `types`, all of
    equal length.  Arrays contain no NULL; a column without values in a run is NULL, except the
    first.
    `types`: PostgreSQL type of the elements by column name, as for `fetch`.
    Raises ValueError if an array is of another type, length or dimension, or contains a NULL.
    """
    statement = f"COPY ({query}) TO STDOUT (FORMAT binary)"
    with cursor.copy(statement, arguments) as copy:
        runs = sorted(_runs(copy, types), key=lambda run: run[0])
    lengths = [len(arrays[0]) for _, arrays in runs]
    columns = {
        name: _joined([arrays[k] for _, arrays in runs], lengths, kind)
        for k, (name, kind) in enumerate(types.items())
    }
    numbers: Int32 = np.array([number for number, _ in runs], dtype=np.int32)
    return Runs(np.repeat(numbers, lengths), columns)


def _runs(copy: Any, types: Mapping[str, str]) -> Iterator[tuple[int, list[Any]]]:
    """Yield number and arrays of each run; each server message contains one run."""
    forms = {kind: np.dtype([("length", ">i4"), ("value", form)]) for kind, form in _TYPES.items()}
    for message in copy:
        row = memoryview(message)
        if row[: len(HEADER)] == HEADER:
            row = row[len(HEADER) :]
        if row == TRAILER:
            continue
        fields, _, number = _NUMBER.unpack_from(row)
        if fields != 1 + len(types):
            raise ValueError(f"a block has {fields - 1} columns instead of {len(types)}")
        at = _NUMBER.size
        arrays: list[Any] = []
        for name, kind in types.items():
            (length,) = _LENGTH_WORD.unpack_from(row, at)
            at += _LENGTH_WORD.size
            field = None if length < 0 else row[at : at + length]
            arrays.append(None if field is None else _elements(field, name, kind, forms[kind]))
            at += max(length, 0)
        if {len(array) for array in arrays if array is not None} != {len(arrays[0])}:
            raise ValueError(f"arrays of run {number} have different lengths")
        yield number, arrays


def _elements(field: memoryview, name: str, kind: str, form: np.dtype[Any]) -> NDArray[Any]:
    dimensions, nulls, _, length, _ = _ARRAY.unpack_from(field)
    if dimensions != 1 or nulls or len(field) != _ARRAY.size + length * form.itemsize:
        raise ValueError(f"column {name} is not an array of {kind}, or contains a NULL")
    values = np.frombuffer(field, form, offset=_ARRAY.size)["value"]
    native = values.astype(form["value"].newbyteorder("="))
    return native + EPOCH_2000_US if kind == "timestamptz" else native


def _joined(parts: Sequence[Any], lengths: Sequence[int], kind: str) -> NDArray[Any]:
    """Return the arrays of all runs joined.

    A run without values (None) is filled with NULL or NaN.  If no run has values, the result is a
    read-only view of one element.
    """
    if all(part is None for part in parts):
        form = np.dtype(_TYPES[kind]).newbyteorder("=")
        return np.broadcast_to(_NONE.get(kind, np.zeros((), form)), sum(lengths))
    return np.concatenate(
        [
            np.full(length, _NONE[kind]) if part is None else part
            for part, length in zip(parts, lengths, strict=True)
        ]
    )
