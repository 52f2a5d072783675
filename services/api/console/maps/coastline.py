"""
Outline of land within a map (Natural Earth 1:10m, public domain; made by deploy/land.py).

Accurate to some hundred metres, to distinguish land from sea behind a city's sites.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_LEAST = 1e-9


def within(west: float, south: float, east: float, north: float) -> list[Points]:
    """
    Return the land within a frame, as rings cut at its edges.

    Parameters
    ----------
    west, south, east, north : float
        Edges of the frame. [degrees]

    Returns
    -------
    list of float64 array, n x 2
        Longitude and latitude of each ring's corners. [degrees]
    """
    result = []
    for ring, box in zip(*_rings(), strict=True):
        if box[0] <= east and box[2] >= west and box[1] <= north and box[3] >= south:
            part = cut(ring, (west, south, east, north))
            # land all around a frame leaves a ring along its edge that holds nothing
            if _area(part) > _LEAST:
                result.append(part)
    return result


def _area(ring: Points) -> float:
    """Return the area of a ring. [square degrees]"""
    x, y = ring.T
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


@cache
def _rings() -> tuple[list[Points], list[tuple[float, float, float, float]]]:
    file = resources.files(__package__).joinpath("coastline.npz")
    with file.open("rb") as source, np.load(source) as arrays:
        bytes_ = np.ascontiguousarray(arrays["steps"].transpose(0, 2, 1))
        steps = bytes_.reshape(2, -1).view("<i4").astype(np.int64)
        points = np.cumsum(steps.T, axis=0) * arrays["scale"] + arrays["translate"]
        ends = np.cumsum(arrays["lengths"])
    rings = np.split(points, ends[:-1].tolist())
    return rings, [(*ring.min(axis=0).tolist(), *ring.max(axis=0).tolist()) for ring in rings]


def cut(ring: Points, frame: tuple[float, float, float, float]) -> Points:
    """Return a ring clipped at the four edges of a frame (Sutherland-Hodgman)."""
    west, south, east, north = frame
    for axis, edge, sign in ((0, west, 1), (1, south, 1), (0, east, -1), (1, north, -1)):
        if not len(ring):
            break
        ring = _cut_at(ring, axis, edge, sign)
    return ring


def _cut_at(ring: Points, axis: int, edge: float, sign: int) -> Points:
    following = np.roll(ring, -1, axis=0)
    inside = (ring[:, axis] - edge) * sign >= 0
    crosses = inside != np.roll(inside, -1)
    # a corner that is inside, then the place where the line from it leaves or enters
    rise = following[:, axis] - ring[:, axis]
    share = np.divide(edge - ring[:, axis], rise, out=np.zeros(len(ring)), where=crosses)
    met = ring + (following - ring) * share[:, np.newaxis]
    both = np.stack([ring, met], axis=1).reshape(-1, 2)
    result: Points = both[np.stack([inside, crosses], axis=1).reshape(-1)]
    return result
