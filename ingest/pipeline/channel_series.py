"""Values of one channel over many devices, as input of the quality tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.model import Float64, Int32, Int64

Rows = NDArray[np.intp]


def heads(device: Int32) -> Rows:
    """Return the first row of each device; rows of a device are consecutive."""
    head = np.ones(len(device), dtype=np.bool_)
    head[1:] = device[1:] != device[:-1]
    return np.flatnonzero(head)


def each(values: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
    """Return `values[rows]`; a value common to all rows is stored once."""
    if len(rows) and (rows.strides == (0,) or _same(rows)):
        return np.broadcast_to(values[rows[0]], rows.shape)
    found: NDArray[Any] = values[rows]
    return found


def _same(rows: NDArray[np.integer[Any]]) -> bool:
    return bool(rows[0] == rows[-1]) and bool((rows == rows[0]).all())


@dataclass(frozen=True, slots=True)
class Series:
    """
    Values sorted by device and time.

    `limits` says which version of them holds, `head` is the first row of each device.
    """

    device: Int32
    time_us: Int64
    limits: Int64
    head: Rows
    value: Float64

    def __len__(self) -> int:
        return len(self.time_us)

    def of(self, value: Float64) -> Series:
        """Return other values of the same readings."""
        return Series(self.device, self.time_us, self.limits, self.head, value)

    def take(self, rows: NDArray[np.bool_]) -> Series:
        """Return the rows selected by a mask."""
        index = np.flatnonzero(rows)
        device = self.device[index]
        return Series(
            device, self.time_us[index], self.limits[index], heads(device), self.value[index]
        )

    def tails(self) -> Rows:
        """Return the last row of each device."""
        return np.append(self.head[1:], len(self)) - 1

    def after(self, earlier: tuple[Series, ...]) -> tuple[Series, NDArray[np.bool_]]:
        """
        Put earlier readings of each device before its own.

        Parameters
        ----------
        earlier : tuple of Series
            Oldest first; each has one row a device, in the order of `head`.

        Returns
        -------
        whole : Series
        new : bool array
            Which of its rows are this series'.
        """
        more = len(earlier)
        group = np.zeros(len(self), dtype=np.intp)
        group[self.head] = more
        own = np.arange(len(self)) + np.cumsum(group)
        head = self.head + more * np.arange(len(self.head))
        n = len(self) + more * len(self.head)
        new = np.zeros(n, dtype=np.bool_)
        new[own] = True
        parts = []
        for name in ("device", "time_us", "limits", "value"):
            held = getattr(self, name)
            out = np.empty(n, dtype=held.dtype)
            out[own] = held
            for k, one in enumerate(earlier):
                out[head + k] = getattr(one, name)
            parts.append(out)
        device, time_us, limits, value = parts
        return Series(device, time_us, limits, head, value), new
