"""Type of a payload encoding: each folder of `ingest/codecs` provides one as `CODEC`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ingest.reading import Reading

ARRAY = b"[ \t\n\r\v\f"  # how a JSON array may start
JSON = b"{" + ARRAY
Decode = Callable[[bytes, int], Sequence[Reading]]


@dataclass(frozen=True, slots=True)
class Codec:
    """
    Payload encoding: its name, its signs and its decoder.

    Attributes
    ----------
    name : str
        Its name in metrics and error texts.
    content_types : tuple of str
        MQTT 5 content types that name it.
    decode : callable
        Returns the readings of a payload; the second argument is the time of receipt [us UTC], to
        which relative times refer.  Raises PayloadError.
    starts : bytes
        Possible first bytes of its payloads.
    recognises : callable
        Whether this encoding applies to a payload with such a first byte and no content type.
    order : int
        Encodings are tried in this order, the most certain first.
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
