"""Conversion between microseconds UTC and timestamptz text."""

from __future__ import annotations

import numpy as np

# before and after all
FAR_US = 2**62
_BEYOND = 2**61


def stamp(us: int) -> str:
    """Return a time as text that PostgreSQL reads exactly; `infinity` beyond its range."""
    if abs(us) >= _BEYOND:
        return "infinity" if us > 0 else "-infinity"
    text = np.datetime_as_string(np.datetime64(us, "us"), timezone="UTC")
    return str(text)


def us_of(text: str) -> int:
    """Return the time in a text written by `stamp`. [us UTC]"""
    if text.endswith("infinity"):
        return -FAR_US if text.startswith("-") else FAR_US
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))
