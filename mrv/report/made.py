"""A report in one of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrv.report.page import page
from mrv.report.sheets import workbook
from mrv.report.words import Words

if TYPE_CHECKING:
    from mrv.report.facts import Facts

Format = Literal["pdf", "xlsx"]
MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MAKERS = {"pdf": page, "xlsx": workbook}


def make(facts: Facts, wanted: Format, language: str) -> bytes:
    """
    Return a report, the same bytes each time.

    Raises
    ------
    ReportError
        If the language is unknown, or the report does not fit its format.
    """
    return _MAKERS[wanted](facts, Words(language))
