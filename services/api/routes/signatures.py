"""Steps that a key's holder signs elsewhere: the operator submits, the verifier judges."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.request_context import Operator, Verifier
from services.api.routes.statements import StatementId, owned
from services.api.routes.writes import Body, Named

router = APIRouter(tags=["life of a statement"])
_CREATED = 201


@router.post(
    "/statements/{statement}/submission",
    status_code=_CREATED,
    response_model=shapes.Submitted,
    responses=ACCEPTED_STEP,
)
def submit(
    ask: Operator,
    statement: StatementId,
    said: shapes.Signature,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Take the operator's signature over a draft, which stands here already.

    A statement of another text cannot be handed in: the signature would not be of this one.
    """
    del named, prefer, said  # read by `step`, declared for OpenAPI; what counts are the bytes
    return ask.step("submit", statement, body, owned(ask, statement))


@router.post(
    "/statements/{statement}/verification",
    status_code=_CREATED,
    response_model=shapes.Judged,
    responses=ACCEPTED_STEP,
)
def judge(
    ask: Verifier,
    statement: StatementId,
    said: shapes.Verification,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Take the verifier's opinion, after the whole account was computed again from raw readings.

    Refused (409) where the database gives another statement or a finding stands against it.
    """
    del named, prefer, said
    return ask.step("verify", statement, body, owned(ask, statement))
