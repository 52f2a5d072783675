"""Definition of a distortion, and the two lists of them; see `distortions`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np

from ingest.profiles import register_of_column
from tests.docket.shapes import DAY_US
from tests.docket.world import World

Distortion = Callable[..., None]
HAPPENED: dict[str, Distortion] = {}
SAID: dict[str, Distortion] = {}


def happened(found: Distortion) -> Distortion:
    HAPPENED[found.__name__] = found
    return found


def said(found: Distortion) -> Distortion:
    SAID[found.__name__] = found
    return found


def at_channel(on: str) -> tuple[str, str]:
    device, _, channel = on.partition(".")
    return device, channel


def restarted(
    world: World, on: str, at_us: int, last: int, first: int, **more: Any
) -> dict[str, Any]:
    """Return a row of `replacements`; hours in tenths, as on displays."""
    device, channel = at_channel(on)
    register = register_of_column(world.registered(device)["class"], channel)
    shown, begins = (register.to_file(value) for value in (last, first))
    return {
        "at": datetime.fromtimestamp(at_us / 10**6, UTC).isoformat(), "channel": register.name,
        "last": round(float(shown), 1 if register.name.endswith("_h") else 6),
        "first": float(begins), "reason": "read at the change", **more,
    }  # fmt: skip


def moment_of(world: World, text: str) -> int:
    """Return a local day or moment as a time. [us UTC]"""
    return round(world.month.wall(text).timestamp()) * 1_000_000


def span_of(world: World, first: str | None, last: str | None) -> tuple[int, int]:
    """Return the time span between two local days or moments."""
    times = world.month.times_us
    begin = int(times[0]) - DAY_US if first is None else moment_of(world, first)
    return begin, int(times[-1]) + DAY_US if last is None else moment_of(world, last)


def times_within(
    world: World, times_us: np.ndarray, first: str | None, last: str | None
) -> np.ndarray:
    begin, end = span_of(world, first, last)
    return (times_us >= begin) & (times_us < end)
