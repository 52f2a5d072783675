"""An encoding of payloads: each folder of `ingest/codecs` provides one as `CODEC`."""

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
    An encoding: its name, its signs and its reader.

    Attributes
    ----------
    name : str
        Its name in metrics and in details of refusals.
    content_types : tuple of str
        MQTT 5 content types that name it.
    decode : callable
        Readings of a payload; the second argument is when it was received, which
        relative times count from. [us UTC]  Raises PayloadError.
    starts : bytes
        First bytes that a payload of it may have.
    recognises : callable
        Whether a payload that starts so, and has no content type, looks like it.
    order : int
        Encodings are asked in this order; those with the surer signs come first.
    """

    name: str
    content_types: tuple[str, ...]
    decode: Decode
    starts: bytes
    recognises: Callable[[bytes], bool]
    order: int


def timeless(decode: Callable[[bytes], Sequence[Reading]]) -> Decode:
    """Return False: most encodings carry absolute times and need no time of receipt."""
    return lambda payload, _received_us: decode(payload)
