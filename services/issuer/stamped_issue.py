"""Issue a statement with its time stamps: over the statement before, over the log's head after."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import Connection

from mrv.signatures.keys import EnrolledKey
from mrv.statement.states import check_step
from services.issuer import timestamps
from services.issuer import transitions as life
from services.issuer.documents import Signer
from services.issuer.timestamps import Policy
from services.store.statements import statements


class Issued(NamedTuple):
    """Place of the issue in the log, and what was stamped or who is away, in sentences."""

    entry: int
    notes: tuple[str, ...]


def issue(
    conn: Connection,
    statement: str,
    log_signer: Signer,
    by: EnrolledKey | str,
    policy: Policy | None,
) -> Issued:
    """
    Issue a verified statement, as `transitions.issue` does, and have it stamped.

    Parameters
    ----------
    policy : Policy or None
        Whom to ask; no one where it is None.

    Raises
    ------
    ServerError
        If the policy lets issue wait for time stamps that are not there.
    StatementStateError
        If it is not verified, or another issued statement covers part of its period.
    """
    if policy is None:
        return Issued(life.issue(conn, statement, log_signer, by), ())
    first = stamped(conn, statement, policy)
    index = life.issue(conn, statement, log_signer, by)
    then = timestamps.request_missing(conn, policy)
    return Issued(index, tuple(dict.fromkeys((*first.sentences, *then.sentences))))


def stamped(conn: Connection, statement: str, policy: Policy) -> timestamps.Stamped:
    """
    Have a statement stamped that may be issued.

    Raises
    ------
    ServerError
        As for `issue`.
    StatementStateError
        If it is not verified.
    """
    check_step(statement, statements.find(conn, statement).state, "issued")
    return timestamps.before_issue(conn, statement, policy)
