"""
Maps of the console: the sites on a city's background; and the calendar of a month.

The background in TONNE_CONSOLE_MAP is GeoJSON (RFC 7946): polygons are districts, lines are water,
points are names.  `properties.name` (`shapeName` in geoBoundaries) is the label, `properties.names`
those in other languages.  `attribution`, next to `features`, names source and licence, and is
printed below the maps.  The coastline (coastline.npz) is drawn first; no external map is loaded.
"""

from __future__ import annotations

import json
import math
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RegistryError
from mrv.countries import country_at
from mrv.texts.dates import week_begins
from services.store.views.console import Site
from services.store.views.coverage import CoverageDay

Points = NDArray[np.float64]

_LEAST = 1e-9


def within(west: float, south: float, east: float, north: float) -> list[Points]:
    """
    Return the land within a frame, as rings cut at its edges.

    `west`, `south`, `east`, `north`: edges of the frame. [degrees]

    Returns
    -------
    list of float64 array, n x 2
        Longitude and latitude of each ring's corners. [degrees]
    """
    result = []
    for ring, box in zip(*coastline(), strict=True):
        if box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south:
            part = cut(ring, (west, south, east, north))
            # where land surrounds the frame, clipping leaves a ring without area along its edge
            if _area(part) > _LEAST:
                result.append(part)
    return result


def _area(ring: Points) -> float:
    """Return the area of a ring. [square degrees]"""
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


@cache
def coastline() -> tuple[list[Points], list[tuple[float, float, float, float]]]:
    """Return the outlines of the world's land, each with its bounding box. [degrees]"""
    file = resources.files(__package__).joinpath("coastline.npz")
    with file.open("rb") as source, np.load(source) as arrays:
        bytes_ = np.ascontiguousarray(arrays["steps"].transpose(0, 2, 1))
        steps = bytes_.reshape(2, -1).view("<i4").astype(np.int64)
        points = np.cumsum(steps.T, axis=0) * arrays["scale"] + arrays["translate"]
        ends = np.cumsum(arrays["lengths"])
    rings = np.split(points, ends[:-1].tolist())
    return rings, [(*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist()) for ring in rings]


def cut(ring: Points, frame: tuple[float, float, float, float]) -> Points:
    """Return a ring clipped at the four edges of a frame (Sutherland-Hodgman)."""
    west, south, east, north = frame
    for axis, edge, sign in ((0, west, 1), (1, south, 1), (0, east, -1), (1, north, -1)):
        if not len(ring):
            break
        ring = _cut_at(ring, axis, edge, sign)
    return ring


def _cut_at(ring: Points, axis: int, edge: float, sign: int) -> Points:
    following = np.roll(ring, -1, axis=0)
    inside = (ring[:, axis] - edge) * sign >= 0
    crosses = inside != np.roll(inside, -1)
    # a corner inside the frame, then the intersection of the following side with the frame's edge
    rise = following[:, axis] - ring[:, axis]
    share = np.divide(edge - ring[:, axis], rise, out=np.zeros(len(ring)), where=crosses)
    met = ring + (following - ring) * share[:, np.newaxis]
    both = np.stack([ring, met], axis=1).reshape(-1, 2)
    result: Points = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return result


_DEPTH = {"Point": 0, "LineString": 1, "MultiLineString": 2, "Polygon": 2, "MultiPolygon": 3}
_AREAS, _WORLD = {"Polygon", "MultiPolygon"}, (180, 90)
Box = tuple[float, float, float, float]


class Place(NamedTuple):
    """Place name with its position: longitude and latitude. [degrees]"""

    name: str
    names: dict[str, str]
    at: tuple[float, float]

    def name_in(self, language: str) -> str:
        """Return the name in a language, else the original one."""
        return self.names.get(language, self.name)


class Base(NamedTuple):
    """Background of a map: outlines, waterways, names, and the source with its licence."""

    areas: list[Points]
    water: list[Points]
    places: list[Place]
    attribution: str = ""

    def within(self, box: Box) -> Base:
        """Return the background within a window: areas clipped, and lines and names inside it."""
        west, south, east, north = box
        areas = [result for ring in self.areas if len(result := cut(ring, box))]
        water = [
            line
            for line in self.water
            if (line.min(axis=0) <= (east, north)).all()
            and (line.max(axis=0) >= (west, south)).all()
        ]
        places = [
            place
            for place in self.places
            if west <= place.at[0] <= east and south <= place.at[1] <= north
        ]
        return Base(areas, water, places, self.attribution)


NONE = Base([], [], [])


@cache
def load(path: Path | None) -> Base:
    """
    Return the background of a file; empty without one.

    Raises RegistryError, naming the file, the feature and what is missing.
    """
    if path is None:
        return NONE
    try:
        content = json.loads(path.read_text("utf-8"))
        features, attribution = content["features"], str(content.get("attribution", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RegistryError(
            f"TONNE_CONSOLE_MAP={path} is not a GeoJSON file with features ({error}); name another"
        ) from None
    areas: list[Points] = []
    water: list[Points] = []
    places: list[Place] = []
    for number, feature in enumerate(features, 1):
        try:
            kind, parts = _parts(feature["geometry"])
            properties = feature.get("properties") or {}
            # `shapeName` is the key of geoBoundaries
            label = properties.get("name", properties.get("shapeName"))
            if label is not None and (kind == "Point" or kind in _AREAS):
                at = np.concatenate(parts).mean(axis=0).tolist()
                places.append(Place(str(label), dict(properties.get("names", {})), (at[0], at[1])))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RegistryError(
                f"{path}: feature {number} is not drawn ({error}); use a Point, LineString or"
                " Polygon in longitude and latitude, and its name in properties"
            ) from None
        if kind != "Point":
            (areas if kind in _AREAS else water).extend(parts)
    return Base(areas, water, places, attribution)


def _parts(geometry: dict[str, Any]) -> tuple[str, list[Points]]:
    """Return the kind of a geometry, and its lines or rings."""
    kind, stored = geometry["type"], [geometry["coordinates"]]
    if kind not in _DEPTH:
        raise ValueError(f"geometry of the type {kind!r}")
    for _ in range(_DEPTH[kind] - 1):
        stored = [part for each in stored for part in each]
    parts = [
        np.array(part, dtype=float).reshape(-1, np.array(part).shape[-1])[:, :2] for part in stored
    ]
    if any(not len(part) or (np.abs(part) > _WORLD).any() for part in parts):
        raise ValueError("no coordinates, or beyond 180 degrees of longitude or 90 of latitude")
    return kind, parts


_FAR, _NEAR = 3.0, 0.5
# minimum size of the map [degrees]; decimals of coordinates, about a hundred metres, the accuracy
# of the coastline
_LEAST_DEGREES, _PLACES = 0.02, 3
_KM_A_DEGREE = 111.195
# lower bounds of the classes of a day's coverage [1]; the last class is complete data
SHARES = (0.5, 0.8, 0.95, 0.999)
_WEEK = 7


class Map(NamedTuple):
    """
    Map of a city's sites.

    `box` has the edges west, south, east and north [degrees], fitted to most sites; `base` the
    city's own background; `far_km` the distance of sites outside of it, by id.  More distant sites
    are `elsewhere`.
    """

    box: tuple[float, float, float, float]
    land: list[list[list[float]]]
    base: Base
    sites: list[Site]
    far_km: dict[str, int]
    elsewhere: list[Site]


def sites_map(result: Sequence[Site], base: Base = NONE) -> Map:
    """Return the map of places, on the background of their city."""
    sites, elsewhere = _together(result, _FAR)
    main, far = _together(sites, _NEAR)
    longitudes, latitudes = [site.longitude for site in main], [site.latitude for site in main]
    west, east = min(longitudes), max(longitudes)
    south, north = min(latitudes), max(latitudes)
    wide, high = max(east - west, _LEAST_DEGREES), max(north - south, _LEAST_DEGREES)
    west, south = (west + east - wide) / 2, (south + north - high) / 2
    east, north = west + wide, south + high
    # the page's frame may be wider or higher than the box
    frame = (west - wide, south - high, east + wide, north + high)
    middle = ((west + east) / 2, (south + north) / 2)
    return Map(
        (west, south, east, north),
        [plain(ring) for ring in within(*frame)],
        base.within(frame),
        sites,
        {site.id: _km(site, middle) for site in far},
        elsewhere,
    )


def plain(ring: Points) -> list[list[float]]:
    """Return a ring's corners rounded to `_PLACES` decimals, without repeated ones. [degrees]"""
    corners = np.round(ring, _PLACES)
    apart = np.any(corners != np.roll(corners, 1, axis=0), axis=1)
    result: list[list[float]] = corners[apart].tolist()
    return result


def _km(site: Site, middle: tuple[float, float]) -> int:
    """Return a site's distance from the map's centre. [km]"""
    shrink = math.cos(math.radians(middle[1]))
    east, north = (site.longitude - middle[0]) * shrink, site.latitude - middle[1]
    return round(math.hypot(east, north) * _KM_A_DEGREE)


def _together(result: Sequence[Site], far: float) -> tuple[list[Site], list[Site]]:
    latitude, longitude = (
        median(getattr(site, name) for site in result) for name in ("latitude", "longitude")
    )
    near = [
        site
        for site in result
        if abs(site.latitude - latitude) <= far and abs(site.longitude - longitude) <= far
    ]
    sites = near or list(result)
    return sites, [site for site in result if site not in sites]


class Cell(NamedTuple):
    """Day of the calendar: class 0 to 4, and coverage [%]; None without devices in service."""

    day: date
    grade: int | None
    percent: int | None


def month_calendar(
    year: int, month: int, coverage_days: Sequence[CoverageDay], timezone: str
) -> list[list[Cell | None]]:
    """Return the weeks of a month in the country's form; None for days of other months."""
    stored = {coverage_day.day: coverage_day for coverage_day in coverage_days}
    first = date(year, month, 1)
    days = [first + timedelta(days=i) for i in range(monthrange(year, month)[1])]
    cells: list[Cell | None] = [None] * ((first.weekday() - week_of(timezone)) % _WEEK) + [
        _cell(day, stored.get(day)) for day in days
    ]
    cells += [None] * (-len(cells) % _WEEK)
    return [cells[i : i + _WEEK] for i in range(0, len(cells), _WEEK)]


def week_of(timezone: str) -> int:
    """Return the weekday on which weeks begin in the country of a time zone; 0 is Monday."""
    return week_begins(country_at(None, timezone))


def _cell(day: date, coverage_day: CoverageDay | None) -> Cell:
    if coverage_day is None or coverage_day.share is None:
        return Cell(day, None, None)
    return Cell(
        day, sum(coverage_day.share >= edge for edge in SHARES), int(coverage_day.share * 100)
    )
