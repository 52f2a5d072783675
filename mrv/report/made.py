"""A report in one of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mrv.report.words import Words

if TYPE_CHECKING:
    from mrv.report.facts import Facts

Format = Literal["xlsx"]
MEDIA_TYPES: dict[Format, str] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def make(facts: Facts, wanted: Format, language: str) -> bytes:
    """
    Return a report, the same bytes each time.

    Raises
    ------
    ReportError
        If the language is unknown, or the report does not fit its format.
    """
    from mrv.report.sheets import workbook  # noqa: PLC0415 - loads the spreadsheet's writer

    del wanted
    return workbook(facts, Words(language))
