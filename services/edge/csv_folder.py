"""
A folder that another program writes CSV files into.

A file is taken once it has rested and nobody has it open to write, whole or not at all,
and then moved to `done`, or to `refused` with a note beside it.  A last line that no
newline ends may be a number cut short, and a cut number is a smaller one: the file waits
longer, and then that line is set aside, unless the program is known to write so.
"""

from __future__ import annotations

import errno
import fcntl
import signal
import threading
import time
from pathlib import Path

from services.edge import csv_rows
from services.edge.config import CsvFolder
from services.edge.recorder import Recorder

_REST_S = 2.0
UNENDED_S = 60.0
# a file system that refuses every lease must not keep its files from us for ever
HELD_S = 3_600.0
_AT_ONCE = 5_000
_ASIDE = (
    "no newline ends this line, so it may have been cut: the lines before it were taken.  If it is "
    "whole, end it with a newline and put this file back; if your program never ends its last "
    "line, set `last_newline: false` for the folder"
)


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
            if self._is_settled(path):
                self._take(path)

    def _is_settled(self, path: Path) -> bool:
        """Whether nobody has written to it for a while, nor seems about to."""
        found = path.stat()
        now = (found.st_size, found.st_mtime)
        same = self._sizes.get(path.name) == now
        self._sizes[path.name] = now
        rested_s = time.time() - found.st_mtime
        return (
            same
            and rested_s > _REST_S
            and (rested_s > UNENDED_S or _ended(path))
            and (rested_s > HELD_S or not _open_to_write(path))
        )

    def _take(self, path: Path) -> None:
        self._sizes.pop(path.name, None)
        try:
            text, rest = csv_rows.decoded(path.read_bytes()), ""
            if self._source.last_newline:
                text, rest = csv_rows.parted(text)
            records = csv_rows.records(text, self._source)
        except ValueError as error:
            self._refuse(path, str(error))
            return
        for at in range(0, len(records), _AT_ONCE):
            if not self._recorder.put(path.name, records[at : at + _AT_ONCE], again=True):
                return  # taken again later: what was recorded twice is stored once
        if rest:
            self._set_aside(path, text.partition("\n")[0], rest)
        self._move(path, "done")

    def _set_aside(self, path: Path, head: str, rest: str) -> None:
        """Keep a last line that may be cut, below the header that it needs to be read again."""
        aside = self._free(path.with_stem(f"{path.stem}.last-line"), "refused")
        self._recorder.refuse(str(path), f"{_ASIDE}: {rest!r}", rest.encode())
        aside.write_text(f"{head}\n{rest}", encoding="utf-8", newline="")
        self._note(aside, _ASIDE)

    def _refuse(self, path: Path, reason: str) -> None:
        self._recorder.refuse(str(path), reason, path.read_bytes()[:65_536])
        self._note(self._move(path, "refused"), reason)

    @staticmethod
    def _note(path: Path, reason: str) -> None:
        path.with_suffix(".csv.txt").write_text(reason + "\n", encoding="utf-8")

    def _move(self, path: Path, to: str) -> Path:
        target = self._free(path, to)
        path.replace(target)
        return target

    def _free(self, path: Path, to: str) -> Path:
        """Return a name in a folder beside that no file has."""
        folder = self._path / to
        folder.mkdir(exist_ok=True)
        target = folder / path.name
        return folder / f"{path.stem}.{time.time_ns()}.csv" if target.exists() else target


def _ended(path: Path) -> bool:
    """Whether a newline ends its last line."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 1, 0))
        return file.read(1) == b"\n"


def _open_to_write(path: Path) -> bool:
    """
    Whether a program has it open to write; what it wrote after the move nobody would read.

    A lease for readers is refused where somebody writes.  Where it is another user's file
    and we may not ask, or the file system knows no leases, resting has to do.
    """
    with path.open("rb") as file:
        try:
            # SIGIO, which whoever opens it meanwhile would send us, ends a process
            fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except OSError as error:
            return error.errno == errno.EAGAIN
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
