"""
Sewer map page: assets in a window, or counts if there are too many, and one asset.

The map is rendered on the server with links: every neighbouring window and asset has a URL, so it
works without scripts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from psycopg import Connection
from starlette.responses import Response

from services.api.console.maps import NONE, Base, Place, Points, within
from services.api.console.render import Language, View, render, signed_in_for_all
from services.api.request_context import RequestContext
from services.api.routes.registry import Window, unknown, window
from services.registry.sewer_files import properties
from services.registry.sewers import Asset, Cell, Event
from services.store.registry import sewers as stored

router = APIRouter(include_in_schema=False)
Chosen = Annotated[str | None, Query(max_length=70, pattern=r"^ *[A-Za-z0-9_-]{0,64} *$")]
_UNITS = {"diameter_mm": "mm", "level_m": "m", "level_to_m": "m", "cover_m": "m", "length_m": "m"}


class Picked(NamedTuple):
    """Selected asset: its properties with units, and its history."""

    asset: Asset
    known: list[tuple[str, Any, str]]
    events: list[Event]

    @property
    def inspected(self) -> Event | None:
        """Return the last inspection; None without one."""
        return next((event for event in self.events if event.what == "inspection"), None)


@router.get("/console/{language}/sewers")
def sewers(ask: View, language: Language, bbox: Window = None, asset: Chosen = None) -> Response:
    """Return the map page of the network, with condition and history of a selected asset."""
    signed_in_for_all(ask, "the sewer network")
    lines = window(bbox)
    with ask.reading() as conn:
        picked = None if not asset else _picked(conn, asset.strip())
        around = None if picked is None else around_asset(picked.asset)
        box = around if lines is None else fitted(lines) if _loose(lines) else lines
        base = ask.request.app.state.base
        picture = _whole(ask, conn) if box is None else _picture(conn, box, base)
    return render(
        ask,
        language,
        "sewers.html",
        picked=picked,
        drawn=picture,
        size=(WIDTH, HEIGHT),
        whole=_summary(ask),
    )


def _picked(conn: Connection, id_: str) -> Picked:
    result = stored.history(conn, id_)
    if result is None:
        raise unknown("asset", id_)
    asset, events = result
    known = [(key, value, _UNITS.get(key, "")) for key, value in properties(asset).items()]
    return Picked(asset, [row for row in known if row[0] != "kind"], events)


def _whole(ask: RequestContext, conn: Connection) -> Drawn | None:
    """Return the map of the whole network, cached; None without assets."""

    def find() -> Drawn | None:
        extent = stored.extent(conn)
        if extent is None:
            return None
        return _picture(conn, fitted(extent), ask.request.app.state.base)

    drawn: Drawn | None = ask.request.app.state.memory.get("sewers", find)
    return drawn


def _loose(box: Box) -> bool:
    """Return whether a window lacks the picture's size and proportions."""
    west, south, east, north = box
    if not MIN_DEGREES <= north - south <= MAX_DEGREES:
        return True
    fit = fitted(box)
    return abs((east - west) / (fit[2] - fit[0]) - (north - south) / (fit[3] - fit[1])) > 0.01  # noqa: PLR2004 - a hundredth of it


def _picture(conn: Connection, box: Box, base: Base) -> Drawn:
    assets = stored.within(conn, box, MAX_DRAWN + 1)
    if len(assets) <= MAX_DRAWN:
        return drawn(box, assets, base=base)
    cells = stored.cells(conn, box, (COLUMNS, ROWS))
    return drawn(box, (), cells, base)


def _summary(ask: RequestContext) -> dict[str, Any]:
    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            return stored.summary(conn)

    result: dict[str, Any] = ask.request.app.state.memory.get("sewer summary", find)
    return result


WIDTH, HEIGHT = 960, 560
COLUMNS, ROWS = 24, 14
MAX_DRAWN = 800
MIN_DEGREES, MAX_DEGREES = 0.0004, 40.0
_EDGE = 1.08
_ZOOM, _STEP = 2.0, 0.5
_LINE_PX = (1.6, 7.0)
_MM_A_PX = 250
_M_A_DEGREE = 111_195
_DOT_PX = (7.0, 19.0)
Box = tuple[float, float, float, float]


class Line(NamedTuple):
    """Pipe on the map: its path and line width. [px]"""

    asset: Asset
    path: str
    px: float


class Dot(NamedTuple):
    """A manhole, station or outfall. [px]"""

    asset: Asset
    x: float
    y: float


class Heap(NamedTuple):
    """Assets of a grid cell, drawn as one disc, and the window of its closer view."""

    cell: Cell
    x: float
    y: float
    px: float
    window: str


class Ground(NamedTuple):
    """
    The city's background: paths of districts and water, names with positions [px], its source.

    `scale` is the length of the scale bar. [px, m]
    """

    areas: str
    water: str
    names: list[tuple[Place, float, float]]
    attribution: str
    scale: tuple[float, int]


class Drawn(NamedTuple):
    """Rendered map; `ways` are the neighbouring windows, by name."""

    window: str
    land: str
    base: Ground
    lines: list[Line]
    dots: list[Dot]
    heaps: list[Heap]
    ways: dict[str, str]


def fitted(box: Box) -> Box:
    """Return a window widened to the picture's proportions, true to scale at its centre."""
    west, south, east, north = box
    x, y = (west + east) / 2, (south + north) / 2
    shrink = _shrink(y)
    high = max((north - south) * _EDGE, (east - west) * _EDGE * shrink * HEIGHT / WIDTH)
    high = min(max(high, MIN_DEGREES), MAX_DEGREES)
    return _around(x, y, high, shrink)


def around_asset(asset: Asset) -> Box:
    """Return a window of a street's size around an asset."""
    west, south, east, north = asset.extent
    least = 4 * MIN_DEGREES
    return fitted((west - least, south - least, east + least, north + least))


def drawn(
    box: Box, assets: Sequence[Asset], cells: Iterable[Cell] = (), base: Base = NONE
) -> Drawn:
    """
    Return the map of a window.

    `box`: as `fitted` returns it. [degrees]
    `assets`: assets in it, unless too many.
    `cells`: counts by grid cell instead.
    `base`: the city's background.
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
        below.attribution,
        scale.bar(),
    )
    return Drawn(_text(box), land, ground, lines, dots, _heaps(scale, cells), _ways(box))


class _Scale:
    """Conversion of degrees to pixels."""

    def __init__(self, box: Box) -> None:
        self.west, south, east, self.north = box
        self.wide, self.high = (east - self.west) / WIDTH, (self.north - south) / HEIGHT

    def bar(self) -> tuple[float, int]:
        """Return the length of the scale bar: 1, 2 or 5 times a power of ten. [px, m]"""
        px_m = self.high * _M_A_DEGREE  # true to scale: a pixel is as high as wide in metres
        maximum_px = max(px_m * WIDTH / 5, 1)
        power = 10 ** int(math.log10(maximum_px))
        length = max(factor * power for factor in (1, 2, 5) if factor * power <= maximum_px)
        return length / px_m, length

    def at(self, place: Sequence[float]) -> tuple[float, float]:
        """Return the pixel position of a longitude and latitude. [px]"""
        return (place[0] - self.west) / self.wide, (self.north - place[1]) / self.high

    def text(self, place: Sequence[float]) -> str:
        """Return the pixel position as text of an SVG path."""
        x, y = self.at(place)
        return f"{x:.1f} {y:.1f}"

    def paths(self, result: Iterable[Points], end: str = "") -> str:
        """Return lines, or with Z rings, as one path."""
        return "".join(
            "M" + "L".join(self.text(corner) for corner in line.tolist()) + end for line in result
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
        "closer": _around(x, y, max(high / _ZOOM, MIN_DEGREES), _shrink(y)),
        "farther": _around(x, y, min(high * _ZOOM, MAX_DEGREES), _shrink(y)),
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
    """Return a window moved within the earth's limits."""
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
