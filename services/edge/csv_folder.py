"""
A folder that another program writes CSV files into.

A file is taken once it has rested, whole or not at all, and then moved to `done`, or
to `refused` with a note beside it.  Rows have their own times; one without an offset
needs the folder's time zone.
"""

from __future__ import annotations

import csv
import io
import threading
import time
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from services.edge.outbox import Record
from services.registry.fields import ID

if TYPE_CHECKING:
    from services.edge.config import CsvFolder
    from services.edge.recorder import Recorder

_REST_S = 2.0
_MOST_BYTES = 64 << 20
_AT_ONCE = 5_000
_DELIMITERS = ",;\t"


class Folder(threading.Thread):
    """One watched folder."""

    def __init__(self, source: CsvFolder, recorder: Recorder, stopping: threading.Event) -> None:
        super().__init__(name=f"csv-{source.folder}", daemon=True)
        self._source, self._recorder, self._stopping = source, recorder, stopping
        self._path = Path(source.folder)
        self._sizes: dict[str, tuple[int, float]] = {}

    def run(self) -> None:
        """Look, until told to stop."""
        while not self._stopping.is_set():
            try:
                self._look()
            except OSError as error:
                self._recorder.fault(self._source.folder, str(error))
            self._stopping.wait(self._source.every_s)

    def _look(self) -> None:
        for path in sorted(self._path.glob("*.csv")):
            if self._rests(path):
                self._take(path)

    def _rests(self, path: Path) -> bool:
        """Whether nobody has written to it for a while."""
        found = path.stat()
        now = (found.st_size, found.st_mtime)
        still = self._sizes.get(path.name) == now and time.time() - found.st_mtime > _REST_S
        self._sizes[path.name] = now
        return still

    def _take(self, path: Path) -> None:
        self._sizes.pop(path.name, None)
        try:
            records = self._records(path)
        except ValueError as error:
            self._refuse(path, str(error))
            return
        for at in range(0, len(records), _AT_ONCE):
            if not self._recorder.put(path.name, records[at : at + _AT_ONCE], again=True):
                return  # taken again later: what was recorded twice is stored once
        self._move(path, "done")

    def _refuse(self, path: Path, reason: str) -> None:
        self._recorder.refuse(str(path), reason, path.read_bytes()[:65_536])
        moved = self._move(path, "refused")
        moved.with_suffix(".csv.txt").write_text(reason + "\n", encoding="utf-8")

    def _move(self, path: Path, to: str) -> Path:
        folder = self._path / to
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        if target.exists():
            target = folder / f"{path.stem}.{time.time_ns()}.csv"
        path.replace(target)
        return target

    def _records(self, path: Path) -> list[Record]:
        """
        Return a file's rows.

        Raises
        ------
        ValueError
            Naming the line, the column and the value.
        """
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            raise ValueError(f"has {len(data)} bytes; split it into files below 64 MiB")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise ValueError(f"line {line} is not UTF-8; save the file as UTF-8") from None
        head = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=head.count)
        rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        self._check_header(rows.fieldnames or ())
        comma = delimiter != ","
        return [self._record(row, rows.line_num, comma=comma) for row in rows]

    def _check_header(self, names: object) -> None:
        wanted = [self._source.time_column, *self._source.columns]
        wanted += [self._source.device_column] if self._source.device_column else []
        missing = [name for name in wanted if name not in list(names)]  # type: ignore[call-overload]
        if missing:
            raise ValueError(f"line 1: no column {', '.join(map(repr, missing))}")

    def _record(self, row: dict[str, str | None], line: int, *, comma: bool) -> Record:
        source = self._source
        device = source.device or (row.get(source.device_column or "") or "").strip()
        if not ID.match(device):
            raise ValueError(f"line {line}: {device!r} is no device id")
        values = {
            channel: _number(row[column], line, column, comma=comma)
            for column, channel in source.columns.items()
            if (row[column] or "").strip()
        }
        ts = self._time((row[source.time_column] or "").strip(), line)
        return Record(device, {"ts": ts, "values": values})

    def _time(self, text: str, line: int) -> str:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"line {line}: {text!r} is no time; write 2026-01-31T12:00:00+07:00"
            ) from None
        if moment.tzinfo is None:
            if self._source.timezone is None:
                raise ValueError(f"line {line}: {text!r} has no offset; set the source's timezone")
            moment = moment.replace(tzinfo=ZoneInfo(self._source.timezone))
        return moment.isoformat()


def _number(text: str | None, line: int, column: str, *, comma: bool) -> float:
    """Read a number; with semicolons between cells, a comma is a decimal one."""
    plain = (text or "").strip()
    try:
        number = Decimal(plain.replace(",", ".") if comma and plain.count(",") == 1 else plain)
    except InvalidOperation:
        raise ValueError(f"line {line}, {column}: {plain!r} is no number") from None
    if not number.is_finite():
        raise ValueError(f"line {line}, {column}: {plain!r} is no measurement")
    return float(number)
