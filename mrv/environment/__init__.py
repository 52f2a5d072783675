"""
Indicators from station data: hourly values, indices and daily figures.

Values are a pure function of stored readings and the registry.  An hour counts where three quarters
of it are covered; a reading is valid until the next one, at most 15 minutes (an hour for a field).
An index or a day follows from hourly values alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ingest.model import Device
from mrv import countries
from mrv.environment import air, water
from mrv.environment.air import hourly
from mrv.environment.kinds import CLASSES, KIND_INDEX, KINDS, KINDS_OF, Day, Hourly, Row, Values
from mrv.environment.water import Flow

__all__ = ["CLASSES", "KINDS", "KINDS_OF", "KIND_INDEX", "Values", "hourly", "of_days", "of_hours"]


def of_hours(device: Device, values: Hourly, starts: Iterable[int]) -> list[Row]:
    """Return the air or noise indices of given hours, from a station's hourly values. [us UTC]"""
    if device.class_id != "air_station":
        return []
    return _own(device, (row for start in sorted(starts) for row in air.air_hour(values, start)))


def of_days(
    device: Device, values: Hourly, days: Iterable[Day], flows: Mapping[int, Flow]
) -> list[Row]:
    """
    Return the daily figures of a station, from its hourly values.

    `flows`: flow of a wastewater plant by the start of the local day. [us UTC]
    """
    rows: list[Row] = []
    for day in sorted(days):
        if device.class_id == "air_station":
            rows += air.air_day(device, values, day)
        elif device.class_id == "noise_station":
            rows += air.noise_day(device, values, day)
        elif device.class_id == "water_station":
            rows += water.surface_day(device, values, day)
        elif device.class_id == "water_tube":
            rows += water.field_day(values, day)
        else:
            rows += water.wastewater_day(device, values, day, flows.get(day.begin_us))
    return _own(device, rows)


def _own(device: Device, rows: Iterable[Row]) -> list[Row]:
    """Return the rows without indices and limits of countries other than the station's."""
    ruling = countries.ruling("environment")
    here = countries.country_of(device)
    foreign = {
        kind for country, rules in ruling.items() if country != here for kind in rules["kinds"]
    }
    return [row for row in rows if row.kind not in foreign]
