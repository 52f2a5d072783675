"""
Tables of an evidence pack as Parquet, the same bytes each time.

pyarrow is imported where it is used: it takes longer to load than most
commands take to run, and `tonne run` never needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ingest import classes
from ingest.classes import QUANTITIES
from ingest.errors import InputError
from ingest.model import NULL
from mrv.statement.evidence import FIELDS
from mrv.verify import Table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ingest.model import Fleet, Frame, IntervalRows

_FIXED = {"compression": "zstd", "version": "2.6", "write_statistics": True}


def write_readings(out: BinaryIO, fleet: Fleet, frame: Frame) -> None:
    """Write a class's readings: device, time, and the channels in base units."""
    import pyarrow as pa  # noqa: PLC0415

    columns = [_devices(fleet, frame.device), _times(frame.time_us)]
    columns += [
        pa.array(v, mask=(v == NULL) if v.dtype == np.int64 else np.isnan(v))
        for v in frame.columns.values()
    ]
    _write(out, columns, reading_schema(frame.class_id))


def write_intervals(out: BinaryIO, fleet: Fleet, rows: IntervalRows) -> None:
    """Write interval rows: device, quantity, start, value and how far it is known."""
    import pyarrow as pa  # noqa: PLC0415

    names = np.array([q.name for q in QUANTITIES], dtype=object)
    columns = [
        _devices(fleet, rows.device),
        pa.array(names[rows.quantity], pa.string()),
        _times(rows.start_us),
        *(pa.array(getattr(rows, name)) for name in FIELDS),
    ]
    _write(out, columns, interval_schema())


def read_readings(path: Path, class_id: str) -> Table:
    """
    Read what `write_readings` wrote.

    Raises
    ------
    InputError
        If it is no Parquet file of that class.
    """
    return _read(path, reading_schema(class_id), "time")


def read_intervals(path: Path) -> Table:
    """Read what `write_intervals` wrote; InputError as for readings."""
    return _read(path, interval_schema(), "start")


def reading_schema(class_id: str) -> Any:
    """Columns of a class's readings."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {"register": pa.int64(), "gauge": pa.float64()}
    return pa.schema(
        [
            pa.field("device", pa.string(), nullable=False),
            pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
            *(pa.field(c.name, kinds[c.kind]) for c in classes.load()[class_id].channels.values()),
        ]
    )


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


def _times(us: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(us).cast(pa.timestamp("us", "UTC"))


def _write(out: BinaryIO, columns: Iterable[Any], schema: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    table = pa.Table.from_arrays(list(columns), schema=schema)
    parquet.write_table(table, out, **_FIXED)


def _read(path: Path, schema: Any, time: str) -> Table:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"not a Parquet file: {' '.join(str(error).split())[:200]}") from error
    if not table.schema.equals(schema):
        raise InputError(f"its columns are {table.schema.names}; expected {schema.names}")
    if any(table[f.name].null_count for f in schema if not f.nullable):
        raise InputError("a row has no device, time or value")
    columns = {f.name: _column(table[f.name]) for f in schema if f.name not in {"device", time}}
    return Table(_texts(table["device"]), table[time].cast(pa.int64()).to_numpy(), columns)


def _column(column: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_string(column.type):
        return _texts(column)
    if pa.types.is_floating(column.type):
        return column.fill_null(np.nan).to_numpy()
    return column.fill_null(NULL).to_numpy()


def _texts(column: Any) -> Any:
    """Texts as objects, each distinct one made once."""
    coded = column.combine_chunks().dictionary_encode()
    words = np.array(coded.dictionary.to_pylist(), dtype=object)
    return words[coded.indices.to_numpy()]
