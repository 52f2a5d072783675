"""Requests that change something: close a period, issue or supersede a statement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import Response

from mrv.documents.statement import claims_of
from services.api import schemas as shapes
from services.api.request_context import Operator
from services.api.routes.registry import IdPath, unknown
from services.api.routes.statements import StatementId, own
from services.api.times import span_us
from services.issuer import close, stamped_issue
from services.issuer import transitions as life
from services.store.timeseries import queries as series

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.issuer.close import Closed

router = APIRouter(tags=["life of a statement"])
LOG_KEY = "tonne-log"
_CREATED, _DONE = 201, 200
Named = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names the request: repeated, it is answered again and not done again.",
        pattern="^[!-~]{1,200}$",
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
    responses={_DONE: {"description": "The same draft was there", "model": shapes.ClosedPeriod}},
)
def close_period(
    ask: Operator, project: IdPath, said: shapes.ClosePeriod, named: Named = None
) -> Response:
    """Close a monitoring period; its draft is 201 where it is new, else 200."""
    del named  # read by `write`, declared for OpenAPI

    def work(conn: Connection[TupleRow]) -> tuple[int, Any]:
        if not ask.who.sees(project):
            raise unknown("project", project)
        span = span_us(said.begin, said.end, series.project_timezone(conn, project))
        return _closed(close.close_period(conn, project, *span, ask.who.name))

    return ask.write(said.model_dump_json(), work)


@router.post("/statements/{statement}/issue", response_model=shapes.Issued)
def issue(ask: Operator, statement: StatementId, named: Named = None) -> Response:
    """Issue a verified statement: claim its period and enter it in the log."""
    del named

    def work(conn: Connection[TupleRow]) -> tuple[int, Any]:
        own(ask, conn, statement)
        signer = life.log_signer(conn, ask.api.home, LOG_KEY)
        done = stamped_issue.issue(conn, statement, signer, ask.who.name, ask.api.stamps)
        return _DONE, {
            "statement": statement, "state": "issued", "log_index": done.entry,
            "notes": list(done.notes),
        }  # fmt: skip

    return ask.write("", work)


@router.post(
    "/statements/{statement}/supersede",
    status_code=_CREATED,
    response_model=shapes.ClosedPeriod,
    responses={_DONE: {"description": "The same draft was there", "model": shapes.ClosedPeriod}},
)
def supersede(
    ask: Operator, statement: StatementId, said: shapes.Reason, named: Named = None
) -> Response:
    """Close an issued statement's period again, as a draft that will replace it."""
    del named

    def work(conn: Connection[TupleRow]) -> tuple[int, Any]:
        own(ask, conn, statement)
        return _closed(close.supersede(conn, statement, ask.who.name, said.reason))

    return ask.write(said.model_dump_json(), work)


def _closed(found: Closed) -> tuple[int, Any]:
    said = claims_of(found.document)
    return (_CREATED if found.new else _DONE), {
        "statement": found.statement,
        "state": found.state,
        "new": found.new,
        "reduction_t": said.emissions.reduction.t,
        "credit_t": found.result.credit_t,
    }
