"""
Countries by ISO 3166-1 alpha-2, the grids of those that have several, and the rules of each.

A site names its country.  Where it does not, its time zone does: the zone database gives each
zone to one country, but for those that are none's, such as UTC.  What a country alone rules is
data in the folder of its code, `vn` for Viet Nam; no other country sees it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, Protocol

from mrv.calendar import zones

# of what release 0.1.0 wrote, whose account knew the grid of one country
FIRST_COUNTRY = "VN"


class Located(Protocol):
    """What is in a country."""

    @property
    def country(self) -> str | None:
        """Its country; None where it names none."""

    @property
    def timezone(self) -> str:
        """Its time zones, as `mrv.calendar` reads them."""


class Supplied(Located, Protocol):
    """What draws from a grid."""

    @property
    def grid(self) -> str | None:
        """Its country's grid, of a country that has several; None where it names none."""


class Grid(NamedTuple):
    """A grid of a country that has several: its name, and what lies around it. [degrees]"""

    name: str
    south: float
    north: float
    west: float
    east: float

    def around(self, latitude: float, longitude: float) -> bool:
        """Whether a place can be of it."""
        return self.south <= latitude <= self.north and self.west <= longitude <= self.east


@cache
def grids(country: str | None) -> Mapping[str, Grid]:
    """Return the grids of a country that has several, by the name that a site gives."""
    text = (resources.files(__package__) / "grids.toml").read_text("utf-8")
    return {name: Grid(**one) for name, one in tomllib.loads(text).get(country or "", {}).items()}


@cache
def by_zone() -> Mapping[str, str]:
    """Return the country of each time zone that is of one."""
    return {zone: country for country, zones in known().items() for zone in zones}


@cache
def known() -> Mapping[str, tuple[str, ...]]:
    """Return all countries, each with its time zones."""
    text = (resources.files(__package__) / "zones.toml").read_text("utf-8")
    return {country: tuple(some) for country, some in tomllib.loads(text)["zones"].items()}


def country_of(located: Located) -> str | None:
    """Return the country that is named, else that of the first time zone; None if of none."""
    return country_at(located.country, located.timezone)


def country_at(country: str | None, timezone: str) -> str | None:
    """Return the country, else that of the first time zone; None if of none."""
    return country or by_zone().get(zones(timezone)[0].name)


def grid_of(supplied: Supplied) -> str | None:
    """Return the country, and its grid where one is named, as `ID.jamali`; None if of none."""
    country = country_of(supplied)
    return f"{country}.{supplied.grid}" if country and supplied.grid else country


def rules(country: str | None, name: str) -> str | None:
    """Return the text of a file of a country's rules, such as `transfer`; None if it has none."""
    file = resources.files(__package__) / (country or "none").lower() / f"{name}.toml"
    return file.read_text("utf-8") if file.is_file() else None


@cache
def ruling(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what the file of a name says of each country that has one."""
    found = {country: rules(country, name) for country in known()}
    return {country: tomllib.loads(text) for country, text in found.items() if text is not None}
