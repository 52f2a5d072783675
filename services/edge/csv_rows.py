"""
The rows of a CSV file as a program in a plant wrote it: all of them, or the line that is wrong.

Whatever could be a smaller number than was written is refused: a row with fewer or more
cells than the header, a decimal comma among commas, numbers with points beside numbers
with commas.  A last line that nothing ends is handed back apart, for it may be cut.
"""

from __future__ import annotations

import csv
import io
import math
from _csv import Reader
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from services.edge.config import CsvFolder
from services.edge.outbox import Record
from services.registry.fields import ID

MOST_BYTES = 64 << 20
_DELIMITERS = ",;\t"


def decoded(data: bytes) -> str:
    """
    Return a file's text.

    Raises
    ------
    ValueError
        When it is too long, or no UTF-8; naming the line.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"has {len(data)} bytes; split it into files below 64 MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8; save the file as UTF-8") from None


def parted(text: str) -> tuple[str, str]:
    """Return the lines that a newline ends, and what follows the last of them."""
    end = text.rfind("\n") + 1
    return text[:end], text[end:]


def records(text: str, source: CsvFolder) -> list[Record]:
    """
    Return the rows of a text.

    Raises
    ------
    ValueError
        Naming the line, the column and the value.
    """
    head = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        return list(_records(rows, _Numbers(comma=delimiter != ","), source))
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}; end lines with a newline") from None


def _records(rows: Reader, numbers: _Numbers, source: CsvFolder) -> Iterator[Record]:
    names = next(rows, [])
    _check_header(names, source)
    for cells in rows:
        if cells:
            line = rows.line_num
            yield _record(_named(names, cells, line), line, numbers, source)


def _check_header(names: Sequence[str], source: CsvFolder) -> None:
    wanted = [source.time_column, *source.columns]
    wanted += [source.device_column] if source.device_column else []
    for fault, found in (
        ("no column", [name for name in wanted if name not in names]),
        ("two columns", [name for name in wanted if names.count(name) > 1]),
    ):
        if found:
            raise ValueError(f"line 1: {fault} {', '.join(map(repr, found))}")


def _named(names: Sequence[str], cells: Sequence[str], line: int) -> dict[str, str]:
    """Return a row by its header; a cell too many that is empty is only a last delimiter."""
    if len(cells) < len(names) or any(cells[len(names) :]):
        raise ValueError(
            f"line {line} has {len(cells)} cells and the header {len(names)}; is it cut, or is "
            "there a decimal comma in a file with commas between its cells?"
        )
    return {name: cell.strip() for name, cell in zip(names, cells, strict=False)}


def _record(row: dict[str, str], line: int, numbers: _Numbers, source: CsvFolder) -> Record:
    device = source.device or row[source.device_column or ""]
    if not ID.match(device):
        raise ValueError(f"line {line}: {device!r} is no device id")
    values = {
        channel: numbers.read(row[column], line, column)
        for column, channel in source.columns.items()
        if row[column]
    }
    return Record(device, {"ts": _time(row[source.time_column], line, source), "values": values})


def _time(text: str, line: int, source: CsvFolder) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"line {line}: {text!r} is no time; write 2026-01-31T12:00:00+07:00"
        ) from None
    if moment.tzinfo is None:
        if source.timezone is None:
            raise ValueError(f"line {line}: {text!r} has no offset; set the source's timezone")
        moment = moment.replace(tzinfo=ZoneInfo(source.timezone))
    return moment.isoformat()


class _Numbers:
    """
    Reads the numbers of one file.

    Parameters
    ----------
    comma : bool
        Whether a comma may be a decimal one: it is not what parts the cells.
    """

    def __init__(self, *, comma: bool) -> None:
        self._comma = comma
        self._marks: dict[str, int] = {}

    def read(self, text: str, line: int, column: str) -> float:
        """Return one; a file whose numbers have points and commas could mean either by both."""
        comma = self._comma and text.count(",") == 1
        try:
            number = Decimal(text.replace(",", ".") if comma else text)
        except InvalidOperation:
            raise ValueError(f"line {line}, {column}: {text!r} is no number") from None
        if not number.is_finite() or math.isinf(float(number)):
            raise ValueError(f"line {line}, {column}: {text!r} is no measurement")
        mark = "," if comma else "." if "." in text else ""
        other = self._marks.get({",": ".", ".": ","}.get(mark, ""))
        if self._comma and other is not None:
            raise ValueError(
                f"line {line}, {column}: {text!r} has a {mark!r} and line {other} the other mark; "
                "write all decimals alike, and nothing between thousands"
            )
        self._marks.setdefault(mark, line)
        return float(number)
