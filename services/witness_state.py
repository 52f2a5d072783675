"""
State of a witness in SQLite, by log, and its keys.

One transaction compares and writes the head, also with several processes.  After restoring an
older copy of the file a witness must start again with a new name and new keys, as it could cosign
a second history.

It is separate from `tonne keys`, as `tonne log cosign` keeps another record of signed heads, and
one key with two records could sign two histories.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ingest.errors import InputError, ServerError
from mrv.errors import MrvError
from mrv.log import COSIGNATURE, ML_DSA_COSIGNATURE, MlDsaKey, Vkey
from mrv.log.entries import Checkpoint
from mrv.signatures.canonical import sha256_hex
from mrv.signatures.keys import SigningKey

FILE = "witness.sqlite"
_WAIT_S = 10.0
_MAX_KEPT = 1_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS log_key (
    origin TEXT NOT NULL, vkey TEXT NOT NULL PRIMARY KEY, added INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS head (
    origin TEXT NOT NULL PRIMARY KEY, origin_sha256 TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
    root BLOB NOT NULL, time_s INTEGER NOT NULL, note TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS contradiction (
    sha256 TEXT NOT NULL PRIMARY KEY, origin TEXT NOT NULL, time_s INTEGER NOT NULL,
    why TEXT NOT NULL, held TEXT NOT NULL, shown TEXT NOT NULL
) STRICT;
"""


class Seen(NamedTuple):
    """The last cosigned head of a log: head, time, and note with its lines."""

    head: Checkpoint
    time_s: int
    note: str


class Contradiction(NamedTuple):
    """Two heads signed by one log, and why they contradict each other."""

    origin: str
    time_s: int
    why: str
    held: str
    shown: str


class State:
    """State file of a witness, for use in a `with` block. `folder`: created if missing."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(_SCHEMA)
            except sqlite3.Error:
                self._db.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise ServerError(
                f"{self.path} cannot be opened: {error}; check its folder and permissions"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Context that locks the file for one change, on disk at its end."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def add_log(self, key: Vkey, time_s: int) -> bool:
        """Store a key of a log; return whether it is new."""
        with self.changing():
            done = self._db.execute(
                "INSERT INTO log_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (key.name, str(key), time_s),
            )
        return done.rowcount > 0

    def logs(self) -> dict[str, tuple[Vkey, ...]]:
        """Return the known logs: keys by origin."""
        vkeys: dict[str, tuple[Vkey, ...]] = {}
        for origin, text in self._rows("SELECT origin, vkey FROM log_key ORDER BY added, vkey"):
            vkeys[origin] = (*vkeys.get(origin, ()), Vkey.parse(text))
        return vkeys

    def keys(self, origin: str) -> tuple[Vkey, ...]:
        """Return the keys of a log; none where it is unknown."""
        rows = self._rows("SELECT vkey FROM log_key WHERE origin = ?", origin)
        return tuple(Vkey.parse(text) for (text,) in rows)

    def seen(self, origin: str) -> Seen | None:
        """
        Return the last cosigned head of a log; None without any.

        Raises InputError if the file is damaged.
        """
        row = self._rows("SELECT size, root, time_s, note FROM head WHERE origin = ?", origin)
        if not row:
            return None
        size, root, time_s, note = row[0]
        try:
            checkpoint = Checkpoint.from_text("\n".join([*note.split("\n")[:3], ""]))
        except MrvError as error:
            raise InputError(
                f"{self.path} is damaged: {error}; restore it from a backup"
            ) from error
        if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, size, root):
            raise InputError(
                f"{self.path} is damaged: its head of {origin} differs from that of its note; "
                "restore it from a backup"
            )
        return Seen(checkpoint, time_s, note)

    def by_hash(self, origin_sha256: str) -> str | None:
        """Return the note of a log by the SHA-256 of its origin, in hex."""
        rows = self._rows("SELECT note FROM head WHERE origin_sha256 = ?", origin_sha256)
        return rows[0][0] if rows else None

    def keep(self, head: Checkpoint, time_s: int, note: str) -> None:
        """Store the next head before it is cosigned; call it inside `changing`."""
        self._db.execute(
            "INSERT INTO head VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (origin) DO UPDATE SET"
            " size = excluded.size, root = excluded.root, time_s = excluded.time_s,"
            " note = excluded.note",
            (head.origin, sha256_hex(head.origin.encode()), head.size, head.root, time_s, note),
        )

    def keep_contradiction(self, contradiction: Contradiction) -> None:
        """Store two heads that contradict each other, each pair once."""
        with self.changing():
            (count,) = self._db.execute(
                "SELECT count(*) FROM contradiction WHERE origin = ?", (contradiction.origin,)
            ).fetchone()
            if count < _MAX_KEPT:
                key = sha256_hex(f"{contradiction.held}\n{contradiction.shown}".encode())
                self._db.execute(
                    "INSERT INTO contradiction VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (key, *contradiction),
                )

    def contradictions(self) -> list[Contradiction]:
        """Return stored contradictions, oldest first."""
        rows = self._rows(
            "SELECT origin, time_s, why, held, shown FROM contradiction ORDER BY time_s, sha256"
        )
        return [Contradiction(*row) for row in rows]

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query, without uncommitted changes of other threads."""
        with self._lock:
            return self._db.execute(query, values).fetchall()


KEYS_FILE = "keys.json"
_NAME, _ED25519, _ML_DSA = "name", "ed25519", "ml-dsa-44"
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class WitnessKeys:
    """Name of a witness, and its signing keys."""

    name: str
    ed25519: SigningKey
    ml_dsa: MlDsaKey

    @property
    def vkeys(self) -> tuple[Vkey, Vkey]:
        """Return the public keys for logs and readers: Ed25519 first."""
        return (
            Vkey(self.name, COSIGNATURE, self.ed25519.public),
            Vkey(self.name, ML_DSA_COSIGNATURE, self.ml_dsa.public),
        )


def create(folder: Path, name: str, passphrase: bytes = b"") -> WitnessKeys:
    """
    Create the keys of a witness and return them.

    `name`: like `witness.example/w1`: a URL without its scheme, used by this witness only.
    `passphrase`: encrypts the file's secrets; empty for no encryption.
    Raises InputError if there are keys already, or the name is invalid.
    """
    path = folder / KEYS_FILE
    if path.exists():
        raise InputError(
            f"{path} already contains the keys of a witness; use another TONNE_HOME for a "
            "second one"
        )
    first, second = Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate()
    made = WitnessKeys(
        name, SigningKey(first.private_bytes_raw()), MlDsaKey(second.private_bytes_raw())
    )
    made.vkeys  # noqa: B018 - refuses a name that cannot stand in a note
    kept = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    secrets: dict[str, Ed25519PrivateKey | MLDSA44PrivateKey] = {_ED25519: first, _ML_DSA: second}
    record = {_NAME: name} | {
        kind: key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kept).decode()
        for kind, key in secrets.items()
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(record, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return made


def load(folder: Path, passphrase: bytes = b"") -> WitnessKeys:
    """
    Return the keys of a witness.

    Raises InputError if there are none, others may read them, or the passphrase is wrong.
    """
    path = folder / KEYS_FILE
    try:
        mode, record = path.stat().st_mode, json.loads(path.read_bytes())
        if mode & _OTHERS:
            raise InputError(f"{path} can be read by others; run `chmod 600 {path}`")
        result = {
            kind: load_pem_private_key(record[kind].encode(), passphrase or None)
            for kind in (_ED25519, _ML_DSA)
        }
        first, second = result[_ED25519], result[_ML_DSA]
        if not isinstance(first, Ed25519PrivateKey) or not isinstance(second, MLDSA44PrivateKey):
            raise InputError(f"{path} contains keys of other types than it states; restore it")
        return WitnessKeys(
            record[_NAME],
            SigningKey(first.private_bytes_raw()),
            MlDsaKey(second.private_bytes_raw()),
        )
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {path}; `tonne witness create --name witness.example/w1` creates the keys"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm) as error:
        raise InputError(
            f"{path} cannot be read: {error}; set TONNE_KEY_PASSPHRASE_FILE to its passphrase, or"
            " restore it"
        ) from error
