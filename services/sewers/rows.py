"""Sewer assets and events from a file's cells, with all problems; assets as GeoJSON and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from services.sewers.assets import KINDS, WHAT, Asset, Cell, Event, Problem

ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
COLUMNS = (
    "id", "kind", "from_node", "to_node", "pressurised", "material", "diameter_mm", "level_m",
    "level_to_m", "cover_m", "year", "condition", "sensor",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_YEARS = (1850, 2200)
_CONDITION = (1, 5)
_HIGH = (-500.0, 9000.0)
_WIDE = (1.0, 20_000.0)
_CSV = (*COLUMNS, "lon", "lat", "path")


class Cells:
    """Cells of one row; faults are recorded, and parsing continues."""

    def __init__(self, cells: Mapping[str, Any], place: str) -> None:
        self._cells = cells
        self.place = place
        self.problems: list[str] = []

    def text(self, key: str) -> str | None:
        """Return text, None where it is empty."""
        value = self._cells.get(key)
        return None if value is None or value == "" else str(value)

    def safe_text(self, key: str) -> str | None:
        """Return text that a spreadsheet does not read as a formula."""
        result = self.text(key)
        if result is not None and result.startswith(_FORMULA):
            self.problems.append(
                f"{key} = {result[:40]!r}: a spreadsheet takes this for a formula; begin with a"
                " letter or digit"
            )
        return result

    def name(self, key: str, *, needed: bool) -> str | None:
        """Return an id."""
        result = self.text(key)
        if result is None:
            if needed:
                self.problems.append(f"{key} is missing; give an id")
        elif not ID.match(result):
            self.problems.append(f"{key} = {result!r}: use 1 to 64 letters, digits, '_' or '-'")
        return result

    def number(self, key: str, low: float, high: float) -> float | None:
        """Return a number within bounds."""
        value = self._cells.get(key)
        if value is None or value == "":
            return None
        try:
            result = float("" if isinstance(value, bool) else value)
        except (TypeError, ValueError):
            self.problems.append(f"{key} = {value!r} is not a number")
            return None
        if low <= result <= high:
            return result
        self.problems.append(f"{key} = {result:g} is not from {low:g} to {high:g}")
        return None

    def whole(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number within bounds."""
        result = self.number(key, low, high)
        if result is None:
            return None
        if result != int(result):
            self.problems.append(f"{key} = {result:g} must be a whole number")
        return int(result)

    def flag(self, key: str) -> bool:
        """Return yes or no."""
        result = (self.text(key) or "false").lower()
        if result not in ("true", "false"):
            self.problems.append(f"{key} = {result!r} must be true or false")
        return result == "true"

    def problems_of(self, asset: str | None) -> list[Problem]:
        """Return the problems of an asset."""
        return [Problem(self.place, asset or "?", text, True) for text in self.problems]


def asset(
    cells: Mapping[str, Any], path: list[tuple[float, float]], place: str
) -> tuple[Asset | None, list[Problem]]:
    """Return an asset, None if faulty, and its problems."""
    row = Cells(cells, place)
    name = row.name("id", needed=True)
    kind = row.text("kind") or ""
    if kind not in KINDS:
        row.problems.append(f"kind = {kind!r} must be one of {', '.join(KINDS)}")
    pipe = kind == "pipe"
    begin, end = row.name("from_node", needed=pipe), row.name("to_node", needed=pipe)
    if not pipe and (begin or end):
        row.problems.append("only a pipe has from_node and to_node")
    row.problems += _bent(path, pipe=pipe)
    made = Asset(
        name or "",
        kind,
        tuple(path),
        begin,
        end,
        row.flag("pressurised"),
        row.safe_text("material"),
        row.number("diameter_mm", *_WIDE),
        row.number("level_m", *_HIGH),
        row.number("level_to_m", *_HIGH),
        row.number("cover_m", *_HIGH),
        row.whole("year", *_YEARS),
        row.whole("condition", *_CONDITION),
        row.name("sensor", needed=False),
    )
    wrong = row.problems_of(name)
    return (None if wrong else made), wrong


def _bent(path: list[tuple[float, float]], *, pipe: bool) -> list[str]:
    needed = 2 if pipe else 1
    if len(path) < needed or (not pipe and len(path) > 1):
        what = "a node is one point"
        if pipe:
            what = "a pipe needs its corners, two at least, or both its nodes in the same files"
        return [f"{len(path)} points: {what}"]
    off = [p for p in path if not (-180 <= p[0] <= 180 and -90 <= p[1] <= 90)]  # noqa: PLR2004
    return [f"{off[0]} is no longitude and latitude in degrees"] if off else []


def event(cells: Mapping[str, Any], place: str) -> tuple[Event | None, list[Problem]]:
    """Return an inspection or work, None if faulty, and its problems."""
    row = Cells(cells, place)
    name = row.name("asset", needed=True)
    what = row.text("what") or ""
    if what not in WHAT:
        row.problems.append(f"what = {what!r} must be one of {', '.join(WHAT)}")
    day = None
    try:
        day = date.fromisoformat(row.text("day") or "")
    except ValueError:
        row.problems.append(f"day = {row.text('day')!r} is not a date; write it as 2026-01-31")
    kind = row.text("kind")
    if kind is None:
        row.problems.append("kind is missing; state it, such as cctv or cleaning")
    condition = row.whole("condition", *_CONDITION)
    wrong = row.problems_of(name)
    if wrong or day is None or name is None or kind is None:
        return None, wrong
    return Event(name, day, what, kind, condition, row.text("note") or ""), []


def feature(asset: Asset) -> dict[str, Any]:
    """Return a GeoJSON feature, without unknown properties."""
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
    """Return the known properties of an asset, and a pipe's length. [m]"""
    known = {key: getattr(asset, key) for key in COLUMNS if key != "id"}
    result = {key: value for key, value in known.items() if value not in (None, False)}
    return {**result, "length_m": round(asset.length_m, 2)} if asset.kind == "pipe" else result


def collection(assets: Iterable[Asset]) -> dict[str, Any]:
    """Return a FeatureCollection."""
    return {"type": "FeatureCollection", "features": [feature(a) for a in assets]}


def grid(
    box: tuple[float, float, float, float], sides: int, counted: Iterable[Cell]
) -> dict[str, Any]:
    """Return cells of a window as points at their centres, with the number of assets."""
    west, south, east, north = box
    wide, high = (east - west) / sides, (north - south) / sides
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": f"cell-{cell.column}-{cell.row}",
                "geometry": {
                    "type": "Point",
                    "coordinates": [
                        round(west + (cell.column + 0.5) * wide, 7),
                        round(north - (cell.row + 0.5) * high, 7),
                    ],
                },
                "properties": {
                    "assets": cell.assets,
                    "poor_condition": cell.poor,
                    **({} if cell.worst is None else {"worst_condition": cell.worst}),
                },
            }
            for cell in counted
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
