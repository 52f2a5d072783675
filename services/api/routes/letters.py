"""Dead letters of visible devices."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.paging import Cursor, Limit, page
from services.api.request_context import Reader
from services.store.views import listing

router = APIRouter(tags=["dead letters"])


@router.get("/deadletters", response_model=shapes.pages(shapes.Letter))
def letters(
    ask: Reader,
    limit: Limit = 100,
    cursor: Cursor = None,
    reason: Annotated[str | None, Query(max_length=64, pattern="^[a-z_0-9]+$")] = None,
    device: Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9_-]+$")] = None,
) -> Response:
    """
    List rejected messages, newest first, without their bytes.

    `device` also matches unregistered devices: by principal, or by a part of the topic.
    """
    with ask.reading() as conn:
        of: tuple[object, ...] = ("letters", ask.who.id, reason)
        if device is not None:  # marks of before there was a choice of device go on
            of = (*of, device)
        after = ask.api.cursors.read(of, cursor)
        before = None if after is None else int(after[0])
        rows = listing.letters(conn, ask.who.projects, before, limit + 1, reason, device)
        return page(ask, of, limit, rows, lambda row: [row["id"]])
