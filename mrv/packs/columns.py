"""
Readings of a class as Parquet columns, in evidence packs and in the archive alike.

pyarrow is imported where it is used: it takes longer to load than most
commands take to run, and `tonne run` rarely needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ingest import classes
from ingest.model import NULL


def reading_schema(class_id: str) -> Any:
    """Columns of a class's readings: device, time, channels in base units."""
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
    """Times as Arrow has them. [us UTC]"""
    import pyarrow as pa  # noqa: PLC0415

    return pa.array(us).cast(pa.timestamp("us", "UTC"))


def channel_arrays(values: Iterable[Any]) -> list[Any]:
    """Channels of a frame as Arrow has them: what is absent is null."""
    import pyarrow as pa  # noqa: PLC0415

    return [pa.array(v, mask=(v == NULL) if v.dtype == np.int64 else np.isnan(v)) for v in values]


def channel(column: Any) -> Any:
    """A channel of a frame from an Arrow column: int64 or float64."""
    if column.null_count == len(column):
        return nothing(column.type, len(column))
    if not column.null_count:
        return numbers(column)
    return numbers(column.fill_null(_none(column.type)))


def numbers(column: Any) -> Any:
    """
    Numbers of an Arrow column without a null, as numpy has them; read-only.

    Arrow's own `to_numpy` loads pandas wherever it is installed, a quarter of a second.
    """
    import pyarrow as pa  # noqa: PLC0415

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if array.null_count:
        raise ValueError(f"a column of {array.type} has {array.null_count} nulls")
    kind, (_, data) = np.dtype(array.type.to_pandas_dtype()), array.buffers()
    if not len(array):
        return np.empty(0, dtype=kind)
    return np.frombuffer(data, kind, len(array), array.offset * kind.itemsize)


def nothing(kind: Any, length: int) -> Any:
    """Return a channel without a value; it costs one, whatever its length."""
    return np.broadcast_to(_none(kind), length)


def _none(kind: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return np.float64(np.nan) if pa.types.is_floating(kind) else np.int64(NULL)
