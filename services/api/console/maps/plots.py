"""What is drawn on the server: places on a map, and days of a calendar."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

import numpy as np

from services.api.console.maps.coastline import within
from services.store.views.console import Site
from services.store.views.coverage import CoverageDay

WIDTH, HEIGHT, EDGE = 640, 420, 46
_LEAST_DEGREES = 0.04
_FAR, _NEAR = 3.0, 0.5
INSET, _INSET_EDGE = (190, 130), 26
_KM_A_DEGREE = 111.195
_STEPS_KM = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
# bounds of the classes of a day, in parts of 1; the last is a whole day
SHARES = (0.5, 0.8, 0.95, 0.999)
_WEEK = 7


class Spot(NamedTuple):
    """A place on the map. [px]"""

    number: int
    site: Site
    x: float
    y: float


class Map(NamedTuple):
    """Places, the land's path, lines of the grid (position, text), scale bar (length, km)."""

    size: tuple[int, int]
    spots: list[Spot]
    elsewhere: list[Site]
    land: str
    meridians: list[tuple[float, str]]
    parallels: list[tuple[float, str]]
    bar_px: float
    bar_km: float
    inset: Map | None


def sites_map(found: Sequence[Site]) -> Map:
    """
    Place sites on an equirectangular map, true to scale at their mean latitude.

    The map is fitted to where most sites are; islands further out stand in an inset.

    Sites that would lie on each other are moved apart, least of all.  What lies far from
    where most of them are is named as elsewhere: a city would shrink to a point beside it.
    """
    sites, elsewhere = _together(found, _FAR)
    main, islands = _together(sites, _NEAR)
    if len(main) <= len(islands):
        main, islands = sites, []
    inset = _drawn(islands, [], INSET, len(main) + 1, None) if islands else None
    return _drawn(main, elsewhere, (WIDTH, HEIGHT), 1, inset)


def _drawn(
    sites: Sequence[Site],
    elsewhere: list[Site],
    size: tuple[int, int],
    first: int,
    inset: Map | None,
) -> Map:
    """Draw sites in a map of a size, numbered from `first` on. [px]"""
    width, height = size
    edge = EDGE if inset is not None or size == (WIDTH, HEIGHT) else _INSET_EDGE
    middle = sum(one.latitude for one in sites) / len(sites)
    shrink = max(math.cos(math.radians(middle)), 0.1)
    east = [one.longitude * shrink for one in sites]
    north = [one.latitude for one in sites]
    wide = max(max(east) - min(east), _LEAST_DEGREES)
    high = max(max(north) - min(north), _LEAST_DEGREES)
    scale = min((width - 2 * edge) / wide, (height - 2 * edge) / high)
    left = (min(east) + max(east)) / 2 - width / 2 / scale
    top = (min(north) + max(north)) / 2 + height / 2 / scale
    spots = [
        Spot(i, one, (x - left) * scale, (top - y) * scale)
        for i, (one, x, y) in enumerate(zip(sites, east, north, strict=True), first)
    ]
    step = _grid_step(width / scale)
    bar = max(km for km in _STEPS_KM if km / _KM_A_DEGREE * scale < width / 3 or km == _STEPS_KM[0])
    meridians = _multiples(left / shrink, (left + width / scale) / shrink, step)
    parallels = _multiples(top - height / scale, top, step)
    return Map(
        size,
        _spread(spots, size),
        elsewhere,
        _outline(left, top, scale, shrink, size),
        [((v * shrink - left) * scale, _degrees(v, "EW")) for v in meridians],
        [((top - v) * scale, _degrees(v, "NS")) for v in parallels],
        bar / _KM_A_DEGREE * scale,
        bar,
        inset,
    )


def _outline(left: float, top: float, scale: float, shrink: float, size: tuple[int, int]) -> str:
    """Return the path of the land within the map; corners closer than a pixel are left out."""
    width, height = size
    west, east = left / shrink, (left + width / scale) / shrink
    path = []
    for ring in within(west, top - height / scale, east, top):
        pixels = np.round(
            np.stack([(ring[:, 0] * shrink - left) * scale, (top - ring[:, 1]) * scale], axis=1)
        ).astype(int)
        apart = np.any(pixels != np.roll(pixels, 1, axis=0), axis=1)
        path.append("M" + "L".join(f"{x} {y}" for x, y in pixels[apart].tolist()) + "Z")
    return "".join(one for one in path if one != "MZ")


def _together(found: Sequence[Site], far: float) -> tuple[list[Site], list[Site]]:
    latitude, longitude = (
        median(getattr(one, name) for one in found) for name in ("latitude", "longitude")
    )
    near = [
        one
        for one in found
        if abs(one.latitude - latitude) <= far and abs(one.longitude - longitude) <= far
    ]
    sites = near or list(found)
    return sites, [one for one in found if one not in sites]


def _degrees(value: float, sides: str) -> str:
    side = sides[value < 0] if value else ""
    return f"{abs(value):g}\N{DEGREE SIGN}{side}"


def _spread(spots: list[Spot], size: tuple[int, int], least: float = 22.0) -> list[Spot]:
    """Move spots that lie on each other apart, around where they lie."""
    placed: list[Spot] = []
    for one in spots:
        x, y = one.x, one.y
        for turn in range(1, 60):
            if all(math.hypot(x - o.x, y - o.y) >= least for o in placed):
                break
            angle, far = turn * 2.399963, least * math.sqrt(turn) * 0.6
            x, y = one.x + far * math.cos(angle), one.y + far * math.sin(angle)
        placed.append(
            one._replace(x=min(max(x, 12), size[0] - 12), y=min(max(y, 12), size[1] - 12))
        )
    return placed


def _grid_step(degrees: float) -> float:
    return next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10) if degrees / s <= 8), 20)  # noqa: PLR2004 - at most eight lines


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [round(i * step, 6) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


class Cell(NamedTuple):
    """A day: its class 0 to 4 and how much is measured in whole per cent; None where unknown."""

    day: date
    grade: int | None
    percent: int | None


def month_calendar(year: int, month: int, found: Sequence[CoverageDay]) -> list[list[Cell | None]]:
    """Return the weeks of a month, Monday to Sunday; None for days of other months."""
    held = {one.day: one for one in found}
    first = date(year, month, 1)
    days = [first + timedelta(days=i) for i in range(monthrange(year, month)[1])]
    cells: list[Cell | None] = [None] * first.weekday() + [
        _cell(day, held.get(day)) for day in days
    ]
    cells += [None] * (-len(cells) % _WEEK)
    return [cells[i : i + _WEEK] for i in range(0, len(cells), _WEEK)]


def _cell(day: date, found: CoverageDay | None) -> Cell:
    if found is None or not found.serving_us:
        return Cell(day, None, None)
    share = min(found.measured_us / found.serving_us, 1.0)
    return Cell(day, sum(share >= edge for edge in SHARES), int(share * 100))
