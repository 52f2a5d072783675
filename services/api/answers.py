"""
HTTP answers: content negotiation, the header `Prefer`, jobs, and problem documents (RFC 9457).

A problem document states cause and remedy only.  An unexpected error gets a number, under which the
log has its traceback; the caller sees no internals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast
from uuid import uuid4

import psycopg
from fastapi import FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from psycopg import Connection
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingest.errors import InputError, RegistryError, ServerError
from mrv.errors import EnrolmentError, StatementStateError, VerificationError
from mrv.report import MEDIA_TYPES, Format
from services.api import schemas as shapes
from services.issuer import requests
from services.store.statements import queues
from services.store.statements import queues as queue
from services.store.statements.queues import FileJob
from services.store.statements.queues import Request as Wanted
from services.store.statements.queues import RequestProgress as Progress
from services.vault import DamagedError, VaultError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MEDIA_TYPE = "application/problem+json"
_NOT_ALLOWED = 405
_MAX_ERRORS = 5


class ProblemError(Exception):
    """
    Error whose answer is a problem document.

    `status`: HTTP status.
    `detail`: cause and remedy.
    `headers`: further headers of the answer.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """Return a problem document."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return Response(
        json.dumps(body, ensure_ascii=False).encode(),
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


_DAMAGED = (
    "a file of the archive is missing or changed; results that depend on "
    "it are unavailable until it is restored; the operator finds its name "
    "in the log"
)
_STATUS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...] = (
    ((StatementStateError, VerificationError), HTTPStatus.CONFLICT),
    (EnrolmentError, HTTPStatus.FORBIDDEN),
    (RegistryError, HTTPStatus.NOT_FOUND),
    # faults of the server, not of the request
    (DamagedError, HTTPStatus.SERVICE_UNAVAILABLE),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    ((ServerError, PoolTimeout, psycopg.OperationalError), HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an expected error; None for a defect."""
    if isinstance(error, ProblemError):
        return error.status
    return next((status for kinds, status in _STATUS if isinstance(error, kinds)), None)


def status_of_kind(kind: type[Exception]) -> int | None:
    """Return the HTTP status of a kind of error; None for a defect."""
    return next((status for kinds, status in _STATUS if issubclass(kind, kinds)), None)


def install(
    app: FastAPI, log: FilteringBoundLogger, page_of: Callable[[Request, Response, str], Response]
) -> None:
    """
    Register handlers that answer every error with a problem document.

    `page_of`: called with the request, the problem document and its detail; returns the answer.
    """

    def known(request: Request, error: Exception) -> Response:
        refused = judged(request, error)
        return page_of(request, refused, json.loads(bytes(refused.body))["detail"])

    def judged(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return _no_such_route(request, error)
        if isinstance(error, RequestValidationError):
            return _invalid(error)
        status = status_of(error)
        if status is None:
            return _defect(error)
        if isinstance(error, DamagedError):
            log.error("archive damaged", error=str(error))
            return problem(status, _DAMAGED)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            what = "archive" if isinstance(error, VaultError) else "database"
            log.warning("server away", server=what, error=" ".join(str(error).split())[:300])
            return problem(status, f"the {what} is not available; try again", {"Retry-After": "5"})
        headers = error.headers if isinstance(error, ProblemError) else None
        return problem(status, str(error), headers)

    def _defect(error: Exception) -> Response:
        number = uuid4().hex
        log.error("defect", number=number, exc_info=error)
        return problem(500, f"internal error; report its number, {number}")

    for kind in (
        HTTPException,
        RequestValidationError,
        ProblemError,
        InputError,
        ServerError,
        PoolTimeout,
        psycopg.Error,
        Exception,
    ):
        app.add_exception_handler(kind, known)


def _no_such_route(request: Request, error: HTTPException) -> Response:
    """Return the problem document of an unknown URL or method, naming the available ones."""
    headers = dict(error.headers or {})
    if error.status_code == _NOT_ALLOWED:
        allowed = _allowed(request)
        message = (
            f"{request.method} is not available at this address; available: {allowed or 'GET'}"
        )
        return problem(
            error.status_code, message, {**headers, **({"Allow": allowed} if allowed else {})}
        )
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "no resource has this address; /v1/openapi.json lists all"
        return problem(error.status_code, message, headers)
    return problem(error.status_code, str(error.detail), headers)


def _allowed(request: Request) -> str:
    """Return the methods that all routes of a URL accept, for the header `Allow`."""
    methods = {
        method.upper()
        for path, operations in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)), request.url.path)
        for method in operations
    }
    if "GET" in methods:
        methods.add("HEAD")
    return ", ".join(sorted(methods))


def _invalid(error: RequestValidationError) -> Response:
    """Return the problem document of invalid parameters, without repeating their values."""
    result = error.errors()
    if any(error["type"] == "json_invalid" for error in result):
        return problem(400, "the body is not JSON")
    texts = [
        f"{' '.join(str(part) for part in error['loc'])}: {error['msg']}"
        for error in result[:_MAX_ERRORS]
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(texts))


_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,5})"?')


class Preferences(NamedTuple):
    """
    Supported preferences of a `Prefer` header (RFC 7240); others are ignored.

    `respond_async`: answer 202 with the address of a job.
    `longest_s`: maximum waiting time. [s]
    """

    respond_async: bool
    longest_s: float | None

    def wait_s(self, maximum_s: float) -> float:
        """Return the waiting time, at most `maximum_s`. [s]"""
        return maximum_s if self.longest_s is None else min(self.longest_s, maximum_s)

    @staticmethod
    def of(headers: Iterable[str]) -> Preferences:
        """Return the preferences of `Prefer` headers; the first value of a repeated one."""
        lines = [
            part.partition(";")[0].strip().lower() for line in headers for part in line.split(",")
        ]
        waits = [match for line in lines if (match := _WAIT.fullmatch(line))]
        return Preferences("respond-async" in lines, float(waits[0][1]) if waits else None)


# maximum waiting time for an answer before it becomes a job; below the limit of proxies [s]
_ANSWER_S = 50.0
VC = "application/vc"
# media types in which a statement is served, the most frequent first
STATEMENT_FORMS = ("application/json", VC, *MEDIA_TYPES.values())
_MAX = 50  # maximum number of entries that are read from one header


class Wish(NamedTuple):
    """Entry of an `Accept` or `Accept-Language` header."""

    value: str
    quality: float


def media_type(accept: str | None, offered: Sequence[str]) -> str:
    """
    Return the caller's preferred media type; the first one offered without a preference.

    Raises ProblemError: 406, naming the available ones.
    """
    result = _best(accept, offered, _suits_type)
    if result is None:
        raise ProblemError(
            406,
            f"not available as {(accept[:200] if accept else '')!r}; available: "
            f"{', '.join(offered)}",
            {"Vary": "Accept"},
        )
    return result


def language(accept: str | None, offered: Sequence[str]) -> str:
    """
    Return the caller's preferred language, with `vi-VN` as `vi`.

    Raises ProblemError: 406, naming the available ones.
    """
    result = _best(accept, offered, _suits_language)
    if result is None:
        raise ProblemError(
            406,
            f"not available in the languages {(accept[:200] if accept else '')!r}; "
            f"available: {', '.join(offered)}; choose one with `lang`",
            {"Vary": "Accept-Language"},
        )
    return result


def _best(
    header: str | None, offered: Sequence[str], suits: Callable[[str, str], int]
) -> str | None:
    """Return the first offered value of the highest quality (RFC 9110, 12.5); None if none fits."""
    wishes = [] if header is None else _wishes(header)
    if not wishes:
        return offered[0]
    judged = []
    for place, value in enumerate(offered):
        fitting = [(suits(wish.value, value), wish.quality) for wish in wishes]
        closest, quality = max(fitting)
        if closest and quality:
            judged.append((quality, -place, value))
    return max(judged)[2] if judged else None


def _wishes(header: str) -> list[Wish]:
    wishes = []
    for entry in header.split(",", _MAX)[:_MAX]:
        value, *parameters = (part.strip().lower() for part in entry.split(";"))
        if value:
            wishes.append(Wish(value, _quality(parameters)))
    return wishes


def _quality(parameters: list[str]) -> float:
    """Return the quality of an entry; 0 if it is not a number from 0 to 1."""
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            digits = text.strip()
            plain = digits.replace(".", "", 1).isdigit() and digits.isascii()
            quality = float(digits) if plain and len(digits) <= len("0.000") else 0.0
            return quality if quality <= 1 else 0.0
    return 1.0


def _suits_type(wish: str, offer: str) -> int:
    if wish == offer:
        return 3
    kind = offer.partition("/")[0]
    return 2 if wish == f"{kind}/*" else int(wish == "*/*")


def _suits_language(wish: str, offer: str) -> int:
    tag = offer.lower()
    if wish == tag or wish.startswith(f"{tag}-"):
        return 2
    return int(wish == "*")


DONE, CREATED, ACCEPTED, _DEFECT = 200, 201, 202, 500
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "Address of the job"}}
# OpenAPI description of a step that may be answered with a job
ACCEPTED_STEP: dict[int | str, dict[str, Any]] = {
    ACCEPTED: {
        "description": "Accepted; the job at `Location` reports its result",
        "model": shapes.Job,
        "headers": _LOCATION,
    }
}
# OpenAPI description of a file that may be answered with a job
ACCEPTED_FILE: dict[int | str, dict[str, Any]] = {
    ACCEPTED: {
        "description": "In progress; the job at `Location` reports its progress and the address "
        "of the file",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Job"}}},
        "headers": _LOCATION,
    }
}
Preferred = Annotated[
    str | None,
    Header(
        alias="Prefer",
        description="`respond-async`: answer 202 with the address of a job (RFC 7240); "
        "`wait=SECONDS`: maximum waiting time before that answer.",
        max_length=200,
    ),
]


def outcome(conn: Connection, wanted: Wanted, prefer: Preferences) -> tuple[int, Any]:
    """
    Return the result of a request to the signer, or its job.

    Raises ProblemError if the signer refused it.

    Returns: the HTTP status (202 for `respond-async`, and until the signer has answered) and the
    body.
    """
    # `respond-async` always gives a job, so that a client needs to read one form only
    answer = (
        None
        if prefer.respond_async
        else requests.awaited(conn, wanted.id, prefer.wait_s(_ANSWER_S))
    )
    if answer is None:
        progress = queue.progress(conn, wanted.id)
        if progress is None:
            raise RuntimeError(f"request {wanted.id} is no longer in the queue of the signer")
        return ACCEPTED, job_of(progress)
    if answer.result is not None:
        return (CREATED if answer.created else DONE), answer.result
    raise ProblemError(*_refused(answer.error, answer.detail, requests.kind_of(answer)))


def _refused(error: str | None, detail: str | None, kind: type[Exception]) -> tuple[int, str]:
    status = status_of_kind(kind) or _DEFECT
    if error == requests.DEFECT:
        return _DEFECT, f"internal error; report its number, {detail}"
    return status, detail or ""


def file_job_of(file_job: FileJob, progress: queues.Progress | None) -> dict[str, Any]:
    """Return a file-generation job as JSON of the API."""
    done = file_job.status == DONE
    if file_job.status is None:
        state = "queued" if file_job.began is None else "running"
    else:
        state = "done" if done else "failed" if file_job.status >= _DEFECT else "refused"
    wanted = file_job.wanted
    media_type = "application/zip"
    if wanted.format in {"pdf", "xlsx"}:
        media_type = MEDIA_TYPES[cast("Format", wanted.format)]
    return {
        "job": str(file_job.id),
        "kind": wanted.kind,
        "subject": wanted.statement,
        "state": state,
        "ahead": file_job.ahead,
        "progress": _steps(progress),
        "asked": file_job.asked,
        "began": file_job.began,
        "ended": file_job.ended,
        "status": file_job.status,
        "result": {
            "url": f"/v1/jobs/{file_job.id}/file",
            "media_type": media_type,
            "bytes": file_job.size,
            "until": file_job.asked + timedelta(seconds=queues.KEPT_S),
        }
        if done
        else None,
        "detail": file_job.detail,
    }


def _steps(progress: queues.Progress | None) -> dict[str, Any] | None:
    return None if progress is None else progress._asdict()


def job_of(progress: Progress, steps: queues.Progress | None = None) -> dict[str, Any]:
    """Return a request's progress in the form of the API."""
    wanted, answer = progress.request, progress.answer
    state = "running" if progress.attempts else "queued"
    status, detail = None, None
    if answer is not None and answer.result is not None:
        state, status = "done", CREATED if answer.created else DONE
    elif answer is not None:
        status, detail = _refused(answer.error, answer.detail, requests.kind_of(answer))
        state = "failed" if status >= _DEFECT else "refused"
    if state == "done" and steps is not None and steps.total is not None:
        steps = steps._replace(done=steps.total)  # the last step has ended
    return {
        "job": str(wanted.id),
        "kind": wanted.kind,
        "subject": wanted.subject,
        "state": state,
        "ahead": 0 if answer is not None else progress.ahead,
        "progress": _steps(steps),
        "asked": wanted.asked,
        "began": progress.began,
        "ended": None if answer is None else answer.at,
        "status": status,
        "result": None if answer is None else answer.result,
        "detail": detail,
    }
