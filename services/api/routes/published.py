"""Public data for checking a statement: JSON Schemas, status lists, trust root."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import Response

from mrv.documents.schemas import DOCUMENTS, schema
from mrv.errors import EnrolmentError
from mrv.signatures import canonical
from services.api import schemas as shapes
from services.api.jobs import ACCEPTED_STEP, Preferred
from services.api.problems import ProblemError
from services.api.request_context import Ask, Operator
from services.api.routes.registry import unknown
from services.api.routes.statements import conditional
from services.api.routes.writes import Named, described, signed
from services.issuer import external_signatures as accept
from services.issuer import trust
from services.store.statements import signed_documents
from services.store.views.listing import PUBLIC_STATES

router = APIRouter(tags=["log"])
ProjectQuery = Annotated[
    str, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$", examples=["roof-1"], description="Whose.")
]
_CREATED = 201
_PUBLIC = PUBLIC_STATES[0]


@router.get(
    "/status-list", responses={200: {"content": {"application/vc": {}}}}, response_class=Response
)
def status_list(ask: Ask, project: ProjectQuery) -> Response:
    """
    Return a project's newest status list, byte for byte as its operator signed it.

    No API key is needed.  409 if a statement has ended since and no newer list exists, as the old
    list would state that it is valid.
    """
    with ask.reading() as conn:
        published = signed_documents.newest_status_list(conn, project)
        if published is None:
            raise ProblemError(
                404,
                f"no status list of project {project!r} was published; its operator "
                f"publishes it with `tonne statement status-list {project}`",
            )
        late = accept.misstated(conn, project, canonical.parse_object(published.document))
    if late:
        raise ProblemError(
            409,
            f"the validity of {', '.join(sorted(late))} ended after the list of "
            f"{published.signed:%Y-%m-%dT%H:%M:%SZ} was signed; ask its operator to "
            "sign a new list",
        )
    return conditional(ask, published.document, "application/vc", _PUBLIC)


@router.post(
    "/status-list",
    status_code=_CREATED,
    response_model=shapes.TakenList,
    responses=ACCEPTED_STEP,
    openapi_extra=described("status-list"),
)
def take_status_list(
    ask: Operator,
    project: ProjectQuery,
    body: Annotated[bytes, signed("status-list")],
    named: Named = None,
    prefer: Preferred = None,
) -> Response:
    """
    Accept a status list that the operator signed elsewhere, and publish it.

    Refused (409) if it contradicts the state of a statement.
    """
    del named, prefer

    def check(conn: Connection) -> None:
        del conn
        if not ask.who.sees(project):
            raise unknown("project", project)

    return ask.step("status-list", project, body, check, f"{project}\n{body.decode()}")


@router.get(
    "/trust-root", responses={200: {"content": {"application/json": {}}}}, response_class=Response
)
def trust_root(ask: Ask) -> Response:
    """
    Return the programme's trust root stored here, for `tonne verify --keys`.

    Compare it with the one published by the programme, as a dishonest server could change it. A
    newer one must follow the rules of the one that you have.
    """
    data = trust.kept_trust_root(ask.api.home)
    if data is None:
        raise ProblemError(404, "no trust root is stored here; `tonne trust pin FILE` stores one")
    try:
        trust.checked(data)
    except EnrolmentError as error:
        raise ProblemError(409, str(error)) from error
    return conditional(ask, data, "application/json", _PUBLIC)


schemas_router = APIRouter(tags=["statements"])
MEDIA_TYPE = "application/schema+json"
_CACHED = {"Cache-Control": "public, max-age=3600"}


@schemas_router.get(
    "/schemas/{name}",
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
    response_class=Response,
)
def one(
    ask: Ask,
    name: Annotated[
        str, Path(max_length=60, description="Name of a document.", examples=["statement"])
    ],
) -> Response:
    """Return the JSON Schema (2020-12) of a document, such as `statement` or `verification`."""
    del ask  # a token that is sent is judged, as everywhere
    if name not in DOCUMENTS:
        raise ProblemError(404, f"there is no schema {name!r}; there are {', '.join(DOCUMENTS)}")
    result: dict[str, Any] = schema(name)
    return Response(msgspec.json.encode(result), media_type=MEDIA_TYPE, headers=_CACHED)
