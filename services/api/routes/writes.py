"""Requests that change something: close a period, issue or supersede a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response

from mrv.signatures import canonical
from services.api import schemas as shapes
from services.api.request_context import Operator
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, own, owned
from services.api.times import span_us
from services.store.timeseries import queries as series

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

router = APIRouter(tags=["life of a statement"])
_CREATED, _DONE = 201, 200
Named = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names the request: repeated, it is answered again and not done again.",
        pattern="^[!-~]{1,200}$",
    ),
]

# how OpenAPI tells that a step may be answered with a job
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "It is asked for; the job at `Location` says what comes of it",
        "model": shapes.Job,
        "headers": {
            "Location": {"schema": {"type": "string"}, "description": "Address of the job"},
        },
    }
}
Preferred = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`respond-async`: answer 202 with the address of a job (RFC 7240);"
        " `wait=SECONDS`: wait no longer for the answer.",
        max_length=200,
    ),
]


async def _bytes(request: Request) -> bytes:
    """Return the body as it came: what was signed is those bytes' meaning, and no copy's."""
    return await request.body()


Body = Annotated[bytes, Depends(_bytes)]


@router.post(
    "/projects/{project}/periods",
    status_code=_CREATED,
    response_model=shapes.ClosedPeriod,
    responses={
        _DONE: {"description": "The same draft was there", "model": shapes.ClosedPeriod},
        **ACCEPTED,
    },
)
def close_period(
    ask: Operator,
    project: IdPath,
    said: shapes.ClosePeriod,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """Close a monitoring period; its draft is 201 where it is new, else 200."""
    del named, prefer  # read by `step`, declared for OpenAPI

    def check(conn: Connection[TupleRow]) -> bytes:
        if not ask.who.sees(project):
            raise unknown("project", project)
        span = span_us(said.begin, said.end, series.project_timezone(conn, project))
        return canonical.encode({"from_us": str(span[0]), "to_us": str(span[1])})

    return ask.step("close", project, b"", check, said.model_dump_json())


@router.post("/statements/{statement}/issue", response_model=shapes.Issued, responses=ACCEPTED)
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
        _DONE: {"description": "The same draft was there", "model": shapes.ClosedPeriod},
        **ACCEPTED,
    },
)
def supersede(
    ask: Operator,
    statement: StatementId,
    said: shapes.Reason,
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """Close an issued statement's period again, as a draft that will replace it."""
    del named, prefer

    def check(conn: Connection[TupleRow]) -> bytes:
        own(ask, conn, statement)
        return canonical.encode({"reason": said.reason})

    return ask.step("supersede", statement, b"", check, said.model_dump_json())
