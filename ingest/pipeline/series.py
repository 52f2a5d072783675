"""One channel's values over many devices, as the quality tests look at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.model import Float64, Int32, Int64


@dataclass(frozen=True, slots=True)
class Series:
    """Values sorted by device and time; `limits` says which version of them holds."""

    device: Int32
    time_us: Int64
    limits: Int64
    value: Float64

    def __len__(self) -> int:
        return len(self.time_us)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Series:
        """Return the rows selected by an index or mask array."""
        return Series(self.device[rows], self.time_us[rows], self.limits[rows], self.value[rows])

    def heads(self) -> NDArray[np.intp]:
        """First row of each device."""
        head = np.ones(len(self), dtype=np.bool_)
        head[1:] = self.device[1:] != self.device[:-1]
        return np.flatnonzero(head)

    def tails(self) -> NDArray[np.intp]:
        """Last row of each device."""
        return np.append(self.heads()[1:], len(self)) - 1
