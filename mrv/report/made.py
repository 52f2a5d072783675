"""A report in one of its formats."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Literal

from mrv.errors import ReportError
from mrv.report.words import Words

if TYPE_CHECKING:
    from mrv.report.facts import Facts

Format = Literal["pdf", "xlsx"]
MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MAKERS = {"pdf": ("mrv.report.page", "page"), "xlsx": ("mrv.report.sheets", "workbook")}


def make(facts: Facts, wanted: Format, language: str) -> bytes:
    """
    Return a report, the same bytes each time.

    Raises
    ------
    ReportError
        If the language is unknown, the report does not fit its format, or the
        libraries that write it are not installed.
    """
    words = Words(language)
    module, name = _MAKERS[wanted]
    try:
        # the typesetter and the spreadsheet's writer are loaded by whoever makes a report
        maker = getattr(import_module(module), name)
        found: bytes = maker(facts, words)
    except ModuleNotFoundError as error:
        raise ReportError(
            f"reports need {error.name}, which is not installed: pip install 'tonne[report]'"
        ) from error
    return found
