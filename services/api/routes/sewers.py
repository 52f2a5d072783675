"""The sewerage registry as GeoJSON for maps: assets in a window, and an asset's history."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import JSONResponse, Response

from services.api import schemas as shapes
from services.api.problems import ProblemError
from services.api.request_context import WholeReader
from services.api.routes.registry import unknown
from services.registry.sewer_files import collection, feature, grid
from services.store.registry import sewers as stored


class GeoJson(JSONResponse):
    """Media type of RFC 7946, as JSON, so that OpenAPI shows its schema."""

    media_type = "application/geo+json"

    def render(self, content: bytes) -> bytes:
        """Return bytes that are already encoded."""
        return content


router = APIRouter(tags=["sewers"])
_SIDES = 4
Window = Annotated[
    str | None,
    Query(
        max_length=100, description="west,south,east,north", examples=["106.65,20.84,106.67,20.86"]
    ),
]
Most = Annotated[int, Query(ge=1, le=10_000)]
After = Annotated[str, Query(max_length=64, pattern="^[A-Za-z0-9_-]*$")]
Sides = Annotated[
    int | None,
    Query(
        ge=2,
        le=64,
        description="For a window with more than `limit` assets: number of cells per side, "
        "with counts.",
    ),
]
AssetPath = Annotated[str, Path(max_length=64, pattern="^[A-Za-z0-9_-]+$")]


@router.get("/sewers", response_model=shapes.Sewers, response_class=GeoJson)
def sewers(
    ask: WholeReader,
    bbox: Window = None,
    limit: Most = 2_000,
    after: After = "",
    cells: Sides = None,
) -> Response:
    """
    Return sewer assets that intersect a bounding box, by id, as a FeatureCollection.

    If there are more, `next` is the value for `after`; with `cells` the window is returned as a
    grid of counts, for maps of a whole city.
    """
    box = window(bbox)
    with ask.reading() as conn:
        assets = stored.within(conn, box, limit + 1, after)
        around = (box or stored.extent(conn)) if cells is not None and len(assets) > limit else None
        if around is not None and cells is not None:
            counted = stored.cells(conn, around, (cells, cells))
            return _json(grid(around, cells, counted) | {"next": None})
    more = len(assets) > limit
    body = collection(assets[:limit]) | {"next": assets[limit - 1].id if more else None}
    return _json(body)


@router.get("/sewers/{asset}", response_model=shapes.Sewer, response_class=GeoJson)
def sewer(ask: WholeReader, asset: AssetPath) -> Response:
    """Return an asset as a Feature, with its inspections and works."""
    with ask.reading() as conn:
        result = stored.history(conn, asset)
    if result is None:
        raise unknown("asset", asset)
    item, events = result
    history = [{k: v for k, v in e._asdict().items() if k != "asset"} for e in events]
    return _json(feature(item) | {"history": history})


def window(text: str | None) -> stored.Box | None:
    """
    Return a window of the map.

    Raises
    ------
    ProblemError
        422 if it is invalid.
    """
    if text is None:
        return None
    try:
        sides = [float(part) for part in text.split(",")]
    except ValueError:
        sides = []
    if len(sides) == _SIDES:
        west, south, east, north = sides
        if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:  # noqa: PLR2004 - degrees
            return west, south, east, north
    raise ProblemError(
        422,
        f"bbox = {text!r}: send west,south,east,north in degrees, with west "
        "below east and south below north",
    )


def _json(body: object) -> Response:
    return GeoJson(msgspec.json.encode(body), headers={"Cache-Control": "no-store"})
