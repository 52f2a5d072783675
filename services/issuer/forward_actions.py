"""
Forward actions that earlier verifications and the validation left to the next statement.

One is open until a verifier closed it: by an event of its own statement, or by the reason that the
verifier of a later issued statement signed over it.
"""

from __future__ import annotations

from psycopg import Connection

from mrv.documents.plan import ForwardAction
from mrv.exports.entered import Registration
from mrv.signatures import canonical
from mrv.statement.conditions import forward_of, reasons_of
from mrv.statement.credentials import verification_of
from services.store.registry import authority
from services.store.statements import findings


def open_actions(conn: Connection, project: str, from_us: int) -> tuple[ForwardAction, ...]:
    """Return a project's open forward actions of the validation and of statements before a time."""
    found = [
        ForwardAction(statement=None, finding=forward_action.id, text=forward_action.text)
        for entered in authority.load(conn)
        if isinstance(entered.record, Registration) and entered.record.project == project
        for forward_action in entered.record.validation.forward_actions
    ]
    found += [
        ForwardAction(statement=statement, finding=finding, text=text)
        for statement, finding, text in findings.forward(conn, project, from_us)
    ]
    if not found:
        return ()
    closed = {
        forward_of(texts)
        for document in findings.conclusions(conn, project)
        for _, texts in reasons_of(
            verification_of(canonical.parse_object(document)).credential_subject
        )
    }
    return tuple(one for one in found if (one.statement, one.finding) not in closed)
