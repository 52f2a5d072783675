"""
Evidence packs to download: one zip file a statement, made once, sent in ranges.

The zip is the folder that `tonne statement export` writes, in the same order and
with fixed times, so that the same statement gives the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.responses import FileResponse, Response

from services.api.asking import Reader
from services.api.routes.registry import unknown
from services.api.routes.statements import StatementId, visible
from services.issuer.pack import export
from services.store import log

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.store.statements import Stored

router = APIRouter(tags=["statements"])
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can name
_MADE = "Tue, 01 Jan 1980 00:00:00 GMT"
_KEPT = 64
_MODE = 0o100644 << 16
_one_at_a_time = threading.Lock()


@router.get(
    "/statements/{statement}/evidence",
    responses={
        200: {"content": {"application/zip": {}}},
        206: {"description": "A part", "content": {"application/zip": {}}},
        416: {"description": "No such range", "content": {"text/plain": {}}},
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
        with ask.api.writes.connection() as reading:
            file = packed(reading, ask.api.home / "evidence", stored)
    return FileResponse(
        file,
        media_type="application/zip",
        filename=f"{statement}.zip",
        headers={
            "Cache-Control": "private, no-cache",
            # of its edition: a pack that was made again is the same, whatever its file's time
            "ETag": f'"{file.suffixes[0][1:]}"',
            "Last-Modified": _MADE,
        },
    )


def packed(conn: Connection[TupleRow], folder: Path, stored: Stored) -> Path:
    """
    Return a statement's pack as a file, made now if it is not there.

    What changes a pack is its state and witnesses' lines on the log's head: both are in
    the file's name.
    """
    receipt = log.receipt(conn, stored.id) or ""
    edition = hashlib.sha256(f"{stored.state}\n{receipt}".encode()).hexdigest()[:16]
    file = folder / f"{stored.id}.{edition}.zip"
    with _one_at_a_time:
        if file.exists():
            return file
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder))
        try:
            export(conn, stored.id, work / "pack")
            _zip(work / "pack", work / "pack.zip", stored.id)
            (work / "pack.zip").replace(file)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        _forget_oldest(folder)
    return file


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


def _forget_oldest(folder: Path) -> None:
    """Keep the packs made last; others are made again when asked for."""
    files = sorted(folder.glob("*.zip"), key=lambda one: one.stat().st_mtime)
    for file in files[:-_KEPT]:
        file.unlink(missing_ok=True)
