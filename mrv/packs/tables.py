"""
Tables of an evidence pack as Parquet, the same bytes each time.

pyarrow is imported where it is used: it takes longer to load than most
commands take to run, and `tonne run` never needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ingest.classes import QUANTITIES
from ingest.errors import InputError
from ingest.model import Fleet, Frame, IntervalRows
from mrv.packs.columns import channel, channel_arrays, nothing, numbers, reading_schema, time_array
from mrv.packs.pack import Table
from mrv.statement.evidence_rows import FIELDS

# what is read at once stays small, whoever wrote the file
ROW_GROUP = 131_072
MOST_AT_ONCE = 1_048_576
_FIXED = {"compression": "zstd", "version": "2.6", "write_statistics": True}


def write_readings(out: BinaryIO, fleet: Fleet, frame: Frame) -> None:
    """Write a class's readings: device, time, and the channels in base units."""
    columns = [_devices(fleet, frame.device), time_array(frame.time_us)]
    columns += channel_arrays(frame.columns.values())
    _write(out, columns, reading_schema(frame.class_id))


def write_intervals(out: BinaryIO, fleet: Fleet, rows: IntervalRows) -> None:
    """Write interval rows: device, quantity, start, value and how far it is known."""
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
    """Write refused messages, as `dead_letters.of_period` returns them."""
    import pyarrow as pa  # noqa: PLC0415

    schema = letter_schema()
    columns = list(zip(*letters, strict=True)) if letters else [()] * len(_LETTERS)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    _write(out, arrays, schema)


def letter_schema() -> Any:
    """Columns of refused messages."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {"id": pa.int64(), "received": pa.timestamp("us", "UTC"), "bytes": pa.int64()}
    return pa.schema([pa.field(name, kinds.get(name, pa.string())) for name in _LETTERS])


def check_letters(source: Path | BinaryIO) -> None:
    """
    Read refused messages through, so that a pack holds no other file under their name.

    Raises
    ------
    InputError
        If it is no Parquet file of these columns, or a row has no id, time or reason.
    """
    with _opened(source, letter_schema()) as file, _legible():
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            table.validate(full=True)
            if any(table[name].null_count for name in ("id", "received", "reason")):
                raise InputError("a refused message has no id, time or reason")


class ReadingsFile:
    """
    Readings of a class in a pack, read a row group at a time.

    Parameters
    ----------
    archived : bool
        The archive's own file, which says beside the channels what arrival said.

    Raises
    ------
    InputError
        At once if it is no Parquet file of that class; while iterating if a part
        of it is damaged.
    """

    def __init__(self, path: Path, class_id: str, *, archived: bool = False) -> None:
        import pyarrow as pa  # noqa: PLC0415

        self._path, self._schema = path, reading_schema(class_id)
        said = pa.field("flags", pa.string())
        self._whole = self._schema.append(said) if archived else self._schema
        with _opened(path, self._whole) as file:
            self._groups: int = file.num_row_groups

    def __iter__(self) -> Iterator[Table]:
        """Read one table after another, all rows of a device in one."""
        import pyarrow as pa  # noqa: PLC0415

        kept = None
        for group in range(self._groups):
            # a year of days is a year of files: none stays open while others are read
            with _opened(self._path, self._whole) as file, _legible():
                # on this thread: handing columns out costs more than reading them
                table = file.read_row_group(group, use_threads=False)
            if kept is not None:
                table = pa.concat_tables([kept, table]).unify_dictionaries()
            begin = _last_device(table["device"])
            kept = table.slice(begin)
            if begin:
                yield _table(table.slice(0, begin), self._schema, "time")
        if kept is not None and len(kept):
            yield _table(kept, self._schema, "time")


def read_intervals(source: Path | BinaryIO) -> Table:
    """Read what `write_intervals` wrote; InputError as for readings."""
    schema = interval_schema()
    with _opened(source, schema) as file, _legible():
        return _table(file.read(), schema, "start")


def interval_schema() -> Any:
    """Columns of interval rows."""
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


def _write(out: BinaryIO, columns: Iterable[Any], schema: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    table = pa.Table.from_arrays(list(columns), schema=schema)
    parquet.write_table(table, out, row_group_size=ROW_GROUP, **_FIXED)


@contextmanager
def _opened(source: Path | BinaryIO, schema: Any) -> Iterator[Any]:
    """Open a file whose columns and row groups are as they are written here."""
    from pyarrow import parquet  # noqa: PLC0415

    words = [] if "sha256" in schema.names else ["device", "quantity"]
    words = [name for name in words if name in schema.names]
    try:
        with _legible():
            file = parquet.ParquetFile(source, read_dictionary=words)
    except KeyError as error:
        lacking = error.args[0].decode()
        raise InputError(f"its columns lack {lacking!r}; expected {schema.names}") from error
    with file:
        found = file.schema.to_arrow_schema()
        if not _fits(found, schema):
            raise InputError(f"its columns are {found.names}; expected {schema.names}")
        sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
        if max(sizes, default=0) > MOST_AT_ONCE:
            raise InputError(
                f"a row group has {max(sizes)} rows; up to {MOST_AT_ONCE} are read at once"
            )
        yield file


def _fits(found: Any, schema: Any) -> bool:
    """Whether columns are those of a schema; a pack lacks channels that its class gained later."""
    import pyarrow as pa  # noqa: PLC0415

    names = set(found.names)
    held = pa.schema([f for f in schema if f.name in names or not f.nullable])
    return bool(found.equals(held))


@contextmanager
def _legible() -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def _last_device(column: Any) -> int:
    """First row of the last device; rows come by device."""
    coded = numbers(column.combine_chunks().indices)
    other = np.flatnonzero(coded[1:] != coded[:-1])
    return int(other[-1]) + 1 if len(other) else 0


def _table(table: Any, schema: Any, time: str) -> Table:
    import pyarrow as pa  # noqa: PLC0415

    if any(table[f.name].null_count for f in schema if not f.nullable):
        raise InputError("a row has no device, time or value")
    held = set(table.column_names)
    names, device = _coded(table["device"])
    columns = {
        f.name: channel(table[f.name]) if f.name in held else nothing(f.type, len(table))
        for f in schema
        if f.name not in {"device", "quantity", time}
    }
    quantities: tuple[str, ...] = ()
    if "quantity" in held:
        quantities, columns["quantity"] = _coded(table["quantity"])
    return Table(names, device, numbers(table[time].cast(pa.int64())), columns, quantities)


def _coded(column: Any) -> tuple[tuple[str, ...], Any]:
    """Words of a column, and which of them each row has; no text for each row."""
    coded = column.combine_chunks()
    return tuple(coded.dictionary.to_pylist()), numbers(coded.indices)
