"""
Query results as columns: PostgreSQL's binary COPY read by numpy, no row ever in Python.

Every expression must be of a fixed width and never NULL, so that all rows are of
one length and the stream is an array.  Format: as in `binary_copy`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from services.store.binary_copy import EPOCH_2000_US, HEADER, TRAILER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from psycopg import Cursor
    from psycopg.rows import TupleRow

# PostgreSQL type -> how its binary form stands in the stream
_TYPES = {"int2": ">i2", "int4": ">i4", "int8": ">i8", "float8": ">f8", "timestamptz": ">i8"}


def fetch(
    cursor: Cursor[TupleRow], query: str, arguments: Sequence[Any], types: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """
    Fetch what a query selects.

    Parameters
    ----------
    query : str
        A SELECT of exactly the columns of `types`, in their order.
    types : mapping of column name to PostgreSQL type
        int2, int4, int8, float8, or timestamptz, which becomes microseconds UTC.

    Raises
    ------
    ValueError
        If a column is NULL somewhere or of another type.
    """
    with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)", arguments) as copy:
        data = b"".join(bytes(block) for block in copy)
    fields: list[Any] = [("", ">i2")]
    for name, kind in types.items():
        fields += [(f"{name} length", ">i4"), (name, _TYPES[kind])]
    row = np.dtype([(name or "fields", form) for name, form in fields])
    body = memoryview(data)[len(HEADER) : len(data) - len(TRAILER)]
    if len(body) % row.itemsize:
        raise ValueError(f"rows of {len(types)} columns do not fit: one is NULL or of another type")
    rows = np.frombuffer(body, row)
    return {name: _native(rows, name, kind, row) for name, kind in types.items()}


def _native(rows: NDArray[Any], name: str, kind: str, row: np.dtype[Any]) -> NDArray[Any]:
    if (rows[f"{name} length"] != row[name].itemsize).any():
        raise ValueError(f"column {name} is NULL somewhere or not {kind}")
    values = rows[name].astype(row[name].newbyteorder("="))
    return values + EPOCH_2000_US if kind == "timestamptz" else values
