"""
Sewer assets and events from CSV and GeoJSON files, each with file and line.

CSV of assets: a node has `lon` and `lat`, a pipe `path` ("lon lat;lon lat"); a pipe without `path`
is straight between its nodes, if the files contain them.  GeoJSON: a FeatureCollection of Points
and LineStrings (RFC 7946, longitude first).  CSV of events: a file with a column `what`.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ingest.errors import TOO_DEEP, RegistryError, fault
from services.registry.sewers import KINDS, WHAT, Asset, Cell, Event, Problem

ID = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
COLUMNS = (
    "id", "kind", "from_node", "to_node", "pressurised", "material", "diameter_mm", "level_m",
    "level_to_m", "cover_m", "year", "condition", "sensor",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_YEARS = (1850, 2200)
_CONDITION = (1, 5)
_LEVEL_M = (-500.0, 9000.0)
_DIAMETER_MM = (1.0, 20_000.0)
_CSV = (*COLUMNS, "lon", "lat", "path")


class Cells:
    """Cells of one row, with the errors found in them."""

    def __init__(self, cells: Mapping[str, Any], place: str) -> None:
        self._cells = cells
        self.place = place
        self.problems: list[str] = []

    def text(self, key: str) -> str | None:
        """Return the text of a cell; None if it is empty."""
        value = self._cells.get(key)
        return None if value is None or value == "" else str(value)

    def safe_text(self, key: str) -> str | None:
        """Return the text of a cell; text that a spreadsheet reads as a formula is an error."""
        result = self.text(key)
        if result is not None and result.startswith(_FORMULA):
            self.problems.append(
                f"{key} = {result[:40]!r}: a spreadsheet takes this for a formula; begin with a"
                " letter or digit"
            )
        return result

    def name(self, key: str, *, needed: bool) -> str | None:
        """Return the id in a cell; None if it is empty."""
        result = self.text(key)
        if result is None:
            if needed:
                self.problems.append(f"{key} is missing; enter an id")
        elif not ID.match(result):
            self.problems.append(f"{key} = {result!r}: use 1 to 64 letters, digits, '_' or '-'")
        return result

    def number(self, key: str, low: float, high: float) -> float | None:
        """Return a number within inclusive bounds; None if the cell is empty or invalid."""
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
        """Return a whole number within inclusive bounds; None if the cell is empty or invalid."""
        result = self.number(key, low, high)
        if result is None:
            return None
        if result != int(result):
            self.problems.append(f"{key} = {result:g} must be a whole number")
        return int(result)

    def flag(self, key: str) -> bool:
        """Return whether a cell contains `true`; an empty cell is false."""
        result = (self.text(key) or "false").lower()
        if result not in ("true", "false"):
            self.problems.append(f"{key} = {result!r} must be true or false")
        return result == "true"

    def problems_of(self, asset: str | None) -> list[Problem]:
        """Return the errors of an asset's row."""
        return [Problem(self.place, asset or "?", text, True) for text in self.problems]


def asset(
    cells: Mapping[str, Any], path: list[tuple[float, float]], place: str
) -> tuple[Asset | None, list[Problem]]:
    """Return the asset of a row (None if it has errors), and the errors."""
    row = Cells(cells, place)
    name = row.name("id", needed=True)
    kind = row.text("kind") or ""
    if kind not in KINDS:
        row.problems.append(f"kind = {kind!r} must be one of {', '.join(KINDS)}")
    pipe = kind == "pipe"
    begin, end = row.name("from_node", needed=pipe), row.name("to_node", needed=pipe)
    if not pipe and (begin or end):
        row.problems.append("only a pipe has from_node and to_node; leave them empty")
    row.problems += _path_problems(path, pipe=pipe)
    made = Asset(
        name or "",
        kind,
        tuple(path),
        begin,
        end,
        row.flag("pressurised"),
        row.safe_text("material"),
        row.number("diameter_mm", *_DIAMETER_MM),
        row.number("level_m", *_LEVEL_M),
        row.number("level_to_m", *_LEVEL_M),
        row.number("cover_m", *_LEVEL_M),
        row.whole("year", *_YEARS),
        row.whole("condition", *_CONDITION),
        row.name("sensor", needed=False),
    )
    wrong = row.problems_of(name)
    return (None if wrong else made), wrong


def _path_problems(path: list[tuple[float, float]], *, pipe: bool) -> list[str]:
    needed = 2 if pipe else 1
    if len(path) < needed or (not pipe and len(path) > 1):
        what = "a node is one point"
        if pipe:
            what = "a pipe needs its corners, two at least, or both its nodes in the same files"
        return [f"{len(path)} points: {what}"]
    off = [p for p in path if not (-180 <= p[0] <= 180 and -90 <= p[1] <= 90)]  # noqa: PLR2004
    return [f"{off[0]} is not a longitude and latitude in degrees"] if off else []


def event(cells: Mapping[str, Any], place: str) -> tuple[Event | None, list[Problem]]:
    """Return the inspection or work of a row (None if it has errors), and the errors."""
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
    """Return an asset as a GeoJSON feature; unknown properties are omitted."""
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
    """Return the known properties of an asset by name, with `length_m` of a pipe. [m]"""
    known = {key: getattr(asset, key) for key in COLUMNS if key != "id"}
    result = {key: value for key, value in known.items() if value not in (None, False)}
    return {**result, "length_m": round(asset.length_m, 2)} if asset.kind == "pipe" else result


def collection(assets: Iterable[Asset]) -> dict[str, Any]:
    """Return assets as a GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": [feature(a) for a in assets]}


def grid(
    box: tuple[float, float, float, float], sides: int, counted: Iterable[Cell]
) -> dict[str, Any]:
    """
    Return cells of a map window as a GeoJSON FeatureCollection: a point at each centre, with the
    number of assets.

    `box`: west, south, east, north. [degrees]  `sides`: number of columns and of rows.
    `counted`: the cells that have assets.
    """
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
    """Return assets as CSV, with all columns."""
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


_DECODER = json.JSONDecoder()
_FEATURES = re.compile(r'"features"\s*:\s*\[')
_BLANK = re.compile(r"[\s,]*")
_KNOWN = {*COLUMNS, "lon", "lat", "path", "length_m"}
_EVENT = ("asset", "day", "what", "kind", "condition", "note")


@dataclass(slots=True)
class Network:
    """
    Contents of files: assets by id, position of each in the files, events, and errors.

    `straight`: pipes without `path`, kept until all nodes are known.
    """

    assets: dict[str, Asset] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    event_places: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    straight: list[tuple[dict[str, Any], str]] = field(default_factory=list)


def read(paths: Sequence[Path]) -> Network:
    """
    Return the contents of a sewer network's files.

    Raises RegistryError if a file as a whole cannot be read.
    """
    network = Network()
    for path in paths:
        text = _text(path)
        if path.suffix.lower() == ".csv":
            _csv(text, str(path), network)
        elif path.suffix.lower() in (".geojson", ".json"):
            _geojson(text, str(path), network)
        else:
            raise RegistryError(f"{path} must have a name that ends in .csv or .geojson; rename it")
    for cells, place in network.straight:
        _add(network, cells, _between_nodes(network, cells), place)
    return network


def _between_nodes(network: Network, cells: dict[str, Any]) -> list[tuple[float, float]]:
    """Return the coordinates of a pipe's two nodes; empty if one is missing."""
    ends = [network.assets.get(cells.get(key) or "") for key in ("from_node", "to_node")]
    path = [end.path[0] for end in ends if end is not None and end.kind != "pipe"]
    return path if len(path) == len(ends) else []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegistryError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}; check its name") from None


def _csv(text: str, name: str, network: Network) -> None:
    table = csv.DictReader(text.splitlines(), strict=True)
    header = table.fieldnames or []
    events = "what" in header
    unknown = set(header) - (set(_EVENT) if events else _KNOWN)
    if unknown:
        known = ", ".join(_EVENT if events else sorted(_KNOWN))
        raise RegistryError(f"{name}:1: unknown column {min(unknown)!r}; known: {known}")
    try:
        for row in table:
            place = f"{name}:{table.line_num}"
            if None in row:
                text_ = "has more cells than the header; correct its commas"
                network.problems.append(Problem(place, str(row.get("id") or "?"), text_, True))
            elif events:
                _add_event(network, row, place)
            elif row.get("kind") == "pipe" and not row.get("path"):
                network.straight.append((row, place))
            else:
                _add(network, row, _path(row), place)
    except csv.Error as error:
        raise RegistryError(
            f"{name}:{table.line_num}: this is not CSV: {error}; correct it"
        ) from None


def _path(row: dict[str, Any]) -> list[tuple[float, float]]:
    text = row.get("path") or f"{row.get('lon') or ''} {row.get('lat') or ''}"
    result = []
    for corner in text.split(";"):
        try:
            lon, lat = corner.split()
            result.append((float(lon), float(lat)))
        except ValueError:
            return []
    return result


def _geojson(text: str, name: str, network: Network) -> None:
    for feature, line in _features(text, name):
        place = f"{name}:{line}"
        properties, geometry = feature.get("properties"), feature.get("geometry")
        if not isinstance(properties, dict) or not isinstance(geometry, dict):
            network.problems.append(
                Problem(place, "?", "a feature needs properties and a geometry", True)
            )
            continue
        cells = {"id": feature.get("id"), **properties}
        unknown = sorted(set(cells) - _KNOWN)
        if unknown:
            text_ = f"unknown property {unknown[0]!r}; known: {', '.join(sorted(_KNOWN))}"
            network.problems.append(Problem(place, str(cells["id"]), text_, True))
            continue
        _add(network, cells, _corners(geometry), place)


def _features(text: str, name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the features of a FeatureCollection, each with its line number."""
    head = _FEATURES.search(text)
    if head is None:
        raise RegistryError(
            f'{name}: this is not a GeoJSON FeatureCollection: "features" is missing; export the '
            "file as GeoJSON again"
        )
    at, line, counted = head.end(), 1, 0
    while True:
        gap = _BLANK.match(text, at)
        at = gap.end() if gap else at
        if text[at : at + 1] == "]":
            return
        line += text.count("\n", counted, at)
        counted = at
        try:
            feature, at = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            wrong = fault(error)
            raise RegistryError(
                f"{name}:{wrong.lineno}: this is not JSON: {wrong.msg}; correct the file"
            ) from None
        except RecursionError:
            raise RegistryError(f"{name}:{line}: {TOO_DEEP}") from None
        if not isinstance(feature, dict):
            raise RegistryError(f"{name}:{line}: a feature must be an object; correct the file")
        yield feature, line


def _corners(geometry: dict[str, Any]) -> list[tuple[float, float]]:
    points = geometry.get("coordinates")
    points = [points] if geometry.get("type") == "Point" else points
    try:
        return [(float(p[0]), float(p[1])) for p in points or ()]
    except (TypeError, ValueError, IndexError, KeyError):
        return []


def _add(
    network: Network, cells: dict[str, Any], path: list[tuple[float, float]], place: str
) -> None:
    made, wrong = asset(cells, path, place)
    network.problems += wrong
    if made is None:
        return
    if made.id in network.assets:
        text = f"is also defined at {network.places[made.id]}; remove one of them"
        network.problems.append(Problem(place, made.id, text, True))
        return
    network.assets[made.id] = made
    network.places[made.id] = place


def _add_event(network: Network, cells: dict[str, Any], place: str) -> None:
    made, wrong = event(cells, place)
    network.problems += wrong
    if made is not None:
        network.events.append(made)
        network.event_places.append(place)
