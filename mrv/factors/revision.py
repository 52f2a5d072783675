"""
What a newer factor book changes in a period that was closed with an older one.

The usual case: a year had no official value, the last one went on as provisional,
and now the official one is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mrv.calendar import years
from mrv.factors.ledger import Ledger
from mrv.model import Factor, Factors


@dataclass(frozen=True, slots=True)
class Change:
    """Factors of one kind in a statement, and those that would be used today."""

    kind: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    provisional: bool


def used_by(
    ask: Callable[[Factors, int], object], span_us: tuple[int, int], timezone: str, book: Factors
) -> list[Factor]:
    """
    Factors that a project's account asks for in a period.

    Parameters
    ----------
    ask : callable
        Computes a unit of a local calendar year with the factors it is given.
    span_us : tuple of int
        Half-open. [us UTC]
    """
    ledger = Ledger(book)
    for year, _, _ in years(*span_us, timezone):
        ask(ledger, year)
    return ledger.used()


def changes(said: Iterable[Mapping[str, Any]], now: Iterable[Factor]) -> Iterator[Change]:
    """
    Compare the factors of a statement with those of today, kind by kind.

    Parameters
    ----------
    said : iterable of mapping
        `factors` of a statement: kind, id, value, provisional.
    now : iterable of Factor
        What the same account uses today.
    """
    today: dict[str, set[str]] = {}
    for factor in now:
        today.setdefault(factor.kind, set()).add(_told(factor.id, factor.text, factor.unit))
    before: dict[str, set[str]] = {}
    carried: set[str] = set()
    for one in said:
        before.setdefault(one["kind"], set()).add(_told(one["id"], one["value"], one["unit"]))
        if one["provisional"]:
            carried.add(one["kind"])
    for kind in sorted(before.keys() & today.keys()):
        if before[kind] != today[kind]:
            was, is_ = tuple(sorted(before[kind])), tuple(sorted(today[kind]))
            yield Change(kind, was, is_, kind in carried)


def _told(identifier: str, value: str, unit: str) -> str:
    return f"{identifier} = {value} {unit}"
