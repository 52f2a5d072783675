"""A time span in a request: RFC 3339 with offset, or local dates; half-open."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from mrv.calendar import instant_us
from mrv.errors import PeriodError
from services.api.problems import ProblemError

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
    Return a span in microseconds UTC.

    Raises
    ------
    ProblemError
        422, naming what is no time, or both where the span is empty.
    """
    edges = []
    for name, text in (("from", begin), ("to", end)):
        try:
            edges.append(instant_us(text, timezone))
        except PeriodError as error:
            raise ProblemError(422, f"{name}: {error}") from None
        except OverflowError:
            raise ProblemError(422, f"{name} is not a valid date") from None
    if edges[0] >= edges[1]:
        raise ProblemError(422, "the span is empty; `to` must be later than `from`")
    return edges[0], edges[1]
