"""The verifier's sampling list: returned as signed, accepted as drawn elsewhere."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.problems import ProblemError
from services.api.request_context import Ask, Verifier
from services.api.routes.statements import StatementId, conditional, owned, visible
from services.api.routes.writes import Body, Named
from services.store.statements import sampling as stored

router = APIRouter(tags=["life of a statement"])
_CREATED = 201


@router.get(
    "/statements/{statement}/sampling.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Response,
)
def sampling_list(ask: Ask, statement: StatementId) -> Response:
    """Return the verifier's sampled device-days, byte for byte as signed."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        document = stored.document(conn, statement)
    if document is None:
        raise ProblemError(
            404, f"no sample of statement {statement} was drawn; its verifier draws it"
        )
    return conditional(ask, document, "application/json", result.state)


@router.post(
    "/statements/{statement}/sampling",
    status_code=_CREATED,
    response_model=shapes.Sampled,
    responses=ACCEPTED_STEP,
)
def take_sampling(
    ask: Verifier,
    statement: StatementId,
    request_body: shapes.SamplingList,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept the list that a verifier drew and signed with their own key; once.

    It is drawn again from the evidence, and puts the statement under verification.
    """
    del (
        named,
        prefer,
        request_body,
    )  # read by `step`, declared for OpenAPI; what counts are the bytes

    return ask.step("sample", statement, body, owned(ask, statement))
