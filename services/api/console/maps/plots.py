"""Map of a city's sites, and calendar of a month."""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Sequence
from datetime import date, timedelta
from statistics import median
from typing import NamedTuple

import numpy as np

from mrv.countries import country_at
from mrv.texts.dates import week_begins
from services.api.console.maps.base import NONE, Base, Points, within
from services.store.views.console import Site
from services.store.views.coverage import CoverageDay

_FAR, _NEAR = 3.0, 0.5
_LEAST_DEGREES, _PLACES = 0.02, 3  # a hundred metres, as good as the coastline is
_KM_A_DEGREE = 111.195
# bounds of the classes of a day, in parts of 1; the last is a whole day
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
    """Return a ring's corners to some hundred metres, without repeated ones."""
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
    """
    Day of the calendar: class 0 to 4, and coverage in whole per cent; None without devices
    in service.
    """

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
