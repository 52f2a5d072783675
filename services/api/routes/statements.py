"""Statements: issued ones are public, drafts are visible within the caller's scope."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query
from psycopg import Connection
from starlette.responses import Response

from mrv.calendar import utc_text
from mrv.report import MEDIA_TYPES
from services.api import schemas as shapes
from services.api.answers import (
    ACCEPTED_FILE,
    STATEMENT_FORMS,
    VC,
    Preferred,
    ProblemError,
    media_type,
)
from services.api.file_cache import Cursor, Limit, has_already, page
from services.api.principals import Principal, refuse
from services.api.reports import Lang, report
from services.api.request_context import READERS, Ask, Reader, RequestContext
from services.api.routes.registry import unknown
from services.store.statements import statements
from services.store.statements import transparency_log as log
from services.store.statements.statements import Event, Stored
from services.store.views import listing
from services.store.views.listing import PUBLIC_STATES

router = APIRouter(tags=["statements"])
StatementId = Annotated[
    str,
    Path(
        max_length=120, pattern=r"^TN-[A-Za-z0-9_-]+$", examples=["TN-roof-1-20260101-20260201-1"]
    ),
]
Document = Response


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a file that is sent in ranges."""
    content: dict[str, Any] = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"content": content},
        206: {"description": "A part", "content": content},
        304: {"description": "Not modified: the caller has the current version"},
        **ACCEPTED_FILE,
    }


@router.get("/statements", response_model=shapes.pages(shapes.Statement))
def list_statements(
    ask: Ask,
    limit: Limit = 100,
    cursor: Cursor = None,
    project: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")] = None,
) -> Response:
    """List statements in the order of their creation."""
    with ask.reading() as conn:
        of = ("statements", ask.who.id, project)
        after = ask.api.cursors.read(of, cursor)
        seen = None if after is None else (after[0], after[1])
        rows = listing.statements(conn, ask.who.projects, project, seen, limit + 1)
        return page(
            ask, of, limit, rows, lambda row: [row[1], row[0].id], lambda row: _summary(row[0])
        )


@router.get(
    "/statements/{statement}.json",
    responses={200: {"content": {VC: {}, "application/json": {}}}},
    response_class=Document,
)
def document(ask: Ask, statement: StatementId) -> Response:
    """Return the statement itself, byte for byte as its operator signed it."""
    chosen = media_type(_accepted(ask), ("application/json", VC))
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        signed = _documents(statements.events(conn, statement))[0]
    return conditional(ask, signed or stored.body, chosen, stored.state)


@router.get(
    "/statements/{statement}.pdf", responses=_file("application/pdf"), response_class=Document
)
def pdf(ask: Ask, statement: StatementId, lang: Lang = None, prefer: Preferred = None) -> Response:
    """Return statement and verification report as PDF/A, the signed documents attached."""
    del prefer  # read by `report`; declared here for OpenAPI only
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    return report(ask, stored, "pdf", lang)


@router.get(
    "/statements/{statement}.xlsx", responses=_file(MEDIA_TYPES["xlsx"]), response_class=Document
)
def xlsx(
    ask: Reader, statement: StatementId, lang: Lang = None, prefer: Preferred = None
) -> Response:
    """Return the monitoring report as a workbook, with daily sums of every meter."""
    del prefer
    return _workbook(ask, statement, lang)


@router.get(
    "/statements/{statement}/verification.json",
    responses={200: {"content": {"application/json": {}}}},
    response_class=Document,
)
def verification(ask: Ask, statement: StatementId) -> Response:
    """Return the verifier's credential, with exactly the signed bytes."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        opinion = _documents(statements.events(conn, statement))[1]
    if opinion is None:
        raise ProblemError(
            404,
            f"statement {statement} is {stored.state}, not verified yet; request it after "
            "the verification",
        )
    return conditional(ask, opinion, "application/json", stored.state)


@router.get("/statements/{statement}/status", response_model=shapes.Status)
def status(ask: Ask, statement: StatementId) -> Response:
    """Return the current status of a statement: whether it is valid now, and why not."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        last = statements.events(conn, statement)[-1]
        body = {
            "statement": statement,
            "state": last.state,
            "since": last.at,
            "reason": last.reason,
            "superseded_by": statements.successor(conn, statement),
        }
    return conditional(ask, msgspec.json.encode(body), "application/json", stored.state)


@router.get(
    "/statements/{statement}/receipt",
    responses={200: {"content": {"text/plain": {}}}},
    response_class=Document,
)
def receipt(ask: Ask, statement: StatementId) -> Response:
    """Return the proof that the statement's issue is in the log (C2SP tlog-proof)."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        result = log.receipt(conn, statement)
    if result is None:
        raise ProblemError(
            404,
            f"statement {statement} is {stored.state}: it is entered in the log when it is issued",
        )
    return conditional(ask, result.encode(), "text/plain; charset=utf-8", stored.state)


@router.get(
    "/statements/{statement}",
    response_model=shapes.StatementDetail,
    responses={
        200: {"content": {VC: {}, **{media_kind: {} for media_kind in MEDIA_TYPES.values()}}}
    },
)
def detail(ask: Ask, statement: StatementId, lang: Lang = None) -> Response:
    """
    Return a statement, its steps and its signed documents so far.

    `Accept` selects the form: `application/vc` is the signed statement, the media types of PDF and
    workbook are the reports.
    """
    chosen = media_type(_accepted(ask), STATEMENT_FORMS)
    if chosen == MEDIA_TYPES["xlsx"]:
        return _workbook(ask, statement, lang)
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        steps = statements.events(conn, statement)
    if chosen == MEDIA_TYPES["pdf"]:
        return report(ask, stored, "pdf", lang)
    signed, opinion = _documents(steps)
    if chosen == VC:
        return conditional(ask, signed or stored.body, VC, stored.state)
    body = {
        **_summary(stored),
        "events": [
            {"state": e.state, "at": e.at, "by": e.actor, "reason": e.reason} for e in steps
        ],
        "document": msgspec.Raw(signed or stored.body),
        "verification": None if opinion is None else msgspec.Raw(opinion),
    }
    return conditional(ask, msgspec.json.encode(body), "application/json", stored.state)


def _workbook(ask: RequestContext, statement: str, lang: str | None) -> Response:
    """Return the workbook to callers who may see the project's evidence."""
    if ask.who.role not in READERS:
        refuse(ask.who, READERS)
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise unknown("statement", statement)
    return report(ask, stored, "xlsx", lang)


def _accepted(ask: RequestContext) -> str | None:
    """Return the `Accept` header, joined if sent in parts."""
    return ", ".join(ask.request.headers.getlist("accept")) or None


def visible(conn: Connection, who: Principal, statement: str) -> Stored:
    """
    Return a statement visible to the caller.

    Raises ProblemError: 404, equal for hidden and unknown ones.
    """
    stored = statements.seek(conn, statement)
    if stored is None or not (stored.state in PUBLIC_STATES or who.sees(stored.project)):
        raise unknown("statement", statement)
    return stored


def own(ask: RequestContext, conn: Connection, statement: str) -> None:
    """Refuse a statement outside the caller's scope, even a public one."""
    if not ask.who.sees(visible(conn, ask.who, statement).project):
        raise unknown("statement", statement)


def owned(ask: RequestContext, statement: str) -> Callable[[Connection], None]:
    """Return a function that refuses a statement outside the caller's scope."""
    return lambda conn: own(ask, conn, statement)


def conditional(ask: RequestContext, body: bytes, media_type: str, state: str) -> Response:
    """Return a body with its version, or 304 if the caller has this version."""
    tag = f'"{hashlib.sha256(media_type.encode() + body).hexdigest()[:32]}"'
    shared = "public" if state in PUBLIC_STATES else "private"
    headers = {"ETag": tag, "Cache-Control": f"{shared}, no-cache", "Vary": "Authorization, Accept"}
    if has_already(ask.request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _documents(steps: list[Event]) -> tuple[bytes | None, bytes | None]:
    """Return the documents signed by operator and verifier, None for missing ones."""
    stored = {e.state: e.document for e in steps if e.document is not None}
    return stored.get("submitted"), stored.get("verified") or stored.get("rejected")


def _summary(stored: Stored) -> dict[str, Any]:
    return {
        "statement": stored.id,
        "project": stored.project,
        "state": stored.state,
        "from": utc_text(stored.from_us),
        "to": utc_text(stored.to_us),
        "credit_t": stored.credit_t,
        "supersedes": stored.supersedes,
    }
