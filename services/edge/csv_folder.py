"""
Source for a folder of CSV or XLSX files written by another program, and for InfluxDB's line
protocol.

A file is read, completely or not at all, once it is unchanged for a while and no program has it
open for writing. It is then moved to `done`, or to `refused` with a note.  A last line without
newline may contain a truncated number: the file waits longer, then that line is set aside, unless
configured otherwise.

Line protocol: `measurement,tag=value field=1.5,other=2i 1556813561098000000`, time in nanoseconds;
a point without time is refused.
https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import math
import re
import signal
import threading
import time
import zipfile
from _csv import Reader
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from zoneinfo import ZoneInfo

from services.edge.config import CsvFolder
from services.edge.outbox import Record
from services.edge.uplink import Recorder
from services.registry.fields import ID

# words of a line are separated by spaces, except escaped and quoted ones
_LINE = re.compile(
    r"(?P<key>(?:\\.|[^ \\])+) "
    r"(?P<fields>(?:\"(?:\\.|[^\"\\])*\"|\\.|[^ \"\\])+)(?: (?P<ns>-?\d+))?"
)
_PAIR = re.compile(r"((?:\\.|[^,=\\])+)=(\"(?:\\.|[^\"\\])*\"|(?:\\.|[^,\\])*)(?:,|$)")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_ESCAPED = re.compile(r"\\(.)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def line_records(text: str, source: CsvFolder) -> Iterator[Record]:
    """
    Yield the records of points in line protocol; points without a configured field are skipped.

    Raises ValueError, naming the line and the error.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(
                f"line {number} is not a point of line protocol: {line[:80]!r}; correct the line"
            )
        fields = dict(_PAIR.findall(match["fields"]))
        values = {
            channel: _value(fields[name], name, number)
            for name, channel in source.columns.items()
            if name in fields
        }
        if not values:
            continue
        if match["ns"] is None:
            raise ValueError(f"line {number} has no time in nanoseconds; export it with its time")
        ts = _EPOCH + timedelta(microseconds=int(match["ns"]) // 1000)
        device = _device(match["key"], source, number)
        yield Record(device, {"ts": ts.isoformat(), "values": values})


def _device(key: str, source: CsvFolder, number: int) -> str:
    if source.device is not None:
        return source.device
    tags = {_plain(k): _plain(v) for k, v in _PAIR.findall(key.partition(",")[2])}
    device = tags.get(source.device_column or "", "")
    device = source.devices.get(device, device)
    if not ID.match(device):
        raise ValueError(
            f"line {number}: tag {source.device_column!r} is {device!r}, which is not a device "
            "id; assign one in `devices`"
        )
    return device


def _value(text: str, name: str, number: int) -> float:
    plain = text[:-1] if text[-1:] in ("i", "u") else text
    if not _NUMBER.fullmatch(plain):
        raise ValueError(
            f"line {number}, {name}: {text!r} is not a number; correct the value in the file"
        )
    return float(plain)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


MAX_BYTES = 64 << 20
_UNPACKED = 8  # maximum ratio of a workbook's unpacked size to its file
_DELIMITERS = ",;\t"
# number of lines in which the header is searched
_MAX_BEFORE = 50
_REST_S = 2.0
UNENDED_S = 60.0
# time after which a file is read although its file system refuses leases [s]
LEASE_WAIT_S = 3_600.0
_AT_ONCE = 5_000
_ASIDE = (
    "no newline ends this line, so it may be incomplete: earlier lines "
    "were recorded.  If it is complete, end it with a newline and put this "
    "file back; if your program never ends its last line, set `last_newline: "
    "false` for the folder"
)


def decoded(data: bytes) -> str:
    """
    Return the text of a file; of an XLSX workbook, its first sheet as CSV.

    Raises ValueError when it is too long, not UTF-8 (names the line), or not a workbook.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"has {len(data)} bytes; split it into files below 64 MiB")
    if data.startswith(b"PK\x03\x04"):
        return _sheet(data)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"line {line} is not UTF-8; save the file as UTF-8") from None


def _sheet(data: bytes) -> str:
    text = io.StringIO()
    try:
        from openpyxl import load_workbook  # noqa: PLC0415 - the extra `report`; workbooks need it

        with zipfile.ZipFile(io.BytesIO(data)) as parts:
            if sum(part.file_size for part in parts.infolist()) > _UNPACKED * MAX_BYTES:
                raise ValueError(
                    f"the workbook unpacks to more than {_UNPACKED * MAX_BYTES >> 20} MiB; export "
                    "fewer days"
                )
        sheet = load_workbook(io.BytesIO(data), read_only=True, data_only=True).worksheets[0]
        sheet.reset_dimensions()  # the size stated in the file may be wrong
        rows = list(sheet.iter_rows(values_only=True))
        width = max(map(len, rows), default=0)  # rows end with their last value
        csv.writer(text, delimiter=";", lineterminator="\n").writerows(
            [c.isoformat(" ") if isinstance(c, datetime) else c for c in row]
            + [None] * (width - len(row))
            for row in rows
        )
    except ImportError:
        raise ValueError("openpyxl is not installed; save the file as CSV UTF-8") from None
    except (zipfile.BadZipFile, LookupError, TypeError) as error:
        raise ValueError(f"is not an XLSX workbook ({error}); save it as CSV UTF-8") from None
    return text.getvalue()


def parted(text: str) -> tuple[str, str]:
    """Return the complete lines of a text, and the rest after its last newline."""
    end = text.rfind("\n") + 1
    return text[:end], text[end:]


def records(text: str, source: CsvFolder) -> list[Record]:
    """
    Return the records in CSV text.

    Raises ValueError, naming the line, the column and the value.
    """
    if source.format == "influx":
        return list(line_records(text, source))
    before, delimiter = _header(text, source)
    lines = text.split("\n", before)
    rows = csv.reader(io.StringIO(lines.pop()), delimiter=delimiter)
    above = list(csv.reader(lines, delimiter=delimiter))
    try:
        return list(_records(rows, above, _Numbers(comma=delimiter != ","), source))
    except csv.Error as error:
        line = rows.line_num + before
        raise ValueError(f"line {line}: {error}; end lines with a newline") from None


def _header(text: str, source: CsvFolder) -> tuple[int, str]:
    """Return the number of lines before the header, and the delimiter."""
    wanted = {source.time_column, *source.columns, *filter(None, [source.device_column])}
    head = text.split("\n", _MAX_BEFORE)[:_MAX_BEFORE]
    for number, line in enumerate(head):
        for delimiter in _DELIMITERS:
            if wanted <= set(next(csv.reader([line], delimiter=delimiter), ())):
                return number, delimiter
    return 0, max(_DELIMITERS, key=head[0].count)


def _records(
    rows: Reader, above: Sequence[Sequence[str]], numbers: _Numbers, source: CsvFolder
) -> Iterator[Record]:
    names = [name.strip() for name in next(rows, [])]
    groups = _groups(names, above, source)
    time_at = names.index(source.time_column)
    for cells in rows:
        if not cells:
            continue
        line = rows.line_num + len(above)
        # an additional empty cell results from a delimiter at the end of the line
        if len(cells) < len(names) or any(cells[len(names) :]):
            raise ValueError(
                f"line {line} has {len(cells)} cells but the header {len(names)}; the "
                "line is incomplete, or a decimal comma is used with commas as separators"
            )
        for device, columns in groups:
            yield from _record(device, columns, cells, line, numbers, source, time_at)


def _groups(
    names: Sequence[str], above: Sequence[Sequence[str]], source: CsvFolder
) -> list[tuple[str | int, dict[int, str]]]:
    """
    Return the devices, or the column that names them, with their channels by column.

    Raises ValueError that names the missing or repeated column.
    """
    wanted = [source.time_column, *filter(None, [source.device_column])]
    alone = source.device is not None or source.device_column is not None
    _check(names, [*wanted, *source.columns] if alone else wanted, len(above))
    at = dict(enumerate(names))
    if alone:
        of = source.device or names.index(source.device_column or "")
        return [(of, {i: source.columns[n] for i, n in at.items() if n in source.columns})]
    result: list[tuple[str | int, dict[int, str]]] = []
    for title, device in source.devices.items():
        below = {i for row in above for i, cell in enumerate(row) if cell.strip() == title}
        if not below:
            raise ValueError(
                f"no line above the header has {title!r}, which `devices` names; correct the "
                "title in `devices`"
            )
        columns = {i: n for i, n in at.items() if i in below}
        _check(list(columns.values()), list(source.columns), len(above))
        result.append(
            (device, {i: source.columns[n] for i, n in columns.items() if n in source.columns})
        )
    return result


def _check(names: Sequence[str], wanted: Sequence[str], before: int) -> None:
    for fault, result in (
        ("no column", [name for name in wanted if name not in names]),
        ("two columns", [name for name in wanted if names.count(name) > 1]),
    ):
        if result:
            raise ValueError(
                f"line {before + 1}: {fault} {', '.join(map(repr, result))}; the file has"
                f" {', '.join(map(repr, names)) or 'no header'}"
            )


def _record(
    of: str | int,
    columns: dict[int, str],
    cells: Sequence[str],
    line: int,
    numbers: _Numbers,
    source: CsvFolder,
    time_at: int,
) -> Iterator[Record]:
    """
    Yield the record of a row; nothing if the row has no value.

    `of`: device id, or the index of the column that has it.  `columns`: channel by column index.
    `time_at`: index of the column with the time.
    """
    device = of if isinstance(of, str) else cells[of].strip()
    device = source.devices.get(device, device) if isinstance(of, int) else device
    if not ID.match(device):
        raise ValueError(f"line {line}: {device!r} is not a device id; name it in `devices`")
    name_of = {channel: name for name, channel in source.columns.items()}
    values = {
        channel: numbers.read(cells[at].strip(), line, name_of[channel])
        for at, channel in columns.items()
        if cells[at].strip()
    }
    if values:
        yield Record(device, {"ts": _time(cells[time_at].strip(), line, source), "values": values})


def _time(text: str, line: int, source: CsvFolder) -> str:
    form = source.time_format
    try:
        moment = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007 - below
    except ValueError:
        wanted = f"its form is {form}"
        if form is None:
            wanted = 'write 2026-01-31T12:00:00+01:00, or set time_format, such as "%d/%m/%Y %H:%M"'
        raise ValueError(f"line {line}: {text!r} is not a time; {wanted}") from None
    if moment.tzinfo is None:
        if source.timezone is None:
            raise ValueError(f"line {line}: {text!r} has no offset; set the source's timezone")
        moment = moment.replace(tzinfo=ZoneInfo(source.timezone))
    return moment.isoformat()


class _Numbers:
    """
    Parser for the numbers of one file.

    `comma`: whether a comma can be a decimal mark, as it is not the delimiter.
    """

    def __init__(self, *, comma: bool) -> None:
        self._comma = comma
        self._marks: dict[str, int] = {}

    def read(self, text: str, line: int, column: str) -> float:
        """Return the number in a cell; ValueError where its decimal mark is ambiguous."""
        comma = self._comma and text.count(",") == 1
        try:
            number = Decimal(text.replace(",", ".") if comma else text)
        except InvalidOperation:
            raise ValueError(
                f"line {line}, {column}: {text!r} is not a number; correct the value in the file"
            ) from None
        if not number.is_finite() or math.isinf(float(number)):
            raise ValueError(
                f"line {line}, {column}: {text!r} is not a measurement; correct the value in "
                "the file"
            )
        mark = "," if comma else "." if "." in text else ""
        other = self._marks.get({",": ".", ".": ","}.get(mark, ""))
        if self._comma and other is not None:
            raise ValueError(
                f"line {line}, {column}: {text!r} has a {mark!r}, but line {other} has "
                "the other decimal mark; use one decimal mark and no thousands separator"
            )
        self._marks.setdefault(mark, line)
        return float(number)


class Folder(threading.Thread):
    """Thread that watches one folder."""

    def __init__(self, source: CsvFolder, recorder: Recorder, stopping: threading.Event) -> None:
        super().__init__(name=f"csv-{source.folder}", daemon=True)
        self._source, self._recorder, self._stopping = source, recorder, stopping
        self._path = Path(source.folder)
        self._sizes: dict[str, tuple[int, float]] = {}

    def run(self) -> None:
        """Watch for files until `stopping` is set."""
        while not self._stopping.is_set():
            try:
                self._look()
            except OSError as error:
                self._recorder.fault(self._source.folder, str(error))
            self._stopping.wait(self._source.every_s)

    def _look(self) -> None:
        suffixes = (".lp",) if self._source.format == "influx" else (".csv", ".xlsx")
        for path in sorted(self._path.iterdir()):
            if path.suffix in suffixes and self._is_settled(path):
                self._take(path)

    def _is_settled(self, path: Path) -> bool:
        """Return whether a file is unchanged for a while and not open for writing."""
        result = path.stat()
        now = (result.st_size, result.st_mtime)
        same = self._sizes.get(path.name) == now
        self._sizes[path.name] = now
        rested_s = time.time() - result.st_mtime
        return (
            same
            and rested_s > _REST_S
            and (rested_s > UNENDED_S or _ended(path))
            and (rested_s > LEASE_WAIT_S or not _open_to_write(path))
        )

    def _take(self, path: Path) -> None:
        self._sizes.pop(path.name, None)
        try:
            text, rest = decoded(path.read_bytes()), ""
            if self._source.last_newline:
                text, rest = parted(text)
            rows = records(text, self._source)
        except ValueError as error:
            self._refuse(path, str(error))
            return
        for at in range(0, len(rows), _AT_ONCE):
            if not self._recorder.put(path.name, rows[at : at + _AT_ONCE], again=True):
                # the file is read again later; a reading that is recorded twice is stored once
                return
        if rest:
            before, _ = _header(text, self._source)
            self._set_aside(path, "\n".join(text.split("\n")[: before + 1]), rest)
        self._move(path, "done")

    def _set_aside(self, path: Path, head: str, rest: str) -> None:
        """Store a possibly truncated last line with the header, so that it can be read again."""
        aside = self._free(path.with_stem(f"{path.stem}.last-line"), "refused")
        self._recorder.refuse(str(path), f"{_ASIDE}: {rest!r}", rest.encode())
        aside.write_text(f"{head}\n{rest}", encoding="utf-8", newline="")
        self._note(aside, _ASIDE)

    def _refuse(self, path: Path, reason: str) -> None:
        self._recorder.refuse(str(path), reason, path.read_bytes()[:65_536])
        self._note(self._move(path, "refused"), reason)

    @staticmethod
    def _note(path: Path, reason: str) -> None:
        path.with_suffix(f"{path.suffix}.txt").write_text(reason + "\n", encoding="utf-8")

    def _move(self, path: Path, to: str) -> Path:
        target = self._free(path, to)
        path.replace(target)
        return target

    def _free(self, path: Path, to: str) -> Path:
        """Return an unused name in the folder `to`."""
        folder = self._path / to
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        again = folder / f"{path.stem}.{time.time_ns()}{path.suffix}"
        return again if target.exists() else target


def _ended(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 1, 0))
        return file.read(1) == b"\n"


def _open_to_write(path: Path) -> bool:
    """
    Return whether a program has the file open for writing.

    A read lease is refused in that case. If leases are not available (another user's file, file
    system), the waiting time alone is used.
    """
    with path.open("rb") as file:
        try:
            # a program that opens the file meanwhile triggers this signal; the default, SIGIO,
            # would end the process
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
