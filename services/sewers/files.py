"""
Sewer assets and events from CSV and GeoJSON files, each with file and line.

CSV: `lon` and `lat` for a node, `path` ("lon lat;lon lat") for a pipe; without `path` it is
straight between its nodes, if these are in the files.  GeoJSON: a FeatureCollection of Points and
LineStrings (RFC 7946, longitude first).  A CSV with the columns `asset` and `what` has events.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingest.errors import RegistryError
from ingest.json_faults import TOO_DEEP, fault
from services.sewers import rows
from services.sewers.assets import Asset, Event, Problem

_DECODER = json.JSONDecoder()
_FEATURES = re.compile(r'"features"\s*:\s*\[')
_BLANK = re.compile(r"[\s,]*")
_KNOWN = {*rows.COLUMNS, "lon", "lat", "path", "length_m"}
_EVENT = ("asset", "day", "what", "kind", "condition", "note")


@dataclass(slots=True)
class Network:
    """
    Contents of files: assets by id, positions, events, and faults.

    `straight` are pipes without corners, until all nodes are known.
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

    Raises
    ------
    RegistryError
        If a file as a whole cannot be read.
    """
    network = Network()
    for path in paths:
        text = _text(path)
        if path.suffix.lower() == ".csv":
            _csv(text, str(path), network)
        elif path.suffix.lower() in (".geojson", ".json"):
            _geojson(text, str(path), network)
        else:
            raise RegistryError(f"{path}: its name must end in .csv or .geojson")
    for cells, place in network.straight:
        _add(network, cells, _between_nodes(network, cells), place)
    return network


def _between_nodes(network: Network, cells: dict[str, Any]) -> list[tuple[float, float]]:
    """Return a pipe's ends from its nodes; empty if one is missing."""
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
    """Yield features, each with its first line number."""
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
    made, wrong = rows.asset(cells, path, place)
    network.problems += wrong
    if made is None:
        return
    if made.id in network.assets:
        text = f"also stands at {network.places[made.id]}; keep one"
        network.problems.append(Problem(place, made.id, text, True))
        return
    network.assets[made.id] = made
    network.places[made.id] = place


def _add_event(network: Network, cells: dict[str, Any], place: str) -> None:
    made, wrong = rows.event(cells, place)
    network.problems += wrong
    if made is not None:
        network.events.append(made)
        network.event_places.append(place)
