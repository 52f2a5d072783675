"""A reading as a row of numbers, for encodings that repeat their names."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ingest.reading import Names


class Line(msgspec.Struct, gc=False):
    """Numbers of one time [ms UTC], in the order of its names; None is missing."""

    ts: int
    of: Names
    numbers: Collection[float | None]


class Given(msgspec.Struct, gc=False):
    """
    Contents of a message that were read elsewhere than in `decode`.

    `topic` is the one of tonne's own that speaks for its device.  `refused` are
    (name, reason, detail), an empty name where it is not known; `declares` are
    names of which the profile has to know one.
    """

    message: int
    topic: str
    lines: Sequence[Line]
    refused: Sequence[tuple[str, str, str]] = ()
    declares: Names | None = None
