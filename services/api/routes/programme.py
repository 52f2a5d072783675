"""The programme's two accounts, beside each other."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api import shapes
from services.api.asking import Reader
from services.store.progress import progress_document

router = APIRouter(tags=["programme"])


@router.get("/programme", response_model=shapes.Programme)
def programme(ask: Reader, year: Annotated[int | None, Query(ge=1990, le=2200)] = None) -> Response:
    """
    Return targets and progress by action, and what may be transferred abroad.

    The city's account is modelled, the projects' measured; they are never added.
    """
    with ask.reading() as conn:
        found = progress_document(conn, year)
    return Response(
        msgspec.json.encode(found),
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
