"""
Evidence packs: written from the database, read from a folder.

Statement, verification and tables are written in one form only, so that the
same statement gives the same bytes.  The folder appears whole or not at all.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from ingest import classes
from ingest.errors import InputError
from mrv import canonical
from mrv.keyfile import write_keyring
from mrv.verify import Pack
from mrv.verify.pack import (
    DIGESTS,
    FACTORS,
    INTERVALS,
    KEYS,
    PLAN,
    RECEIPT,
    STATEMENT,
    VERIFICATION,
)
from services.issuer import parquet
from services.issuer.close import snapshot
from services.issuer.collect import recollect
from services.issuer.evidence import READINGS
from services.issuer.evidence import files as case_files
from services.issuer.life import Documents, documents
from services.issuer.readme import readme
from services.store import enrolled, evidence, log, statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.keys import EnrolledKey
    from mrv.verify import Table

_READ = (STATEMENT, VERIFICATION, PLAN, FACTORS, KEYS, DIGESTS, RECEIPT)


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
        receipt = log.receipt(conn, statement)
        files |= _documents(have, receipt, _keys(conn, have, logged=receipt is not None))
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name, data in files.items():
            (made / name).parent.mkdir(exist_ok=True)
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
    return case_files(recollect(conn, body, statements.detail(conn, statement)))


def _keys(conn: Connection[TupleRow], have: Documents, *, logged: bool) -> list[EnrolledKey]:
    """Keys of who signed, and of the log that the receipt is of."""
    log_keys = [one.key for one in enrolled.load(conn) if one.key.role == "log"]
    return [*have.signers, *(log_keys[:1] if logged else [])]


def _documents(have: Documents, receipt: str | None, keys: list[EnrolledKey]) -> dict[str, bytes]:
    files = {
        STATEMENT: canonical.encode(have.statement),
        KEYS: write_keyring(keys),
        "README.txt": readme(have).encode(),
    }
    if have.verification is not None:
        files[VERIFICATION] = canonical.encode(have.verification)
    if receipt is not None:
        files[RECEIPT] = receipt.encode()
    return files


def read_pack(path: Path) -> Pack:
    """
    Read an evidence pack, or a statement alone.

    Raises
    ------
    InputError
        If the path is neither a folder with a statement nor a file.
    """
    if path.is_file():
        data = path.read_bytes()
        if not data.lstrip().startswith(b"{"):
            raise InputError(f"{path} is no statement: it is not a JSON object")
        return Pack({STATEMENT: data})
    if not (path / STATEMENT).is_file():
        raise InputError(
            f"{path} is no evidence pack: it has no {STATEMENT};"
            " give a folder that `tonne statement export` made, or a statement's file"
        )
    files = {n: (path / n).read_bytes() for n in _READ if (path / n).is_file()}
    readings: dict[str, Iterable[Table]] = {}
    intervals: Table | None = None
    damaged: dict[str, str] = {}
    for file in sorted(path.rglob("*.parquet")):
        name = file.relative_to(path).as_posix()
        try:
            if name == f"{INTERVALS}.parquet":
                intervals = parquet.read_intervals(file)
            elif file.parent == path / READINGS and file.stem in classes.load():
                readings[file.stem] = parquet.ReadingsFile(file, file.stem)
            else:
                damaged[name] = "no table of an evidence pack has this name"
        except InputError as error:
            damaged[name] = str(error)
    return Pack(files, readings, intervals, damaged)
