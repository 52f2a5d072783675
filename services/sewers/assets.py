"""Pipes, manholes, pumping stations and outfalls, and what was seen and done of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

KINDS = ("pipe", "manhole", "pumping_station", "outfall")
WHAT = ("inspection", "work")
_EARTH_M = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Asset:
    """
    One asset.

    `path` is longitude and latitude of its corners; a node has one.  `level_m` is the
    bottom of a node, or of a pipe where it begins, `level_to_m` where it ends, `cover_m`
    the lid.  [m above mean sea level]  `condition` is 1 (as new) to 5 (about to fail).
    """

    id: str
    kind: str
    path: tuple[tuple[float, float], ...]
    from_node: str | None = None
    to_node: str | None = None
    pressurised: bool = False
    material: str | None = None
    diameter_mm: float | None = None
    level_m: float | None = None
    level_to_m: float | None = None
    cover_m: float | None = None
    year: int | None = None
    condition: int | None = None
    sensor: str | None = None

    @property
    def length_m(self) -> float:
        """Length along its corners, on a sphere. [m]"""
        pairs = zip(self.path[:-1], self.path[1:], strict=True)
        return math.fsum(_apart_m(a, b) for a, b in pairs)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east and north. [degrees]"""
        east, north = zip(*self.path, strict=True)
        return min(east), min(north), max(east), max(north)


class Event(NamedTuple):
    """What was seen of an asset (`inspection`) or done to it (`work`)."""

    asset: str
    day: date
    what: str
    kind: str
    condition: int | None
    note: str


class Cell(NamedTuple):
    """
    Assets whose middles lie in one cell of a grid over a window.

    Attributes
    ----------
    column, row : int
        From the west, from the north.
    assets, poor : int
        How many, and how many of them in condition 4 or 5.
    worst : int or None
        The worst condition that is known.
    """

    column: int
    row: int
    assets: int
    poor: int
    worst: int | None


class Problem(NamedTuple):
    """What is wrong with an asset or a network, and where it stands; `stops` an import."""

    place: str
    asset: str
    text: str
    stops: bool


def _apart_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Great-circle distance (haversine). [m]"""
    (lon_a, lat_a), (lon_b, lat_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(h)))
