"""Signed documents of a statement: signatures, approvals, findings, sampling lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter
from psycopg import Connection
from starlette.responses import PlainTextResponse, Response

from mrv.documents.form import read_bytes
from mrv.documents.verification import FindingEvent
from mrv.signatures import canonical
from mrv.statement.findings import SIGNED_BY
from services.api import schemas as shapes
from services.api.negotiation import ACCEPTED_STEP, Preferred
from services.api.principals import refuse
from services.api.problems import ProblemError
from services.api.request_context import Ask, Operator, Party, Verifier
from services.api.routes.statements import StatementId, conditional, own, owned, visible
from services.api.routes.writes import Body, Named, described, signed
from services.issuer import documents as steps
from services.issuer.verification_file import template as write_template
from services.store.statements import signed_documents as stored

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
    # declared for OpenAPI; `step` reads them, and the bytes are what is stored
    del named, prefer, request_body
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
    openapi_extra=described("verification"),
)
def judge(
    ask: Verifier,
    statement: StatementId,
    body: Annotated[bytes, signed("verification")],
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept the verifier's opinion, after recalculating everything from raw readings.

    Refused (409) if the recalculation gives another statement, or an open finding contradicts the
    opinion.
    """
    del named, prefer
    return ask.step("verify", statement, body, owned(ask, statement))


@router.get(
    "/statements/{statement}/approvals.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Response,
)
def approvals(ask: Ask, statement: StatementId) -> Response:
    """Return the signed approvals of the issue: a pack's `approvals.json`."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        documents = stored.approvals(conn, statement)
    if not documents:
        raise ProblemError(
            404,
            f"{statement} has no separate approvals: its programme requires none, or none "
            "was signed",
        )
    return _as_signed(ask, documents, result.state)


@router.post(
    "/statements/{statement}/approval",
    status_code=_CREATED,
    response_model=shapes.TakenApproval,
    responses=ACCEPTED_STEP,
    openapi_extra=described("approval"),
)
def approve(
    ask: Operator,
    statement: StatementId,
    body: Annotated[bytes, signed("approval")],
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept an operator's approval of a verified statement's issue, signed with their own key.

    If the programme requires two approvals, `issue` is refused until both exist.
    """
    del named, prefer

    return ask.step("approve", statement, body, owned(ask, statement))


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
        documents = stored.events(conn, statement)
    return _as_signed(ask, documents, result.state)


def _as_signed(ask: Ask, documents: Sequence[bytes], state: str) -> Response:
    """Return signed documents as one JSON array, as in a pack."""
    listed = [canonical.parse_object(document) for document in documents]
    return conditional(ask, canonical.legible(listed), "application/json", state)


@router.post(
    "/statements/{statement}/findings",
    status_code=_CREATED,
    response_model=shapes.TakenEvent,
    responses=ACCEPTED_STEP,
    openapi_extra=described("finding"),
)
def take_event(
    ask: Party,
    statement: StatementId,
    body: Annotated[bytes, signed("finding")],
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
        role = SIGNED_BY[read_bytes(FindingEvent, body, "the event").credential_subject.event]
        if ask.who.role != role:
            refuse(ask.who, (role,))

    # what counts is what was signed: the body itself, and no copy of it
    return ask.step("finding", statement, body, check)


@router.get(
    "/statements/{statement}/sampling.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Response,
)
def sampling_list(ask: Ask, statement: StatementId) -> Response:
    """Return the verifier's sampled device-days, byte for byte as signed."""
    with ask.reading() as conn:
        result = visible(conn, ask.who, statement)
        document = stored.sample(conn, statement)
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
    openapi_extra=described("sampling-list"),
)
def take_sampling(
    ask: Verifier,
    statement: StatementId,
    body: Annotated[bytes, signed("sampling-list")],
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept the list that a verifier drew and signed with their own key; once.

    It is drawn again from the evidence, and puts the statement under verification.
    """
    del named, prefer

    return ask.step("sample", statement, body, owned(ask, statement))
