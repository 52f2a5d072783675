"""
Evidence packs for download: one zip file per statement, made once, sent in ranges.

The zip has the folder of `tonne statement export` in the same order and with fixed times, so that
its bytes are reproducible.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from services.api.jobs import ACCEPTED_FILE, Preferred
from services.api.reports import send_pack
from services.api.request_context import Reader
from services.api.respond_async import later, may_wait
from services.api.routes.registry import unknown
from services.api.routes.statements import StatementId, visible
from services.store.statements.file_jobs import Wanted

router = APIRouter(tags=["statements"])


@router.get(
    "/statements/{statement}/evidence",
    responses={
        200: {"content": {"application/zip": {}}},
        206: {"description": "A part", "content": {"application/zip": {}}},
        304: {"description": "Not modified: the caller has the current version"},
        **ACCEPTED_FILE,
    },
    response_class=Response,
)
def evidence(ask: Reader, statement: StatementId, prefer: Preferred = None) -> Response:
    """Return the evidence pack as a zip; unpack it and run `tonne verify` on the folder."""
    del prefer  # read by `may_wait`, declared for OpenAPI
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        if not ask.who.sees(stored.project):
            raise unknown("statement", statement)
        if not may_wait(ask):
            ask.noted(conn, 200)
    if may_wait(ask):
        return later(ask, Wanted("pack", stored.id, "zip", None))
    return send_pack(ask, stored)
