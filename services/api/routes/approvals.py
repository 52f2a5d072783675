"""Approvals of an issue: visible with the statement, stored as signed."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from mrv.signatures import canonical
from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.problems import ProblemError
from services.api.request_context import Ask, Operator
from services.api.routes.statements import StatementId, conditional, owned, visible
from services.api.routes.writes import Body, Named
from services.store.statements import approvals as stored

router = APIRouter(tags=["life of a statement"])
_CREATED = 201


@router.get(
    "/statements/{statement}/approvals.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Response,
)
def approvals(ask: Ask, statement: StatementId) -> Response:
    """Return the signed approvals of the issue: a pack's `approvals.json`."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        listed = [
            canonical.parse_object(document) for document in stored.documents(conn, statement)
        ]
    if not listed:
        raise ProblemError(
            404,
            f"{statement} has no separate approvals: its programme requires none, or none "
            "was signed",
        )
    return conditional(ask, canonical.legible(listed), "application/json", result.state)


@router.post(
    "/statements/{statement}/approval",
    status_code=_CREATED,
    response_model=shapes.TakenApproval,
    responses=ACCEPTED_STEP,
)
def approve(
    ask: Operator,
    statement: StatementId,
    request_body: shapes.IssueApproval,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept an operator's approval of a verified statement's issue, signed with their own key.

    If the programme requires two approvals, `issue` is refused until both exist.
    """
    del (
        named,
        prefer,
        request_body,
    )  # read by `step`, declared for OpenAPI; what counts are the bytes

    return ask.step("approve", statement, body, owned(ask, statement))
