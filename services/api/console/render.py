"""
Rendering of a page (template, texts, security headers, static files), and the console's session.

Every value is escaped; scripts and styles are loaded only from this server.  Static files are
compressed once and named by their content.

A visitor is anonymous, or the holder of an API key.  The cookie has a session secret, not the key;
sign-out or revocation of the key ends the session everywhere.  A session opens pages and lets an
operator acknowledge alarms through forms of the same site.  The API accepts bearer tokens only, so
other sites cannot make a browser write.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from http import HTTPStatus
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import jinja2
from fastapi import APIRouter, Depends, Request
from markupsafe import Markup, escape
from psycopg import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from mrv import calendar
from mrv.report.blocks import legible
from mrv.report.words import LANGUAGES, factor_kind, punctuated
from mrv.rounding import UG_PER_T, decimal_text
from mrv.rules import titled
from mrv.texts import form
from services.api.answers import ProblemError
from services.api.console.maps import coastline, week_of
from services.api.console.translations import Words, preferred, unit
from services.api.principals import PUBLIC, Principal, refuse_part
from services.api.request_context import Api, RequestContext
from services.store import api_keys
from services.store.api_keys import ApiKey
from services.store.registry.entries_from_rows import names as registered_names

COOKIE = "tonne_session"
_LONGEST = 200
# values of the header `Sec-Fetch-Site` for a request from another site (Fetch Metadata)
_OTHER_SITES = ("cross-site", "same-site")


def open_session(conn: Connection, key: ApiKey, response: Response, *, secure: bool) -> None:
    """Open a session for a key's holder and set its cookie; `secure`: only sent over HTTPS."""
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


def signed_in(ask: RequestContext, subject: str) -> bytes:
    """
    Return the stored hash of the session; refuse callers without sign-in.

    `subject`: subject of the page, for the error text.
    Raises ProblemError: 401.
    """
    if ask.who.role == PUBLIC.role or ask.session is None:
        raise ProblemError(401, f"sign in to see {subject}")
    return ask.session


def signed_in_for_all(ask: RequestContext, subject: str) -> None:
    """
    Refuse callers without sign-in, or with access to some projects only.

    Raises ProblemError: 401, 403.
    """
    signed_in(ask, subject)
    refuse_part(ask.who)


def refuse_foreign(ask: RequestContext) -> None:
    """Refuse a form sent by another site. Raises ProblemError: 403."""
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


async def _caller(request: Request) -> RequestContext:
    session = _session_of(request)
    if session is None:
        return RequestContext(request, PUBLIC)
    who = await run_in_threadpool(principal_of, request.app.state.api, session)
    return RequestContext(request, who, session)


View = Annotated[RequestContext, Depends(_caller)]


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
# a page of the console with its query: no other host, control character or escape
_OWN = re.compile(rf"/console/({'|'.join(LANGUAGES)})/[A-Za-z0-9_./-]*(\?[A-Za-z0-9_.,:;=&%+-]*)?")
_LONGEST_PATH = 500
_NO_RETURN = ("sign-in", "sign-out", "events")


class Item(NamedTuple):
    """Menu entry: its text, its address, and whether it is locked."""

    word: str
    page: str
    locked: bool


def menu(who: Principal | None) -> list[Item]:
    """Return the menu of a user; for None, without locked entries."""
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
    return None if "//" in path or ".." in parts or parts[-1] in _NO_RETURN else address


def _locked(who: Principal | None, needs: int) -> bool:
    if who is None or needs == _EVERYBODY:
        return False
    return who.role == "public" or (needs == _ALL_PROJECTS and who.projects is not None)


router = APIRouter(include_in_schema=False)
_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOREVER = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    """Static file, compressed and uncompressed."""

    media_type: str
    plain: bytes
    packed: bytes


@cache
def load() -> dict[str, Asset]:
    """Return every file by its path."""
    return dict(_walk(resources.files("services.api.console").joinpath("static"), ""))


def _walk(folder: Traversable, path: str) -> list[tuple[str, Asset]]:
    result: list[tuple[str, Asset]] = []
    for item in sorted(folder.iterdir(), key=lambda each: each.name):
        if item.is_dir():
            result += _walk(item, f"{path}{item.name}/")
        elif (suffix := item.name.rpartition(".")[2]) in _TYPES:
            data = item.read_bytes()
            result.append(
                (path + item.name, Asset(_TYPES[suffix], data, gzip.compress(data, 9, mtime=0)))
            )
    return result


@cache
def edition() -> str:
    """Return the version in the URLs of static files, a digest of all files."""
    whole = b"".join(name.encode() + asset_.plain for name, asset_ in sorted(load().items()))
    return hashlib.sha256(whole).hexdigest()[:16]


def address(name: str) -> str:
    """Return the URL of a file; KeyError if there is none."""
    load()[name]
    return f"/console/assets/{edition()}/{name}"


@router.get("/console/assets/{of}/{name:path}")
def asset(request: Request, of: str, name: str) -> Response:
    """Return a static file; 404 if it does not exist or its URL is of another version."""
    result = load().get(name)
    if result is None or of != edition():
        raise ProblemError(404, f"there is no such file: {name[:80]!r}; reload the page")
    packs = "gzip" in request.headers.get("accept-encoding", "")
    more = {"Content-Encoding": "gzip"} if packs else {}
    return Response(
        result.packed if packs else result.plain,
        media_type=result.media_type,
        headers={"Cache-Control": _FOREVER, "Vary": "Accept-Encoding", **more},
    )


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    # with this value a browser sends the origin of a form
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
    "Vary": "Cookie, Accept-Encoding",
}
_MAX = 2_000
_LEVEL = 5
_CODE = re.compile("`([^`]{1,200})`")
_IN_PATH = re.compile(rf"/console/({'|'.join(LANGUAGES)})(/|$)")


def _page_language(language: str) -> str:
    """Return a page's language; 404 for an unavailable one."""
    if language not in LANGUAGES:
        raise ProblemError(
            404,
            f"the console has no pages in {language[:20]!r}; choose one of {', '.join(LANGUAGES)}",
        )
    return language


Language = Annotated[str, Depends(_page_language)]


def render(
    ask: RequestContext, language: str, template: str, status: int = 200, **values: Any
) -> Response:
    """Return the page of a template with its `values`."""
    words = Words(language)
    path = ask.request.url.path
    text = (
        _environment()
        .get_template(template)
        .render(
            t=words,
            who=ask.who,
            menu=menu(ask.who),
            next=own(_address(ask.request)) or own(ask.request.query_params.get("next", "")),
            here=path,
            in_language=_others(ask.request),
            root=f"/console/{language}",
            name=namer(ask, language),
            simulated=ask.request.app.state.simulated,
            **values,
        )
    )
    return _packed(ask.request, punctuated(text, language), status, _HEADERS)


def _packed(request: Request, text: str, status: int, headers: dict[str, str]) -> Response:
    """Return a page, compressed if accepted, as it holds no secret that its size could reveal."""
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return HTMLResponse(text, status, headers)
    data = gzip.compress(text.encode(), _LEVEL, mtime=0)
    return HTMLResponse(data, status, {**headers, "Content-Encoding": "gzip"})


def plain(text: str | None) -> str | None:
    """Return decimal text without trailing zeros; None for None."""
    return text.rstrip("0").rstrip(".") if text and "." in text else text


def kilo(text: str) -> str:
    """Return a whole number of Wh in kWh."""
    return f"{Decimal(text) / 1_000:f}"


def percent(share: str) -> str:
    """Return a share as a percentage with two decimals, rounded down, as in reports."""
    return decimal_text(Fraction(share) * 100, 2, "down")


def language_of(request: Request) -> str:
    """Return the language in a URL, or else the browser's preferred one."""
    match = _IN_PATH.match(request.url.path)
    return match[1] if match else preferred(request.headers.get("accept-language", ""))


def is_page(request: Request) -> bool:
    """Return whether an address is one of the console's pages, which have error pages."""
    path = request.url.path
    pages = path == "/" or path.startswith(("/console", "/statements/"))
    return pages and not path.startswith("/console/assets")


def error_page(request: Request, refused: Response, detail: str) -> Response:
    """Return a rejection as a page, with its status and headers."""
    words = Words(language_of(request))
    text = (
        _environment()
        .get_template("error.html")
        .render(
            t=words,
            who=None,
            menu=menu(PUBLIC if refused.status_code == HTTPStatus.UNAUTHORIZED else None),
            next=own(_address(request)) or f"/console/{words.language}/",
            here="",
            in_language=_others(request),
            root=f"/console/{words.language}",
            simulated=request.app.state.simulated,
            status=refused.status_code,
            title=words.or_as_is(
                f"error.{refused.status_code}", HTTPStatus(refused.status_code).phrase
            ),
            detail=detail,
        )
    )
    kept = {k: v for k, v in refused.headers.items() if k in {"retry-after", "allow"}}
    page = punctuated(text, words.language)
    return HTMLResponse(page, refused.status_code, {**_HEADERS, **kept})


def namer(ask: RequestContext, language: str) -> Callable[[str, str, str], str]:
    """
    Return a function that gives the name of a site, project or action in the reader's
    language, else the registered one.
    """

    def name(kind: str, id_: str, registered: str) -> str:
        return names_in(ask, language).get((kind, id_), registered)

    return name


def names_in(ask: RequestContext, language: str) -> dict[tuple[str, str], str]:
    """Return registered names by kind and id, in a language."""

    def find() -> dict[tuple[str, str], str]:
        with ask.reading() as conn:
            rows = registered_names(conn)
            own = conn.execute(
                "SELECT 'site', id, name FROM site"
                " UNION ALL SELECT 'project', id, name FROM project"
            ).fetchall()
        return {(kind, id_): content for kind, id_, content in own} | {
            key: content[language] for key, content in rows.items() if language in content
        }

    result: dict[tuple[str, str], str] = ask.request.app.state.memory.get(("names", language), find)
    return result


def _address(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def _others(request: Request) -> dict[str, str]:
    """Return the URL of the same page in each language; empty outside of the pages."""
    path = request.url.path
    if not _IN_PATH.match(path):
        return {}
    return {language: _moved(path, request.url.query, language) for language in LANGUAGES}


def _moved(path: str, query: str, language: str) -> str:
    """Return the same page's address in another language."""
    parts = path.split("/")
    parts[2:3] = [language]
    return "/".join(parts) + (f"?{query}" if query else "")


def clock(at: datetime | str, timezone: str) -> str:
    """Return a time to the minute in a time zone, with its offset: `2026-02-05 10:00+07:00`."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    local = moment.astimezone(calendar.zone(timezone)).replace(second=0, microsecond=0)
    return local.isoformat(" ", "minutes").replace("+00:00", "Z")


def last_day(end: datetime | None, timezone: str) -> date | None:
    """Return the last local day before the end of a period; None if it is open."""
    return end and (end - timedelta(microseconds=1)).astimezone(calendar.zone(timezone)).date()


def of_ug(ug: int | str | Decimal | None) -> str | None:
    """Return micrograms as tonnes, with all digits; None where unknown."""
    if ug is None:
        return None
    return decimal_text(Fraction(int(ug), UG_PER_T), 12, "down")


def warm() -> None:
    """Load texts, templates, static files and the coastline, before the first reader asks."""
    for language in LANGUAGES:
        Words(language)
    for name in _environment().list_templates():
        _environment().get_template(name)
    load()
    coastline()


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("services.api.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    made.globals["asset"] = address
    made.globals["of_ug"] = of_ug
    made.globals["titled"] = titled
    made.globals["week_of"] = week_of
    made.globals["factor_kind"] = factor_kind
    made.globals["language_name"] = partial(form, "name")
    made.filters["legible"] = legible
    made.filters["clock"] = clock
    made.filters["last_day"] = last_day
    made.filters["plain"] = plain
    made.filters["kilo"] = kilo
    made.filters["percent"] = percent
    made.filters["unit"] = unit
    made.filters["coded"] = coded
    return made


def coded(text: str) -> Markup:
    """Return a text with its parts in backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(legible(text, _MAX)))))  # noqa: S704 - escaped


def _finalize(value: object) -> object:
    """Return a value with control characters replaced by visible ones."""
    return legible(value, _MAX) if type(value) is str else value
