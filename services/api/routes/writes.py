"""
Requests that make changes: close a period, deliver invoices, issue a statement.

Signed documents of a statement are signatures, approvals, findings and sampling lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request
from psycopg import Connection
from starlette.responses import PlainTextResponse, Response

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.documents import read_bytes
from mrv.documents.verification import DOCUMENTS, FindingEvent, schema
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.statement.conditions import check_reason
from mrv.statement.findings import SIGNED_BY
from services.api import schemas as shapes
from services.api.answers import ACCEPTED_STEP, Preferred, ProblemError
from services.api.file_cache import Cursor, Limit, current, page, span_us
from services.api.principals import refuse
from services.api.request_context import Ask, Operator, Party, Reader, Verifier
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, conditional, own, owned, visible
from services.issuer import documents as steps
from services.issuer.external_signatures import template as write_template
from services.processing import registry_import
from services.registry.fields import Row
from services.registry.invoices import Import
from services.registry.located import Plain, Table, Value
from services.store.registry import invoices as stored_invoices
from services.store.statements import evidence as stored
from services.store.timeseries import queries as series

router = APIRouter(tags=["life of a statement"])
_CREATED, _DONE = 201, 200
Named = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Name of the request: a repeated request gets the same answer and is "
        "not executed again.",
        pattern="^[!-~]{1,200}$",
    ),
]


async def _write(named: Named = None) -> None:
    """Declare for OpenAPI the header that `Ask.write` reads."""
    del named


async def _step(named: Named = None, prefer: Preferred = None) -> None:
    """Declare for OpenAPI the headers that `Ask.step` reads."""
    del named, prefer


WRITE, STEP = [Depends(_write)], [Depends(_step)]


async def _bytes(request: Request) -> bytes:
    """Return the body's bytes as received; the signature covers exactly these."""
    return await request.body()


Body = Annotated[bytes, Depends(_bytes)]


def signed(name: str) -> Any:
    """
    Return the FastAPI parameter (`Depends`) that gives a route the body's bytes, once checked.

    `name`: document type in `DOCUMENTS`, whose schema the body must match.
    Answers 400 to a body that is not JSON, and 422 to one of another form, with the path of the
    first wrong field.
    """

    async def checked(request: Request) -> bytes:
        data = await request.body()
        try:
            msgspec.json.decode(data)
            msgspec.convert(canonical.parse(data), DOCUMENTS[name])
        except (CanonicalError, msgspec.ValidationError) as error:
            detail = f"the body does not match the schema /v1/schemas/{name}: {error}"
            raise ProblemError(422, detail) from error
        except (ValueError, RecursionError) as error:
            raise ProblemError(
                400, f"the body is not JSON: {error}; send the signed file"
            ) from error
        if b"\0" in data or b"\\u0000" in data:  # a database cannot store NUL
            raise ProblemError(422, "the body contains a NUL character; remove it")
        return data

    return Depends(checked)


def described(name: str) -> dict[str, Any]:
    """Return the OpenAPI of a body that is a signed document."""
    content = {"application/json": {"schema": schema(name)}}
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/projects/{project}/periods",
    status_code=_CREATED,
    response_model=shapes.ClosedPeriod,
    responses={
        _DONE: {"description": "The same draft was stored earlier", "model": shapes.ClosedPeriod},
        **ACCEPTED_STEP,
    },
    dependencies=STEP,
)
def close_period(ask: Operator, project: IdPath, body: shapes.ClosePeriod) -> Response:
    """Close a monitoring period; 201 for a new draft, else 200."""

    def check(conn: Connection) -> bytes:
        if not ask.who.sees(project):
            raise unknown("project", project)
        span = span_us(body.begin, body.end, series.project_timezone(conn, project))
        return canonical.encode({"from_us": str(span[0]), "to_us": str(span[1])})

    return ask.step("close", project, b"", check, body.model_dump_json())


@router.post(
    "/statements/{statement}/issue",
    response_model=shapes.Issued,
    responses=ACCEPTED_STEP,
    dependencies=STEP,
)
def issue(ask: Operator, statement: StatementId) -> Response:
    """Issue a verified statement: claim its period and enter it in the log."""
    return ask.step("issue", statement, b"", owned(ask, statement))


@router.post(
    "/statements/{statement}/supersede",
    status_code=_CREATED,
    response_model=shapes.ClosedPeriod,
    responses={
        _DONE: {"description": "The same draft was stored earlier", "model": shapes.ClosedPeriod},
        **ACCEPTED_STEP,
    },
    dependencies=STEP,
)
def supersede(ask: Operator, statement: StatementId, body: shapes.Reason) -> Response:
    """Close an issued statement's period again, as a draft that will replace it."""

    def check(conn: Connection) -> bytes:
        own(ask, conn, statement)
        check_reason(body.reason)
        return canonical.encode({"reason": body.reason})

    return ask.step("supersede", statement, b"", check, body.model_dump_json())


invoices_router = APIRouter(tags=["invoices"])
_REFUSED = 422
_BODY = "body"
_MAX_LISTED = 10


@invoices_router.get("/invoices", response_model=shapes.pages(shapes.Invoice))
def invoices(
    ask: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    project: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")] = None,
) -> Response:
    """List invoices by id, including those that a later invoice corrects."""
    of = ("invoices", ask.who.id, project)
    with ask.reading() as conn:
        after = ask.api.cursors.read(of, cursor) or [""]
        rows = stored_invoices.listed(conn, ask.who.projects, project, after[0], limit + 1)
        return page(ask, of, limit, rows, lambda row: [row["id"]], _invoice_values)


@invoices_router.get("/invoices/{invoice}", response_model=shapes.Invoice)
def invoice(ask: Reader, invoice: IdPath) -> Response:
    """Return an invoice as stored."""
    with ask.reading() as conn:
        result = stored_invoices.by_id(conn, ask.who.projects, invoice)
    if result is None:
        raise unknown("invoice", invoice)
    return current(_invoice_values(result))


@invoices_router.post(
    "/projects/{project}/invoices",
    status_code=_CREATED,
    response_model=shapes.Deliveries,
    responses={
        _DONE: {"description": "All invoices were stored earlier", "model": shapes.Deliveries}
    },
    dependencies=WRITE,
)
def deliver(ask: Operator, project: IdPath, body: shapes.Delivery) -> Response:
    """Store invoices of a project, all or none; 200 if every one was stored before."""

    def work(conn: Connection) -> tuple[int, Any]:
        if not ask.who.sees(project):
            raise unknown("project", project)
        rows = [_row(new_invoice, project) for new_invoice in body.invoices]
        matches = registry_import.deliver(conn, rows, ask.who.name)
        if matches.refused:
            raise ProblemError(_REFUSED, _refusal(matches))
        results = [{"id": result.id, "result": result.result} for result in matches.results]
        return (_CREATED if matches.new else _DONE), {"results": results}

    return ask.write(body.model_dump_json(), work)


def _row(new_invoice: shapes.NewInvoice, project: str) -> Row:
    """Return an invoice as a row of a registry file, so that the same checks apply."""
    content = new_invoice.model_dump(mode="json", by_alias=True, exclude_none=True)
    cells: dict[str, Value] = {key: _cell(value) for key, value in content.items()}
    return Row(Table(0, {**cells, "project": project}, {}), _BODY, f"invoices[{new_invoice.id}]")


def _cell(value: str | list[str]) -> Value:
    return list(value) if isinstance(value, list) else Plain(value)


def _refusal(imported: Import) -> str:
    lines = [
        message.removeprefix(f"{_BODY}:0: ")
        for result in imported.results
        for message in (result.messages if result.result == "error" else ())
    ]
    more = f"; and {len(lines) - _MAX_LISTED} more" if len(lines) > _MAX_LISTED else ""
    return f"no invoice was stored: {'; '.join(lines[:_MAX_LISTED])}{more}"


def _invoice_values(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "unit": QUANTITIES[QUANTITY_INDEX[row["quantity"]]].unit}


YAML = "application/yaml"  # media type of RFC 9512


@router.post(
    "/statements/{statement}/submission",
    status_code=_CREATED,
    response_model=shapes.Submitted,
    responses=ACCEPTED_STEP,
    dependencies=STEP,
)
def submit(
    ask: Operator, statement: StatementId, request_body: shapes.Signature, body: Body
) -> Response:
    """
    Accept the operator's signature over a stored draft.

    A signature over another text is invalid and refused.
    """
    del request_body  # declared for OpenAPI; the received bytes are stored
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
    dependencies=STEP,
)
def judge(
    ask: Verifier, statement: StatementId, body: Annotated[bytes, signed("verification")]
) -> Response:
    """
    Accept the verifier's opinion, after recalculating everything from raw readings.

    Refused (409) if the recalculation gives another statement, or an open finding contradicts the
    opinion.
    """
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
    dependencies=STEP,
)
def approve(
    ask: Operator, statement: StatementId, body: Annotated[bytes, signed("approval")]
) -> Response:
    """
    Accept an operator's approval of a verified statement's issue, signed with their own key.

    If the programme requires two approvals, `issue` is refused until both exist.
    """
    return ask.step("approve", statement, body, owned(ask, statement))


@router.get("/statements/{statement}/findings", response_model=shapes.Findings)
def findings(ask: Ask, statement: StatementId) -> Response:
    """Return a statement's findings, with their answers and closures."""
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
    dependencies=STEP,
)
def take_event(
    ask: Party, statement: StatementId, body: Annotated[bytes, signed("finding")]
) -> Response:
    """
    Accept a signed event: raised or closed by the verifier, answered by the operator.

    The first one puts the statement under verification.
    """

    def check(conn: Connection) -> None:
        own(ask, conn, statement)
        role = SIGNED_BY[read_bytes(FindingEvent, body, "the event").credential_subject.event]
        if ask.who.role != role:
            refuse(ask.who, (role,))

    # the signed body itself is stored, not a copy
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
    dependencies=STEP,
)
def take_sampling(
    ask: Verifier, statement: StatementId, body: Annotated[bytes, signed("sampling-list")]
) -> Response:
    """
    Accept the list that a verifier drew and signed with their own key; once.

    It is drawn again from the evidence, and puts the statement under verification.
    """
    return ask.step("sample", statement, body, owned(ask, statement))
