"""Steps that a key's holder signs elsewhere: the operator submits, the verifier judges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import Response

from mrv.signatures import canonical
from services.api import schemas as shapes
from services.api.request_context import Operator, Verifier
from services.api.routes.statements import StatementId, own
from services.api.routes.writes import Body, Named
from services.issuer import external_signatures as accept
from services.store.statements import statements

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

router = APIRouter(tags=["life of a statement"])
_CREATED = 201


@router.post(
    "/statements/{statement}/submission", status_code=_CREATED, response_model=shapes.Submitted
)
def submit(
    ask: Operator, statement: StatementId, said: shapes.Signature, body: Body, named: Named = None
) -> Response:
    """
    Take the operator's signature over a draft, which stands here already.

    A statement of another text cannot be handed in: the signature would not be of this one.
    """
    del named, said  # read by `write`, declared for OpenAPI; what counts are the bytes

    def work(conn: Connection[TupleRow]) -> tuple[int, Any]:
        own(ask, conn, statement)
        draft = canonical.parse_object(statements.find(conn, statement).body)
        signed = {**draft, **canonical.parse_object(body)}
        unmet = accept.statement(
            conn, statement, signed, strict=ask.api.strict, principal=ask.who.id
        )
        return _CREATED, {"statement": statement, "state": "submitted", "unmet": unmet}

    return ask.write(body.decode(), work)


@router.post(
    "/statements/{statement}/verification", status_code=_CREATED, response_model=shapes.Judged
)
def judge(
    ask: Verifier,
    statement: StatementId,
    said: shapes.Verification,
    body: Body,
    named: Named = None,
) -> Response:
    """
    Take the verifier's opinion, after the whole account was computed again from raw readings.

    Refused (409) where the database gives another statement or a finding stands against it.
    """
    del named, said

    def work(conn: Connection[TupleRow]) -> tuple[int, Any]:
        own(ask, conn, statement)
        state = accept.verification(conn, statement, canonical.parse_object(body), ask.who.id)
        return _CREATED, {"statement": statement, "state": state}

    return ask.write(body.decode(), work)
