"""
Encoding of columns into PostgreSQL's binary COPY format, without a loop over rows.

Rows are written at maximum width into one byte matrix; a mask removes the bytes of absent values
and short texts. Format: PostgreSQL documentation, COPY, "Binary Format".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ingest.model import NULL, Float64, Int64

Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH_2000_US = 946_684_800_000_000
_LENGTH = 4


class Field(Protocol):
    """Column of a binary COPY."""

    def width(self) -> int:
        """Return the bytes of the widest value, without its length word."""
        ...

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write length words and values; clear `keep` for unused bytes."""
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
        """Return the bytes of the longest text."""
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
        """Return eight bytes."""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write big-endian integers."""
        _fill8(out, keep, self.values.astype(">i8").view(np.uint8), self.values == NULL)


@dataclass(frozen=True, slots=True)
class Int2:
    """Smallint column without NULLs."""

    values: NDArray[np.int16]

    def width(self) -> int:
        """Return two bytes."""
        return 2

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write big-endian integers."""
        del keep
        out[:, :_LENGTH] = (0, 0, 0, 2)
        out[:, _LENGTH:] = self.values.astype(">i2").view(np.uint8).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Float8:
    """Double precision column; NULL where the value is NaN."""

    values: Float64

    def width(self) -> int:
        """Return eight bytes."""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write big-endian doubles."""
        _fill8(out, keep, self.values.astype(">f8").view(np.uint8), np.isnan(self.values))


@dataclass(frozen=True, slots=True)
class Time:
    """Timestamptz column from microseconds UTC; NULL as for `Int8`."""

    values: Int64

    def width(self) -> int:
        """Return eight bytes."""
        return 8

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write microseconds since 2000."""
        moved = np.where(self.values == NULL, 0, self.values - EPOCH_2000_US)
        _fill8(out, keep, moved.astype(">i8").view(np.uint8), self.values == NULL)


@dataclass(frozen=True, slots=True)
class Blob:
    """Column of bytes as bytea, text or, with `version`, jsonb; None is NULL."""

    values: Sequence[bytes | None]
    version: bytes = b""

    def width(self) -> int:
        """Return the bytes of the longest value."""
        return max((len(v) for v in self.values if v is not None), default=0) + len(self.version)

    def fill(self, out: Bytes, keep: Mask) -> None:
        """Write each value in a loop, as such columns are rare."""
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

    Parameters
    ----------
    fields : sequence of Field
        One per column, in the order of the COPY's column list.
    rows : int
        Number of rows.
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
