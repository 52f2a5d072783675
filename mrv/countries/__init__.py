"""
Countries by ISO 3166-1 alpha-2, the grids of countries with several, and rules of each country.

A site without a country has that of its time zone, by the zone database; a zone such as UTC belongs
to no country.  Rules that apply in one country only are data in the folder of its code, such as
`vn`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from mrv.calendar import zones

# country of records of release 0.1.0, which had the grid of one country only
FIRST_COUNTRY = "VN"


class Located(Protocol):
    """Interface of a place with a country and time zones."""

    @property
    def country(self) -> str | None:
        """Return the country; None if not stated."""

    @property
    def timezone(self) -> str:
        """Return the time zones, as read by `mrv.calendar`."""


class Supplied(Located, Protocol):
    """Interface of a place with a country and an electricity grid."""

    @property
    def grid(self) -> str | None:
        """Return the grid of a country with several; None if not stated."""


class Grid(NamedTuple):
    """A grid of a country with several: its name and its bounding box. [degrees]"""

    name: str
    south: float
    north: float
    west: float
    east: float

    def around(self, latitude: float, longitude: float) -> bool:
        """Return whether a location can belong to the grid."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


@cache
def grids(country: str | None) -> Mapping[str, Grid]:
    """Return the grids of a country with several, by the name in `grid` of a site."""
    text = (resources.files(__package__) / "grids.toml").read_text("utf-8")
    return {name: Grid(**grid) for name, grid in tomllib.loads(text).get(country or "", {}).items()}


@cache
def by_zone() -> Mapping[str, str]:
    """Return the country of each time zone that belongs to one."""
    return {zone: country for country, zones in known().items() for zone in zones}


@cache
def known() -> Mapping[str, tuple[str, ...]]:
    """Return the time zones of each country, by its code."""
    text = (resources.files(__package__) / "zones.toml").read_text("utf-8")
    return {country: tuple(some) for country, some in tomllib.loads(text)["zones"].items()}


@cache
def has_several_clocks(country: str) -> bool:
    """Return whether the clocks of a country's time zones differ, in January or July 2026."""
    days = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 7)]
    zones = known()[country]
    return len({tuple(day.astimezone(ZoneInfo(z)).utcoffset() for day in days) for z in zones}) > 1


def country_of(located: Located) -> str | None:
    """Return a place's country, else that of its first time zone; None without either."""
    return country_at(located.country, located.timezone)


def country_at(country: str | None, timezone: str) -> str | None:
    """Return the country, if given, else that of the first time zone; None without either."""
    return country or by_zone().get(zones(timezone)[0].name)


def grid_of(supplied: Supplied) -> str | None:
    """Return the country, followed by its grid if stated, such as `ID.jamali`; else None."""
    country = country_of(supplied)
    return f"{country}.{supplied.grid}" if country and supplied.grid else country


def rules(country: str | None, name: str) -> str | None:
    """Return the text of a file of a country's rules, such as `transfer`; None without the file."""
    file = resources.files(__package__) / (country or "none").lower() / f"{name}.toml"
    return file.read_text("utf-8") if file.is_file() else None


@cache
def ruling(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the contents of the files of this name, by country."""
    result = {country: rules(country, name) for country in known()}
    return {country: tomllib.loads(text) for country, text in result.items() if text is not None}
