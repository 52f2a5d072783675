"""JSON Schema of the signed documents, for readers with their own tools."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path
from starlette.responses import Response

from mrv.documents.schemas import DOCUMENTS, schema
from services.api.problems import ProblemError
from services.api.request_context import Ask

router = APIRouter(tags=["statements"])
MEDIA_TYPE = "application/schema+json"
_CACHED = {"Cache-Control": "public, max-age=3600"}


@router.get(
    "/schemas/{name}",
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}},
    response_class=Response,
)
def one(
    ask: Ask,
    name: Annotated[
        str, Path(max_length=60, description="Name of a document.", examples=["statement"])
    ],
) -> Response:
    """Return the JSON Schema (2020-12) of a document, such as `statement` or `verification`."""
    del ask  # a token that is sent is judged, as everywhere
    if name not in DOCUMENTS:
        raise ProblemError(404, f"there is no schema {name!r}; there are {', '.join(DOCUMENTS)}")
    result: dict[str, Any] = schema(name)
    return Response(msgspec.json.encode(result), media_type=MEDIA_TYPE, headers=_CACHED)
