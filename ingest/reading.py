"""
Reading of a payload, the result of every codec; and the type of a codec.

Values have the payload's names and units; the profile assigns channels later, in columns.
`Stated` is a reading whose encoding also has the unit of each value, and values that could not be
used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ingest.errors import PayloadError

MAX_MS = 10**14
# reason in `Stated.refused` for a value signed by its meter, which is stored and not rejected
SIGNED_VALUE = "signed_value"
_MS, _SECOND = 1_000, 1_000_000


class Reading(msgspec.Struct, gc=False):
    """Reading: a time, numbers by the payload's names, and the device's own message number."""

    ts: int | str
    values: dict[str, float | None]
    id: int | str | None = None


class Stated(Reading, gc=False):
    """
    Reading whose payload states units.

    `units`: in the order of `values`; None if the payload states none.  `refused`: (reason, detail)
    of rejected values, and of signed values (`SIGNED_VALUE`).
    """

    units: tuple[str | None, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Names and units that several readings share; `base` precedes each of `names`."""

    base: str
    names: tuple[str, ...]
    units: tuple[str | None, ...] = ()


class Row(Reading, gc=False):
    """Reading as a list of numbers, in the order of names that it shares with other readings."""

    of: Names = Names("", ())
    numbers: Sequence[float] = ()

    def stated(self) -> Stated:
        """Return the same reading with full names."""
        pairs = zip(self.of.names, self.numbers, strict=True)
        values: dict[str, float | None] = {self.of.base + name: value for name, value in pairs}
        return Stated(self.ts, values, self.id, self.of.units or (None,) * len(values))


class Block(msgspec.Struct, gc=False, frozen=True):
    """Consecutive registers of a table from an address on, as big-endian bytes."""

    table: str
    address: int
    data: bytes


class Registers(Reading, gc=False):
    """A reading of raw registers, before its profile assigns channels."""

    blocks: tuple[Block, ...] = ()


def time_us(ts: int | str) -> int:
    """
    Return the time of a payload in microseconds UTC.

    Raises PayloadError with reason `time_invalid` for a text that is not a time or has no offset.
    """
    if type(ts) is int:
        if -MAX_MS < ts < MAX_MS:
            return ts * _MS
        raise PayloadError(
            "time_invalid", f"ts {ts} is not in epoch milliseconds; send milliseconds since 1970"
        )
    try:
        moment = datetime.fromisoformat(str(ts))
    except ValueError:
        raise PayloadError(
            "time_invalid", f"ts {ts!r:.80} is neither epoch ms nor RFC 3339; send one of them"
        ) from None
    if moment.tzinfo is None:
        raise PayloadError(
            "time_invalid", f"ts {ts!r} has no UTC offset; add Z for UTC, or the local offset"
        )
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * _SECOND + moment.microsecond


def wire_time(us: int) -> int | str:
    """
    Return a time as a payload states it: whole milliseconds, else RFC 3339.

    Raises PayloadError with reason `time_invalid` outside the years 1 to 9999.
    """
    if us % _MS == 0:
        return us // _MS
    try:
        moment = datetime.fromtimestamp(us // _SECOND, UTC)
    except (ValueError, OverflowError, OSError):
        raise PayloadError(
            "time_invalid",
            f"the time {us} us since 1970 is outside the years 1 to 9999; set the clock",
        ) from None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us % _SECOND:06d}Z"


class Line(msgspec.Struct, gc=False):
    """Numbers of one time [ms UTC], in the order of the shared names; None if missing."""

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


ARRAY = b"[ \t\n\r\v\f"  # possible first bytes of a JSON array
JSON = b"{" + ARRAY
Decode = Callable[[bytes, int], Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Codec:
    """
    Payload encoding: its name, its content types and first bytes, and its decoder.

    `name`: its name in metrics and error texts.
    `content_types`: MQTT 5 content types that name it.
    `decode`: returns the readings of a payload; the second argument is the time of receipt [us
    UTC], to which relative times refer.  Raises PayloadError.
    `starts`: possible first bytes of its payloads.
    `recognises`: returns whether a payload with such a first byte has this encoding, without
    content type.
    `order`: encodings are tried in this order, the most certain first.
    """

    name: str
    content_types: tuple[str, ...]
    decode: Decode
    starts: bytes
    recognises: Callable[[bytes], bool]
    order: int


def timeless(decode: Callable[[bytes], Sequence[Reading]]) -> Decode:
    """Return a decoder that ignores the time of receipt, for encodings with absolute times."""
    return lambda payload, _received_us: decode(payload)
