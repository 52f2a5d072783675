"""
Export files for registries and ministries, from issued statements.

Each field is calculated from a statement, entered by an authority (`entered`), or reported as
missing.  No value is invented; only credited whole tonnes are written.  This file has the common
parts of all exports: issued statements, rows with missing fields, and lists of the formats.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from mrv.calendar import instant_us
from mrv.documents.plan import PlanExtract
from mrv.documents.statement import Claims, Period
from mrv.documents.verification import Verification
from mrv.errors import ExportError
from mrv.texts import Text


@cache
def cdop_lists() -> dict[str, Any]:
    """Return enumerations of the Carbon Data Open Protocol's schemas."""
    return _table("cdop_lists.toml")


@cache
def cad_trust_lists() -> dict[str, dict[str, list[str]]]:
    """Return picklists of CAD Trust: complete ones (`whole`), and those known in part (`part`)."""
    return _table("cad_trust_lists.toml")


def country(code: str) -> str | None:
    """Return the name of a country by its ISO 3166-1 alpha-3 code; None if unknown."""
    name = _countries()["names"].get(code)
    return None if name is None else str(name)


def is_party(code: str) -> bool:
    """Return whether a country is a Party to the Paris Agreement."""
    result = _countries()
    return code in result["names"] and code not in result["not_parties"]


@cache
def _countries() -> dict[str, Any]:
    return _table("countries.toml")


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / name).read_text("utf-8"))


@dataclass(frozen=True)
class Source:
    """
    A statement that is issued and not superseded.

    `plan`: the registry extract, for places and the expected reduction.
    `lacking`: evidence missing for reliance on the pack, in sentences.
    """

    claims: Claims
    opinion: Verification
    plan: PlanExtract
    lacking: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return the statement's id."""
        return self.claims.statement

    @property
    def credited(self) -> int:
        """Return the whole tonnes credited. [t]"""
        return int(self.claims.credited.t)

    def vintage(self, year: int) -> int | None:
        """Return whole tonnes credited of a vintage; None without any. [t]"""
        result = (v for v in self.claims.credited.vintages if v.year == year)
        return next((int(v.credited_t) for v in result), None)


def check_issued(name: str, state: str, successor: str | None = None) -> None:
    """
    Check that a statement is issued and not superseded.

    Raises ExportError that names its state, or the statement that replaced it.
    """
    if state != "issued":
        raise ExportError(
            f"{name} is {state}; only issued statements are exported, issue it first or name the "
            "valid one"
        )
    if successor is not None:
        raise ExportError(f"{name} was superseded by {successor}; export that one")


def check_one_project(sources: Sequence[Source]) -> str:
    """Return the project of all sources. Raises ExportError if they are of several projects."""
    result = sorted({source.claims.project.id for source in sources})
    if len(result) != 1:
        raise ExportError(
            f"the statements belong to several projects: {', '.join(result)}; export "
            "one project at a time"
        )
    return result[0]


def check_together(sources: Sequence[Source]) -> None:
    """
    Check that no two statements of one project cover the same time.

    `sources`: sources in order of their periods.
    Raises ExportError, naming both.
    """
    last: dict[str, Source] = {}
    for source in sources:
        before = last.get(source.claims.project.id)
        if before is not None and begin_us(source) < instant_us(
            before.claims.monitoring_period.to, "UTC"
        ):
            raise ExportError(
                f"{before.name} and {source.name} cover the same time; pass only the valid one"
            )
        last[source.claims.project.id] = source


def begin_us(source: Source) -> int:
    """Return the start of the monitoring period. [us UTC]"""
    return instant_us(source.claims.monitoring_period.from_, "UTC")


def number_of(value: Any) -> Decimal:
    """Return a number of the plan extract, in which decimals are `{"$decimal": text}`."""
    return Decimal(str(value["$decimal"] if isinstance(value, dict) else value))


def days(period: Period) -> tuple[date, date]:
    """Return the first and last local day of a half-open period."""
    first, end = (date.fromisoformat(edge[:10]) for edge in (period.local_from, period.local_to))
    midnight = period.local_to[11:19] == "00:00:00"
    return first, end - timedelta(days=1) if midnight else end


@dataclass(frozen=True, slots=True)
class Missing:
    """A missing field: its table and name, and where its value is entered."""

    table: str
    field: str
    remedy: str | Text

    def __str__(self) -> str:
        return f"{self.table}.{self.field}: {self.remedy}"


@dataclass(slots=True)
class Draft:
    """
    An export that is being composed.

    `tables`: documents or rows by table, in the order of the format.
    `missing`: each missing field once; empty if the export is complete.
    """

    tables: dict[str, Any] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def lacks(self, table: str, name: str, remedy: str | Text) -> None:
        """Record that a field is missing."""
        missing = Missing(table, name, remedy)
        if missing not in self.missing:
            self.missing.append(missing)

    def row(self, table: str) -> Fields:
        """Start a row of a table, or a part of a document."""
        return Fields(self, table)


class Fields:
    """
    Row of an export's table that is being composed.

    `draft`: export in which missing fields are recorded.
    """

    def __init__(self, draft: Draft, table: str) -> None:
        self.values: dict[str, Any] = {}
        self._draft, self._table = draft, table

    def put(self, **values: Any) -> Fields:
        """Set optional fields; None is omitted."""
        self.values |= {name: value for name, value in values.items() if value is not None}
        return self

    def need(self, name: str, value: Any, remedy: str) -> Fields:
        """Set a field that the format requires, or record that it is missing."""
        if value is None or value in ("", ()):
            self._draft.lacks(self._table, name, remedy)
        else:
            self.values[name] = value
        return self

    def known(self, name: str, value: str | None, part: Collection[str], remedy: str) -> Fields:
        """
        Set a required field whose permitted values are known in part only; record values that
        cannot be checked.
        """
        self.need(name, value, remedy)
        if value is not None and value not in part:
            self._draft.lacks(
                self._table,
                name,
                f"{value!r} is not in the part of the closed list that tonne has; compare it "
                "with the owner's list",
            )
        return self
