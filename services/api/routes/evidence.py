"""
Evidence packs to download: one zip file a statement, made once, sent in ranges.

The zip is the folder that `tonne statement export` writes, in the same order and
with fixed times, so that the same statement gives the same bytes.
"""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import Response

from services.api import file_cache as kept
from services.api.request_context import Reader
from services.api.routes.registry import unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.pack import export
from services.issuer.timestamp_pack import edition
from services.store.statements import transparency_log as log

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.api.request_context import Asked
    from services.store.statements.statements import Stored

router = APIRouter(tags=["statements"])
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name
_KEPT = 64
_MODE = 0o100644 << 16


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
    with ask.api.files.connection() as conn:
        file, tag = packed(conn, ask.api.home / "evidence", stored)
    return send_pack(ask, file, tag, statement)


def send_pack(ask: Asked, file: Path, tag: str, statement: str) -> Response:
    """Send a pack to somebody who may have it."""
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{statement}.zip"',
    }
    return kept.sent(ask, file, tag, "application/zip", headers)


def packed(conn: Connection[TupleRow], folder: Path, stored: Stored) -> tuple[Path, str]:
    """
    Return a statement's pack as a file, made now if it is not there, and its edition.

    What changes a pack is its state, witnesses' lines on the log's head and time stamps: all
    are in the file's name.
    """
    receipt = log.receipt(conn, stored.id)
    tag = kept.edition(stored.state, receipt or "", edition(conn, stored.id, receipt))

    def make(work: Path) -> Path:
        export(conn, stored.id, work / "pack")
        _zip(work / "pack", work / "pack.zip", stored.id)
        return work / "pack.zip"

    return kept.made(folder, f"{stored.id}.{tag}.zip", _KEPT, make), tag


def _zip(folder: Path, file: Path, name: str) -> None:
    with zipfile.ZipFile(file, "w") as out:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry.external_attr = _MODE
            # Parquet is compressed already
            stored = path.suffix == ".parquet"
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, out.open(entry, "w") as target:
                shutil.copyfileobj(source, target)
