"""Sewer map page: assets in a window, and details of one asset."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query
from psycopg import Connection
from starlette.responses import Response

from services.api.console.maps import sewers as sewer_map
from services.api.console.maps.base import Base
from services.api.console.render import Language, render
from services.api.console.session import View, signed_in_for_all
from services.api.request_context import Asked
from services.api.routes.registry import unknown
from services.api.routes.sewers import Window, window
from services.sewers.asset_files import properties
from services.sewers.assets import Asset, Event
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
        """Return the last inspection."""
        return next((event for event in self.events if event.what == "inspection"), None)


@router.get("/console/{language}/sewers")
def sewers(ask: View, language: Language, bbox: Window = None, asset: Chosen = None) -> Response:
    """Return the map page of the network, with condition and history of a selected asset."""
    signed_in_for_all(ask, "the sewer network")
    lines = window(bbox)
    with ask.reading() as conn:
        picked = None if not asset else _picked(conn, asset.strip())
        around = None if picked is None else sewer_map.around_asset(picked.asset)
        box = around if lines is None else sewer_map.fitted(lines) if _loose(lines) else lines
        base = ask.request.app.state.base
        picture = _whole(ask, conn) if box is None else _picture(conn, box, base)
    return render(
        ask,
        language,
        "sewers.html",
        picked=picked,
        drawn=picture,
        size=(sewer_map.WIDTH, sewer_map.HEIGHT),
        whole=_summary(ask),
    )


def _picked(conn: Connection, id_: str) -> Picked:
    result = stored.history(conn, id_)
    if result is None:
        raise unknown("asset", id_)
    asset, events = result
    known = [(key, value, _UNITS.get(key, "")) for key, value in properties(asset).items()]
    return Picked(asset, [row for row in known if row[0] != "kind"], events)


def _whole(ask: Asked, conn: Connection) -> sewer_map.Drawn | None:
    """Return the map of the whole network, cached; None without assets."""

    def find() -> sewer_map.Drawn | None:
        extent = stored.extent(conn)
        if extent is None:
            return None
        return _picture(conn, sewer_map.fitted(extent), ask.request.app.state.base)

    drawn: sewer_map.Drawn | None = ask.request.app.state.memory.get("sewers", find)
    return drawn


def _loose(box: sewer_map.Box) -> bool:
    """Return whether a window lacks the picture's size and proportions."""
    west, south, east, north = box
    if not sewer_map.LEAST_DEGREES <= north - south <= sewer_map.MOST_DEGREES:
        return True
    fit = sewer_map.fitted(box)
    return abs((east - west) / (fit[2] - fit[0]) - (north - south) / (fit[3] - fit[1])) > 0.01  # noqa: PLR2004 - a hundredth of it


def _picture(conn: Connection, box: sewer_map.Box, base: Base) -> sewer_map.Drawn:
    assets = stored.within(conn, box, sewer_map.MOST_DRAWN + 1)
    if len(assets) <= sewer_map.MOST_DRAWN:
        return sewer_map.drawn(box, assets, base=base)
    cells = stored.cells(conn, box, (sewer_map.COLUMNS, sewer_map.ROWS))
    return sewer_map.drawn(box, (), cells, base)


def _summary(ask: Asked) -> dict[str, Any]:
    def find() -> dict[str, Any]:
        with ask.reading() as conn:
            return stored.summary(conn)

    result: dict[str, Any] = ask.request.app.state.memory.get("sewer summary", find)
    return result
