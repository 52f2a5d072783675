"""
Certificates of a token in the order that DER asks for.

The certificates of a CMS message are a SET OF, which DER sorts; OpenSSL's own authority
writes them as they came, and a strict reader then refuses the whole answer.  They stand
outside of what is signed (RFC 5652, section 5.1), so that sorting them changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

_CERTIFICATES = 0xA0
_SHORT, _MOST_LENGTH_BYTES = 0x80, 4


class _Part(NamedTuple):
    """A value with its tag; `whole` has the head, `content` has not."""

    tag: int
    whole: bytes
    content: bytes


def in_order(response: bytes) -> bytes:
    """Answer of an authority with its certificates sorted; what is no answer as it is."""
    try:
        return _sorted(response)
    except (IndexError, ValueError):
        return response


def _sorted(response: bytes) -> bytes:
    (outer,) = _parts(response)
    status, token, *rest = _parts(outer.content)
    if rest:
        raise ValueError("an answer has a status and a token")
    kind, wrapper = _parts(token.content)
    (signed,) = _parts(wrapper.content)
    parts = _parts(signed.content)
    inside = b"".join(map(_set_of, parts))
    message = _packed(wrapper.tag, _packed(signed.tag, inside))
    return _packed(outer.tag, status.whole + _packed(token.tag, kind.whole + message))


def _set_of(part: _Part) -> bytes:
    if part.tag != _CERTIFICATES:
        return part.whole
    return _packed(part.tag, b"".join(sorted(one.whole for one in _parts(part.content))))


def _parts(content: bytes) -> list[_Part]:
    found, place = [], 0
    while place < len(content):
        size, head = content[place + 1], 2
        if size >= _SHORT:
            count = size - _SHORT
            if not 1 <= count <= _MOST_LENGTH_BYTES:
                raise ValueError("a length that DER does not have")
            head += count
            size = int.from_bytes(content[place + 2 : place + head], "big")
        end = place + head + size
        if end > len(content):
            raise ValueError("a value is longer than what holds it")
        found.append(_Part(content[place], content[place:end], content[place + head : end]))
        place = end
    return found


def _packed(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < _SHORT:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _SHORT + len(length))) + length + content
