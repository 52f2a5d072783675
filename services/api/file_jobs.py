"""
Makes requested files in the background, one after another.

All processes of the API take jobs from one table.  A file fetched from another process is made
there again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast
from uuid import uuid4

import psycopg
from psycopg import Connection

from ingest.errors import ServerError, TonneError
from mrv.report import Format
from services.api.file_cache import size_of
from services.api.problems import ProblemError, status_of
from services.api.reports import packed, set_report
from services.api.request_context import Api
from services.background import Background
from services.store.postgres.pool import connect
from services.store.statements import file_jobs as jobs
from services.store.statements import statements
from services.store.statements.file_jobs import FileJob

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


_LOOK_S, _AGAIN_S, _FORGET_S = 5.0, 5.0, 3_600.0
_GONE, _DEFECT = 404, 500


class FileJobs(Background):
    """
    Worker thread that makes files until it is stopped.

    Parameters
    ----------
    url : str
        Database, as `tonne_api`.
    api : Api
        Its event `asked` signals a new job.
    """

    patience_s = 10

    def __init__(self, url: str, api: Api, log: FilteringBoundLogger) -> None:
        self._url, self._api, self._log = url, api, log
        super().__init__({"file jobs": self._serve})
        self._forgot_s = 0.0

    def __exit__(self, *_: object) -> None:
        """Stop; a running job is repeated by the next process."""
        self._stopping.set()
        self._api.asked.set()
        self._api.maker.close()
        super().__exit__(*_)

    def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(
                    self._url, role="tonne_api", name="tonne api jobs", autocommit=True
                ) as conn:
                    self._work(conn)
            except (ServerError, psycopg.Error) as error:
                self._log.warning("jobs not read", error=" ".join(str(error).split())[:300])
                self._stopping.wait(_AGAIN_S)

    def _work(self, conn: Connection) -> None:
        while not self._stopping.is_set():
            self._api.asked.clear()
            if time.monotonic() - self._forgot_s > _FORGET_S:
                jobs.forget_old(conn)
                self._forgot_s = time.monotonic()
            job = jobs.take(conn)
            if job is None:
                self._api.asked.wait(_LOOK_S)
            else:
                self._do(conn, job)

    def _do(self, conn: Connection, job: FileJob) -> None:
        bound = self._log.bind(job=str(job.id), kind=job.wanted.kind, subject=job.wanted.statement)
        began_s = time.monotonic()
        try:
            size = self._made(conn, job)
        except (TonneError, ProblemError) as error:
            status = error.status if isinstance(error, ProblemError) else status_of(error)
            bound.info("no file", reason=" ".join(str(error).split())[:300])
            jobs.end(conn, job.id, status or _DEFECT, detail=_words(error))
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - one file must not end the others
            if self._stopping.is_set():
                jobs.give_back(conn, job.id)
                return
            number = uuid4().hex
            bound.error("defect", number=number, exc_info=error)
            detail = f"internal error; report its number, {number}"
            jobs.end(conn, job.id, _DEFECT, detail=detail)
        else:
            bound.info("file made", bytes=size, seconds=round(time.monotonic() - began_s, 1))
            jobs.end(conn, job.id, jobs.DONE, size=size)

    def _made(self, conn: Connection, job: FileJob) -> int:
        """Make the file of a job; return its size in bytes."""
        wanted = job.wanted
        stored = statements.seek(conn, wanted.statement)
        if stored is None:
            raise ProblemError(
                _GONE, f"there is no statement {wanted.statement}; GET /v1/statements lists them"
            )
        if wanted.kind == "pack":
            file, _ = packed(self._api, stored, job.id)
        else:
            format_ = cast("Format", wanted.format)
            file, _ = set_report(self._api, stored, format_, wanted.language or "en", job.id)
        with file:
            return size_of(file)


def _words(error: Exception) -> str:
    return error.detail if isinstance(error, ProblemError) else str(error)
