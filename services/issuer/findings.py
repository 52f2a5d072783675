"""Sign events of findings beside the database."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from mrv.documents.form import UNSET, UnsetType
from mrv.documents.verification import About
from mrv.errors import StatementStateError
from mrv.statement.findings import SIGNED_BY, What, sign_event
from services.issuer import documents as steps
from services.issuer.documents import Signer


def sign(
    conn: Connection,
    statement: str,
    signer: Signer,
    said: tuple[What, str, str, str | None],
    about: About | UnsetType = UNSET,
) -> dict[str, Any]:
    """
    Sign an event of a finding; `accept.finding` takes it.

    Parameters
    ----------
    said : tuple
        Event, finding (a kind for a new one), text, effect as decimal text. [t CO2e]
    about : About, optional
        Devices and days of the statement, of a finding that is raised.

    Raises
    ------
    StatementStateError, EnrolmentError
        If it does not follow, or the key is not of the right role.
    """
    have = steps.documents(conn, statement)
    if not have.signers:
        raise StatementStateError(
            f"statement {statement} is {have.stored.state}: it is not signed yet; run `tonne "
            "statement submit` first"
        )
    now = steps.may_sign(conn, signer.holder, SIGNED_BY[said[0]], statement)
    return sign_event(have.statement, steps.records(conn, have), said, *signer, now, about)
