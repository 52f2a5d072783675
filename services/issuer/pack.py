"""
Evidence packs, written from the database.

Each document has exactly one encoding, so that the same statement gives identical bytes; archived
days are included as the archive's own files.  The folder is written completely or not at all.  At
issue the log receives the manifest in the same transaction: a later change of a file is detected.
"""

from __future__ import annotations

import shutil
from base64 import b64encode
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.errors import InputError
from mrv.calendar import days, instant_us
from mrv.documents.statement import Claims, claims_of
from mrv.errors import StatementStateError
from mrv.log import signature_lines
from mrv.log.entries import EVIDENCE, Checkpoint
from mrv.packs import tables
from mrv.packs.pack import (
    APPROVALS,
    DEAD_LETTERS,
    DIGESTS,
    FINDINGS,
    GUIDE,
    KEYS,
    MANIFEST,
    MANIFEST_RECEIPT,
    PLAN,
    README,
    RECEIPT,
    SAMPLING,
    SEALS,
    STATEMENT,
    TIMESTAMPS,
    VERIFICATION,
    manifest_of,
)
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from mrv.signatures.keys import EnrolledKey, write_keyring
from mrv.signatures.merkle_tree import inclusion_proof
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import valid_from
from mrv.verify.evidence_steps import readings_root
from mrv.verify.time_step import guide
from services.issuer import timestamps
from services.issuer.collect_evidence import recollect
from services.issuer.documents import Documents, documents
from services.issuer.further_evidence import by_name, fitting
from services.issuer.further_evidence import files as case_files
from services.store import dead_letter_query as dead_letters
from services.store.archive_catalog import snapshot
from services.store.registry import signing_keys as enrolled
from services.store.statements import evidence, statements
from services.store.statements import sealed_days as seals
from services.store.statements import transparency_log as log


def export(conn: Connection, statement: str, out: Path) -> Path:
    """
    Write a statement's evidence pack into a new folder, and return its path.

    `conn` is in autocommit.
    `out`: the folder; it may exist if it is empty.
    Raises InputError if the folder is not empty.
    Raises PeriodError if the statement is not verified and its evidence differs from the closed
    period.
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
    """Return the evidence files, by name, of a statement that is not verified yet."""
    body = canonical.parse_object(have.stored.body)
    case = recollect(conn, body, statements.detail(conn, statement))
    reused = fitting(conn, case)
    archived = {name: reused.data for name, reused in by_name(reused).items()}
    return case_files(case, reused) | archived


def _documents(
    conn: Connection, have: Documents, statement: str, files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return all files of a pack by name; for an issued statement those in the log's manifest."""
    receipt = log.receipt(conn, statement)
    if receipt is None:
        signed = StatementDocuments(have.statement, have.verification, have.signers)
        return complete(conn, signed, files)
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
    """Return the files that tonne 0.1.0 added to packs, for its statements without a manifest."""
    claims = have.claims
    text = (
        f"Evidence of statement {claims.statement}, closed by {claims.code_version}.\n"
        "Its digests are by UTC day: verify it with tonne 0.1.0 (`tonne verify PACK`).\n"
        "A statement that supersedes it has a pack that later versions verify.\n"
    )
    logs = [enrolment.key for enrolment in enrolled.load(conn) if enrolment.key.role == "log"]
    # keys of version 0.1.0 had no times of validity, and its verifier accepts none
    keys = [EnrolledKey(key.name, key.role, key.multikey) for key in (*have.signers, *logs[:1])]
    return {KEYS: write_keyring(keys), README: text.encode()}


class OtherReadingsError(StatementStateError):
    """A day of a statement has other readings than those sealed in the log."""

    def __init__(self, project: str, day: date) -> None:
        self.project, self.day = project, day
        super().__init__(f"the readings of {day} are not those that the log sealed")


class StatementDocuments(NamedTuple):
    """A statement's documents, and the keys of their signers."""

    statement: dict[str, Any]
    verification: dict[str, Any] | None
    signers: tuple[EnrolledKey, ...]

    @property
    def claims(self) -> Claims:
        """Return the statement's claims."""
        return claims_of(self.statement)


def complete(
    conn: Connection,
    documents: StatementDocuments,
    files: Mapping[str, bytes],
    *,
    issued: datetime | None = None,
) -> dict[str, bytes]:
    """
    Return the complete pack: the given tables, all other files, and the manifest.

    `files`: plan, factors, digests and tables.  `issued`: time of issue, if the statement enters
    the log in this transaction.  Raises OtherReadingsError if days of a statement that enters the
    log are sealed with other readings.
    """
    plan, name = read_plan(canonical.parse_object(files[PLAN])), documents.claims.statement
    logged = issued is not None
    raised = [canonical.parse_object(data) for data in evidence.events(conn, name)]
    approved = [canonical.parse_object(data) for data in evidence.approvals(conn, name)]
    drawn = evidence.sample(conn, name)
    signed = [*raised, *approved, *([] if drawn is None else [canonical.parse_object(drawn)])]
    issuers = {document["issuer"]["id"] for document in signed}
    result = {
        **files,
        STATEMENT: canonical.encode(documents.statement),
        GUIDE: guide(documents.claims),
        KEYS: write_keyring(_keys(conn, documents.signers, issuers, logged=logged)),
        SEALS: canonical.legible(_seals(conn, documents, plan, files) if logged else _NO_SEALS),
        f"{DEAD_LETTERS}.parquet": _letters(conn, documents, plan),
    }
    if documents.verification is not None:
        result[VERIFICATION] = canonical.encode(documents.verification)
    if raised:
        result[FINDINGS] = canonical.legible(raised)
    if drawn is not None:
        result[SAMPLING] = drawn
    if approved:
        result[APPROVALS] = canonical.legible(approved)
    hashes = {name: canonical.sha256_hex(data) for name, data in result.items()}
    at = None if issued is None else valid_from(issued)
    return {**result, MANIFEST: manifest_of(hashes, at)}


# names of the documents that are stored as steps of the statement
SIGNED = (STATEMENT, VERIFICATION)
_NO_SEALS: dict[str, Any] = {"days": [], "head": None}


def _keys(
    conn: Connection, signers: Sequence[EnrolledKey], issuers: Collection[str], *, logged: bool
) -> list[EnrolledKey]:
    """Return the keys of all signers, also of findings, and of the log for the receipt."""
    every = [enrolment.key for enrolment in enrolled.load(conn)]
    more = [key for key in every if key.did in issuers and key not in signers]
    log_keys = [key for key in every if key.role == "log"]
    # the last key of the log, which signs the head that covers the statement's issue
    return [*signers, *more, *(log_keys[-1:] if logged else [])]


def _letters(conn: Connection, documents: StatementDocuments, plan: MonitoringPlan) -> bytes:
    begin, end = _period(documents)
    ids = {d.id for d in plan.devices} | {d.gateway for d in plan.devices if d.gateway}
    out = BytesIO()
    tables.write_letters(out, dead_letters.of_period(conn, sorted(ids), begin, end))
    return out.getvalue()


def _seals(
    conn: Connection,
    documents: StatementDocuments,
    plan: MonitoringPlan,
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """
    Return the content of `seals.json`: seals of the period's days that cover this evidence, with
    their proofs.
    """
    edges = _period(documents)
    project = plan.project
    leaves = [
        DayLeaf.from_json(leaf) for leaf in canonical.parse_object(files[DIGESTS])["readings"]
    ]
    head = log.checkpoint(conn)
    result = []
    for day, begin, end in days(*edges, project.timezone):
        if begin < edges[0] or end > edges[1]:
            continue
        entries = [log.at(conn, index)[0] for index in seals.of_day(conn, project.id, day)]
        bodies = [(entry.index, canonical.parse_object(entry.body)) for entry in entries]
        fitting = [
            (index, body)
            for index, body in bodies
            if readings_root(project, leaves, body) == body["readings"]["root"]
        ]
        if bodies and not fitting:
            raise OtherReadingsError(project.id, day)
        result += fitting[-1:]
    if head is None or not result:
        return _NO_SEALS
    hashes = log.leaves(conn)[: Checkpoint.from_text(signature_lines(head)[0]).size]
    return {
        "head": head,
        "days": [
            {
                "index": index,
                "entry": body,
                "proof": [b64encode(h).decode() for h in inclusion_proof(index, hashes)],
            }
            for index, body in result
        ],
    }


def _period(documents: StatementDocuments) -> tuple[int, int]:
    period = documents.claims.monitoring_period
    return instant_us(period.from_, "UTC"), instant_us(period.to, "UTC")
