"""
Choice of the codec for a payload: by its MQTT 5 content type, or else by its first bytes.

A content type that names one encoding is binding.  The content types of plain JSON do not state the
kind of JSON; then the beginning of the payload decides, as without a content type.  Codecs are the
folders of `ingest/codecs` with a `CODEC`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ingest import codecs
from ingest.codecs.json_object import CODEC as JSON
from ingest.codecs.senml_json import CODEC as SENML_JSON
from ingest.codecs.senml_json import PACK
from ingest.errors import PayloadError
from ingest.reading import Codec

__all__ = ["CODECS", "JSON", "PACK", "SENML_JSON", "UNREAD", "Codec", "by_first_bytes", "find"]

UNREAD = "unread"


def _codecs() -> tuple[Codec, ...]:
    names = (i.name for i in iter_modules(codecs.__path__) if i.ispkg)
    loaded = (import_module(f"{codecs.__name__}.{name}").CODEC for name in names)
    return tuple(sorted(loaded, key=lambda codec: codec.order))


CODECS = _codecs()
_BY_TYPE = {name: codec for codec in CODECS for name in codec.content_types}
_BY_START = {
    bytes([first]): tuple(codec for codec in CODECS if first in codec.starts)
    for first in {first for codec in CODECS for first in codec.starts}
}


def find(payload: bytes, content_type: str | None) -> Codec:
    """
    Return the codec of a payload.

    Parameters
    ----------
    payload : bytes
    content_type : str, optional
        The MQTT 5 property; its parameters, such as a character set, are ignored.

    Raises
    ------
    PayloadError
        `content_type_unknown`.
    """
    if not content_type:
        return by_first_bytes(payload)
    codec = _BY_TYPE.get(content_type.split(";", 1)[0].strip().lower())
    if codec is None:
        known = ", ".join(_BY_TYPE)
        raise PayloadError("content_type_unknown", f"{content_type!r:.80}; known: {known}")
    return by_first_bytes(payload) if codec is JSON else codec


def by_first_bytes(payload: bytes) -> Codec:
    """Return the codec that matches the first bytes of a payload; plain JSON if none matches."""
    for codec in _BY_START.get(payload[:1], ()):
        if codec.recognises(payload):
            return codec
    return JSON
