"""
Time stamps of a statement in its evidence pack: the file `timestamps.json`, and their display.

    chains      certificates that lead from the tokens to their roots (PEM)
    statement   tokens over the bytes of `statement.json`
    heads       signed heads of the log with their tokens
    entries     places of log entries under these heads
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mrv.errors import CanonicalError, TimestampError
from mrv.log.entries import decode_hash
from mrv.signatures import canonical
from mrv.signatures.ed25519 import decode_base64, encode_base64
from mrv.timestamps import read as said

_FIELDS = {"chains", "statement", "heads", "entries"}
_MAX_TOKENS = 20_000


class Head(NamedTuple):
    """A signed head of the log, with tokens over its text."""

    checkpoint: str
    tokens: tuple[bytes, ...]


class Place(NamedTuple):
    """The head that contains an entry, and the inclusion proof."""

    head: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """Contents of `timestamps.json`; `entries`: places by log index."""

    chains: tuple[str, ...]
    statement: tuple[bytes, ...]
    heads: tuple[Head, ...]
    entries: Mapping[int, tuple[Place, ...]]

    @property
    def tokens(self) -> int:
        """Return the number of tokens."""
        return len(self.statement) + sum(len(head.tokens) for head in self.heads)


def write(tokens: StoredTokens) -> bytes:
    """Return the bytes of `timestamps.json`."""
    return canonical.legible(
        {
            "chains": list(tokens.chains),
            "statement": _texts(tokens.statement),
            "heads": [
                {"checkpoint": head.checkpoint, "tokens": _texts(head.tokens)}
                for head in tokens.heads
            ],
            "entries": [
                {"index": index, "head": place.head, "proof": _texts(place.proof)}
                for index, places in sorted(tokens.entries.items())
                for place in places
            ],
        }
    )


def read(data: bytes) -> StoredTokens:
    """
    Return the contents from the result of `write`; nothing is verified.

    Raises CanonicalError or LogError if it has another form.
    """
    record = canonical.parse_object(data)
    if record.keys() != _FIELDS or not all(isinstance(part, list) for part in record.values()):
        raise CanonicalError(
            f"a file of time stamps must have exactly the lists {', '.join(sorted(_FIELDS))}; "
            "download it again"
        )
    if any(len(part) > _MAX_TOKENS for part in record.values()):
        raise CanonicalError(
            f"a list in the file of time stamps has more than {_MAX_TOKENS} entries, the maximum;"
            " download the file again, or ask its issuer"
        )
    heads = tuple(
        Head(_text(entry, "checkpoint"), _tokens(entry.get("tokens")))
        for entry in _objects(record["heads"], {"checkpoint", "tokens"})
    )
    entries: dict[int, tuple[Place, ...]] = {}
    for item in _objects(record["entries"], {"index", "head", "proof"}):
        index = _number(item, "index")
        entries[index] = (*entries.get(index, ()), _place(item, len(heads)))
    stored_tokens = StoredTokens(
        tuple(map(_chain, record["chains"])), _tokens(record["statement"]), heads, entries
    )
    if stored_tokens.tokens > _MAX_TOKENS:
        raise CanonicalError(
            f"the file of time stamps has {stored_tokens.tokens} tokens, and at most {_MAX_TOKENS}"
            " are accepted; download the file again, or ask its issuer"
        )
    return stored_tokens


def _place(item: Mapping[str, Any], heads: int) -> Place:
    head, proof = _number(item, "head"), item["proof"]
    if head >= heads or not isinstance(proof, list):
        raise CanonicalError(
            f"an entry of the time stamps names head {head} of {heads}; download the file again"
        )
    return Place(head, tuple(map(decode_hash, proof)))


def _texts(tokens: Sequence[bytes]) -> list[str]:
    return [encode_base64(token) for token in tokens]


def _tokens(listed: object) -> tuple[bytes, ...]:
    if not isinstance(listed, list) or not all(isinstance(token, str) for token in listed):
        raise CanonicalError("tokens must be a list of base64 texts; download the file again")
    return tuple(map(decode_base64, listed))


def _objects(listed: Sequence[Any], fields: set[str]) -> list[dict[str, Any]]:
    for item in listed:
        if not isinstance(item, dict) or item.keys() != fields:
            raise CanonicalError(
                "a part of the time stamps must have exactly the fields"
                f" {', '.join(sorted(fields))}; download the file again"
            )
    return list(listed)


def _text(item: Mapping[str, Any], name: str) -> str:
    if not isinstance(item[name], str):
        raise CanonicalError(f"{name} of the time stamps is not text; download the file again")
    return str(item[name])


def _chain(value: object) -> str:
    if not isinstance(value, str):
        raise CanonicalError(
            "chains of the time stamps must be certificates in PEM; download the file again"
        )
    return value


def _number(item: Mapping[str, Any], name: str) -> int:
    if type(item[name]) is not int or item[name] < 0:
        raise CanonicalError(f"{name} of the time stamps is {item[name]!r}; it must be 0 or more")
    return int(item[name])


class TokenSummary(NamedTuple):
    """Signer of a token by the name in its certificate, and its time, RFC 3339 in UTC."""

    signer: str
    time: str


def summaries(data: bytes | None, index: int | None) -> tuple[TokenSummary, ...]:
    """
    Return authority and time of a statement's time stamps, earliest first; nothing is verified.

    `data`: `timestamps.json`.
    `index`: entry of the statement's issue in the log.
    """
    if data is None:
        return ()
    first: dict[str, str] = {}
    for token in sorted(_legible(data, index), key=lambda x: (x.time, x.signer)):
        first.setdefault(token.signer, token.time)
    return tuple(TokenSummary(signer, at) for signer, at in first.items())


def _legible(data: bytes, index: int | None) -> Iterator[TokenSummary]:
    stored = read(data)
    places = () if index is None else stored.entries.get(index, ())
    over = [token for place in places for token in stored.heads[place.head].tokens]
    for token in (*stored.statement, *over):
        try:
            stamp = said(token)
        except TimestampError:
            continue  # `tonne verify` reports it
        yield TokenSummary(stamp.signer, stamp.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
