"""Selection of evidence from readings and interval rows, in blocks of whole devices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ingest.model import Frame

BLOCK_ROWS = 65_536
TABLE = "interval_quantity"
# where a row's register stood is no evidence: it follows from the readings
FIELDS = ("value", "measured_us", "estimated_us", "unknown_us")


def blocks(frame: Frame) -> Iterator[Frame]:
    """
    Yield a frame in blocks of whole devices, each by device and time.

    Arrays that stay in the processor's cache are worked through several times
    faster than those of a whole file, and memory stays bounded.
    """
    frame = ordered(frame)
    heads = np.flatnonzero(np.append(True, frame.device[1:] != frame.device[:-1]))
    limits = np.append(heads, len(frame)).tolist() if len(frame) else []
    begin = 0
    for head, end in pairwise(limits):
        if end - begin > BLOCK_ROWS and head > begin:
            yield part(frame, begin, head)
            begin = head
    if len(frame):
        yield part(frame, begin, len(frame))


def ordered(frame: Frame) -> Frame:
    """Return rows by device and time; the same frame if already in order."""
    before, after = frame.device[:-1], frame.device[1:]
    rising = (after > before) | ((after == before) & (frame.time_us[1:] >= frame.time_us[:-1]))
    if rising.all():
        return frame
    return frame.take(np.lexsort((frame.time_us, frame.device)))


def part(frame: Frame, begin: int, end: int) -> Frame:
    """Return rows of a range, without copying them."""
    return Frame(
        frame.class_id,
        frame.device[begin:end],
        frame.time_us[begin:end],
        frame.message[begin:end],
        {name: values[begin:end] for name, values in frame.columns.items()},
    )
