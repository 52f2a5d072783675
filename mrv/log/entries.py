"""
Entries of the log, and receipts: proof that the log contains a document.

        data        a project's local day: Merkle roots over the device-days of its
                    readings, intervals and emissions (see mrv/signatures/day_digests), and
                    the hours of arrival of its readings (see mrv/statement/device_days)
    registry, plan, calibration, keys, claims
                digests of the tables of that kind, after each change
        records     new rows of append-only tables since the previous entry
    factors     the factors that this version of the program publishes
    evidence    the manifest of an issued statement's evidence pack

A table's root is that of RFC 6962 over JCS [key, SHA-256 of the row], by key.  The rows are stored
with the entry, and verified by the roots.

    c2sp.org/tlog-proof@v1
    index N
    base64 hashes, from the leaf's sibling upwards
    (an empty line)
    the signed checkpoint, as the log wrote it

The optional `extra` line of the format is not signed.  It is rejected here, so that no reader
assumes that it is signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from mrv.errors import CanonicalError, LogError
from mrv.log import NoteKey, sign_note, verify_note
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Digest
from mrv.signatures.ed25519 import decode_base64, encode_base64
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import HASH_BYTES, leaf_hash, root_hash, verify_inclusion

DATA, RECORDS, FACTORS, EVIDENCE = "data", "records", "factors", "evidence"
PARTS = ("readings", "intervals", "emissions")
RowHash = tuple[str, str]


class Day(NamedTuple):
    """A day to seal: project, local day, time zone, and start and end as RFC 3339."""

    project: str | None
    day: str
    timezone: str
    begin: str
    end: str


def data_entry(
    day: Day,
    sequence: int,
    registry_version: int,
    parts: Mapping[str, Digest],
    reason: str | None,
    arrival: Mapping[str, Any] | None = None,
) -> bytes:
    """
    Return the log entry that seals a project's local day.

    `sequence`: 1 for the first seal of a day; later data are sealed with the next number.
    `registry_version`: registry version of the derived rows.
    `parts`: `readings`, `intervals`, `emissions`.
    `reason`: reason for sealing a day again.
    `arrival`: from `arrival_part`; absent for days sealed by tonne 0.1.0.
    """
    more = {} if arrival is None else {"arrival": dict(arrival)}
    return canonical.encode(
        {
            "event": DATA,
            "project": day.project,
            "day": day.day,
            "timezone": day.timezone,
            "from": day.begin,
            "to": day.end,
            "sequence": sequence,
            "registryVersion": registry_version,
            "reason": reason,
            **{name: _part(parts[name].root, parts[name].leaves) for name in PARTS},
            **more,
        }
    )


def arrival_part(
    rows: Sequence[RowHash], counts: tuple[int, int], hours: Mapping[str, int], sealed: str
) -> dict[str, Any]:
    """
    Return the part of a day's log entry on the arrival of its readings.

    `rows`: hash of each device's record (`mrv.statement.device_days`), under one root.
    `counts`: number of readings, and of late ones.
    `hours`: number of readings by hour of arrival (UTC).
    `sealed`: time of the seal by the clock of the log.
    """
    readings, late = counts
    return {
        "root": rows_root(rows),
        "readings": str(readings),
        "late": str(late),
        "hours": {hour: str(count) for hour, count in hours.items()},
        "sealed": sealed,
    }


def _part(root: str, leaves: Sequence[DayLeaf]) -> dict[str, str]:
    return {"root": root, "rows": str(sum(leaf.rows for leaf in leaves))}


def evidence_entry(statement: str, manifest: bytes) -> bytes:
    """Return the entry that names the files of an issued statement's pack."""
    return canonical.encode(
        {
            "event": EVIDENCE,
            "statement": statement,
            "manifestSha256": canonical.sha256_hex(manifest),
        }
    )


def tables_entry(kind: str, tables: Mapping[str, Sequence[RowHash]], **more: Any) -> bytes:
    """Return the log entry of the digests of some tables, with the fields of `more`."""
    return canonical.encode(
        {
            "event": kind,
            "tables": {
                name: {"root": rows_root(rows), "rows": str(len(rows))}
                for name, rows in sorted(tables.items())
            },
            **more,
        }
    )


def rows_root(rows: Iterable[RowHash]) -> str:
    """Return the Merkle root, in hex, of rows ordered by key."""
    return root_hash(leaf_hash(canonical.encode(list(row))) for row in rows).hex()


def tables_detail(tables: Mapping[str, Sequence[RowHash]]) -> bytes:
    """Return the rows whose digests are the roots of a `tables_entry`."""
    return canonical.encode({name: [list(r) for r in rows] for name, rows in tables.items()})


def read_tables(entry: Mapping[str, Any], detail: bytes) -> dict[str, dict[str, str]]:
    """
    Return the rows of a `tables_entry`: table to key to hash.

    Raises LogError if the roots of the rows are not those of the entry.
    """
    result = canonical.parse_object(detail)
    content = {name: table["root"] for name, table in entry["tables"].items()}
    roots = {name: rows_root((key, value) for key, value in rows) for name, rows in result.items()}
    if roots != content:
        raise LogError(
            "the rows stored with the log entry do not match its root hash; they were changed: "
            "restore them from a backup"
        )
    return {name: dict(rows) for name, rows in result.items()}


# 63 bits are sufficient for the size of any tree; the digits are ASCII, without leading zeros.
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
_LONGEST_PROOF = 63


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    Head of a log.

    `origin`: name of the log, which is also the name of its key.
    `size`: number of entries.
    `root`: Merkle root over them, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines of text that are signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """
        Return the checkpoint from the note text.

        Raises LogError if it is not exactly origin, size and root.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004  # three lines and the end
            raise LogError(
                f"checkpoint {text[:80]!r} is not origin, size and root on three lines; download "
                "it again"
            )
        return cls(lines[0], int(lines[1]), decode_hash(lines[2]))


def read_head(text: str) -> Checkpoint:
    """
    Return origin, size and root of a checkpoint of any log; further lines are ignored.

    Raises LogError if it does not begin with these three lines, or an extension line is empty.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[3:-1]):  # noqa: PLR2004  # three lines and the end
        raise LogError(
            f"checkpoint {text[:80]!r} does not begin with origin, size and root on three lines; "
            "download it again"
        )
    return Checkpoint.from_text("\n".join([*lines[:3], ""]))


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """Return the signed note of a checkpoint; `key`: key of the log."""
    return sign_note(checkpoint.text(), checkpoint.origin, key)


def verify_checkpoint(note: str, log_key: NoteKey) -> Checkpoint:
    """
    Return the checkpoint of a note signed with the log's key.

    Raises SignatureError if the note is malformed or not signed by that key.
    Raises LogError if the text is not a checkpoint, or of another log.
    """
    checkpoint = Checkpoint.from_text(verify_note(note, log_key))
    if checkpoint.origin != log_key.name:
        raise LogError(
            f"checkpoint is of log {checkpoint.origin!r}, but the key is of {log_key.name!r}; "
            "use that log's key"
        )
    return checkpoint


def decode_hash(line: str) -> bytes:
    """Return the bytes of a base64 line with one hash."""
    try:
        value = decode_base64(line)
    except CanonicalError as error:
        raise LogError(f"hash line cannot be read: {error}; download the receipt again") from error
    if len(value) != HASH_BYTES:
        raise LogError(
            f"hash line {line!r} has {len(value)} bytes instead of {HASH_BYTES}; get the "
            "receipt again"
        )
    return value


@dataclass(frozen=True, slots=True)
class Receipt:
    """Parts of a receipt: index of the entry, inclusion proof, signed checkpoint."""

    index: int
    proof: tuple[bytes, ...]
    checkpoint: str


def make_receipt(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """
    Return the text of a receipt.

    `index`: index of the entry in the log, from 0.
    `proof`: inclusion proof in the tree of the checkpoint.
    `checkpoint`: signed note of the checkpoint.
    """
    lines = [HEADER, f"index {index}", *map(encode_base64, proof)]
    return "\n".join(lines) + "\n\n" + checkpoint


def parse_receipt(text: str) -> Receipt:
    """
    Return the parts of a receipt; only its form is checked.

    Raises LogError if it is not of the form above.
    """
    head, gap, checkpoint = text.partition("\n\n")
    header, *lines = head.split("\n")
    if header != HEADER or not gap:
        raise LogError(
            f"receipt does not start with {HEADER} or has no checkpoint; download it again"
        )
    index = _INDEX.fullmatch(lines[0]) if lines else None
    if index is None or len(lines) - 1 > _LONGEST_PROOF:
        raise LogError(
            "the second line of the receipt is not 'index N', or its proof is too long; get "
            "it again"
        )
    return Receipt(int(index[1]), tuple(decode_hash(line) for line in lines[1:]), checkpoint)


def verify_receipt(text: str, entry: bytes, log_key: NoteKey) -> Checkpoint:
    """
    Return the checkpoint of the log, after a check that the log contains an entry.

    `text`: the receipt.
    `entry`: canonical bytes of the logged entry.
    `log_key`: key of the log, from another source than the receipt.
    Raises LogError or SignatureError if the receipt, its checkpoint or its proof is not valid.
    """
    receipt = parse_receipt(text)
    checkpoint = verify_checkpoint(receipt.checkpoint, log_key)
    verify_inclusion(
        receipt.index, checkpoint.size, leaf_hash(entry), receipt.proof, checkpoint.root
    )
    return checkpoint
