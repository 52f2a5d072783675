"""Statements as PDF and workbook, made once an edition and language."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import Query

from mrv.errors import PeriodError
from mrv.report import LANGUAGES, MEDIA_TYPES
from services.api import file_cache as kept
from services.api.made_files import make_report
from services.api.negotiation import language
from services.api.problems import ProblemError
from services.issuer.timestamp_pack import stamps_of
from services.store.statements import findings, sampling, statements
from services.store.statements import transparency_log as log
from services.store.views.listing import PUBLIC_STATES

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from starlette.responses import Response

    from mrv.report import Format
    from services.api.request_context import Asked
    from services.store.statements.statements import Stored

Lang = Annotated[
    Literal["en", "vi", "ja"] | None,
    Query(description="Language of all words but the signed ones; else `Accept-Language` says."),
]
_KEPT = 256


def report(ask: Asked, stored: Stored, wanted: Format, lang: str | None) -> Response:
    """
    Send a statement's report.

    Raises
    ------
    ProblemError
        406 where it is in no language that the caller accepts; 409 where a statement
        that is not verified has other readings by now.
    """
    spoken = spoken_language(ask, lang)
    with ask.api.files.connection() as conn:
        tag = _edition(conn, stored, wanted, spoken)
    file = kept.made(
        ask.api.home / "reports",
        f"{stored.id}.{spoken}.{tag}.{wanted}",
        _KEPT,
        lambda work: _made(ask, stored.id, wanted, spoken, work),
    )
    shared = "public" if stored.state in PUBLIC_STATES and wanted == "pdf" else "private"
    return kept.sent(ask, file, tag, MEDIA_TYPES[wanted], {
        "Cache-Control": f"{shared}, no-cache",
        "Content-Disposition": f'inline; filename="{stored.id}.{spoken}.{wanted}"',
        "Content-Language": spoken,
        "Vary": "Authorization, Accept, Accept-Language",
    })  # fmt: skip


def spoken_language(ask: Asked, lang: str | None) -> str:
    """
    Return the language of a report: as asked, else as the caller accepts.

    Raises
    ------
    ProblemError
        406 where it is in no language that the caller accepts.
    """
    return lang or language(ask.request.headers.get("accept-language"), LANGUAGES)


def _edition(conn: Connection[TupleRow], stored: Stored, wanted: Format, spoken: str) -> str:
    """Name all that a report's bytes depend on."""
    receipt = log.receipt(conn, stored.id)
    return kept.edition(
        version("tonne"), stored.id, stored.state, receipt,
        statements.successor(conn, stored.id), len(findings.documents(conn, stored.id)),
        sampling.document(conn, stored.id) is not None,
        stamps_of(conn, stored.id, receipt), wanted, spoken,
    )  # fmt: skip


def _made(ask: Asked, statement: str, wanted: Format, spoken: str, work: Path) -> Path:
    try:
        return ask.api.maker(make_report, statement, wanted, spoken, work)
    except PeriodError as error:
        raise ProblemError(409, str(error)) from error
