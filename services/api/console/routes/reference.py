"""
The API reference as a page, rendered from the OpenAPI document in the browser.

Swagger UI 5 (Apache-2.0) lets an auditor try each request with a token; it is served from here, and
the page's policy permits no other source.
"""

from __future__ import annotations

import hashlib
import threading

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from services.api.console.render import address
from services.api.file_cache import has_already

router = APIRouter(include_in_schema=False)
_writing = threading.Lock()
# its drawings stand in its style sheet, and it sets styles on what it draws
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>API reference - tonne</title>
<link rel="stylesheet" href="{style}">
<link rel="icon" href="{icon}" type="image/svg+xml">
<script src="{program}" defer></script>
<script type="module" src="{start}"></script>
</head>
<body>
<main id="reference"></main>
<noscript>This page needs JavaScript; the document is at <a href="/v1/openapi.json">/v1/openapi.json</a>.</noscript>
</body>
</html>
"""  # noqa: E501 - a page


@router.get("/reference")
async def reference() -> Response:
    """Return the page of the API reference."""
    text = _PAGE.format(
        style=address("vendor/swagger-ui.css"),
        icon=address("icon.svg"),
        program=address("vendor/swagger-ui.js"),
        start=address("reference.mjs"),
    )
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return HTMLResponse(text, headers=headers)


@router.get("/openapi.json")
def document(request: Request) -> Response:
    """Return the OpenAPI document, encoded once as that takes long."""
    state = request.app.state
    with _writing:
        if getattr(state, "described", None) is None:
            written = msgspec.json.encode(request.app.openapi())
            state.described = written, f'"{hashlib.sha256(written).hexdigest()[:32]}"'
    body, tag = state.described
    headers = {"ETag": tag, "Cache-Control": "public, no-cache"}
    if has_already(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
