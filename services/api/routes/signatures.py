"""Steps signed elsewhere: the operator submits, the verifier signs an opinion."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.request_context import Ask, Operator, Verifier
from services.api.routes.statements import StatementId, owned, visible
from services.api.routes.writes import Body, Named
from services.issuer.verification_file import template as write_template

router = APIRouter(tags=["life of a statement"])
_CREATED = 201
YAML = "application/yaml"  # RFC 9512


@router.post(
    "/statements/{statement}/submission",
    status_code=_CREATED,
    response_model=shapes.Submitted,
    responses=ACCEPTED_STEP,
)
def submit(
    ask: Operator,
    statement: StatementId,
    request_body: shapes.Signature,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept the operator's signature over a stored draft.

    A signature over another text is invalid and refused.
    """
    del (
        named,
        prefer,
        request_body,
    )  # read by `step`, declared for OpenAPI; what counts are the bytes
    return ask.step("submit", statement, body, owned(ask, statement))


@router.get(
    "/statements/{statement}/verification-template",
    response_class=PlainTextResponse,
    responses={200: {"content": {YAML: {}}}},
)
def template(ask: Ask, statement: StatementId) -> Response:
    """
    Return the file in which a verifier describes the check of each parameter and requirement.

    `tonne statement verify --report FILE` takes it.
    """
    with ask.reading() as conn:
        text = write_template(visible(conn, ask.who, statement).claims)
    name = f'attachment; filename="{statement}-verification.yaml"'
    return PlainTextResponse(text, media_type=YAML, headers={"Content-Disposition": name})


@router.post(
    "/statements/{statement}/verification",
    status_code=_CREATED,
    response_model=shapes.Judged,
    responses=ACCEPTED_STEP,
)
def judge(
    ask: Verifier,
    statement: StatementId,
    request_body: shapes.Verification,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept the verifier's opinion, after recalculating everything from raw readings.

    Refused (409) if the recalculation gives another statement, or an open finding contradicts the
    opinion.
    """
    del named, prefer, request_body
    return ask.step("verify", statement, body, owned(ask, statement))
