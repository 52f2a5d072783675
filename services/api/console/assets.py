"""Static files of the console, compressed once and named by their content."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.api.problems import ProblemError

router = APIRouter(include_in_schema=False)
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOREVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """Static file, compressed and uncompressed."""

    media_type: str
    plain: bytes
    packed: bytes


@cache
def load() -> dict[str, Asset]:
    """Return every file by its path."""
    return dict(_walk(resources.files("services.api.console").joinpath("static"), ""))


def _walk(folder: Traversable, path: str) -> list[tuple[str, Asset]]:
    result: list[tuple[str, Asset]] = []
    for item in sorted(folder.iterdir(), key=lambda each: each.name):
        if item.is_dir():
            result += _walk(item, f"{path}{item.name}/")
        elif (suffix := item.name.rpartition(".")[2]) in _TYPES:
            data = item.read_bytes()
            result.append(
                (path + item.name, Asset(_TYPES[suffix], data, gzip.compress(data, 9, mtime=0)))
            )
    return result


@cache
def edition() -> str:
    """Return the part of file URLs that changes with any file."""
    whole = b"".join(name.encode() + asset_.plain for name, asset_ in sorted(load().items()))
    return hashlib.sha256(whole).hexdigest()[:16]


def address(name: str) -> str:
    """Return the URL of a file; KeyError if there is none."""
    load()[name]
    return f"/console/assets/{edition()}/{name}"


@router.get("/console/assets/{of}/{name:path}")
def asset(request: Request, of: str, name: str) -> Response:
    """Return a file; 404 for an outdated URL."""
    result = load().get(name)
    if result is None or of != edition():
        raise ProblemError(404, f"there is no such file: {name[:80]!r}; reload the page")
    packs = "gzip" in request.headers.get("accept-encoding", "")
    more = {"Content-Encoding": "gzip"} if packs else {}
    return Response(
        result.packed if packs else result.plain,
        media_type=result.media_type,
        headers={"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", **more},
    )
