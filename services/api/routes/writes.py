"""Requests that make changes: close a period, issue or supersede a statement."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Request
from psycopg import Connection
from starlette.responses import Response

from mrv.documents.schemas import DOCUMENTS, schema
from mrv.errors import CanonicalError
from mrv.signatures import canonical
from mrv.statement.conditions import check_reason
from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.paging import span_us
from services.api.problems import ProblemError
from services.api.request_context import Operator
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, own, owned
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


async def _bytes(request: Request) -> bytes:
    """Return the body's bytes as received, as these were signed."""
    return await request.body()


Body = Annotated[bytes, Depends(_bytes)]


def signed(name: str) -> Any:
    """
    Return the parameter of a signed document's bytes, checked against the type of the document.

    A body of another form is refused: 400, or 422 with the path of the first wrong field.
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
            raise ProblemError(400, "the body is not JSON") from error
        if b"\0" in data or b"\\u0000" in data:  # no database keeps it
            raise ProblemError(422, "the body has the character NUL; remove it")
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
)
def close_period(
    ask: Operator,
    project: IdPath,
    body: shapes.ClosePeriod,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """Close a monitoring period; 201 for a new draft, else 200."""
    del named, prefer  # read by `step`, declared for OpenAPI

    def check(conn: Connection) -> bytes:
        if not ask.who.sees(project):
            raise unknown("project", project)
        span = span_us(body.begin, body.end, series.project_timezone(conn, project))
        return canonical.encode({"from_us": str(span[0]), "to_us": str(span[1])})

    return ask.step("close", project, b"", check, body.model_dump_json())


@router.post("/statements/{statement}/issue", response_model=shapes.Issued, responses=ACCEPTED_STEP)
def issue(
    ask: Operator, statement: StatementId, named: Named = None, prefer: Preferred = None
) -> Response:
    """Issue a verified statement: claim its period and enter it in the log."""
    del named, prefer
    return ask.step("issue", statement, b"", owned(ask, statement))


@router.post(
    "/statements/{statement}/supersede",
    status_code=_CREATED,
    response_model=shapes.ClosedPeriod,
    responses={
        _DONE: {"description": "The same draft was stored earlier", "model": shapes.ClosedPeriod},
        **ACCEPTED_STEP,
    },
)
def supersede(
    ask: Operator,
    statement: StatementId,
    body: shapes.Reason,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """Close an issued statement's period again, as a draft that will replace it."""
    del named, prefer

    def check(conn: Connection) -> bytes:
        own(ask, conn, statement)
        check_reason(body.reason)
        return canonical.encode({"reason": body.reason})

    return ask.step("supersede", statement, b"", check, body.model_dump_json())
