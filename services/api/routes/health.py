"""Health and metrics of the process."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.api.problems import ProblemError
from services.store.postgres import migrate

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def healthz() -> Response:
    """Answer that the process runs; no server is asked."""
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz")
def readyz(request: Request) -> Response:
    """Answer whether the database is available with the schema of this version."""
    with request.app.state.api.reads.connection(timeout=2) as conn:
        lacks = migrate.what_lacks(conn)
    if lacks:
        raise ProblemError(503, f"{lacks}: `tonne migrate`")
    return Response("ready\n", media_type="text/plain")


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return the metrics for a scrape."""
    text = generate_latest(request.app.state.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
