"""The caller's identity; for administrators API keys and audit rows."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from psycopg import Connection
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.paging import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Admin, Reader
from services.store.api import api_keys
from services.store.api import audit_and_idempotency as api_records

router = APIRouter(tags=["access"])
KeyId = Annotated[str, Path(pattern="^[a-z0-9]{12}$")]
_CREATED, _DONE = 201, 200


@router.get("/me", response_model=shapes.Me)
def me(ask: Reader) -> Response:
    """Return the caller's identity and scope."""
    who = ask.who
    return current({"id": who.id, "name": who.name, "role": who.role, "projects": who.projects})


@router.get("/keys", response_model=list[shapes.Key])
def keys(ask: Admin) -> Response:
    """List API keys, oldest first, without their secrets."""
    with ask.reading() as conn:
        return current([asdict(all_key) for all_key in api_keys.all_keys(conn)])


@router.post("/keys", status_code=_CREATED, response_model=shapes.MadeKey)
def create_key(ask: Admin, body: shapes.NewKey) -> Response:
    """Create an API key; its token is shown only once, so the request has no idempotency key."""
    if ask.request.headers.get("idempotency-key") is not None:
        raise ProblemError(400, "a token is shown only once: omit Idempotency-Key")

    def work(conn: Connection) -> tuple[int, Any]:
        key, token = api_keys.create(
            conn, body.name, body.role, body.projects, ask.who.name, body.expires
        )
        return _CREATED, {**asdict(key), "token": token}

    return ask.write(body.model_dump_json(), work)


@router.delete("/keys/{key}", response_model=shapes.Key)
def revoke_key(ask: Admin, key: KeyId) -> Response:
    """Revoke an API key, from now on."""

    def work(conn: Connection) -> tuple[int, Any]:
        return _DONE, asdict(api_keys.revoke(conn, key))

    return ask.write("", work)


@router.get("/audit", response_model=shapes.pages(shapes.AuditRow))
def audit(ask: Admin, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """List writes and evidence downloads, oldest first."""
    with ask.reading() as conn:
        after = ask.api.cursors.read(("audit", ask.who.id), cursor) or [0]
        rows = [asdict(row) for row in api_records.audit_rows(conn, after[0], limit + 1)]
        return page(ask, ("audit", ask.who.id), limit, rows, lambda row: [row["id"]])
