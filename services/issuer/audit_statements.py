"""
Audit of statements against the log: documents, steps, claims, figures, evidence.

`Walk` is the state shared by all audit steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from ingest.errors import InputError
from mrv.calendar import instant_us
from mrv.packs.pack import MANIFEST, STATEMENT, VERIFICATION, issued_at, manifest_of
from mrv.signatures import canonical
from services.issuer.documents import Documents, documents
from services.issuer.sealed_contents import Job
from services.store.statements import evidence, statements
from services.store.statements.statements import Stored
from services.store.statements.transparency_log import Entry


@dataclass
class Walk:
    """State shared by the audit steps: connection, log entries, report."""

    conn: Connection
    now_us: int
    held: tuple[str, ...] = ()
    entries: list[Entry] = field(default_factory=list)
    origin: str = ""
    ended: list[Job] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_STATES = ("issued", "superseded", "revoked")
_LOGGED = (*_STATES, "evidence")


def standing(conn: Connection, entries: Sequence[Entry]) -> Iterator[str]:
    """Yield statements whose state differs from the log."""
    logged: dict[str, dict[str, dict[str, Any]]] = {}
    # version 0.1.0 entered no manifests; whatever else is entered comes from a later one
    since = min((e.index for e in entries if e.kind not in _STATES), default=0)
    without = {e.statement for e in entries if e.kind == "issued" and e.index < since}
    for entry in entries:
        if entry.kind in _LOGGED and entry.statement is not None:
            body = canonical.parse_object(entry.body)
            if entry.kind in logged.setdefault(entry.statement, {}):
                yield f"statement {entry.statement} is entered as {entry.kind} twice"
            logged[entry.statement][entry.kind] = body
    stored = {stored.id: stored for stored in statements.all_of(conn)}
    for name in sorted(logged.keys() - stored.keys()):
        yield f"statement {name} is in the log, but not in the table of statements"
    for name, item in sorted(stored.items()):
        try:
            yield from _statement_faults(
                conn, item, logged.get(name, {}), manifest=name not in without
            )
        except InputError as error:
            yield f"statement {name}: {error}"
    yield from _claims(conn, logged)


def _statement_faults(
    conn: Connection, stored: Stored, logged: dict[str, dict[str, Any]], *, manifest: bool
) -> Iterator[str]:
    have = documents(conn, stored.id)
    issued = logged.get("issued")
    steps = [event.state for event in statements.events(conn, stored.id)]
    for state in _STATES:
        if (state in steps) != (state in logged):
            where = "in the log, but not in" if state in logged else "not in the log, but in"
            yield f"statement {stored.id}: the step {state} is {where} the database"
    if steps[:1] != ["draft"]:
        yield f"statement {stored.id}: its steps do not begin with draft"
    yield from _figures(conn, stored)
    if issued is None:
        return
    for key, document in (
        ("statementSha256", have.statement),
        ("verificationSha256", have.verification),
    ):
        if canonical.sha256_hex(canonical.encode(document)) != issued[key]:
            yield f"statement {stored.id}: its document differs from the {key} in the log"
    if manifest or "evidence" in logged:
        yield from _evidence(conn, stored, have, logged.get("evidence"))


def _evidence(
    conn: Connection, stored: Stored, have: Documents, manifest: dict[str, Any] | None
) -> Iterator[str]:
    """Yield a finding if the files of a statement's pack differ from its manifest in the log."""
    kept = evidence.digests(conn, stored.id)
    if manifest is None:
        yield f"statement {stored.id}: the log has no manifest of its evidence"
        return
    signed = {STATEMENT: have.statement, VERIFICATION: have.verification}
    hashes = {n: canonical.sha256_hex(canonical.encode(value)) for n, value in signed.items()}
    same = kept.get(MANIFEST) == manifest["manifestSha256"]
    if same:
        data = evidence.kept(conn, stored.id, (MANIFEST,))[MANIFEST]
        same = data == manifest_of(hashes | kept, issued_at(data))
    if not same:
        yield f"statement {stored.id}: its evidence differs from the manifest in the log"


def _figures(conn: Connection, stored: Stored) -> Iterator[str]:
    """Yield figures of the closed period that differ from the signed document."""
    claims = stored.claims
    period = claims.monitoring_period
    row = conn.execute(
        "SELECT s.document = convert_from(s.body, 'UTF8')::jsonb, p.project_id,"
        " p.period = s.period, p.baseline_ug::text, p.project_ug::text,"
        " p.leakage_ug::text, p.reduction_ug::text, p.credit_t, p.coverage::text FROM statement s"
        " LEFT JOIN monitoring_period p ON p.id = s.period_id WHERE s.id = %s",
        [stored.id],
    ).fetchone()
    emissions = claims.emissions
    expected = (
        True, claims.project.id, True,
        emissions.baseline.ug, emissions.project.ug, emissions.leakage.ug, emissions.reduction.ug,
        int(claims.credited.t), claims.coverage,
    )  # fmt: skip
    if row != expected:
        yield f"statement {stored.id}: its period or its document states {row}, not {expected}"
    own = (stored.id, stored.project, stored.from_us, stored.to_us, stored.credit_t)
    body = (
        claims.statement,
        claims.project.id,
        *(instant_us(edge, "UTC") for edge in (period.from_, period.to)),
        int(claims.credited.t),
    )
    if own != body:
        yield f"statement {stored.id}: its columns state {own}, its document {body}"


def _claims(conn: Connection, logged: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Yield claims of periods that are missing, or that belong to no issued, valid statement."""
    rows = conn.execute(
        "SELECT c.statement_id, s.project_id = c.project_id AND s.period = c.period"
        " FROM claim c LEFT JOIN statement s ON s.id = c.statement_id"
    ).fetchall()
    claimed = {name for name, _ in rows}
    count = {name for name, events in logged.items() if events.keys() & set(_STATES) == {"issued"}}
    for name in sorted(claimed ^ count):
        yield f"statement {name}: {'claims' if name in claimed else 'does not claim'} its period"
    for name, same in rows:
        if not same:
            yield f"statement {name}: its claim is of another project or period"
