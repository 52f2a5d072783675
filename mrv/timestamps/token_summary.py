"""What the time stamps of a pack say, for people: who stamped a statement, and when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mrv.errors import TimestampError
from mrv.timestamps.stored_tokens import read
from mrv.timestamps.token import read as said


class TokenSummary(NamedTuple):
    """Name in the certificate of who signed a token, and its time, RFC 3339 in UTC."""

    signer: str
    time: str


def shown(data: bytes | None, index: int | None) -> tuple[TokenSummary, ...]:
    """
    Return who stamped a statement, or the log with its issue, the earliest first.

    Nothing is verified here: it is what the tokens say of themselves.

    Parameters
    ----------
    data : bytes or None
        `timestamps.json`.
    index : int or None
        Entry of the statement's issue in the log.
    """
    if data is None:
        return ()
    first: dict[str, str] = {}
    for one in sorted(_tokens(data, index), key=lambda x: (x.time, x.signer)):
        first.setdefault(one.signer, one.time)
    return tuple(TokenSummary(signer, at) for signer, at in first.items())


def _tokens(data: bytes, index: int | None) -> Iterator[TokenSummary]:
    held = read(data)
    places = () if index is None else held.entries.get(index, ())
    over = [token for place in places for token in held.heads[place.head].tokens]
    for token in (*held.statement, *over):
        try:
            found = said(token)
        except TimestampError:
            continue  # `tonne verify` names it; a page shows what can be read
        yield TokenSummary(found.signer, found.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
