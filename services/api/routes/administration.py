"""Identity of the caller, enrolled keys, health, API keys and the audit of their use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Connection
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.paging import Cursor, Limit, current, page
from services.api.problems import ProblemError
from services.api.request_context import Admin, Ask, Reader
from services.store.api import api_keys
from services.store.api import audit_and_idempotency as api_records
from services.store.postgres import migrate
from services.store.registry import signing_keys as enrolled

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


keys_router = APIRouter(tags=["log"])


@keys_router.get("/keyring", response_model=shapes.Keyring)
def keyring(ask: Ask) -> Response:
    """
    List the enrolled public keys, as a keyring for `tonne verify --keys`.

    Compare them with those published by their holders, as a dishonest server could change this
    list.
    """
    with ask.reading() as conn:
        result = [enrolment.key.to_json() for enrolment in enrolled.load(conn)]
    return Response(
        msgspec.json.encode({"keys": result}),
        media_type="application/json",
        headers={"Cache-Control": "no-cache"},
    )


health_router = APIRouter(include_in_schema=False)


@health_router.get("/healthz")
async def healthz() -> Response:
    """Answer that the process runs; no server is asked."""
    return Response("ok\n", media_type="text/plain")


@health_router.get("/readyz")
def readyz(request: Request) -> Response:
    """Answer whether the database is available with the schema of this version."""
    with request.app.state.api.reads.connection(timeout=2) as conn:
        lacks = migrate.what_lacks(conn)
    if lacks:
        raise ProblemError(503, f"{lacks}: `tonne migrate`")
    return Response("ready\n", media_type="text/plain")


@health_router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return the metrics for a scrape."""
    text = generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
