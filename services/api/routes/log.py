"""The transparency log with its proofs; public data for checking a statement."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import Response

from mrv.documents.verification import DOCUMENTS, schema
from mrv.errors import EnrolmentError
from mrv.signatures import canonical
from mrv.signatures.merkle_tree import consistency_proof, inclusion_proof, root_hash
from services.api import schemas as shapes
from services.api.answers import ACCEPTED_STEP, ProblemError
from services.api.request_context import Ask, Operator
from services.api.routes.registry import unknown
from services.api.routes.statements import conditional
from services.api.routes.writes import STEP, described, signed
from services.issuer import external_signatures as accept
from services.issuer import trust
from services.store.statements import evidence
from services.store.statements import transparency_log as log
from services.store.views.listing import PUBLIC_STATES

router = APIRouter(prefix="/log", tags=["log"])
_LARGEST = 2**62
Size = Annotated[
    int | None, Query(ge=1, le=_LARGEST, description="Size of the log; default: the current size.")
]
Index = Annotated[int, Query(ge=0, le=_LARGEST, description="Index of the entry, from 0.")]


@router.get(
    "/checkpoint", responses={200: {"content": {"text/plain": {}}}}, response_class=Response
)
def checkpoint(ask: Ask) -> Response:
    """Return the last signed head, as a note (C2SP tlog-checkpoint), with its witnesses' lines."""
    with ask.reading() as conn:
        note = log.checkpoint(conn, cosigned=ask.api.waits)
    if note is None:
        if ask.api.waits:
            raise ProblemError(
                404,
                "the log has no head yet with cosignatures of enough witnesses; try again later",
            )
        raise ProblemError(404, "the log is empty; it begins with the first seal or statement")
    return Response(note.encode(), media_type="text/plain; charset=utf-8", headers=_FRESH)


@router.get("/entries/{index}", response_model=shapes.Entry)
def entry(ask: Ask, index: Annotated[int, Path(ge=0, le=_LARGEST)]) -> Response:
    """Return an entry of the log."""
    with ask.reading() as conn:
        result = log.entry(conn, index)
    if result is None:
        raise ProblemError(
            404, f"the log has no entry {index}; GET /v1/log/checkpoint states its size"
        )
    return _json(
        {
            "index": result.index,
            "kind": result.kind,
            "statement": result.statement,
            "appended": result.appended,
            "body": result.body.decode(),
            "leaf_hash": _text(result.leaf),
        }
    )


@router.get("/proof/inclusion", response_model=shapes.Inclusion)
def inclusion(ask: Ask, index: Index, size: Size = None) -> Response:
    """Return the proof that an entry is in the log at a size."""
    with ask.reading() as conn:
        leaves = _leaves(log.leaves(conn), size)
    if index >= len(leaves):
        raise ProblemError(
            404, f"entry {index} is not in a log of {len(leaves)} entries; request a smaller index"
        )
    return _json(
        {
            "index": index,
            "size": len(leaves),
            "leaf_hash": _text(leaves[index]),
            "root_hash": _text(root_hash(leaves)),
            "hashes": [_text(hash_) for hash_ in inclusion_proof(index, leaves)],
        }
    )


@router.get("/proof/consistency", response_model=shapes.Consistency)
def consistency(
    ask: Ask,
    first: Annotated[int, Query(ge=1, le=_LARGEST, description="The earlier size of the log.")],
    second: Size = None,
) -> Response:
    """Return the consistency proof between two sizes of the log."""
    with ask.reading() as conn:
        leaves = _leaves(log.leaves(conn), second)
    if first > len(leaves):
        raise ProblemError(
            422, f"`first` is {first}, but the later size is {len(leaves)}; send a smaller `first`"
        )
    return _json(
        {
            "first": first,
            "second": len(leaves),
            "first_root": _text(root_hash(leaves[:first])),
            "second_root": _text(root_hash(leaves)),
            "hashes": [_text(hash_) for hash_ in consistency_proof(first, leaves)],
        }
    )


_FRESH = {"Cache-Control": "no-cache"}


def _leaves(leaves: list[bytes], size: int | None) -> list[bytes]:
    if not leaves or (size or 0) > len(leaves):
        raise ProblemError(
            404, f"the log has {len(leaves)} entries; request a size from 1 to that number"
        )
    return leaves[:size]


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers=_FRESH)


published_router = APIRouter(tags=["log"])
ProjectQuery = Annotated[
    str,
    Query(
        max_length=64, pattern="^[A-Za-z0-9_-]+$", examples=["roof-1"], description="Project's id."
    ),
]
_CREATED = 201
_PUBLIC = PUBLIC_STATES[0]


@published_router.get(
    "/status-list", responses={200: {"content": {"application/vc": {}}}}, response_class=Response
)
def status_list(ask: Ask, project: ProjectQuery) -> Response:
    """
    Return a project's newest status list, byte for byte as its operator signed it.

    No API key is needed.  409 if a statement has ended since and no newer list exists, as the old
    list would state that it is valid.
    """
    with ask.reading() as conn:
        published = evidence.newest_status_list(conn, project)
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
            f"statements {', '.join(sorted(late))} are no longer valid, which the status list of"
            f" project {project!r}, signed {published.signed:%Y-%m-%dT%H:%M:%SZ}, does not state;"
            " ask the project's operator to sign a new status list",
        )
    return conditional(ask, published.document, "application/vc", _PUBLIC)


@published_router.post(
    "/status-list",
    status_code=_CREATED,
    response_model=shapes.TakenList,
    responses=ACCEPTED_STEP,
    openapi_extra=described("status-list"),
    dependencies=STEP,
)
def take_status_list(
    ask: Operator, project: ProjectQuery, body: Annotated[bytes, signed("status-list")]
) -> Response:
    """
    Accept a status list that the operator signed elsewhere, and publish it.

    Refused (409) if it contradicts the state of a statement.
    """

    def check(conn: Connection) -> None:
        del conn
        if not ask.who.sees(project):
            raise unknown("project", project)

    return ask.step("status-list", project, body, check, f"{project}\n{body.decode()}")


@published_router.get(
    "/trust-root", responses={200: {"content": {"application/json": {}}}}, response_class=Response
)
def trust_root(ask: Ask) -> Response:
    """
    Return the programme's trust root stored here, for `tonne verify --keys`.

    Compare it with the one published by the programme, as a dishonest server could change it. A
    newer version is valid only if it satisfies the version that you have.
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
def document_schema(
    ask: Ask,
    name: Annotated[
        str, Path(max_length=60, description="Name of a document.", examples=["statement"])
    ],
) -> Response:
    """Return the JSON Schema (2020-12) of a document, such as `statement` or `verification`."""
    del ask  # nothing else is used; the parameter makes the route refuse an invalid token
    if name not in DOCUMENTS:
        raise ProblemError(404, f"there is no schema {name!r}; there are {', '.join(DOCUMENTS)}")
    result: dict[str, Any] = schema(name)
    return Response(msgspec.json.encode(result), media_type=MEDIA_TYPE, headers=_CACHED)
