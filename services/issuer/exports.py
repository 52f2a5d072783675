"""Issued statements for exports: from the database, or from evidence packs without any server."""

from __future__ import annotations

from psycopg import Connection

from mrv import verify
from mrv.documents.form import read_bytes
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import claims_of
from mrv.documents.verification import Verification
from mrv.errors import CanonicalError, ExportError, VerificationError
from mrv.exports.source import Source, check_issued
from mrv.packs.pack import PLAN, STATEMENT, VERIFICATION, Pack
from mrv.signatures import canonical
from mrv.signatures.trust_root import Trust
from services.issuer.documents import documents
from services.store.statements import evidence, statements


def source_of(conn: Connection, statement: str) -> Source:
    """
    Load an issued statement.

    Raises
    ------
    RegistryError
        If there is no such statement.
    ExportError
        If it is not issued, or was superseded.
    """
    have = documents(conn, statement)
    check_issued(statement, have.stored.state, statements.successor(conn, statement))
    kept = evidence.kept(conn, statement, (PLAN,))
    if have.verification is None or PLAN not in kept:
        raise ExportError(f"{statement} has no evidence beside it; restore the database's backup")
    return Source(
        have.claims,
        read_bytes(Verification, canonical.encode(have.verification), "the verification"),
        read_bytes(PlanExtract, kept[PLAN], PLAN),
    )


def source_of_pack(pack: Pack, trusted: Trust | None, status: bytes | None) -> Source:
    """
    Read an issued statement from its pack, once it holds.

    Parameters
    ----------
    trusted : Trust or None
        Keys that the reader trusts; without them the export stays a draft.
    status : bytes or None
        The project's status list, which says whether the statement still counts.

    Raises
    ------
    VerificationError
        Naming the first step of `tonne verify` that fails.
    ExportError
        If it is not issued.
    CanonicalError
        If it is a statement without its evidence.
    """
    if pack.bare:
        raise CanonicalError(
            "a statement's file alone has no evidence to export; give the pack's folder"
        )
    report = verify.verify(pack, trusted, status)
    if (bad := report.failure) is not None:
        raise VerificationError(f"step {bad.number}, {bad.name}", bad.detail, bad.remedy)
    check_issued(report.statement, report.state)
    return Source(
        claims_of(canonical.parse_object(pack.files[STATEMENT])),
        read_bytes(Verification, pack.files[VERIFICATION], "the verification"),
        read_bytes(PlanExtract, pack.files[PLAN], PLAN),
        tuple(f"{one.what}; {one.remedy}" for one in report.missing),
    )
