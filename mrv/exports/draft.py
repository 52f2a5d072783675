"""What an export wrote, and what it lacks: a row is filled or says which field it misses."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that nobody supplied: of which table, and what supplies it."""

    table: str
    field: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.table}.{self.field}: {self.remedy}"


@dataclass(slots=True)
class Draft:
    """
    An export while it is made.

    Attributes
    ----------
    tables : dict
        Documents or rows by table, in the order of the format.
    missing : list of Missing
        Each one once; empty where the export is complete.
    """

    tables: dict[str, Any] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def lacks(self, table: str, name: str, remedy: str) -> None:
        """Note that a field is missing."""
        one = Missing(table, name, remedy)
        if one not in self.missing:
            self.missing.append(one)

    def row(self, table: str) -> Fields:
        """Begin a row of a table, or a part of a document."""
        return Fields(self, table)


class Fields:
    """
    A row while it is filled.

    Parameters
    ----------
    draft : Draft
        Where it notes what is missing.
    table : str
    """

    def __init__(self, draft: Draft, table: str) -> None:
        self.values: dict[str, Any] = {}
        self._draft, self._table = draft, table

    def put(self, **values: Any) -> Fields:
        """Set optional fields; what is None is left out."""
        self.values |= {name: value for name, value in values.items() if value is not None}
        return self

    def need(self, name: str, value: Any, remedy: str) -> Fields:
        """Set a field that the format requires, or note that it is missing."""
        if value is None or value in ("", ()):
            self._draft.lacks(self._table, name, remedy)
        else:
            self.values[name] = value
        return self

    def known(self, name: str, value: str | None, part: Collection[str], remedy: str) -> Fields:
        """Set a required field of a list that is known in part; name what cannot be checked."""
        self.need(name, value, remedy)
        if value is not None and value not in part:
            self._draft.lacks(
                self._table,
                name,
                f"{value!r} is not in the part of the closed list that is known here; hold it"
                " against the owner's list",
            )
        return self
