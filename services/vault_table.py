"""
Parquet file of a part: readings by device and time, whole devices per row group.

A query for one device reads the footer and one row group.  Times and registers are stored as
differences, gauges by dictionary, all with zstd; byte-stream-split was measured and helps only one
channel of eight classes.  `flags` has the notes at arrival, as JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from ingest.model import Device, Fleet, Frame
from mrv.packs.columns import channel, channel_arrays, nothing, reading_schema, time_array
from mrv.signatures.day_digests import DayLeaf
from mrv.statement.device_days import reading_leaves
from services.vault import DamagedError, Part, Place

# readings per row group: smaller groups would add footers, larger ones would make a query decode
# unneeded rows
_GROUP_ROWS = 8_192
_LEVEL = 9
# a file below this size is read as a whole, and its digest is checked too [bytes]
_SMALL = 1 << 20

Flags = dict[tuple[str, int], str]


class Stored(NamedTuple):
    """
    Readings in a part of the archive; `flags` are their notes of the check at receipt.
    `frame.device` is an index in `devices`.
    """

    devices: list[str]
    frame: Frame
    flags: Flags


class Writer:
    """Writes a part's file into memory, devices in ascending order of their ids."""

    def __init__(self, class_id: str) -> None:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        self._schema = reading_schema(class_id).append(pa.field("flags", pa.string()))
        delta = [f.name for f in self._schema if f.name == "time" or f.type == pa.int64()]
        words = [f.name for f in self._schema if f.name not in delta]
        self._out = BytesIO()
        self._writer = parquet.ParquetWriter(
            self._out,
            self._schema,
            version="2.6",
            compression="zstd",
            compression_level=_LEVEL,
            use_dictionary=words,
            column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
            write_statistics=["device", "time"],
        )
        self._waiting: list[Any] = []
        self._rows = 0

    def add(self, device: str, frame: Frame, flags: Mapping[int, str]) -> None:
        """Add all readings of a device, by time; `flags` by row."""
        import pyarrow as pa  # noqa: PLC0415

        flag_texts = [flags.get(row) for row in range(len(frame))] if flags else None
        columns = [
            pa.DictionaryArray.from_arrays(np.zeros(len(frame), dtype=np.int32), [device]).cast(
                pa.string()
            ),
            time_array(frame.time_us),
            *channel_arrays(frame.columns.values()),
            pa.nulls(len(frame), pa.string())
            if flag_texts is None
            else pa.array(flag_texts, pa.string()),
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self._schema))
        self._rows += len(frame)
        if self._rows >= _GROUP_ROWS:
            self._flush()

    def close(self) -> bytes:
        """Finish the file, and return its bytes."""
        self._flush()
        self._writer.close()
        return self._out.getvalue()

    def _flush(self) -> None:
        import pyarrow as pa  # noqa: PLC0415

        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=self._rows)
        self._waiting, self._rows = [], 0


def read(place: Place, part: Part, wanted: Collection[str]) -> Stored:
    """
    Return some devices of a part, each checked against its sealed leaf.

    Raises DamagedError if the file is missing, has another form, or differs from the sealed data.
    Raises VaultError if the place cannot be used.
    """
    names = [name for name in part.leaves if name in wanted]
    where = f"archive {place.url}: {part.path}"
    if part.bytes <= _SMALL:
        return _checked(part, names, BytesIO(whole(place, part)), where)
    with place.open(part.path) as file:
        return _checked(part, names, file, where)


def whole(place: Place, part: Part) -> bytes:
    """
    Return the bytes of a part's file.

    Raises DamagedError if the file is missing, or another one than was written.
    Raises VaultError if the place cannot be used.
    """
    data = place.get(part.path)
    if hashlib.sha256(data).hexdigest() != part.sha256:
        raise DamagedError(
            f"archive {place.url}: {part.path} was changed; restore it from a copy of the archive"
        )
    return data


def read_bytes(part: Part, data: bytes, where: str) -> Stored:
    """Return all devices of a part from its bytes; errors as `read`."""
    return _checked(part, list(part.leaves), BytesIO(data), where)


def _checked(part: Part, names: list[str], file: Any, where: str) -> Stored:
    with _legible(where):
        stored = _decode(part.class_id, names, file)
        leaves = list(_leaves(part, stored))
    recorded = {leaf.device: leaf for leaf in leaves}
    if len(leaves) > len(recorded):
        raise DamagedError(
            f"{where} contains readings of other days than {part.day.day}; restore the file "
            "from a copy"
        )
    for name in names:
        if recorded.get(name) != part.leaves[name]:
            raise DamagedError(f"{where}: {_differs(part.leaves[name], recorded.get(name))}")
    return stored


def _differs(sealed: DayLeaf, now: DayLeaf | None) -> str:
    result = "no rows" if now is None else f"other values in {now.rows} rows"
    return (
        f"device {sealed.device} has {result}, not the {sealed.rows} that were sealed for"
        f" {sealed.day}; restore the file from a copy of the archive"
    )


@contextmanager
def _legible(where: str) -> Iterator[None]:
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DamagedError(
            f"{where} cannot be read: {reason}; restore the file from a copy"
        ) from error


def _decode(class_id: str, names: Sequence[str], file: Any) -> Stored:
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import compute, parquet  # noqa: PLC0415

    source = parquet.ParquetFile(file, read_dictionary=["device"], pre_buffer=True)
    groups = list(_groups(source.metadata, names))
    table = source.read_row_groups(groups, use_threads=False).unify_dictionaries()
    coded = table["device"].combine_chunks()
    index = compute.index_in(coded.dictionary, pa.array(names, pa.string()))
    to_name = index.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    device = to_name[coded.indices.to_numpy()] if len(coded) else np.empty(0, dtype=np.int32)
    kept = device >= 0
    if not kept.all():
        table, device = table.filter(pa.array(kept)), device[kept]
    return Stored(list(names), *_frame(class_id, names, table, device))


def _groups(metadata: Any, names: Sequence[str]) -> Iterator[int]:
    """Yield the row groups that may contain the devices."""
    wanted = sorted(names)
    for number in range(metadata.num_row_groups):
        seen = metadata.row_group(number).column(0).statistics
        at = np.searchsorted(wanted, seen.min)
        if at < len(wanted) and wanted[at] <= seen.max:
            yield number


def _frame(class_id: str, names: Sequence[str], table: Any, device: Any) -> tuple[Frame, Flags]:
    import pyarrow as pa  # noqa: PLC0415

    time_us = table["time"].cast(pa.int64()).to_numpy()
    present = set(table.column_names)
    columns = {
        f.name: channel(table[f.name]) if f.name in present else nothing(f.type, len(table))
        for f in reading_schema(class_id)
        if f.name not in {"device", "time"}
    }
    none = np.zeros(len(time_us), dtype=np.int32)
    frame = Frame(class_id, device, time_us, none, columns)
    flags = table["flags"]
    if flags.null_count == len(flags):
        return frame, {}
    rows = np.flatnonzero(flags.is_valid().to_numpy()).tolist()
    texts = flags.take(pa.array(rows)).to_pylist()
    at = [(names[device[row]], int(time_us[row])) for row in rows]
    return frame, dict(zip(at, texts, strict=True))


def _leaves(part: Part, stored: Stored) -> Iterator[DayLeaf]:
    fleet = Fleet([Device(name, part.site, part.class_id) for name in stored.devices])
    order = np.lexsort((stored.frame.time_us, stored.frame.device))
    return reading_leaves(fleet, stored.frame.take(order), part.day.timezone)
