"""
Errors as problem documents (RFC 9457): cause and remedy only.

A defect gets a number that is in the log with its traceback; the caller sees no internals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ingest.errors import InputError, RegistryError, ServerError
from mrv.errors import EnrolmentError, StatementStateError, VerificationError
from services.vault import DamagedError, VaultError

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

MEDIA_TYPE = "application/problem+json"
_NOT_ALLOWED = 405
_SHOWN = 5


class ProblemError(Exception):
    """
    Rejected request.

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
    # nothing that the caller asked wrongly
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
            return _of_the_framework(request, error)
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


def _of_the_framework(request: Request, error: HTTPException) -> Response:
    """Return the problem document of an unknown URL or method, naming the available ones."""
    headers = dict(error.headers or {})
    if error.status_code == _NOT_ALLOWED:
        ways = _allowed(request)
        message = f"{request.method} is not available at this address; available: {ways or 'GET'}"
        return problem(error.status_code, message, {**headers, **({"Allow": ways} if ways else {})})
    if error.status_code == HTTPStatus.NOT_FOUND:
        message = "no resource has this address; /v1/openapi.json lists all"
        return problem(error.status_code, message, headers)
    return problem(error.status_code, str(error.detail), headers)


def _allowed(request: Request) -> str:
    """Return all methods of a URL, as the router knows only those of one route."""
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
        for error in result[:_SHOWN]
    ]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(texts))
