"""
Tables of an evidence pack as Parquet, byte-identical for the same data.

pyarrow is imported where it is used: loading it takes longer than most commands take to run, and
`tonne run` never needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import SEEK_END
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ingest.classes import QUANTITIES
from ingest.errors import InputError
from ingest.model import Fleet, Frame, IntervalRows
from mrv.packs import USUAL, too_much
from mrv.packs.columns import (
    channel,
    channel_arrays,
    check_pages,
    nothing,
    numbers,
    reading_schema,
    time_array,
)
from mrv.packs.pack import Table
from mrv.statement.device_days import FIELDS

# number of rows in a row group; a group is read in one step
ROW_GROUP = 131_072
LETTER_GROUP = 8_192  # rows in a group of rejected messages; fewer, as messages are long
MAX_ROWS_AT_ONCE = 1_048_576
_FOOTER_BYTES, _FOOTER_PARTS, _TAIL = 16_777_216, 100_000, 8
_BUFFER_BYTES = 1_048_576
_MAX_QUOTED = 40
_FIXED = {"compression": "zstd", "version": "2.6", "write_statistics": True}


def write_readings(out: BinaryIO, fleet: Fleet, frame: Frame) -> None:
    """Write a class's readings: device, time, and the channels in base units."""
    columns = [_devices(fleet, frame.device), time_array(frame.time_us)]
    columns += channel_arrays(frame.columns.values())
    _write(out, columns, reading_schema(frame.class_id))


def write_intervals(out: BinaryIO, fleet: Fleet, rows: IntervalRows) -> None:
    """Write interval rows: device, quantity, start, value and known time."""
    import pyarrow as pa  # noqa: PLC0415

    names = np.array([q.name for q in QUANTITIES], dtype=object)
    columns = [
        _devices(fleet, rows.device),
        pa.array(names[rows.quantity], pa.string()),
        time_array(rows.start_us),
        *(pa.array(getattr(rows, name)) for name in FIELDS),
    ]
    _write(out, columns, interval_schema())


_LETTERS = (
    "id", "received", "principal", "topic", "device", "reason", "detail", "content_type", "bytes",
    "sha256",
)  # fmt: skip


def write_letters(out: BinaryIO, letters: Sequence[tuple[Any, ...]]) -> None:
    """Write rejected messages, as returned by `dead_letters.of_period`."""
    import pyarrow as pa  # noqa: PLC0415

    schema = letter_schema()
    columns = list(zip(*letters, strict=True)) if letters else [()] * len(_LETTERS)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    _write(out, arrays, schema, LETTER_GROUP)


def letter_schema() -> Any:
    """Return the columns of rejected messages."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {"id": pa.int64(), "received": pa.timestamp("us", "UTC"), "bytes": pa.int64()}
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _LETTERS])


class LettersFile(NamedTuple):
    """Parquet file of the rejected messages of a pack."""

    path: Path
    max_rows: int = USUAL.letter_rows

    def check(self) -> None:
        """
        Check that the file has the columns of rejected messages.

        Raises InputError if they differ.
        """
        with _opened(self.path, letter_schema()):
            pass

    def read(self) -> None:
        """
        Check all rows of rejected messages, by reading them once.

        Raises InputError if it is not a Parquet file of these columns, a row lacks id, time or
        reason, or there are too many rows.
        """
        schema = letter_schema()
        with _opened(self.path, schema) as file:
            if file.metadata.num_rows > self.max_rows:
                raise too_much("rejected messages", file.metadata.num_rows, self.max_rows)
            _filled(self.path, file, schema.names)
            # one column at a time, as messages are long
            for name, group in product(schema.names, range(file.num_row_groups)):
                for part in _parts(file, [name], group):
                    with _legible():
                        part.validate(full=True)
                    if part[name].null_count and name in ("id", "received", "reason"):
                        raise InputError(
                            "a rejected message has no id, time or reason; download the file again"
                        )


class ReadingsFile:
    """
    Readings of a class in a pack, read in parts.

    `first`: device of the first rows by the file's metadata; empty if not stated.
    `rows`: number of rows by the file's metadata.
    `archived`: whether it is a file of the archive, with columns on the arrival.
    `max_values`: maximum number of values of one device, in all columns.
    Raises InputError while iterating: if it is not a Parquet file of that class, a part of it is
    damaged, or a device has too many rows.
    """

    def __init__(
        self,
        path: Path,
        class_id: str,
        *,
        archived: bool = False,
        max_values: int = USUAL.device_values,
    ) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._path, self._schema = path, reading_schema(class_id)
        flags = pa.field("flags", pa.string())
        self._whole = self._schema.append(flags) if archived else self._schema
        # smaller for files of the archive, many of which are read together
        self._group_rows = 2 * ROW_GROUP if archived else MAX_ROWS_AT_ONCE
        with _opened(path, self._whole, self._group_rows) as file:
            names = set(file.schema_arrow.names)
            self._groups: int = file.num_row_groups
            self.rows: int = file.metadata.num_rows
            self.first = _first_device(file.metadata)
        self._names = [name for name in self._schema.names if name in names]
        self.columns = len(self._names)
        self._maximum = max_values // self.columns

    def __iter__(self) -> Iterator[Table]:
        """Yield tables with all rows of a device in one."""
        import pyarrow as pa  # noqa: PLC0415

        kept, about, names = None, None, self._names
        for group in range(self._groups):
            # a year may have a file per day, so no file stays open while others are read
            with _opened(self._path, self._whole, self._group_rows, about) as file:
                if about is None:
                    about, names = file.metadata, _filled(self._path, file, self._names)
                parts = list(_parts(file, names, group))
            for part in parts:
                table = part
                if kept is not None:
                    table = pa.concat_tables([kept, part]).unify_dictionaries()
                begin = _last_device(table["device"])
                kept = table.slice(begin)
                if len(kept) > self._maximum:
                    name = kept["device"][0].as_py()
                    raise too_much(f"readings of {name}", len(kept), self._maximum)
                if begin:
                    yield _table(table.slice(0, begin), self._schema, "time")
        if kept is not None and len(kept):
            yield _table(kept, self._schema, "time")


class IntervalsFile(NamedTuple):
    """Interval rows of a pack, as written by `write_intervals`."""

    source: Path | BinaryIO
    max_rows: int = USUAL.interval_rows

    def check(self) -> None:
        """
        Check that the file has the columns of interval rows.

        Raises InputError if they differ.
        """
        with _opened(self.source, interval_schema()):
            pass

    def read(self) -> Table:
        """Return the rows. Raises InputError as for readings."""
        schema = interval_schema()
        with _opened(self.source, schema) as file:
            rows = file.metadata.num_rows
            if rows > self.max_rows:
                raise too_much("intervals", rows, self.max_rows)
            _filled(self.source, file, schema.names)
            parts = (
                part
                for group in range(file.num_row_groups)
                for part in _parts(file, schema.names, group)
            )
            return _joined((_table(part, schema, "start") for part in parts), rows)


def interval_schema() -> Any:
    """Return the columns of interval rows."""
    import pyarrow as pa  # noqa: PLC0415

    fixed = [
        ("device", pa.string()),
        ("quantity", pa.string()),
        ("start", pa.timestamp("us", "UTC")),
        *((name, pa.int64()) for name in FIELDS),
    ]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fixed])


def _devices(fleet: Fleet, device: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    ids = pa.array([d.id for d in fleet.devices], pa.string())
    return ids.take(pa.array(device))


def _write(out: BinaryIO, columns: Iterable[Any], schema: Any, rows: int = ROW_GROUP) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    table = pa.Table.from_arrays(list(columns), schema=schema)
    whole = {f.name for f in schema if pa.types.is_timestamp(f.type) or f.type == pa.int64()}
    # times and registers stored as differences take a tenth of the bytes and half of the time to
    # read; a column without values has an empty dictionary, which readers recognise from its pages
    delta = [name for name in schema.names if name in whole and table[name].null_count < len(table)]
    parquet.write_table(
        table,
        out,
        row_group_size=rows,
        use_dictionary=[name for name in schema.names if name not in delta],
        column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
        **_FIXED,
    )


@contextmanager
def _opened(
    source: Path | BinaryIO, schema: Any, max_rows: int = MAX_ROWS_AT_ONCE, checked: Any = None
) -> Iterator[Any]:
    """
    Yield a Parquet file whose columns, row groups and pages have the expected form.

    `checked`: schema from an earlier opening of the same file.
    """
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    words = [field.name for field in schema if pa.types.is_string(field.type)]
    if checked is None:
        _check_footer(source)
    try:
        with _legible():
            file = parquet.ParquetFile(
                source,
                metadata=checked,
                read_dictionary=words,
                buffer_size=_BUFFER_BYTES,
                thrift_string_size_limit=_FOOTER_BYTES,
                thrift_container_size_limit=_FOOTER_PARTS,
            )
    except KeyError as error:
        lacking = error.args[0].decode()
        raise InputError(
            f"it lacks the columns {lacking!r} of {schema.names}; download the file again"
        ) from error
    with file:
        if checked is not None:
            yield file
            return
        with _legible():
            result = file.schema.to_arrow_schema()
        if not _fits(result, schema):
            raise InputError(
                f"its columns are {result.names[:_MAX_QUOTED]}, not {schema.names}; download the "
                "file again"
            )
        sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        if max(sizes, default=0) > max_rows:
            raise InputError(
                f"a row group has {max(sizes)} rows, more than {max_rows}; download the file again"
            )
        yield file


def _check_footer(source: Path | BinaryIO) -> None:
    """Raise InputError for a footer too large to be read."""
    with _bytes_of(source) as data:
        size = data.seek(0, SEEK_END)
        data.seek(max(0, size - _TAIL))
        length = int.from_bytes(data.read(4), "little")
    if length > min(size, _FOOTER_BYTES):
        raise InputError(
            f"not a Parquet file: its footer has {length} bytes, more than "
            f"{min(size, _FOOTER_BYTES)}; download the file again"
        )


@contextmanager
def _bytes_of(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if isinstance(source, Path):
        with source.open("rb") as opened:
            yield opened
    else:
        yield source


def _filled(source: Path | BinaryIO, file: Any, names: list[str]) -> list[str]:
    """Return the columns that can contain values, according to the headers of all pages."""
    filled = {field.name for field in file.schema_arrow if not field.nullable}
    with _bytes_of(source) as data:
        for group in map(file.metadata.row_group, range(file.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                name = chunk.path_in_schema
                if name in names and check_pages(data, chunk, group.num_rows):
                    filled.add(name)
    return [name for name in names if name in filled]


def _parts(file: Any, names: list[str], group: int) -> Iterator[Any]:
    import pyarrow as pa  # noqa: PLC0415

    with _legible():
        for batch in file.iter_batches(
            ROW_GROUP, row_groups=[group], columns=names, use_threads=False
        ):
            yield pa.Table.from_batches([batch])


def _fits(result: Any, schema: Any) -> bool:
    """Return whether columns match a schema; a pack may lack channels added to its class later."""
    import pyarrow as pa  # noqa: PLC0415

    names = set(result.names)
    required = pa.schema([f for f in schema if f.name in names or not f.nullable])
    return bool(result.equals(required))


@contextmanager
def _legible() -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"not a Parquet file: {' '.join(str(error).split())[:200]}; download the file again"
        ) from error


def _first_device(about: Any) -> str:
    if not about.num_row_groups or not about.row_group(0).num_columns:
        return ""
    seen = about.row_group(0).column(0).statistics
    least = seen.min if seen is not None and seen.has_min_max else ""
    return least if isinstance(least, str) else ""


def _last_device(column: Any) -> int:
    """Return the first row of the last device; rows are sorted by device."""
    coded = numbers(column.combine_chunks().indices)
    other = np.flatnonzero(coded[1:] != coded[:-1])
    return int(other[-1]) + 1 if len(other) else 0


def _table(table: Any, schema: Any, time: str) -> Table:
    import pyarrow as pa  # noqa: PLC0415

    if any(table[f.name].null_count for f in schema if not f.nullable):
        raise InputError("a row has no device, time or value; download the file again")
    present = set(table.column_names)
    names, device = _coded(table["device"])
    columns = {
        f.name: channel(table[f.name]) if f.name in present else nothing(f.type, len(table))
        for f in schema
        if f.name not in {"device", "quantity", time}
    }
    quantities: tuple[str, ...] = ()
    if "quantity" in present:
        quantities, columns["quantity"] = _coded(table["quantity"])
    return Table(names, device, numbers(table[time].cast(pa.int64())), columns, quantities)


def _joined(parts: Iterable[Table], rows: int) -> Table:
    names: dict[str, int] = {}
    quantities: dict[str, int] = {}
    device, time_us = np.empty(rows, np.int32), np.empty(rows, np.int64)
    columns = {name: np.empty(rows, np.int64) for name in FIELDS}
    quantity = np.empty(rows, np.int16)
    at = 0
    for part in parts:
        end = at + len(part.time_us)
        device[at:end] = _places(names, part.names, part.device)
        quantity[at:end] = _places(quantities, part.quantities, part.columns["quantity"])
        time_us[at:end] = part.time_us
        for name, column in columns.items():
            column[at:end] = part.columns[name]
        at = end
    if at != rows:
        raise InputError(f"it has {at} rows, but its footer states {rows}; download the file again")
    return Table(
        tuple(names), device, time_us, {**columns, "quantity": quantity}, tuple(quantities)
    )


def _places(known: dict[str, int], words: Sequence[str], coded: Any) -> Any:
    """Return the index of each row's word; words that `known` lacks are added to it."""
    place = np.array([known.setdefault(word, len(known)) for word in words], dtype=np.int64)
    return place[coded] if len(place) else coded


def _coded(column: Any) -> tuple[tuple[str, ...], Any]:
    """Return the distinct words of a column, and the index of each row's word."""
    coded = column.combine_chunks()
    return tuple(coded.dictionary.to_pylist()), numbers(coded.indices)
