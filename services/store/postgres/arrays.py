"""Arrays as PostgreSQL text: a single query parameter of any length."""

from __future__ import annotations

from collections.abc import Iterable


def of_numbers(numbers: Iterable[int]) -> str:
    """Return integers as PostgreSQL array text."""
    return "{" + ",".join(map(str, numbers)) + "}"


def of_ids(ids: Iterable[str]) -> str:
    """Return registry ids, which contain no quotes, as PostgreSQL array text."""
    text = '","'.join(ids)
    return '{"' + text + '"}' if text else "{}"
