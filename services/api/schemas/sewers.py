"""The sewerage registry as GeoJSON."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from services.api.schemas.base import Shape


class Place(Shape):
    """A GeoJSON geometry, longitude first."""

    type: Literal["Point", "LineString"]
    coordinates: list[Any]


class SewerFeature(Shape):
    """A pipe, manhole, pumping station or outfall; unknown values are omitted."""

    type: Literal["Feature"]
    id: str
    geometry: Place
    properties: dict[str, Any]


class Sewers(Shape):
    """Assets in a window of the map; `next` is the value for `after`, if there are more."""

    type: Literal["FeatureCollection"]
    features: list[SewerFeature]
    next: str | None


class SewerEvent(Shape):
    """An inspection or work of an asset; condition 1 (as new) to 5 (about to fail)."""

    day: date
    what: Literal["inspection", "work"]
    kind: str
    condition: int | None
    note: str


class Sewer(SewerFeature):
    """An asset with its history, the newest first."""

    history: list[SewerEvent]
