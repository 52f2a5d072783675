"""
Evidence packs, written from the database.

Each document has exactly one form, so that the same statement gives identical bytes; archived days
are included as the archive's own files.  The folder is written completely or not at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from psycopg import Connection

from ingest.errors import InputError
from mrv.log.entries import EVIDENCE
from mrv.packs.pack import (
    KEYS,
    MANIFEST_RECEIPT,
    README,
    RECEIPT,
    SEALS,
    STATEMENT,
    TIMESTAMPS,
    VERIFICATION,
)
from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.signatures.keys import EnrolledKey
from services.issuer import bundle, timestamps
from services.issuer.close import snapshot
from services.issuer.collect_evidence import recollect
from services.issuer.signed_evidence import by_name, fitting
from services.issuer.signed_evidence import files as case_files
from services.issuer.transitions import Documents, documents
from services.store.registry import signing_keys as enrolled
from services.store.statements import evidence, statements
from services.store.statements import transparency_log as log


def export(conn: Connection, statement: str, out: Path) -> Path:
    """
    Write a statement's evidence pack into a new folder, and return its path.

    Parameters
    ----------
    conn : Connection
        Connection in autocommit.
    out : Path
        The folder; it may exist if it is empty.

    Raises
    ------
    InputError
        If the folder is not empty.
    PeriodError
        If the statement is not verified and its evidence differs from the closed period.
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


def _collected(conn: Connection, have: Documents, statement: str) -> dict[str, bytes]:
    """Return the evidence of a statement that is not verified yet, from the database."""
    body = canonical.parse_object(have.stored.body)
    case = recollect(conn, body, statements.detail(conn, statement))
    reused = fitting(conn, case)
    archived = {name: reused.data for name, reused in by_name(reused).items()}
    return case_files(case, reused) | archived


def _documents(
    conn: Connection, have: Documents, statement: str, files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return all documents of a pack; for an issued statement those in the log's manifest."""
    receipt = log.receipt(conn, statement)
    if receipt is None:
        signed = bundle.StatementDocuments(have.statement, have.verification, have.signers)
        return bundle.complete(conn, signed, files, logged=False)
    result = {STATEMENT: canonical.encode(have.statement), RECEIPT: receipt.encode()}
    if have.verification is not None:
        result[VERIFICATION] = canonical.encode(have.verification)
    stamped = timestamps.timestamps_file(conn, statement, files.get(SEALS), receipt)
    if stamped is not None:
        result[TIMESTAMPS] = stamped
    logged = log.receipt(conn, statement, EVIDENCE)
    if logged is not None:
        result[MANIFEST_RECEIPT] = logged.encode()
    return result if logged is not None else result | _as_first_released(conn, have)


def _as_first_released(conn: Connection, have: Documents) -> dict[str, bytes]:
    """
    Return the documents that tonne 0.1.0 added to a pack, for statements it issued without a
    manifest.
    """
    claims = have.claims
    text = (
        f"Evidence of statement {claims.statement}, closed by {claims.code_version}.\n"
        "Its digests are by UTC day: verify it with tonne 0.1.0 (`tonne verify PACK`).\n"
        "A statement that supersedes it has a pack that later versions verify.\n"
    )
    logs = [enrolment.key for enrolment in enrolled.load(conn) if enrolment.key.role == "log"]
    # that version's keys had no times of validity, and it takes none
    keys = [EnrolledKey(key.name, key.role, key.multikey) for key in (*have.signers, *logs[:1])]
    return {KEYS: write_keyring(keys), README: text.encode()}
