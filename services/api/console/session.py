"""
Session of the console: anonymous, or the holder of an API key who signed in.

The cookie holds no key: it names one, says until when, and carries a mark that only
this database's API can make.  A key that is revoked ends its sessions at once.  The
cookie opens pages alone; the API takes bearer tokens and nothing else, so that no
other site can make a browser write.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from services.api.principals import PUBLIC, Principal
from services.api.problems import ProblemError
from services.api.request_context import Api, Asked
from services.store.api import api_keys

if TYPE_CHECKING:
    from starlette.responses import Response

    from services.store.api.api_keys import ApiKey

COOKIE = "tonne_session"
LASTS_S = 12 * 3600
_PARTS = 3


def open_session(api: Api, key: ApiKey, response: Response, *, secure: bool) -> None:
    """Let the browser remember who signed in."""
    until = int(time.time()) + LASTS_S
    said = f"{key.id}.{until}"
    response.set_cookie(
        COOKIE,
        f"{said}.{_mark(api, said)}",
        max_age=LASTS_S,
        path="/console",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def close_session(response: Response) -> None:
    """Let the browser forget it."""
    response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict")


def principal_of(api: Api, cookie: str | None) -> Principal:
    """Return whose session a cookie is; the public where it is of none that holds now."""
    parts = (cookie or "").split(".")
    if len(parts) != _PARTS or not parts[1].isascii() or not parts[1].isdecimal():
        return PUBLIC
    said = f"{parts[0]}.{parts[1]}"
    good = hmac.compare_digest(parts[2].encode(), _mark(api, said).encode())
    if not good or int(parts[1]) <= time.time():
        return PUBLIC
    with api.reads.connection() as conn:
        key = api_keys.valid(conn, parts[0])
    return PUBLIC if key is None else principal(key)


def principal(key: ApiKey) -> Principal:
    """Return the holder of a key."""
    return Principal(f"key:{key.id}", key.name, key.role, key.projects)


def _mark(api: Api, said: str) -> str:
    return api.cursors.seal("console session", said)


def signed_in(ask: Asked, what: str) -> None:
    """
    Refuse whoever did not sign in.

    Parameters
    ----------
    what : str
        What there is to see, for the refusal.

    Raises
    ------
    ProblemError
        401.
    """
    if ask.who.role == PUBLIC.role:
        raise ProblemError(401, f"sign in to see {what}")


async def _seen(request: Request) -> Asked:
    cookie = request.cookies.get(COOKIE)
    api: Api = request.app.state.api
    who = PUBLIC if cookie is None else await run_in_threadpool(principal_of, api, cookie)
    return Asked(request, who)


View = Annotated[Asked, Depends(_seen)]
