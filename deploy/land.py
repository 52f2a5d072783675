# ruff: noqa: INP001 - a script, run by hand
"""
Create services/api/console/coastline.npz, the coastline of the console's map.

From Natural Earth's 1:10m land (public domain), in land-10m.json of the npm package world-atlas
2.0.2 (ISC):

    npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
    python deploy/land.py package/land-10m.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

OUT = Path("services/api/console/coastline.npz")


def main() -> None:
    """Join the arcs of the source to rings and write them as integer steps of its grid."""
    topology = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    arcs = [np.cumsum(arc, axis=0) for arc in topology["arcs"]]
    rings = [
        _joined(ring, arcs)
        for geometry in topology["objects"]["land"]["geometries"]
        for polygon in geometry["arcs"]
        for ring in (polygon if isinstance(polygon[0], list) else [polygon])
    ]
    points = np.concatenate(rings).astype(np.int32)
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 2), dtype=np.int32))
    # east and north separated, low and high bytes separated: neighbouring bytes are similar and
    # compress well
    as_bytes = np.ascontiguousarray(steps.T, dtype="<i4").view(np.uint8)
    packed = as_bytes.reshape(2, -1, 4).transpose(0, 2, 1)
    np.savez_compressed(
        OUT,
        steps=packed,
        lengths=np.array([len(ring) for ring in rings], dtype=np.int32),
        scale=np.array(topology["transform"]["scale"]),
        translate=np.array(topology["transform"]["translate"]),
    )


def _joined(ring: list[int], arcs: list[np.ndarray]) -> np.ndarray:
    parts = [arcs[i] if i >= 0 else arcs[~i][::-1] for i in ring]
    return np.concatenate([part[:-1] for part in parts])


if __name__ == "__main__":
    main()
