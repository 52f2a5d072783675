"""
A window of the sewer network, drawn: assets while they can be distinguished, counts beyond.

The map is a picture with links that the server makes: every way of the window and every
asset has an address, so that it works without scripts and can be sent to a colleague.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.api.console.maps.base import NONE, Base, Place
from services.api.console.maps.coastline import Points, within
from services.sewers.assets import Asset, Cell

WIDTH, HEIGHT = 960, 560
COLUMNS, ROWS = 24, 14
MOST_DRAWN = 800
LEAST_DEGREES, MOST_DEGREES = 0.0004, 40.0
_EDGE = 1.08
_ZOOM, _STEP = 2.0, 0.5
_LINE_PX = (1.6, 7.0)
_MM_A_PX = 250
_DOT_PX = (7.0, 19.0)
Box = tuple[float, float, float, float]


class Line(NamedTuple):
    """A pipe: its path and how wide it is drawn. [px]"""

    asset: Asset
    path: str
    px: float


class Dot(NamedTuple):
    """A manhole, station or outfall. [px]"""

    asset: Asset
    x: float
    y: float


class Heap(NamedTuple):
    """A cell's assets as one disc, and the window of a closer view."""

    cell: Cell
    x: float
    y: float
    px: float
    window: str


class Ground(NamedTuple):
    """The city's own base: paths of districts and water, and names with their places. [px]"""

    areas: str
    water: str
    names: list[tuple[Place, float, float]]


class Drawn(NamedTuple):
    """The whole picture; `ways` are the windows around this one, by name."""

    window: str
    land: str
    base: Ground
    lines: list[Line]
    dots: list[Dot]
    heaps: list[Heap]
    ways: dict[str, str]


def fitted(box: Box) -> Box:
    """Widen a window to the picture's proportions, true to scale in its middle."""
    west, south, east, north = box
    x, y = (west + east) / 2, (south + north) / 2
    shrink = _shrink(y)
    high = max((north - south) * _EDGE, (east - west) * _EDGE * shrink * HEIGHT / WIDTH)
    high = min(max(high, LEAST_DEGREES), MOST_DEGREES)
    return _around(x, y, high, shrink)


def around_asset(asset: Asset) -> Box:
    """Return a window of a street around an asset."""
    west, south, east, north = asset.extent
    least = 4 * LEAST_DEGREES
    return fitted((west - least, south - least, east + least, north + least))


def drawn(
    box: Box, assets: Sequence[Asset], cells: Iterable[Cell] = (), base: Base = NONE
) -> Drawn:
    """
    Draw a window.

    Parameters
    ----------
    box : tuple of float
        As `fitted` returns it. [degrees]
    assets : sequence of Asset
        What meets it, where that is not too much.
    cells : iterable of Cell
        Its counts, where it is.
    base : Base
        What the city gives to be drawn below.
    """
    scale = _Scale(box)
    lines = [
        Line(asset, "M" + "L".join(scale.text(p) for p in asset.path), _width(asset))
        for asset in assets
        if asset.kind == "pipe"
    ]
    dots = [Dot(asset, *scale.at(asset.path[0])) for asset in assets if asset.kind != "pipe"]
    land = scale.paths(within(*box), "Z")
    below = base.within(box)
    ground = Ground(
        scale.paths(below.areas, "Z"),
        scale.paths(below.water),
        [(place, *scale.at(place.at)) for place in below.places],
    )
    return Drawn(_text(box), land, ground, lines, dots, _heaps(scale, cells), _ways(box))


class _Scale:
    """Degrees to pixels."""

    def __init__(self, box: Box) -> None:
        self.west, south, east, self.north = box
        self.wide, self.high = (east - self.west) / WIDTH, (self.north - south) / HEIGHT

    def at(self, place: Sequence[float]) -> tuple[float, float]:
        """Place of a longitude and latitude. [px]"""
        return (place[0] - self.west) / self.wide, (self.north - place[1]) / self.high

    def text(self, place: Sequence[float]) -> str:
        """Return the same for a path."""
        x, y = self.at(place)
        return f"{x:.1f} {y:.1f}"

    def paths(self, result: Iterable[Points], end: str = "") -> str:
        """Return lines, or with Z rings, as one path."""
        return "".join(
            "M" + "L".join(self.text(corner) for corner in one.tolist()) + end for one in result
        )


def _heaps(scale: _Scale, cells: Iterable[Cell]) -> list[Heap]:
    listed = list(cells)
    maximum = max((cell.assets for cell in listed), default=1)
    wide, high = WIDTH / COLUMNS, HEIGHT / ROWS
    least, largest = _DOT_PX
    return [
        Heap(
            cell,
            (cell.column + 0.5) * wide,
            (cell.row + 0.5) * high,
            least + (largest - least) * math.sqrt(cell.assets / maximum),
            _text(
                (
                    scale.west + cell.column * wide * scale.wide,
                    scale.north - (cell.row + 1) * high * scale.high,
                    scale.west + (cell.column + 1) * wide * scale.wide,
                    scale.north - cell.row * high * scale.high,
                )
            ),
        )
        for cell in listed
    ]


def _ways(box: Box) -> dict[str, str]:
    west, south, east, north = box
    x, y, high = (west + east) / 2, (south + north) / 2, north - south
    across, up = (east - west) * _STEP, high * _STEP
    windows = {
        "closer": _around(x, y, max(high / _ZOOM, LEAST_DEGREES), _shrink(y)),
        "farther": _around(x, y, min(high * _ZOOM, MOST_DEGREES), _shrink(y)),
        "west": (west - across, south, east - across, north),
        "east": (west + across, south, east + across, north),
        "north": (west, south + up, east, north + up),
        "south": (west, south - up, east, north - up),
    }
    return {name: _text(_on_earth(window)) for name, window in windows.items()}


def _around(x: float, y: float, high: float, shrink: float) -> Box:
    wide = high / shrink * WIDTH / HEIGHT
    return _on_earth((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2))


def _on_earth(box: Box) -> Box:
    """Return a window moved back within the earth's edge."""
    west, south, east, north = box
    across = max(-180 - west, 0) - max(east - 180, 0)
    up = max(-90 - south, 0) - max(north - 90, 0)
    return (
        max(west + across, -180.0),
        max(south + up, -90.0),
        min(east + across, 180.0),
        min(north + up, 90.0),
    )


def _shrink(latitude: float) -> float:
    return max(math.cos(math.radians(latitude)), 0.1)


def _width(pipe: Asset) -> float:
    least, maximum = _LINE_PX
    return min(max((pipe.diameter_mm or 0) / _MM_A_PX, least), maximum)


def _text(box: Box) -> str:
    return ",".join(f"{side:.6f}" for side in box)
