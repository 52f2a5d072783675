"""Assets as GeoJSON features (RFC 7946) and as rows of CSV: what an import reads back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from services.sewers.assets import Asset, Cell
from services.sewers.rows import COLUMNS

_CSV = (*COLUMNS, "lon", "lat", "path")


def feature(asset: Asset) -> dict[str, Any]:
    """Return a GeoJSON feature; unknown properties are left out."""
    line = asset.kind == "pipe"
    corners = [list(p) for p in asset.path]
    return {
        "type": "Feature",
        "id": asset.id,
        "geometry": {
            "type": "LineString" if line else "Point",
            "coordinates": corners if line else corners[0],
        },
        "properties": properties(asset),
    }


def properties(asset: Asset) -> dict[str, Any]:
    """Return what is known of an asset, and a pipe's length. [m]"""
    known = {key: getattr(asset, key) for key in COLUMNS if key != "id"}
    found = {key: value for key, value in known.items() if value not in (None, False)}
    return {**found, "length_m": round(asset.length_m, 2)} if asset.kind == "pipe" else found


def collection(assets: Iterable[Asset]) -> dict[str, Any]:
    """Return a FeatureCollection."""
    return {"type": "FeatureCollection", "features": [feature(a) for a in assets]}


def grid(
    box: tuple[float, float, float, float], sides: int, counted: Iterable[Cell]
) -> dict[str, Any]:
    """Return cells of a window as points in their middles, with how many assets each holds."""
    west, south, east, north = box
    wide, high = (east - west) / sides, (north - south) / sides
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": f"cell-{one.column}-{one.row}",
                "geometry": {
                    "type": "Point",
                    "coordinates": [
                        round(west + (one.column + 0.5) * wide, 7),
                        round(north - (one.row + 0.5) * high, 7),
                    ],
                },
                "properties": {
                    "assets": one.assets,
                    "poor_condition": one.poor,
                    **({} if one.worst is None else {"worst_condition": one.worst}),
                },
            }
            for one in counted
        ],
    }


def to_csv(assets: Iterable[Asset]) -> str:
    """Return CSV with every column."""
    out = io.StringIO()
    table = csv.DictWriter(out, _CSV, lineterminator="\n")
    table.writeheader()
    for asset in assets:
        row = {key: getattr(asset, key) for key in COLUMNS}
        row["pressurised"] = "true" if asset.pressurised else ""
        if asset.kind == "pipe":
            row["path"] = ";".join(f"{x!r} {y!r}" for x, y in asset.path)
        else:
            row["lon"], row["lat"] = (repr(value) for value in asset.path[0])
        table.writerow({key: "" if value is None else value for key, value in row.items()})
    return out.getvalue()
