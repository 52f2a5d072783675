"""Time stamps of a statement for its evidence pack: tokens, stamped heads, proofs under them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from psycopg import Connection

from mrv.errors import LogError
from mrv.log.merkle import inclusion_proof
from mrv.log.receipt import parse_receipt
from mrv.packs.pack import SEALS
from mrv.signatures import canonical
from mrv.timestamps.stored_tokens import Head, Place, StoredTokens, TokenSummary, summaries, write
from services.store.statements import evidence
from services.store.statements import timestamp_tokens as stored
from services.store.statements import transparency_log as log
from services.store.statements.timestamp_tokens import Token

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def held(
    conn: Connection, statement: str, seals: bytes | None, receipt: str | None
) -> bytes | None:
    """
    Return `timestamps.json` of a statement, None where nothing of it was stamped.

    Parameters
    ----------
    seals : bytes or None
        `seals.json` of the pack.
    receipt : str or None
        Of the statement's issue.
    """
    over, heads, chosen = _used(conn, statement, seals, receipt)
    sizes = sorted({size for found in chosen.values() for size in found})
    used = [*over, *(one for size in sizes for one in heads[size])]
    if not used:
        return None
    leaves = log.leaves(conn) if sizes else []
    number = {size: n for n, size in enumerate(sizes)}
    return write(
        StoredTokens(
            _chains(used),
            tuple(one.token for one in over),
            tuple(_head(conn, size, heads[size]) for size in sizes),
            {
                index: tuple(
                    Place(number[size], tuple(inclusion_proof(index, leaves[:size])))
                    for size in found
                )
                for index, found in chosen.items()
                if found
            },
        )
    )


def stamps_of(conn: Connection, statement: str, receipt: str | None) -> tuple[TokenSummary, ...]:
    """Return who stamped a statement, or the log with its issue, as its pack will show it."""
    index = None if receipt is None else parse_receipt(receipt).index
    return summaries(held(conn, statement, None, receipt), index)


def edition(conn: Connection, statement: str, receipt: str | None) -> str:
    """Name what `timestamps.json` of an issued statement depends on."""
    if receipt is None:
        return ""
    seals = evidence.kept(conn, statement, (SEALS,)).get(SEALS)
    over, heads, chosen = _used(conn, statement, seals, receipt)
    sizes = sorted({size for found in chosen.values() for size in found})
    used = [*over, *(one for size in sizes for one in heads[size])]
    return ",".join(f"{one.digest.hex()} {one.authority}" for one in used)


def _used(
    conn: Connection, statement: str, seals: bytes | None, receipt: str | None
) -> tuple[list[Token], dict[int, list[Token]], dict[int, list[int]]]:
    """Tokens over the statement, over heads by size, and which heads are over each entry."""
    heads = stored.of_heads(conn)
    indices = [] if seals is None else [d["index"] for d in canonical.parse_object(seals)["days"]]
    if receipt is not None:
        indices.append(parse_receipt(receipt).index)
    chosen = {index: _heads_over(index, heads) for index in indices}
    return stored.of_statement(conn, statement), heads, chosen


def _heads_over(index: int, heads: Mapping[int, list[Token]]) -> list[int]:
    """The first head over an entry that one authority stamped, that two did, and so on."""
    found: list[int] = []
    most = 0
    for size in sorted(size for size in heads if size > index):
        count = len({one.authority for one in heads[size]})
        if count > most:
            found.append(size)
            most = count
    return found


def _head(conn: Connection, size: int, tokens: list[Token]) -> Head:
    note = log.signed(conn, size)
    if note is None:
        raise LogError(f"the log has no head of {size} entries any more; restore log_checkpoint")
    return Head(note, tuple(token.token for token in tokens))


def _chains(tokens: Iterable[Token]) -> tuple[str, ...]:
    every = (pem for token in tokens for pem in _PEM.findall(token.chain))
    return tuple(sorted({pem.rstrip("\n") + "\n" for pem in every}))
