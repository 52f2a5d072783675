"""
Sewer assets (pipes, manholes, pumping stations, outfalls), their events, and checks of the network.

A pipe without an end node is an error, which prevents the import; other faults are warnings, since
survey data are completed gradually.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

KINDS = ("pipe", "manhole", "pumping_station", "outfall")
WHAT = ("inspection", "work")
_EARTH_M = 6_371_008.8
# maximum distance of a pipe's end from its node: half a manhole, and survey errors; about 5 m
# [degrees]
_NEAR = 5e-5
_HIGHEST_SLOPE = 0.2
_ENDS = ("outfall", "pumping_station")


@dataclass(frozen=True, slots=True)
class Asset:
    """
    Asset of a sewer network: a pipe, manhole, pumping station or outfall.

    `path`: longitude and latitude of its corners; a node has one.  `level_m`: bottom of a node, or
    of a pipe's start; `level_to_m`: bottom of a pipe's end; `cover_m`: lid of a manhole. [m above
    mean sea level]  `condition`: 1 (as new) to 5 (about to fail).
    """

    id: str
    kind: str
    path: tuple[tuple[float, float], ...]
    from_node: str | None = None
    to_node: str | None = None
    pressurised: bool = False
    material: str | None = None
    diameter_mm: float | None = None
    level_m: float | None = None
    level_to_m: float | None = None
    cover_m: float | None = None
    year: int | None = None
    condition: int | None = None
    sensor: str | None = None

    @property
    def length_m(self) -> float:
        """Return the length of the path on a sphere. [m]"""
        pairs = zip(self.path[:-1], self.path[1:], strict=True)
        return math.fsum(_apart_m(a, b) for a, b in pairs)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Return west, south, east and north. [degrees]"""
        east, north = zip(*self.path, strict=True)
        return min(east), min(north), max(east), max(north)


class Event(NamedTuple):
    """An inspection of an asset, or work on it."""

    asset: str
    day: date
    what: str
    kind: str
    condition: int | None
    note: str


class Cell(NamedTuple):
    """
    Counts of the assets whose centre is in a cell of a map's grid.

    `column`, `row`: index from the west, and from the north.
    `assets`, `poor`: number of assets, and of those in condition 4 or 5.
    `worst`: worst known condition.
    """

    column: int
    row: int
    assets: int
    poor: int
    worst: int | None


class Problem(NamedTuple):
    """
    Fault of an asset, and the asset's position in the file; `stops`: the fault prevents
    the import.
    """

    place: str
    asset: str
    text: str
    stops: bool


def _apart_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the great-circle distance of two points (haversine). [m]"""
    (lon_a, lat_a), (lon_b, lat_b) = ((math.radians(x), math.radians(y)) for x, y in (a, b))
    h = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * _EARTH_M * math.asin(min(1.0, math.sqrt(h)))


def check(assets: Mapping[str, Asset], places: Mapping[str, str]) -> Iterator[Problem]:
    """Yield the faults of a whole network, first those of pipes."""
    pipes = [a for a in assets.values() if a.kind == "pipe"]
    nodes = {a.id: a for a in assets.values() if a.kind != "pipe"}
    for pipe in pipes:
        place = places.get(pipe.id, "registry")
        for text in _ends(pipe, nodes):
            yield Problem(place, pipe.id, text, True)
        for text in (*_slope(pipe), *_end_distances(pipe, nodes), *_steps(pipe, nodes)):
            yield Problem(place, pipe.id, text, False)
    for name, text in (*_duplicates(assets), *_drainage(pipes, nodes)):
        yield Problem(places.get(name, "registry"), name, text, False)


def _ends(pipe: Asset, nodes: Mapping[str, Asset]) -> Iterator[str]:
    for what, name in (("from_node", pipe.from_node), ("to_node", pipe.to_node)):
        if name not in nodes:
            yield (
                f"{what} {name!r} is not a manhole, pumping station or outfall; add it, or correct"
                " its name"
            )
    if pipe.from_node == pipe.to_node:
        yield f"begins and ends at {pipe.from_node}; correct one end"


def _slope(pipe: Asset) -> Iterator[str]:
    if pipe.level_m is None or pipe.level_to_m is None or pipe.pressurised:
        return
    drop, length = pipe.level_m - pipe.level_to_m, pipe.length_m
    if drop < 0:
        yield (
            f"runs uphill: level_m {pipe.level_m:g} at its beginning, level_to_m"
            f" {pipe.level_to_m:g} at its end; swap the ends, correct a level, or set pressurised"
        )
    elif length and drop / length > _HIGHEST_SLOPE:
        yield f"falls {drop:g} m over {length:.1f} m, steeper than one in five; check both levels"


def _end_distances(pipe: Asset, nodes: Mapping[str, Asset]) -> Iterator[str]:
    """Yield texts on pipe ends that are not at their nodes."""
    for name, corner in ((pipe.from_node, pipe.path[0]), (pipe.to_node, pipe.path[-1])):
        node = nodes.get(name or "")
        if node is None:
            continue
        (x, y), (a, b) = corner, node.path[0]
        if abs(x - a) > _NEAR or abs(y - b) > _NEAR:
            yield f"its end at {x:g}, {y:g} is not at {node.id} ({a:g}, {b:g}); check the corners"


def _steps(pipe: Asset, nodes: Mapping[str, Asset]) -> Iterator[str]:
    """Yield texts on pipes that end below the bottom of their node."""
    for name, level in ((pipe.from_node, pipe.level_m), (pipe.to_node, pipe.level_to_m)):
        node = nodes.get(name or "")
        if node is None or level is None or node.level_m is None:
            continue
        if level < node.level_m - 0.01:
            yield (
                f"ends at {level:g} m, below the bottom of {node.id} at {node.level_m:g} m; check "
                "both levels"
            )


def _duplicates(assets: Mapping[str, Asset]) -> Iterator[tuple[str, str]]:
    """Yield texts on duplicate assets: pipes with the same nodes and path, nodes at one point."""
    first: dict[tuple[object, ...], str] = {}
    for asset in assets.values():
        key = (asset.kind == "pipe", asset.from_node, asset.to_node, asset.path)
        if key in first:
            yield asset.id, f"has the same place as {first[key]}; remove one of them"
        first.setdefault(key, asset.id)


def _drainage(pipes: list[Asset], nodes: Mapping[str, Asset]) -> Iterator[tuple[str, str]]:
    """Yield texts on unconnected nodes, dead ends, and nodes from which no outfall is reached."""
    into: defaultdict[str, list[str]] = defaultdict(list)
    leaves: set[str] = set()
    for pipe in pipes:
        if pipe.from_node is not None and pipe.to_node is not None:
            into[pipe.to_node].append(pipe.from_node)
            leaves.add(pipe.from_node)
    drained = {name for name, node in nodes.items() if node.kind == "outfall"}
    result = list(drained)
    while result:
        for above in into[result.pop()]:
            if above not in drained:
                drained.add(above)
                result.append(above)
    for name, node in nodes.items():
        touched = name in leaves or name in into
        if not touched:
            yield name, "no pipe begins or ends here; connect it, or omit it"
        elif name not in leaves and node.kind not in _ENDS:
            yield (
                name,
                "is a dead end: pipes lead to it and none leads away; add the pipe, or an outfall",
            )
        elif name not in drained:
            yield name, "its water reaches no outfall; follow its pipes downstream"
