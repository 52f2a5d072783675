"""
Cached files of a statement: PDF and workbook by version and language, and packs.

With `Prefer: respond-async` the caller gets a job that makes the same file.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, BinaryIO
from uuid import UUID, uuid4

import msgspec
from fastapi import Query
from psycopg import Connection
from starlette.responses import Response

from mrv.errors import PeriodError
from mrv.report import LANGUAGES, MEDIA_TYPES, Format
from services.api import file_cache as kept
from services.api.jobs import ACCEPTED, file_job_of
from services.api.made_files import make_pack, make_report
from services.api.negotiation import Preferences, language
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.request_context import Api, Asked
from services.issuer.timestamps import edition as pack_edition
from services.issuer.timestamps import stamps_of
from services.store.registry.entries_from_rows import names
from services.store.statements import file_jobs, signed_documents, statements
from services.store.statements import transparency_log as log
from services.store.statements.file_jobs import Wanted
from services.store.statements.statements import Stored
from services.store.views.listing import PUBLIC_STATES

_TOO_MANY = 429


def may_wait(ask: Asked) -> bool:
    """Return whether the caller prefers a job; only identified callers get one."""
    prefer = Preferences.of(ask.request.headers.getlist("prefer"))
    return prefer.respond_async and ask.who is not PUBLIC


def later(ask: Asked, wanted: Wanted) -> Response:
    """
    Start making a file, and answer with its job.

    Raises
    ------
    ProblemError
        429 if the caller has too many waiting jobs.
    """
    with ask.reading() as conn:
        id_ = file_jobs.ask(conn, uuid4(), wanted, ask.who.id)
        file_job = None if id_ is None else file_jobs.find(conn, id_)
        ask.noted(conn, _TOO_MANY if file_job is None else ACCEPTED)
    if file_job is None:
        raise ProblemError(
            _TOO_MANY,
            (
                f"{file_jobs.MOST_A_PRINCIPAL} files are already being made for this "
                "key; wait until one is done"
            ),
        )
    ask.api.asked.set()
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
# of the room for packs, as much again
_SHARE_OF_REPORTS = 10


def report(ask: Asked, stored: Stored, wanted: Format, lang: str | None) -> Response:
    """
    Return a statement's report, or a job that makes it.

    Raises
    ------
    ProblemError
        406 if no accepted language is available; 409 if an unverified statement has other
        readings by now.
    """
    spoken = spoken_language(ask, lang)
    if may_wait(ask):
        return later(ask, Wanted("report", stored.id, wanted, spoken))
    return send_report(ask, stored, wanted, spoken)


def send_report(ask: Asked, stored: Stored, wanted: Format, spoken: str) -> Response:
    """Return a statement's report, made now if missing."""
    file, tag = set_report(ask.api, stored, wanted, spoken)
    shared = "public" if stored.state in PUBLIC_STATES and wanted == "pdf" else "private"
    return kept.sent(ask, file, tag, MEDIA_TYPES[wanted], {
        "Cache-Control": f"{shared}, no-cache",
        "Content-Disposition": f'inline; filename="{stored.id}.{spoken}.{wanted}"',
        "Content-Language": spoken,
        "Vary": "Authorization, Accept, Accept-Language",
    })  # fmt: skip


def set_report(
    api: Api, stored: Stored, wanted: Format, spoken: str, job: UUID | None = None
) -> tuple[BinaryIO, str]:
    """
    Return a statement's report as an open file, made now if missing, and its version.

    Raises
    ------
    ProblemError
        409 if an unverified statement has other readings by now.
    """
    file, tag = report_place(api, stored, wanted, spoken)

    def make(work: Path) -> Path:
        try:
            return api.maker(make_report, stored.id, wanted, spoken, work, job)
        except PeriodError as error:
            raise ProblemError(409, str(error)) from error

    room = kept.Room(_REPORTS, api.files_bytes // _SHARE_OF_REPORTS)
    return kept.made(file.parent, file.name, room, make), tag


def report_place(api: Api, stored: Stored, wanted: Format, spoken: str) -> tuple[Path, str]:
    """Return the path of a statement's report, and its version."""
    with api.files.connection() as conn:
        tag = _edition(conn, stored, wanted, spoken)
    return api.home / "reports" / f"{stored.id}.{spoken}.{tag}.{wanted}", tag


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

    Raises
    ------
    ProblemError
        409 if an unverified statement has other readings by now.
    """
    file, tag = pack_place(api, stored)

    def make(work: Path) -> Path:
        try:
            return api.maker(make_pack, stored.id, work, job)
        except PeriodError as error:
            raise ProblemError(409, str(error)) from error

    return kept.made(file.parent, file.name, kept.Room(PACKS, api.files_bytes), make), tag


def send_pack(ask: Asked, stored: Stored) -> Response:
    """Return a pack to a permitted caller."""
    file, tag = packed(ask.api, stored)
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{stored.id}.zip"',
    }
    return kept.sent(ask, file, tag, "application/zip", headers)


def spoken_language(ask: Asked, lang: str | None) -> str:
    """
    Return the language of a report: as requested, else by the caller's preference.

    Raises
    ------
    ProblemError
        406 if no accepted language is available.
    """
    return lang or language(ask.request.headers.get("accept-language"), LANGUAGES)


def _edition(conn: Connection, stored: Stored, wanted: Format, spoken: str) -> str:
    """Return an identifier of all that a report's bytes depend on."""
    receipt = log.receipt(conn, stored.id)
    return kept.edition(
        version("tonne"), stored.id, stored.state, receipt,
        statements.successor(conn, stored.id), len(signed_documents.events(conn, stored.id)),
        signed_documents.sample(conn, stored.id) is not None,
        stamps_of(conn, stored.id, receipt), wanted, spoken,
        names(conn).get(("project", stored.project), {}).get(spoken),
    )  # fmt: skip
