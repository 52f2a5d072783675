"""Arrays as PostgreSQL's text of them: one parameter, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable


def of_numbers(numbers: Iterable[int]) -> str:
    """Return whole numbers as text of an array."""
    return "{" + ",".join(map(str, numbers)) + "}"


def of_ids(ids: Iterable[str]) -> str:
    """Return ids of the registry, which hold no quote, as text of an array."""
    text = '","'.join(ids)
    return '{"' + text + '"}' if text else "{}"
