"""A reading as a row of numbers: what encodings give that repeat their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ingest.reading import Names


class Line(NamedTuple):
    """Numbers of one time [ms UTC], in the order of its names; None is missing."""

    ts: int
    of: Names
    numbers: Collection[float | None]


class Given(NamedTuple):
    """
    What a message holds that was read elsewhere than in `decode`.

    `topic` is the one of tonne's own that speaks for its device.  `refused` are
    (name, reason, detail), an empty name where it is not known; `declares` are
    names of which the profile has to know one.
    """

    message: int
    topic: str
    lines: Sequence[Line]
    refused: Sequence[tuple[str, str, str]] = ()
    declares: Names | None = None
