"""
Evidence packs: written from the database, read from a folder.

Statement, verification and tables are written in one form only, so that the
same statement gives the same bytes; days that the archive holds come as its own
files.  The folder appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from ingest import classes
from ingest.errors import InputError
from mrv.log.entries import EVIDENCE
from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.signatures.keys import EnrolledKey
from mrv.verify import Pack, Table
from mrv.verify.pack import (
    DEAD_LETTERS,
    DOCUMENTS,
    FINDINGS,
    INTERVALS,
    KEYS,
    MANIFEST_RECEIPT,
    README,
    RECEIPT,
    SAMPLING,
    STATEMENT,
    VERIFICATION,
)
from services.issuer import bundle, parquet
from services.issuer import merged_readings as merged
from services.issuer.archived_parts import fitting
from services.issuer.close import snapshot
from services.issuer.collect_evidence import recollect
from services.issuer.evidence import READINGS, by_name
from services.issuer.evidence import files as case_files
from services.issuer.transitions import Documents, documents
from services.store.registry import signing_keys as enrolled
from services.store.statements import evidence, statements
from services.store.statements import transparency_log as log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import Connection
    from psycopg.rows import TupleRow


_READ = {STATEMENT, VERIFICATION, FINDINGS, SAMPLING, RECEIPT, MANIFEST_RECEIPT, *DOCUMENTS}
# a year of days of some classes and sites, as the archive has them
_MOST_FILES = 20_000
_MOST_BYTES = 256 * 1024 * 1024


def export(conn: Connection[TupleRow], statement: str, out: Path) -> Path:
    """
    Write a statement's evidence pack into a new folder.

    Parameters
    ----------
    conn : Connection
        In autocommit.
    out : Path
        The folder; it may exist if it is empty.

    Raises
    ------
    InputError
        If the folder holds something.
    PeriodError
        If the statement is not verified and its evidence is not as it was closed.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not an empty folder; name a new one")
    with snapshot(conn):
        have = documents(conn, statement)
        files = evidence.kept(conn, statement) or _collected(conn, have, statement)
        files |= _documents(conn, have, statement, files)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, data in files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_bytes(data)
        made.chmod(0o755)
        made.replace(out)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    return out


def _collected(conn: Connection[TupleRow], have: Documents, statement: str) -> dict[str, bytes]:
    """Evidence of a statement that is not verified yet: from the database as it is."""
    body = canonical.parse_object(have.stored.body)
    case = recollect(conn, body, statements.detail(conn, statement))
    reused = fitting(conn, case)
    archived = {name: one.data for name, one in by_name(reused).items()}
    return case_files(case, reused) | archived


def _documents(
    conn: Connection[TupleRow], have: Documents, statement: str, files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """All that stands beside the tables; of an issued statement what was entered in the log."""
    receipt = log.receipt(conn, statement)
    if receipt is None:
        papers = bundle.Papers(have.statement, have.verification, have.signers)
        return bundle.complete(conn, papers, files, logged=False)
    found = {STATEMENT: canonical.encode(have.statement), RECEIPT: receipt.encode()}
    if have.verification is not None:
        found[VERIFICATION] = canonical.encode(have.verification)
    logged = log.receipt(conn, statement, EVIDENCE)
    if logged is not None:
        found[MANIFEST_RECEIPT] = logged.encode()
    return found if logged is not None else found | _as_first_released(conn, have)


def _as_first_released(conn: Connection[TupleRow], have: Documents) -> dict[str, bytes]:
    """What tonne 0.1.0 added to a pack: it issued this statement, without a manifest in the log."""
    subject = have.statement["credentialSubject"]
    text = (
        f"Evidence of statement {subject['statement']}, closed by {subject['codeVersion']}.\n"
        "Its digests are by UTC day: verify it with tonne 0.1.0 (`tonne verify PACK`).\n"
        "A statement that supersedes it has a pack that later versions verify.\n"
    )
    logs = [one.key for one in enrolled.load(conn) if one.key.role == "log"]
    # that version's keys had no times of validity, and it takes none
    keys = [EnrolledKey(key.name, key.role, key.multikey) for key in (*have.signers, *logs[:1])]
    return {KEYS: write_keyring(keys), README: text.encode()}


def read_pack(path: Path) -> Pack:
    """
    Read an evidence pack, or a statement alone.

    Raises
    ------
    InputError
        If the path is neither a folder with a statement nor a file.
    """
    if path.is_file():
        data = _read(path)
        if not data.lstrip().startswith(b"{"):
            raise InputError(f"{path} is no statement: it is not a JSON object")
        return Pack({STATEMENT: data})
    if not (path / STATEMENT).is_file():
        raise InputError(
            f"{path} is no evidence pack: it has no {STATEMENT};"
            " give a folder that `tonne statement export` made, or a statement's file"
        )
    found = _Found()
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        try:
            found.take(name, file)
        except InputError as error:
            found.damaged[name] = str(error)
    return Pack(found.files, found.readings, found.intervals, found.damaged, found.hashes)


@dataclass
class _Found:
    """What stands in a folder, read as far as it belongs to a pack."""

    files: dict[str, bytes] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    readings: dict[str, merged.Readings] = field(default_factory=dict)
    intervals: Table | None = None
    damaged: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, file: Path) -> None:
        """Read a file; InputError if it cannot be what its name says."""
        self.hashes[name] = ""  # no file that was written hashes to this
        folder, _, stem = name.removesuffix(".parquet").rpartition("/")
        if name in _READ:
            self.files[name] = _read(file)
        elif name == f"{INTERVALS}.parquet":
            self.intervals = parquet.read_intervals(file)
        elif (class_id := _class_of(folder, stem)) and name.endswith(".parquet"):
            opened = parquet.ReadingsFile(file, class_id, archived=folder != READINGS)
            self.readings.setdefault(class_id, merged.Readings()).files.append(opened)
        elif name != f"{DEAD_LETTERS}.parquet":
            return  # the manifest does not list it, whatever it holds
        with file.open("rb") as source:
            self.hashes[name] = hashlib.file_digest(source, "sha256").hexdigest()


def _class_of(folder: str, stem: str) -> str | None:
    """Class of a file of readings: `readings/CLASS`, or the archive's own in `readings/CLASS/`."""
    name = stem if folder == READINGS else folder.removeprefix(f"{READINGS}/")
    inside = folder in {READINGS, f"{READINGS}/{name}"}
    return name if inside and name in classes.load() else None


def _files(path: Path) -> list[Path]:
    """All files below a folder, none of which is a way out of it."""
    found = []
    for file in sorted(path.rglob("*")):
        if file.is_symlink() or not (file.is_file() or file.is_dir()):
            raise InputError(f"{file} is no file but a link or a device; a pack holds files only")
        if file.is_file():
            found.append(file)
        if len(found) > _MOST_FILES:
            raise InputError(f"{path} holds more than {_MOST_FILES} files; it is no evidence pack")
    return found


def _read(file: Path) -> bytes:
    """Bytes of a document; what is far larger than any is refused before it fills the memory."""
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise InputError(f"it has {size} bytes; a document of a pack has at most {_MOST_BYTES}")
    return file.read_bytes()
