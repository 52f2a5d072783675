"""
Reports and evidence packs, made in a separate process.

A PDF or a pack takes seconds of processor time, which would delay other requests in this process.
"""

from __future__ import annotations

import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

from mrv.report import Format
from services.store.postgres.pool import connect
from services.store.statements import queues
from services.store.statements.queues import Progress

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip file
_MODE = 0o100644 << 16
# files per process; then a new one starts, to return memory held by libraries
_FILES_A_PROCESS = 100


class Maker:
    """
    Process that makes files; it starts with the first one.

    `url`: database, read as `tonne_api`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __call__(self, make: Callable[..., Path], *lines: Any) -> Path:
        """
        Return a file made in the other process: `make` is called with the database's URL and
        `lines`.

        Raises Exception: what `make` raises; BrokenProcessPool if the process ends twice.
        """
        try:
            return self._started().submit(make, self._url, *lines).result()
        except BrokenProcessPool:  # the process was killed, or ran out of memory
            self.close()
            return self._started().submit(make, self._url, *lines).result()

    def _started(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, get_context("spawn"), _quiet, max_tasks_per_child=_FILES_A_PROCESS
                )
            return self._pool

    def close(self) -> None:
        """End the process; waiting files are not made."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _quiet() -> None:
    """Ignore Ctrl-C, as the answering process ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _progress_note(url: str, job: UUID | None) -> Iterator[Callable[[int, int | None, str], None]]:
    """Yield a function that stores a job's progress; without a job it does nothing."""
    if job is None:
        yield lambda _done, _total, _step: None
        return
    with connect(url, role="tonne_api", name="tonne api files", autocommit=True) as conn:
        yield lambda done, total, step: queues.store_progress(
            conn, job, Progress(done, total, step)
        )


def make_report(
    url: str, statement: str, wanted: Format, language: str, work: Path, job: UUID | None = None
) -> Path:
    """
    Make a statement's report, and return its path.

    Raises PeriodError if the readings of an unverified statement have changed.
    """
    from mrv.report import make  # noqa: PLC0415 - needed only in this process
    from services.issuer.report import facts_of  # noqa: PLC0415

    with _progress_note(url, job) as progress:
        progress(0, 2, "figures")
        with connect(url, role="tonne_api", name="tonne api files", autocommit=True) as conn:
            facts = facts_of(conn, statement)
        progress(1, 2, "pages")
        file = work / "report"
        file.write_bytes(make(facts, wanted, language))
        progress(2, 2, "pages")
    return file


def make_pack(url: str, statement: str, work: Path, job: UUID | None = None) -> Path:
    """Make a statement's evidence pack as one zip file, and return its path."""
    from services.issuer.pack import export  # noqa: PLC0415 - needed only in this process

    with _progress_note(url, job) as progress:
        progress(0, None, "evidence")
        with connect(url, role="tonne_api", name="tonne api files", autocommit=True) as conn:
            export(conn, statement, work / "pack")
        _zip(work / "pack", work / "pack.zip", statement, progress)
    return work / "pack.zip"


def _zip(
    folder: Path, file: Path, name: str, progress: Callable[[int, int | None, str], None]
) -> None:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(file, "w") as out:
        for number, path in enumerate(paths, 1):
            progress(number, len(paths) + 1, "files")
            entry = zipfile.ZipInfo(f"{name}/{path.relative_to(folder).as_posix()}", _EPOCH)
            entry.external_attr = _MODE
            # Parquet is already compressed
            stored = path.suffix == ".parquet"
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            with path.open("rb") as source, out.open(entry, "w") as target:
                shutil.copyfileobj(source, target)
    progress(len(paths) + 1, len(paths) + 1, "files")
