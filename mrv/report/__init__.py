"""
Reports: a statement and its verification as workbook and PDF, and a programme report.

A report contains only contents of the signed documents and their evidence, and is byte-identical
for the same documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

from mrv.errors import ReportError
from mrv.report.report_data import Facts
from mrv.report.words import LANGUAGES, Words

__all__ = ["LANGUAGES", "MEDIA_TYPES", "Facts", "Format", "make", "make_programme"]


Format = Literal["pdf", "xlsx"]
MEDIA_TYPES: dict[Format, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_MAKERS = {"pdf": ("mrv.report.page", "page"), "xlsx": ("mrv.report.sheets", "workbook")}


def make(facts: Facts, wanted: Format, language: str) -> bytes:
    """
    Return a report, byte-identical for the same data.

    Raises ReportError if the language is unknown, the report does not fit its format, or the
    libraries that write it are not installed.
    """
    return _written(*_MAKERS[wanted], facts, language)


def make_programme(document: Mapping[str, Any], wanted: Format, language: str) -> bytes:
    """
    Return a programme report in one of its formats, byte-identical for the same data.

    Raises ReportError as `make` does.
    """
    module, name = _MAKERS[wanted]
    return _written(f"{module}.programme", name, document, language)


def _written(module: str, name: str, of: object, language: str) -> bytes:
    words = Words(language)
    try:
        # the libraries for PDF and workbook are loaded only when a report is written
        maker = getattr(import_module(module), name)
        result: bytes = maker(of, words)
    except ModuleNotFoundError as error:
        raise ReportError(
            f"reports need {error.name}, which is not installed: install tonne's extra `report`"
        ) from error
    return result
