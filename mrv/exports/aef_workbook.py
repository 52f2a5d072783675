"""A submission as one workbook, a sheet a table; text is text and never a formula."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

from xlsxwriter import Workbook

from mrv.exports.aef import COLUMNS
from mrv.exports.source import Draft

TITLES = {"T1": "Submission", "T2": "Authorizations", "T3": "Actions", "T4": "Holdings",
          "T5": "Authorized entities"}  # fmt: skip


def workbook(draft: Draft, only: str | None = None) -> bytes:
    """Return the five tables, or one, as XLSX, the same bytes each time."""
    out = BytesIO()
    book = Workbook(out, {"in_memory": True})
    # the submission's day, which every copy has in common
    day = datetime.fromisoformat(draft.tables["T1"][0]["submissionDate"])
    book.set_properties({"title": "Agreed electronic format, Article 6.2", "created": day})
    head = book.add_format({"bold": True, "text_wrap": True})
    for table, columns in COLUMNS.items():
        if only not in (None, table):
            continue
        sheet = book.add_worksheet(f"{table} {TITLES[table]}")
        sheet.set_column(0, len(columns) - 1, 20)
        for column, name in enumerate(columns):
            sheet.write_string(0, column, name, head)
        for number, row in enumerate(draft.tables[table], 1):
            for column, name in enumerate(columns):
                value = row.get(name, "")
                write = sheet.write_number if isinstance(value, int) else sheet.write_string
                write(number, column, value)
    book.close()
    return out.getvalue()
