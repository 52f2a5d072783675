"""A span of time as one types it: RFC 3339 with offset, or local dates; half-open."""

from __future__ import annotations

from mrv.calendar import instant_us
from mrv.errors import PeriodError


def span_us(begin: str, end: str, timezone: str) -> tuple[int, int]:
    """
    Microseconds UTC of `--from` and `--to`.

    Raises
    ------
    PeriodError
        Naming the option that is no time, or both where the span is empty.
    """
    edges = []
    for option, text in (("--from", begin), ("--to", end)):
        try:
            edges.append(instant_us(text, timezone))
        except PeriodError as error:
            raise PeriodError(f"{option}: {error}") from None
        except OverflowError:
            raise PeriodError(f"{option}: {text!r} is out of the calendar") from None
    if edges[0] >= edges[1]:
        raise PeriodError(f"--from {begin} --to {end} is empty; --to must be later")
    return edges[0], edges[1]
