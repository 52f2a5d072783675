"""Files made in the background (RFC 7240, `respond-async`): a job instead of waiting."""

from __future__ import annotations

from uuid import uuid4

import msgspec
from starlette.responses import Response

from services.api.jobs import ACCEPTED, file_job_of
from services.api.negotiation import Preferences
from services.api.principals import PUBLIC
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.store.statements import file_jobs
from services.store.statements.file_jobs import Wanted

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
