"""Findings of a verification: visible with the statement, stored as signed."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from psycopg import Connection
from starlette.responses import Response

from mrv.signatures import canonical
from mrv.statement.findings import SIGNED_BY
from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.principals import refuse
from services.api.request_context import Ask, Party
from services.api.routes.statements import StatementId, conditional, own, visible
from services.api.routes.writes import Body, Named
from services.issuer import documents as steps
from services.store.statements import findings as stored

router = APIRouter(tags=["life of a statement"])
_CREATED = 201


@router.get("/statements/{statement}/findings", response_model=shapes.Findings)
def findings(ask: Ask, statement: StatementId) -> Response:
    """Return the findings, answers and closures."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        records = steps.records(conn, steps.documents(conn, statement))
    body = {"statement": statement, "findings": [record.to_json() for record in records]}
    return conditional(ask, msgspec.json.encode(body), "application/json", result.state)


@router.get(
    "/statements/{statement}/findings.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Response,
)
def signed_events(ask: Ask, statement: StatementId) -> Response:
    """Return the signed events of all findings, first to last, as a pack's `findings.json`."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        listed = [
            canonical.parse_object(document) for document in stored.documents(conn, statement)
        ]
    return conditional(ask, canonical.legible(listed), "application/json", result.state)


@router.post(
    "/statements/{statement}/findings",
    status_code=_CREATED,
    response_model=shapes.TakenEvent,
    responses=ACCEPTED_STEP,
)
def take_event(
    ask: Party,
    statement: StatementId,
    request_body: shapes.FindingEvent,
    body: Body,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept a signed event: raised or closed by the verifier, answered by the operator.

    The first one puts the statement under verification.
    """
    del named, prefer  # read by `step`, declared for OpenAPI

    def check(conn: Connection) -> None:
        own(ask, conn, statement)
        role = SIGNED_BY[request_body.subject.event]
        if ask.who.role != role:
            refuse(ask.who, (role,))

    # what counts is what was signed: the body itself, and no copy of it
    return ask.step("finding", statement, body, check)
