"""
Session of the console: anonymous, or the holder of an API key.

The cookie has a session secret, not the key; sign-out or revocation of the key ends the session
everywhere.  A session opens pages and lets an operator acknowledge alarms through forms of the same
site. The API accepts bearer tokens only, so other sites cannot make a browser write.
"""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from fastapi import Depends, Request
from psycopg import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mrv.report.words import LANGUAGES
from services.api.principals import PUBLIC, Principal, refuse_part
from services.api.problems import ProblemError
from services.api.request_context import Api, Asked
from services.store import api_keys
from services.store.api_keys import ApiKey

COOKIE = "tonne_session"
_LONGEST = 200
_OTHER_SITES = ("cross-site", "same-site")  # where a browser says so (Fetch Metadata)


def open_session(conn: Connection, key: ApiKey, response: Response, *, secure: bool) -> None:
    """Set the session cookie of the person who signed in."""
    response.set_cookie(
        COOKIE,
        api_keys.open_session(conn, key),
        max_age=api_keys.LASTS_S,
        path="/console",
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def close_session(conn: Connection, request: Request, response: Response) -> None:
    """End the session, here and in the browser."""
    session = _session_of(request)
    if session is not None:
        api_keys.end(conn, session)
    response.delete_cookie(COOKIE, path="/console", httponly=True, samesite="strict")


def principal_of(api: Api, session: bytes) -> Principal:
    """Return the principal of a session; the public if it is not valid."""
    with api.reads.connection() as conn:
        key = api_keys.holder(conn, session)
    return PUBLIC if key is None else principal(key)


def principal(key: ApiKey) -> Principal:
    """Return the principal of a key."""
    return Principal(f"key:{key.id}", key.name, key.role, key.projects)


def signed_in(ask: Asked, subject: str) -> bytes:
    """
    Return the stored hash of the session; refuse callers without sign-in.

    `subject`: subject of the page, for the error text.
    Raises ProblemError: 401.
    """
    if ask.who.role == PUBLIC.role or ask.session is None:
        raise ProblemError(401, f"sign in to see {subject}")
    return ask.session


def signed_in_for_all(ask: Asked, subject: str) -> None:
    """
    Refuse callers without sign-in, or with access to some projects only.

    Raises ProblemError: 401, 403.
    """
    signed_in(ask, subject)
    refuse_part(ask.who)


def refuse_foreign(ask: Asked) -> None:
    """
    Refuse a form sent by another site.

    Raises ProblemError: 403.
    """
    headers = ask.request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if (origin is not None and _host(origin) != headers.get("host")) or site in _OTHER_SITES:
        raise ProblemError(
            403,
            "this form was sent from another website; open it in this console and send it again",
        )


def _host(origin: str) -> str | None:
    """Return host and port of an origin; None if it is invalid."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _session_of(request: Request) -> bytes | None:
    cookie = request.cookies.get(COOKIE)
    return None if cookie is None or len(cookie) > _LONGEST else api_keys.digest(cookie)


async def _seen(request: Request) -> Asked:
    session = _session_of(request)
    if session is None:
        return Asked(request, PUBLIC)
    who = await run_in_threadpool(principal_of, request.app.state.api, session)
    return Asked(request, who, session)


View = Annotated[Asked, Depends(_seen)]


_EVERYBODY, _SIGNED_IN, _ALL_PROJECTS = range(3)
_PAGES = (
    ("overview", "", _EVERYBODY),
    ("statements", "statements", _EVERYBODY),
    ("check", "check", _EVERYBODY),
    ("programme", "programme", _ALL_PROJECTS),
    ("sewers", "sewers", _ALL_PROJECTS),
    ("alarms", "alarms", _SIGNED_IN),
    ("live", "live", _SIGNED_IN),
)
# a page of ours and its query: no other host, no control character, no escape
_OWN = re.compile(rf"/console/({'|'.join(LANGUAGES)})/[A-Za-z0-9_./-]*(\?[A-Za-z0-9_.,:;=&%+-]*)?")
_LONGEST_PATH = 500
_NOT_AFTER = ("sign-in", "sign-out", "events")


class Item(NamedTuple):
    """Menu entry: its text, its address, and whether it is locked."""

    word: str
    page: str
    locked: bool


def menu(who: Principal | None) -> list[Item]:
    """Return the menu of a user; None: without sign-in and locks."""
    return [Item(word, page, _locked(who, needs)) for word, page, needs in _PAGES]


def own(address: str) -> str | None:
    """
    Return an address to return to after a sign-in; None if it is not a page of the console.

    This prevents other sites from redirecting users through the sign-in.
    """
    if len(address) > _LONGEST_PATH or _OWN.fullmatch(address) is None:
        return None
    path = address.split("?", maxsplit=1)[0]
    parts = path.split("/")
    return None if "//" in path or ".." in parts or parts[-1] in _NOT_AFTER else address


def _locked(who: Principal | None, needs: int) -> bool:
    if who is None or needs == _EVERYBODY:
        return False
    return who.role == "public" or (needs == _ALL_PROJECTS and who.projects is not None)
