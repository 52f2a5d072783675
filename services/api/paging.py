"""
Uncached JSON answers, paged lists, and time spans in requests (RFC 3339 with offset, or
local dates).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Query
from starlette.responses import Response

from mrv.calendar import instant_us
from mrv.errors import PeriodError
from services.api.problems import ProblemError
from services.api.request_context import Asked

From = Annotated[
    str,
    Query(
        alias="from",
        description="Start, included: RFC 3339 with offset, or a local date of the site.",
        examples=["2026-01-01"],
        max_length=40,
    ),
]
To = Annotated[
    str, Query(alias="to", description="End, without.", examples=["2026-02-01"], max_length=40)
]


def span_us(begin: str, end: str, timezone: str) -> tuple[int, int]:
    """
    Return a time span in microseconds UTC, end excluded.

    Raises
    ------
    ProblemError
        422, naming the invalid time, or both for an empty span.
    """
    edges = []
    for name, text in (("from", begin), ("to", end)):
        try:
            edges.append(instant_us(text, timezone))
        except PeriodError as error:
            raise ProblemError(422, f"{name}: {error}") from None
        except OverflowError:
            raise ProblemError(422, f"{name} is not a valid date; write it as 2026-01-31") from None
    if edges[0] >= edges[1]:
        raise ProblemError(422, "the span is empty; `to` must be later than `from`")
    return edges[0], edges[1]


MOST = 1_000
Limit = Annotated[int, Query(ge=1, le=MOST, description="Maximum number of items on the page.")]
Cursor = Annotated[str | None, Query(description="`next` of the previous page.", max_length=2_048)]


def current(body: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer that caches do not store."""
    return Response(
        msgspec.json.encode(body),
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def page(
    ask: Asked,
    of: tuple[object, ...],
    limit: int,
    rows: Sequence[Any],
    key: Callable[[Any], list[Any]],
    shown: Callable[[Any], Any] = lambda row: row,
) -> Response:
    """
    Return a page of a list.

    Parameters
    ----------
    of : tuple
        The list and its filters, to which the next page's cursor is bound.
    rows : sequence
        Up to one row more than `limit`, if there is a next page.
    key : callable
        Returns a row's key for the cursor.
    """
    items = rows[:limit]
    mark = ask.api.cursors.make(of, key(items[-1])) if len(rows) > limit else None
    headers = {}
    if mark is not None:
        url = ask.request.url.include_query_params(cursor=mark)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return current({"items": [shown(row) for row in items], "next": mark}, headers)
