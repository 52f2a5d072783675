"""What a distortion is, and the two lists of them; see `distortions`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np

from tests.docket.shapes import DAY_US
from tests.docket.world import OFFSET_US, TIMES_US

Distortion = Callable[..., None]
# units of the generic profile by base unit
PAYLOAD = {"wh": ("kwh", 1000), "m": ("km", 1000), "ml": ("m3", 10**6), "g": ("kg", 1000)}
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


def moment_of(text: str) -> int:
    """Read a local day or moment. [us UTC]"""
    wall = datetime.fromisoformat(text) - datetime(1970, 1, 1)  # noqa: DTZ001
    return round(wall.total_seconds()) * 1_000_000 - OFFSET_US


def span_of(first: str | None, last: str | None) -> tuple[int, int]:
    """Times from a local day, or moment, to another."""
    begin = int(TIMES_US[0]) - DAY_US if first is None else moment_of(first)
    return begin, int(TIMES_US[-1]) + DAY_US if last is None else moment_of(last)


def times_within(times_us: np.ndarray, first: str | None, last: str | None) -> np.ndarray:
    begin, end = span_of(first, last)
    return (times_us >= begin) & (times_us < end)
