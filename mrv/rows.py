"""
Bytes of a day's rows, the same on every machine.

A statement fixes the readings it rests on by their hash, so the bytes must not
depend on a database, a file format, a processor or the order of a query.  All
numbers are little-endian; n is the number of rows:

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

Rules that make it one: NaN is no value; -0.0 is written as 0.0; booleans and
smaller integers are "i", smaller floats "f"; a column without any value is
left out (a channel that a class gains later does not change old days); rows
ascend by time and, at one time, by their columns in name order, no value first.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mrv.errors import CanonicalError

MAGIC = b"tonne-r1"
_HEADER_BYTES = len(MAGIC) + 8
_Array = npt.NDArray[np.generic]
_Mask = npt.NDArray[np.bool_]


def column_bytes(
    times_us: npt.NDArray[np.int64],
    columns: Mapping[str, _Array],
    valid: Mapping[str, _Mask] | None = None,
) -> bytes:
    """
    Canonical bytes of rows given as columns.

    Parameters
    ----------
    times_us : int64 array, n
        Time of each row, in any order. [microseconds since the epoch, UTC]
    columns : mapping of str to array, n
        Values by column name: booleans, integers, floats, texts, or objects of
        one of these kinds with None for no value.
    valid : mapping of str to bool array, n, optional
        False where a column has no value, for columns that cannot say so themselves.

    Returns
    -------
    bytes
        As drawn above.

    Raises
    ------
    CanonicalError
        Naming the column whose length, kind or value cannot be written.
    """
    times = _integers("time", times_us, np.ones(len(times_us), np.bool_))
    parts = []
    for name in sorted(columns, key=str.encode):
        present = None if valid is None else valid.get(name)
        column = _read(name, columns[name], present, len(times))
        if column[1].any():
            parts.append((name, *column))
    order = _order(times, [(values, present) for _, values, present in parts])
    head = [MAGIC, _uint(len(times), 8), _uint(len(parts), 4), times[order].tobytes()]
    return b"".join(head + [_write(name, v[order], p[order]) for name, v, p in parts])


def row_count(data: bytes) -> int:
    """Return the number of rows that canonical bytes hold."""
    if not data.startswith(MAGIC) or len(data) < _HEADER_BYTES:
        raise CanonicalError(f"bytes do not start with {MAGIC!r}; make them with column_bytes")
    return int.from_bytes(data[len(MAGIC) : _HEADER_BYTES], "little")


def _read(name: str, values: _Array, present: _Mask | None, rows: int) -> tuple[_Array, _Mask]:
    """Values as int64, float64 or objects of str, cleared where there is none, and the mask."""
    if values.shape != (rows,) or (present is not None and present.shape != (rows,)):
        raise CanonicalError(f"column {name!r} has not one value for each of {rows} times")
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
    raise CanonicalError(f"column {name!r} holds {values.dtype}; give numbers or texts")


def _typed(name: str, values: _Array, mask: _Mask) -> _Array:
    """Array of one kind for an object array, or the object array itself for texts."""
    kinds = {type(value) for value in values[mask]}
    if kinds <= {str}:
        return values
    if not (kinds <= {int, bool} or kinds <= {float}):
        found = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise CanonicalError(f"column {name!r} mixes or holds {found}; give one kind of value")
    try:
        return np.where(mask, values, 0).astype(np.float64 if float in kinds else np.int64)
    except OverflowError as error:
        raise CanonicalError(f"column {name!r} has an integer beyond 64 bits") from error


def _integers(name: str, values: _Array, mask: _Mask) -> _Array:
    if values.dtype.kind not in "biu":
        raise CanonicalError(f"column {name!r} holds {values.dtype}; give whole numbers")
    whole = np.where(mask, values, np.zeros((), values.dtype))
    if whole.dtype.kind == "u" and len(whole) and int(whole.max()) >= 2**63:
        raise CanonicalError(f"column {name!r} has {whole.max()}, beyond a signed 64-bit integer")
    return whole.astype("<i8")


def _floats(name: str, values: _Array, mask: _Mask) -> tuple[_Array, _Mask]:
    if values.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise CanonicalError(f"column {name!r} is wider than a 64-bit float; round it first")
    numbers = values.astype("<f8")
    mask = mask & ~np.isnan(numbers)
    numbers = np.where(mask, numbers, 0.0) + 0.0  # adding 0.0 turns -0.0 into 0.0
    if np.isinf(numbers).any():
        raise CanonicalError(f"column {name!r} has an infinite value; such a reading is refused")
    return numbers.astype("<f8"), mask


def _order(times: _Array, columns: list[tuple[_Array, _Mask]]) -> npt.NDArray[np.intp]:
    if bool((times[1:] > times[:-1]).all()):  # type: ignore[operator]  # int64 arrays compare
        return np.arange(len(times))
    keys: list[_Array] = [times]
    for values, present in columns:
        keys += [present, np.unique(values, return_inverse=True)[1]]
    return np.lexsort(keys[::-1])  # lexsort's last key counts first


def _write(name: str, values: _Array, present: _Mask) -> bytes:
    label = name.encode()
    kind = {"i": b"i", "f": b"f"}.get(values.dtype.kind, b"s")
    body = _texts(values) if kind == b"s" else values.tobytes()
    bits = np.packbits(present, bitorder="little").tobytes()
    return _uint(len(label), 2) + label + kind + bits + body


def _texts(values: _Array) -> bytes:
    texts = [str(value).encode() for value in values]
    return np.array([len(text) for text in texts], "<u4").tobytes() + b"".join(texts)


def _uint(number: int, size: int) -> bytes:
    return number.to_bytes(size, "little")
