"""
The transparency log in the database: entries, signed heads, and witnesses' cosignatures.

Appending takes a lock until the transaction ends, so that indices have no gaps, and no head covers
an entry that was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from psycopg import Connection

from ingest.errors import RegistryError
from mrv.errors import LogError
from mrv.log.entries import Checkpoint, make_receipt, sign_checkpoint
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import inclusion_proof, leaf_hash, root_hash


class Line(NamedTuple):
    """Cosignature of a head: verifier key (vkey), time [s since 1970], and signature line."""

    vkey: str
    time_s: int
    line: str


class Head(NamedTuple):
    """Signed head without cosignatures: number of entries, signed note, time."""

    size: int
    note: str
    signed: datetime


def newest(conn: Connection) -> Head | None:
    """Return the last head; None for an empty log."""
    row = conn.execute(
        "SELECT size, note, signed FROM log_checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    return None if row is None else Head(*row)


def enough(conn: Connection) -> int | None:
    """Return the size of the last sufficiently cosigned head; None if there is none."""
    row = conn.execute("SELECT max(size) FROM witness_quorum").fetchone()
    return None if row is None else row[0]


def waiting_s(conn: Connection) -> float:
    """
    Return the age of the first head after the last sufficiently cosigned one; 0 if there is none.
    [s]
    """
    row = conn.execute(
        "SELECT extract(epoch FROM now() - min(signed)) FROM log_checkpoint"
        " WHERE size > coalesce((SELECT max(size) FROM witness_quorum), 0)"
    ).fetchone()
    return 0.0 if row is None or row[0] is None else max(0.0, float(row[0]))


def of_head(conn: Connection, size: int) -> list[Line]:
    """Return the cosignatures of a head, in order of receipt."""
    rows = conn.execute(
        "SELECT vkey, time_s, line FROM witness_cosignature WHERE size = %s"
        " ORDER BY received, vkey",
        [size],
    )
    return [Line(*row) for row in rows]


def last_of(conn: Connection, vkey: str, origin: str) -> int:
    """Return the size of the last head of a log that a witness cosigned; 0 if there is none."""
    row = conn.execute(
        "SELECT max(size) FROM witness_cosignature JOIN log_checkpoint USING (size)"
        " WHERE vkey = %s AND split_part(note, E'\\n', 1) = %s",
        [vkey, origin],
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def add(conn: Connection, size: int, line: Line) -> None:
    """Store a cosignature of a head, unless one by the same key is stored."""
    conn.execute(
        "INSERT INTO witness_cosignature (size, vkey, time_s, line) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (size, *line),
    )


def mark(conn: Connection, size: int, policy_sha256: bytes) -> None:
    """Record that a head is sufficiently cosigned, and by which policy."""
    conn.execute(
        "INSERT INTO witness_quorum (size, policy_sha256) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (size, policy_sha256),
    )


def lock(conn: Connection) -> None:
    """Lock the log against other appends until the transaction ends."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('transparency log', 0))")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    Entry of the log as stored in the database.

    `index`: from 0.  `statement`: id; None for an entry without one, such as a seal.
    `leaf`: Merkle leaf hash of `body`.
    """

    index: int
    kind: str
    statement: str | None
    body: bytes
    leaf: bytes
    appended: datetime


def append(
    conn: Connection, kind: str, statement: str | None, entry: bytes, detail: bytes | None = None
) -> int:
    """
    Append an entry and its detail; return its index, from 0.

    Call `lock` first, in the same transaction.
    """
    row = conn.execute(
        "INSERT INTO log_entry (index, kind, statement_id, body, leaf)"
        " SELECT coalesce(max(index) + 1, 0), %s, %s, %s, %s FROM log_entry RETURNING index",
        (kind, statement, entry, leaf_hash(entry)),
    ).fetchone()
    if row is None:
        raise RuntimeError("INSERT INTO log_entry .. RETURNING returned no row")
    index = int(row[0])
    if detail is not None:
        conn.execute("INSERT INTO log_detail (index, content) VALUES (%s, %s)", (index, detail))
    return index


def entries(conn: Connection) -> list[Entry]:
    """Return all entries, first to last."""
    rows = conn.execute(
        "SELECT index, kind, statement_id, body, leaf, appended FROM log_entry ORDER BY index"
    )
    return [Entry(*row) for row in rows]


def entry(conn: Connection, index: int) -> Entry | None:
    """Return the entry at an index, from 0; None if the log has fewer entries."""
    row = conn.execute(
        "SELECT index, kind, statement_id, body, leaf, appended FROM log_entry WHERE index = %s",
        [index],
    ).fetchone()
    return None if row is None else Entry(*row)


def last(conn: Connection, kind: str) -> Entry | None:
    """Return the last entry of a kind; None without one."""
    row = conn.execute(
        "SELECT index, kind, statement_id, body, leaf, appended FROM log_entry"
        " WHERE kind = %s ORDER BY index DESC LIMIT 1",
        [kind],
    ).fetchone()
    return None if row is None else Entry(*row)


def details(conn: Connection, kind: str) -> list[tuple[Entry, bytes | None]]:
    """Return the entries of a kind, each with its detail or None, first to last."""
    rows = conn.execute(
        "SELECT e.index, e.kind, e.statement_id, e.body, e.leaf, e.appended, d.content"
        " FROM log_entry e LEFT JOIN log_detail d USING (index) WHERE e.kind = %s ORDER BY 1",
        [kind],
    )
    return [(Entry(*row[:-1]), row[-1]) for row in rows]


def at(conn: Connection, index: int) -> tuple[Entry, bytes | None]:
    """Return the entry at an index with its detail; LogError if there is none."""
    row = conn.execute(
        "SELECT e.index, e.kind, e.statement_id, e.body, e.leaf, e.appended, d.content"
        " FROM log_entry e LEFT JOIN log_detail d USING (index) WHERE e.index = %s",
        [index],
    ).fetchone()
    if row is None:
        raise LogError(
            f"the log has no entry {index}: it was shortened; restore log_entry from a backup"
        )
    return Entry(*row[:-1]), row[-1]


def checkpoint(conn: Connection, size: int | None = None, *, cosigned: bool = False) -> str | None:
    """
    Return the signed head of a size (by default the last head) with its cosignatures, as text.

    None if there is no such head.  `cosigned`: only a sufficiently cosigned head.
    """
    row = conn.execute(
        "SELECT size, note FROM log_checkpoint WHERE size = coalesce(%s, size)"
        " AND (NOT %s OR EXISTS (SELECT FROM witness_quorum q WHERE q.size = log_checkpoint.size))"
        " ORDER BY size DESC LIMIT 1",
        [size, cosigned],
    ).fetchone()
    return None if row is None else row[1] + "".join(_lines(conn, row[0]))


def signed(conn: Connection, size: int) -> str | None:
    """Return the signed head of a size as text, without cosignatures; None without that head."""
    row = conn.execute("SELECT note FROM log_checkpoint WHERE size = %s", [size]).fetchone()
    return None if row is None else str(row[0])


def _lines(conn: Connection, size: int) -> list[str]:
    rows = conn.execute(
        "SELECT line FROM log_cosignature WHERE size = %s ORDER BY received, multikey", [size]
    )
    values = [line for (line,) in rows]
    return values + [line.line for line in of_head(conn, size)]


def add_cosignature(conn: Connection, size: int, multikey: str, line: str) -> None:
    """Store an enrolled witness's cosignature of a head, unless one is stored."""
    conn.execute(
        "INSERT INTO log_cosignature (size, multikey, line) VALUES (%s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (size, multikey, line),
    )


def sign_head(conn: Connection, origin: str, key: SigningKey) -> str:
    """
    Sign the log's current size and root, store the note, and return it.

    Raises LogError if entries below the last head have changed since it was signed.
    """
    hashes = leaves(conn)
    head = conn.execute(
        "SELECT size, root FROM log_checkpoint ORDER BY size DESC LIMIT 1"
    ).fetchone()
    if head is not None and root_hash(hashes[: head[0]]) != bytes(head[1]):
        raise LogError(
            f"the first {head[0]} entries of the log do not match its signed head: the log was "
            "rewritten; restore log_entry from a backup before anything is issued"
        )
    signed = Checkpoint(origin, len(hashes), root_hash(hashes))
    note = sign_checkpoint(signed, key)
    conn.execute(
        "INSERT INTO log_checkpoint (size, root, note) VALUES (%s, %s, %s)",
        (signed.size, signed.root, note),
    )
    return note


def receipt(conn: Connection, statement: str, kind: str = "issued") -> str | None:
    """
    Return the receipt of a statement's issue; None if it is not in the log.

    The receipt is for the first sufficiently cosigned head that includes the entry, else for the
    first head.  Its text changes only with later cosignatures, and with the rotation of the log's
    key.

    `kind`: `issued`, or `evidence` for the receipt of its pack's manifest.
    """
    row = conn.execute(
        "SELECT index FROM log_entry WHERE statement_id = %s AND kind = %s", (statement, kind)
    ).fetchone()
    if row is None:
        return None
    index = int(row[0])
    head = conn.execute(
        "SELECT size, note FROM log_checkpoint WHERE size > %s AND split_part(note, E'\\n', 1) ="
        " (SELECT split_part(note, E'\\n', 1) FROM log_checkpoint ORDER BY size DESC LIMIT 1)"
        " ORDER BY (SELECT count(*) FROM witness_quorum q WHERE q.size = log_checkpoint.size) DESC,"
        " size LIMIT 1",
        [index],
    ).fetchone()
    if head is None:
        raise RegistryError(
            f"entry {index} of the log is not covered by a signed head: the log is damaged; "
            "restore log_checkpoint from a backup"
        )
    note = head[1] + "".join(_lines(conn, head[0]))
    return make_receipt(index, inclusion_proof(index, leaves(conn)[: head[0]]), note)


def leaves(conn: Connection) -> list[bytes]:
    """Return the leaf hashes of all entries, first to last."""
    rows = conn.execute("SELECT leaf FROM log_entry ORDER BY index").fetchall()
    return [bytes(leaf) for (leaf,) in rows]
