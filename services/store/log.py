"""
The transparency log as it is stored: entries one after another, signed heads.

Appending takes a lock until the transaction ends, so that places are dense and
no head is signed over an entry that was rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingest.errors import RegistryError
from mrv.errors import LogError
from mrv.log.checkpoint import Checkpoint, sign_checkpoint
from mrv.log.merkle import inclusion_proof
from mrv.log.receipt import make_receipt
from mrv.tree import leaf_hash, root_hash

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.keys import SigningKey


def lock(conn: Connection[TupleRow]) -> None:
    """Let nobody else append until the transaction ends."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('transparency log', 0))")


def append(conn: Connection[TupleRow], kind: str, statement: str, entry: bytes) -> int:
    """
    Append an entry; return its place, from 0.

    Call `lock` first, in the same transaction.
    """
    row = conn.execute(
        "INSERT INTO log_entry (index, kind, statement_id, body, leaf)"
        " SELECT coalesce(max(index) + 1, 0), %s, %s, %s, %s FROM log_entry RETURNING index",
        (kind, statement, entry, leaf_hash(entry)),
    ).fetchone()
    if row is None:
        raise RuntimeError("INSERT .. RETURNING returns its row")
    return int(row[0])


def sign_head(conn: Connection[TupleRow], origin: str, key: SigningKey) -> str:
    """
    Sign the log's present size and root, and keep the note.

    Raises
    ------
    LogError
        If entries under the last head are not the ones that it was signed over.
    """
    leaves = _leaves(conn)
    last = conn.execute(
        "SELECT size, root FROM log_checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    if last is not None and root_hash(leaves[: last[0]]) != bytes(last[1]):
        raise LogError(
            f"the first {last[0]} entries of the log are not those of its signed head:"
            " it was rewritten; restore log_entry from a backup before anything is issued"
        )
    checkpoint = Checkpoint(origin, len(leaves), root_hash(leaves))
    note = sign_checkpoint(checkpoint, key)
    conn.execute(
        "INSERT INTO log_checkpoint (size, root, note) VALUES (%s, %s, %s)",
        (checkpoint.size, checkpoint.root, note),
    )
    return note


def receipt(conn: Connection[TupleRow], statement: str) -> str | None:
    """
    Return the receipt of a statement's issue, against the first head that holds it.

    The same text whenever it is asked for; None for a statement that is not in the log.
    """
    row = conn.execute(
        "SELECT index FROM log_entry WHERE statement_id = %s AND kind = 'issued'", [statement]
    ).fetchone()
    if row is None:
        return None
    index = int(row[0])
    head = conn.execute(
        "SELECT size, note FROM log_checkpoint WHERE size > %s ORDER BY size LIMIT 1", [index]
    ).fetchone()
    if head is None:
        raise RegistryError(
            f"entry {index} of the log stands under no signed head; the log is damaged"
        )
    return make_receipt(index, inclusion_proof(index, _leaves(conn)[: head[0]]), head[1])


def _leaves(conn: Connection[TupleRow]) -> list[bytes]:
    rows = conn.execute("SELECT leaf FROM log_entry ORDER BY index").fetchall()
    return [bytes(leaf) for (leaf,) in rows]
