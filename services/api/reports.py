"""
Files of a statement, made once: PDF and workbook by version and language, and packs.

With `Prefer: respond-async` the caller gets a job that makes the same file.

All processes of the API take jobs from one table.  A file fetched from another process is made
there again.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast
from uuid import UUID, uuid4

import msgspec
import psycopg
from fastapi import Query
from psycopg import Connection
from starlette.responses import Response

from ingest.errors import ServerError, TonneError
from mrv.errors import PeriodError
from mrv.report import LANGUAGES, MEDIA_TYPES, Format
from services.api import file_cache as kept
from services.api.answers import (
    ACCEPTED,
    Preferences,
    ProblemError,
    file_job_of,
    language,
    status_of,
)
from services.api.file_cache import size_of
from services.api.made_files import make_pack, make_report
from services.api.principals import PUBLIC
from services.api.request_context import Api, RequestContext
from services.issuer.timestamps import edition as pack_edition
from services.issuer.timestamps import stamps_of
from services.scraping import Background
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import names
from services.store.statements import evidence, queues, statements
from services.store.statements import queues as jobs
from services.store.statements import transparency_log as log
from services.store.statements.queues import FileJob, Wanted
from services.store.statements.statements import Stored
from services.store.views.listing import PUBLIC_STATES

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


_TOO_MANY = 429


def may_wait(ask: RequestContext) -> bool:
    """Return whether the caller prefers a job; only identified callers get one."""
    prefer = Preferences.of(ask.request.headers.getlist("prefer"))
    return prefer.respond_async and ask.who is not PUBLIC


def later(ask: RequestContext, wanted: Wanted) -> Response:
    """
    Start making a file, and answer with its job.

    Raises ProblemError: 429 if the caller has too many waiting jobs.
    """
    with ask.reading() as conn:
        id_ = queues.ask(conn, uuid4(), wanted, ask.who.id)
        file_job = None if id_ is None else queues.find(conn, id_)
        ask.noted(conn, _TOO_MANY if file_job is None else ACCEPTED)
    if file_job is None:
        raise ProblemError(
            _TOO_MANY,
            (
                f"{queues.MAX_JOBS_PER_PRINCIPAL} files are already being made for this "
                "key; wait until one is done"
            ),
        )
    ask.api.file_requested.set()
    headers = {"Location": f"/v1/jobs/{file_job.id}", "Preference-Applied": "respond-async"}
    body = msgspec.json.encode(file_job_of(file_job, None))
    return Response(body, ACCEPTED, headers, "application/json")


Lang = Annotated[
    str | None,
    Query(
        description="Language of all words except signed ones; default: `Accept-Language`.",
        pattern=f"^({'|'.join(LANGUAGES)})$",
        json_schema_extra={"enum": list(LANGUAGES)},
    ),
]
PACKS, _REPORTS = 64, 256
# reports may use a tenth of the disk space for packs
_SHARE_OF_REPORTS = 10


def report(ask: RequestContext, stored: Stored, wanted: Format, lang: str | None) -> Response:
    """
    Return a statement's report, or a job that makes it.

    Raises ProblemError: 406 if no accepted language is available; 409 if the readings of an
    unverified statement have changed.
    """
    report_language = chosen_language(ask, lang)
    if may_wait(ask):
        return later(ask, Wanted("report", stored.id, wanted, report_language))
    return send_report(ask, stored, wanted, report_language)


def send_report(
    ask: RequestContext, stored: Stored, wanted: Format, report_language: str
) -> Response:
    """Return a statement's report, made now if missing."""
    file, tag = set_report(ask.api, stored, wanted, report_language)
    shared = "public" if stored.state in PUBLIC_STATES and wanted == "pdf" else "private"
    return kept.sent(ask, file, tag, MEDIA_TYPES[wanted], {
        "Cache-Control": f"{shared}, no-cache",
        "Content-Disposition": f'inline; filename="{stored.id}.{report_language}.{wanted}"',
        "Content-Language": report_language,
        "Vary": "Authorization, Accept, Accept-Language",
    })  # fmt: skip


def set_report(
    api: Api, stored: Stored, wanted: Format, report_language: str, job: UUID | None = None
) -> tuple[BinaryIO, str]:
    """
    Return a statement's report as an open file, made now if missing, and its version.

    Raises ProblemError: 409 if the readings of an unverified statement have changed.
    """
    file, tag = report_place(api, stored, wanted, report_language)

    def make(work: Path) -> Path:
        try:
            return api.maker(make_report, stored.id, wanted, report_language, work, job)
        except PeriodError as error:
            raise ProblemError(409, str(error)) from error

    room = kept.Room(_REPORTS, api.files_bytes // _SHARE_OF_REPORTS)
    return kept.made(file.parent, file.name, room, make), tag


def report_place(
    api: Api, stored: Stored, wanted: Format, report_language: str
) -> tuple[Path, str]:
    """Return the path of a statement's report, and its version."""
    with api.files.connection() as conn:
        tag = _edition(conn, stored, wanted, report_language)
    return api.home / "reports" / f"{stored.id}.{report_language}.{tag}.{wanted}", tag


def pack_place(api: Api, stored: Stored) -> tuple[Path, str]:
    """
    Return the path of a statement's pack, and its version.

    The name includes all that changes a pack: state, witnesses' signatures and time stamps.
    """
    with api.files.connection() as conn:
        receipt = log.receipt(conn, stored.id)
        tag = kept.edition(stored.state, receipt or "", pack_edition(conn, stored.id, receipt))
    return api.home / "evidence" / f"{stored.id}.{tag}.zip", tag


def packed(api: Api, stored: Stored, job: UUID | None = None) -> tuple[BinaryIO, str]:
    """
    Return a statement's pack as an open file, made now if missing, and its version.

    Raises ProblemError: 409 if the readings of an unverified statement have changed.
    """
    file, tag = pack_place(api, stored)

    def make(work: Path) -> Path:
        try:
            return api.maker(make_pack, stored.id, work, job)
        except PeriodError as error:
            raise ProblemError(409, str(error)) from error

    return kept.made(file.parent, file.name, kept.Room(PACKS, api.files_bytes), make), tag


def send_pack(ask: RequestContext, stored: Stored) -> Response:
    """Return a pack to a permitted caller."""
    file, tag = packed(ask.api, stored)
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{stored.id}.zip"',
    }
    return kept.sent(ask, file, tag, "application/zip", headers)


def chosen_language(ask: RequestContext, lang: str | None) -> str:
    """
    Return the language of a report: as requested, else by the caller's preference.

    Raises ProblemError: 406 if no accepted language is available.
    """
    return lang or language(ask.request.headers.get("accept-language"), LANGUAGES)


def _edition(conn: Connection, stored: Stored, wanted: Format, report_language: str) -> str:
    """Return a report's version: a digest of all data that determine its bytes."""
    receipt = log.receipt(conn, stored.id)
    return kept.edition(
        version("tonne"), stored.id, stored.state, receipt,
        statements.successor(conn, stored.id), len(evidence.events(conn, stored.id)),
        evidence.sample(conn, stored.id) is not None,
        stamps_of(conn, stored.id, receipt), wanted, report_language,
        names(conn).get(("project", stored.project), {}).get(report_language),
    )  # fmt: skip


_LOOK_S, _AGAIN_S, _FORGET_S = 5.0, 5.0, 3_600.0
_GONE, _DEFECT = 404, 500


class FileJobs(Background):
    """
    Worker thread that makes files until it is stopped.

    `url`: database, as `tonne_api`.
    `api`: its event `file_requested` signals a new job.
    """

    patience_s = 10

    def __init__(self, url: str, api: Api, log: FilteringBoundLogger) -> None:
        self._url, self._api, self._log = url, api, log
        super().__init__({"file jobs": self._serve})
        self._forgot_s = 0.0

    def __exit__(self, *_: object) -> None:
        """Stop; a running job is repeated by the next process."""
        self._stopping.set()
        self._api.file_requested.set()
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
            self._api.file_requested.clear()
            if time.monotonic() - self._forgot_s > _FORGET_S:
                jobs.forget_old(conn)
                self._forgot_s = time.monotonic()
            job = jobs.take(conn)
            if job is None:
                self._api.file_requested.wait(_LOOK_S)
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
