"""Emissions on the 15-minute grid, and the rates that they come by: types, no formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ingest.model import Int32, Int64
from mrv.rounding import Rates


@dataclass(frozen=True, slots=True)
class EmissionRows:
    """
    Emissions on the 15-minute grid, n rows, one a project, device and interval. [ug CO2e]

    `project` indexes `Bindings.projects`, `source` (methodology and factors)
    `Bindings.sources`, `device` the fleet.
    """

    project: Int32
    device: Int32
    start_us: Int64
    baseline_ug: Int64
    project_ug: Int64
    leakage_ug: Int64
    reduction_ug: Int64
    source: Int32

    def __len__(self) -> int:
        return len(self.start_us)


class Source(NamedTuple):
    """Where a rate comes from: `jcm-vn-am007@1.0`, and the ids of its factors with spaces."""

    methodology: str
    factors: str


@dataclass(frozen=True, slots=True)
class Bindings:
    """
    Segments of constant rate, n, sorted by `begin`.

    `begin` and `end` (half-open) are keys as `key` makes them; `project` indexes
    `projects`, `source` indexes `sources` and the rates. [ug CO2e a base unit]
    `withheld` is what the methodology deducts from a unit that earns something.
    """

    projects: tuple[str, ...]
    sources: tuple[Source, ...]
    begin: Int64
    end: Int64
    project: Int32
    source: Int32
    baseline: Rates
    emitted: Rates
    leakage: Rates
    withheld: Rates
