"""
Evidence packs to download: one zip file a statement, made once, sent in ranges.

The zip is the folder that `tonne statement export` writes, in the same order and
with fixed times, so that the same statement gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from services.api import file_cache as kept
from services.api.made_files import make_pack
from services.api.request_context import Reader
from services.api.routes.registry import unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.timestamp_pack import edition
from services.store.statements import transparency_log as log

if TYPE_CHECKING:
    from pathlib import Path

    from services.api.request_context import Asked
    from services.store.statements.statements import Stored

router = APIRouter(tags=["statements"])
_KEPT = 64


@router.get(
    "/statements/{statement}/evidence",
    responses={
        200: {"content": {"application/zip": {}}},
        206: {"description": "A part", "content": {"application/zip": {}}},
        304: {"description": "The caller has it already"},
    },
    response_class=Response,
)
def evidence(ask: Reader, statement: StatementId) -> Response:
    """Return the evidence pack as a zip; unpack it and run `tonne verify` on the folder."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
        if not ask.who.sees(stored.project):
            raise unknown("statement", statement)
        ask.noted(conn, 200)
    file, tag = packed(ask, stored)
    return send_pack(ask, file, tag, statement)


def send_pack(ask: Asked, file: Path, tag: str, statement: str) -> Response:
    """Send a pack to somebody who may have it."""
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{statement}.zip"',
    }
    return kept.sent(ask, file, tag, "application/zip", headers)


def packed(ask: Asked, stored: Stored) -> tuple[Path, str]:
    """
    Return a statement's pack as a file, made now if it is not there, and its edition.

    What changes a pack is its state, witnesses' lines on the log's head and time stamps: all
    are in the file's name.
    """
    with ask.api.files.connection() as conn:
        receipt = log.receipt(conn, stored.id)
        tag = kept.edition(stored.state, receipt or "", edition(conn, stored.id, receipt))
    name, folder = f"{stored.id}.{tag}.zip", ask.api.home / "evidence"
    file = kept.made(folder, name, _KEPT, lambda work: ask.api.maker(make_pack, stored.id, work))
    return file, tag
