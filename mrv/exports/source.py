"""An issued statement, as exports take it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from mrv.calendar import instant_us
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Claims, Period
from mrv.documents.verification import Verification
from mrv.errors import ExportError


@dataclass(frozen=True)
class Source:
    """
    A statement that is issued and not superseded.

    Attributes
    ----------
    claims : Claims
    opinion : Verification
    plan : PlanExtract
        The registry extract, for places and the expected reduction.
    lacking : tuple of str
        What a reader of the pack lacks to rely on it, in sentences.
    """

    claims: Claims
    opinion: Verification
    plan: PlanExtract
    lacking: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The statement's id."""
        return self.claims.statement

    @property
    def credited(self) -> int:
        """Whole tonnes credited. [t]"""
        return int(self.claims.credited.t)

    def vintage(self, year: int) -> int | None:
        """Whole tonnes credited of a vintage; None where the statement has none of it. [t]"""
        found = (v for v in self.claims.credited.vintages if v.year == year)
        return next((int(v.credited_t) for v in found), None)


def check_issued(name: str, state: str, successor: str | None = None) -> None:
    """
    Refuse a statement that is not issued, or was superseded.

    Raises
    ------
    ExportError
        Naming its state, or the statement that replaced it.
    """
    if state != "issued":
        raise ExportError(
            f"{name} is {state}; only issued statements are exported, issue it first or name the"
            " one that counts"
        )
    if successor is not None:
        raise ExportError(f"{name} was superseded by {successor}; export that one")


def check_one_project(sources: Sequence[Source]) -> str:
    """
    Return the project of all sources.

    Raises
    ------
    ExportError
        If they are of several.
    """
    found = sorted({one.claims.project.id for one in sources})
    if len(found) != 1:
        raise ExportError(f"statements of {', '.join(found)}; export one project at a time")
    return found[0]


def check_together(sources: Sequence[Source]) -> None:
    """
    Refuse two statements of one project and one time.

    Parameters
    ----------
    sources : sequence of Source
        By begin of their periods.

    Raises
    ------
    ExportError
        Naming both.
    """
    last: dict[str, Source] = {}
    for one in sources:
        before = last.get(one.claims.project.id)
        if before is not None and begin_us(one) < instant_us(
            before.claims.monitoring_period.to, "UTC"
        ):
            raise ExportError(
                f"{before.name} and {one.name} are of the same time; give the one that counts"
            )
        last[one.claims.project.id] = one


def begin_us(source: Source) -> int:
    """Begin of the monitoring period. [us]"""
    return instant_us(source.claims.monitoring_period.from_, "UTC")


def number_of(value: Any) -> Decimal:
    """Read a number of the plan, where decimals are `{"$decimal": text}`."""
    return Decimal(str(value["$decimal"] if isinstance(value, dict) else value))


def days(period: Period) -> tuple[date, date]:
    """First and last local day of a half-open period."""
    first, end = (date.fromisoformat(edge[:10]) for edge in (period.local_from, period.local_to))
    midnight = period.local_to[11:19] == "00:00:00"
    return first, end - timedelta(days=1) if midnight else end
