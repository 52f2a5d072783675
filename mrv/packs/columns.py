"""
Parquet columns of a class's readings, in evidence packs and in the archive alike, and a check of
page headers before reading.

pyarrow is imported where it is used: loading it takes longer than most commands take to run, and
`tonne run` rarely needs it.

Page headers are read before any page is unpacked, as sizes in the footer cannot be trusted.  A page
is rejected if it would unpack to more than tonne writes, or has an encoding in which a few bytes
expand to many.  Headers are Thrift structs in the compact protocol (Apache Parquet format 2.x,
parquet.thrift).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

import numpy as np

from ingest import classes
from ingest.errors import InputError
from ingest.model import NULL

# tonne writes pages of 1 MB and a few pages per column chunk; the largest chunk has 131,072
# rejected messages of a thousand characters
MAX_PAGE_BYTES, MAX_CHUNK_BYTES, MAX_PAGES = 16_777_216, 134_217_728, 1_024
_HEAD = 65_536  # maximum bytes of a page header, which has the minimum and maximum of the page
_DEEPEST, _MAX_BITS = 8, 64
# plain, dictionary, RLE, DELTA_BINARY_PACKED, BYTE_STREAM_SPLIT; without the encodings of a text by
# its difference from the previous text
_ENCODINGS = {0, 2, 3, 5, 8, 9}
# field numbers of PageHeader, and of the struct of each kind of page (values and their encoding)
_UNPACKED, _PACKED = 2, 3
_KINDS = {5: (1, 2), 7: (1, 2), 8: (1, 4)}
_DICTIONARY, _VALUES, _BY_DICTIONARY = 7, ((5, 2), (8, 4)), {2, 8}


def reading_schema(class_id: str) -> Any:
    """Return the columns of a class's readings: device, time, channels in base units."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {"register": pa.int64(), "gauge": pa.float64()}
    return pa.schema(
        [
            pa.field("device", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
            *(pa.field(c.name, kinds[c.kind]) for c in classes.load()[class_id].channels.values()),
        ]
    )


def time_array(us: Any) -> Any:
    """Return times as an Arrow array. [us UTC]"""
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(us).cast(pa.timestamp("us", "UTC"))


def channel_arrays(values: Iterable[Any]) -> list[Any]:
    """Return channels of a frame as Arrow arrays; absent values are null."""
    import pyarrow as pa  # noqa: PLC0415

    return [pa.array(v, mask=(v == NULL) if v.dtype == np.int64 else np.isnan(v)) for v in values]


def channel(column: Any) -> Any:
    """Return a channel of a frame from an Arrow column: int64 or float64."""
    if column.null_count == len(column):
        return nothing(column.type, len(column))
    if not column.null_count:
        return numbers(column)
    return numbers(column.fill_null(_none(column.type)))


def numbers(column: Any) -> Any:
    """
    Return numbers of an Arrow column without nulls, as a read-only numpy array.

    Arrow's own `to_numpy` loads pandas if it is installed, which takes a quarter of a second.
    """
    import pyarrow as pa  # noqa: PLC0415

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise ValueError(
            f"a column of {array.type} has {array.null_count} empty values; none may be empty"
        )
    kind, (_, data) = np.dtype(array.type.to_pandas_dtype()), array.buffers()
    if not len(array):
        return np.empty(0, dtype=kind)
    return np.frombuffer(data, kind, len(array), array.offset * kind.itemsize)


def nothing(kind: Any, length: int) -> Any:
    """Return a channel without values, stored as one repeated value."""
    return np.broadcast_to(_none(kind), length)


def _none(kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return np.float64(np.nan) if pa.types.is_floating(kind) else np.int64(NULL)


def check_pages(source: BinaryIO, chunk: Any, max_rows: int) -> bool:
    """
    Return whether a column chunk can contain a value, from the headers of its pages.

    A chunk has no value if all pages use an empty dictionary.

    `chunk`: metadata of the chunk.
    `max_rows`: maximum number of values in a page.
    Raises InputError if pages unpack to more than the limit, or do not have tonne's form.
    """
    name = chunk.path_in_schema
    if not chunk.num_values:
        return False  # no page of this chunk is read
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < (first := chunk.dictionary_page_offset) < at:
        at = first
    end = at + chunk.total_compressed_size
    unpacked, empty, plain = 0, False, False
    for _ in range(MAX_PAGES):
        if at >= end:
            return plain or not empty
        source.seek(at)
        head = _Head(source.read(min(_HEAD, end - at)))
        try:
            fields = head.struct()
            size, packed = int(fields[_UNPACKED]), int(fields[_PACKED])
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"column {name} has a page whose header cannot be read; download the file again"
            ) from error
        _check_kind(name, fields, max_rows)
        if _DICTIONARY in fields:
            empty = not size
        else:
            plain |= not any(fields[f].get(e) in _BY_DICTIONARY for f, e in _VALUES if f in fields)
        unpacked += size
        if not 0 <= size <= MAX_PAGE_BYTES or packed < 0 or unpacked > MAX_CHUNK_BYTES:
            raise InputError(
                f"column {name} has a page of {size} bytes, {unpacked} in a row group, more than "
                f"{MAX_PAGE_BYTES} or {MAX_CHUNK_BYTES}; download the file again"
            )
        at += head.at + packed
    raise InputError(
        f"column {name} has more than {MAX_PAGES} pages in a row group; download the file again"
    )


def _check_kind(name: str, fields: dict[int, Any], max_rows: int) -> None:
    for field, (count, encoding) in _KINDS.items():
        if field in fields:
            declared = fields[field]
            if (
                declared.get(encoding) not in _ENCODINGS
                or not 0 <= declared.get(count, -1) <= max_rows
            ):
                raise InputError(
                    f"column {name} has a page of {declared.get(count)} values in encoding "
                    f"{declared.get(encoding)}, not up to {max_rows} in encodings "
                    f"{', '.join(map(str, sorted(_ENCODINGS)))}; download the file again"
                )


class _Head:
    """Parser of Thrift structs in the compact protocol: fields by number, structs as dicts."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the Thrift struct at the current position, as values by field number."""
        if depth > _DEEPEST:
            raise ValueError(f"a page header has structs nested more than {depth - 1} deep")
        result: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            delta, kind = kind >> 4, kind & 0xF
            field = field + delta if delta else self._whole()
            result[field] = self._value(kind, depth)
        return result

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:  # true, false
                return kind == 1
            case 3:
                return self._byte()
            case 4 | 5 | 6:  # i16, i32, i64
                return self._whole()
            case 7:  # double
                return self._skip(8)
            case 8:  # binary
                return self._skip(self._number())
            case 12:
                return self.struct(depth + 1)
        raise ValueError(f"type {kind} is not known in a page header")

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise ValueError("a page header ends within a value")

    def _number(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return result
            if shift >= _MAX_BITS:
                raise ValueError("a page header has a number longer than 64 bits")

    def _whole(self) -> int:
        number = self._number()
        return number >> 1 ^ -(number & 1)
