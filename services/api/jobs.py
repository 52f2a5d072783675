"""Steps that the signer does: waiting for the answer, and telling how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.api.problems import ProblemError, status_of_kind
from services.issuer import requests
from services.store.statements import signer_requests as queue

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.store.statements.signer_requests import Progress
    from services.store.statements.signer_requests import Request as Wanted

DONE, CREATED, ACCEPTED, _DEFECT = 200, 201, 202, 500


def outcome(conn: Connection[TupleRow], wanted: Wanted, patience_s: float) -> tuple[int, Any]:
    """
    Wait for what comes of a request; after that, say how far it is.

    Parameters
    ----------
    patience_s : float
        How long to wait. [s]

    Returns
    -------
    tuple
        HTTP status, 202 where it is not answered yet, and what to answer.

    Raises
    ------
    ProblemError
        As the signer refused it.
    """
    found = requests.awaited(conn, wanted.id, patience_s)
    if found is None:
        progress = queue.progress(conn, wanted.id)
        if progress is None:
            raise RuntimeError("a request that was put in the queue stays there")
        return ACCEPTED, job_of(progress)
    if found.result is not None:
        return (CREATED if found.created else DONE), found.result
    raise ProblemError(*_refused(found.error, found.detail, requests.kind_of(found)))


def _refused(error: str | None, detail: str | None, kind: type[Exception]) -> tuple[int, str]:
    status = status_of_kind(kind) or _DEFECT
    if error == requests.DEFECT:
        return _DEFECT, f"this is a defect of ours; tell us its number, {detail}"
    return status, detail or ""


def job_of(found: Progress) -> dict[str, Any]:
    """Return a request's progress as the API tells it."""
    wanted, answer = found.request, found.answer
    state = "running" if found.attempts else "queued"
    status, detail = None, None
    if answer is not None and answer.result is not None:
        state, status = "done", CREATED if answer.created else DONE
    elif answer is not None:
        status, detail = _refused(answer.error, answer.detail, requests.kind_of(answer))
        state = "failed" if status >= _DEFECT else "refused"
    return {
        "job": str(wanted.id),
        "kind": wanted.kind,
        "subject": wanted.subject,
        "state": state,
        "ahead": 0 if answer is not None else found.ahead,
        "asked": wanted.asked,
        "began": found.began,
        "ended": None if answer is None else answer.at,
        "status": status,
        "result": None if answer is None else answer.result,
        "detail": detail,
    }
