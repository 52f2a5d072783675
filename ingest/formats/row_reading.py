"""Reading as a row of numbers, for encodings that repeat their names."""

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
    Decoded content of a message, for messages that `decode` does not decode itself.

    `topic` is the equivalent tonne topic of its device.  `refused` are (name, reason, detail), with
    an empty name if unknown; `declares` are names of which the profile must know at least one.
    """

    message: int
    topic: str
    lines: Sequence[Line]
    refused: Sequence[tuple[str, str, str]] = ()
    declares: Names | None = None
