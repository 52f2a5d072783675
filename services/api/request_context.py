"""
Context of one request: principal, connection and audit row; cursors of paged lists.

A cursor has the last row's key, so no row is skipped or repeated when others are written
meanwhile; it is bound to its list and filters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec
import psycopg
from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from psycopg import Connection, sql
from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from services.api.answers import (
    ACCEPTED,
    CREATED,
    DONE,
    Preferences,
    ProblemError,
    outcome,
    status_of,
)
from services.api.made_files import Maker
from services.api.principals import CHALLENGE, PUBLIC, Principal, refuse, refuse_part
from services.issuer import requests
from services.issuer.requests import Desk
from services.settings import FILES_BYTES
from services.store import api_keys
from services.store.api_keys import Answer, ApiKey
from services.store.statements import queues as queue
from services.store.statements.queues import Request as Wanted
from services.webhook_post import Network

if TYPE_CHECKING:
    from services.api.principals import Tokens

    Work = Callable[[Connection], tuple[int, Any]]


_MAC_BYTES = 16


class Cursors:
    """Creates and reads cursors. `secret`: shared by all processes of the same database."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, of: tuple[object, ...], key: list[Any]) -> str:
        """Return the cursor after the row with a key, in the list described by `of`."""
        body = json.dumps(key, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(of, body) + body).decode().rstrip("=")

    def read(self, of: tuple[object, ...], mark: str | None) -> list[Any] | None:
        """
        Return the key in a cursor; None without a cursor.

        Raises ProblemError if it was not made for this list.
        """
        if mark is None:
            return None
        try:
            raw = base64.b64decode(mark + "=" * (-len(mark) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        tag, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not body or not hmac.compare_digest(tag, self._mac(of, body)):
            raise ProblemError(
                400, "cursor does not belong to this list; take it from `next` of the previous page"
            )
        key: list[Any] = json.loads(body)
        return key

    def _mac(self, of: tuple[object, ...], body: bytes) -> bytes:
        content = json.dumps(of, default=str).encode()
        return hmac.new(self._secret, content + b"\0" + body, hashlib.sha256).digest()[:_MAC_BYTES]


# a JWT has three parts (RFC 7519)
_JWT_DOTS = 2


async def authenticate(authorization: str, reads: ConnectionPool, oidc: Tokens | None) -> Principal:
    """
    Return the principal of a request; no connection is held while waiting for a provider.

    Raises ProblemError: 401 for an invalid token; it never counts as anonymous.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise ProblemError(401, "send `Authorization: Bearer TOKEN`", CHALLENGE)
    if oidc is not None and token.count(".") == _JWT_DOTS:
        return await oidc.principal(token)
    if not api_keys.is_token(token):
        raise _invalid()  # the database is unreachable
    api_key = await run_in_threadpool(_key, reads, token)
    if api_key is None:
        raise _invalid()
    return Principal(f"key:{api_key.id}", api_key.name, api_key.role, api_key.projects)


def _key(reads: ConnectionPool, token: str) -> ApiKey | None:
    with reads.connection() as conn:
        return api_keys.find(conn, token)


def _invalid() -> ProblemError:
    return ProblemError(
        401,
        "this token is not valid: unknown, expired or revoked; an administrator "
        "creates one with `tonne api keys create`",
        {"WWW-Authenticate": 'Bearer realm="tonne", error="invalid_token"'},
    )


T = TypeVar("T")
_FORBIDDEN, _DEFECT = 403, 500
SET_ROLE = sql.SQL("SET ROLE {}")
_V1 = "/v1"  # a route of a router has its path without this prefix


@dataclass(frozen=True, slots=True)
class Api:
    """
    Common parts of routes: pools, cursors of paged lists, identity provider, home.

    A request takes one connection at a time: from `reads`, or from `files` and `writes` for long
    work, so that reading requests do not wait.  All use the role `tonne_api`.

    `desk` executes steps that need the log's key if the login has `tonne_mrv`, on one machine; if
    None, they are requested from `tonne signer`. `maker` makes reports and packs in a process of
    its own. `waits`: only sufficiently cosigned heads are served; `files_bytes`: maximum size of
    packs on the disk; `file_requested`: set when a file is requested; `public_classes`: device
    classes with public values; `networks`: permitted for webhooks besides public addresses.
    """

    reads: ConnectionPool
    files: ConnectionPool
    writes: ConnectionPool
    cursors: Cursors
    oidc: Tokens | None
    home: Path
    desk: Desk | None
    maker: Maker
    waits: bool = False
    files_bytes: int = FILES_BYTES
    file_requested: threading.Event = field(default_factory=threading.Event)
    public_classes: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()


class RequestContext:
    """
    Context of a request: caller, session, and database connection.

    `who`: authenticated, with a role permitted by the route.
    `session`: hash of the session, for a page.
    """

    def __init__(self, request: Request, who: Principal, session: bytes | None = None) -> None:
        self.api: Api = request.app.state.api
        self.request = request
        self.who = who
        self.session = session
        self._connection: Connection | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Context with a `tonne_api` connection; nested calls share it."""
        if self._connection is not None:
            yield self._connection
            return
        with self.api.reads.connection() as conn:
            self._connection = conn
            try:
                yield conn
            finally:
                self._connection = None

    def noted(self, conn: Connection, status: int) -> None:
        """Store an audit row of this request."""
        at, who = self.request, self.who
        query = at.url.query.encode()
        digest = hashlib.sha256(query).hexdigest()[:16] if query else ""
        api_keys.audit(conn, who.id, who.role, at.method, at.url.path[:500], status, digest)

    def step(
        self,
        kind: str,
        subject: str,
        body: bytes,
        check: Callable[[Connection], bytes | None],
        named: str | None = None,
    ) -> Response:
        """
        Return the answer of a statement's step, executed here or by the signer.

        `kind`, `subject`: the step, and its statement or project.
        `body`: the body as received.
        `check`: called with the connection; refuses unauthorised callers, and returns a replacement
        of the body, if any.
        `named`: idempotency key; the body by default.
        Raises ProblemError if the step is refused.
        """
        prefer = Preferences.of(self.request.headers.getlist("prefer"))
        key = self.request.headers.get("idempotency-key")
        text = body.decode() if named is None else named

        def work(conn: Connection) -> tuple[int, Any]:
            handed = check(conn)
            wanted = Wanted(
                self._named(conn, key, text),
                kind,
                subject,
                body if handed is None else handed,
                self.who.name,
                self.who.id,
                datetime.now(UTC),
            )
            desk = self.api.desk
            if desk is not None and not prefer.respond_async:
                done = _as("tonne_mrv", lambda c: requests.do(c, wanted, desk))(conn)
                return (CREATED if done.created else DONE), done.result
            queue.add_request(conn, wanted)
            return outcome(conn, wanted, prefer)

        answer = self.write(text, work)
        if answer.status_code == ACCEPTED:
            answer.headers["Location"] = f"{_V1}/jobs/{msgspec.json.decode(answer.body)['job']}"
            if prefer.respond_async:
                answer.headers["Preference-Applied"] = "respond-async"
        return answer

    def _named(self, conn: Connection, key: str | None, content: str) -> UUID:
        """Return a step's id: the same for an equal idempotency key, unless it was refused."""
        for again in count():
            line = f"{self.who.id}\n{key}\n{self.request.url.path}\n{again}\n{content}"
            id_ = uuid4() if key is None else uuid5(NAMESPACE_URL, line)
            answer = queue.answer_of(conn, id_)
            if answer is None or answer.error is None:
                break
        return id_

    def write(self, content: str, work: Work) -> Response:
        """
        Return the answer of a change, executed once per idempotency key, and store an audit row.

        `content`: the body, by which a repeated request is recognised.
        `work`: called with the request's connection, in autocommit; returns status and JSON body.
        Raises ProblemError: 422 if the idempotency key was used for another request.
        """
        key = self.request.headers.get("idempotency-key")
        with self.api.writes.connection() as conn:
            try:
                answer, again = self._once(conn, key, content, work)
            except Exception as error:
                self.noted(conn, status_of(error) or _DEFECT)
                raise
            if not again:
                self.noted(conn, answer.status)
        headers = {"Idempotency-Replayed": "true"} if again else {}
        return Response(answer.body, answer.status, headers, "application/json")

    def _once(
        self, conn: Connection, key: str | None, message: str, work: Work
    ) -> tuple[Answer, bool]:
        line = f"{self.request.method} {self.request.url.path}\n{message}"
        digest = hashlib.sha256(line.encode()).digest()
        if key is None:
            return _stored_answer(digest, work(conn)), False
        with api_keys.locked_key(conn, self.who.id, key):
            result = api_keys.answer(conn, self.who.id, key)
            if result is not None and result.request != digest:
                raise ProblemError(
                    422, "this Idempotency-Key was used for another request; use a new one"
                )
            if result is not None:
                return result, True
            answer = _stored_answer(digest, work(conn))
            api_keys.keep_answer(conn, self.who.id, key, answer)
            return answer, False


def _stored_answer(digest: bytes, row: tuple[int, Any]) -> Answer:
    status, body = row
    return Answer(digest, status, msgspec.json.encode(body))


def _as(role: str, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """Return a function that does the work as a database role, and then resets the role."""

    def done(conn: Connection) -> T:
        conn.execute(SET_ROLE.format(sql.Identifier(role)))
        try:
            return work(conn)
        finally:
            with suppress(psycopg.OperationalError):  # the connection is lost, and not used again
                conn.execute("RESET ROLE")

    return done


class LetIn(NamedTuple):
    """Permitted callers of a route: roles; `whole`: only with access to all projects."""

    roles: tuple[str, ...]
    whole: bool


LET_IN: dict[Callable[[Request], Awaitable[RequestContext]], LetIn] = {}


def _permitted(*roles: str, whole: bool = False) -> Callable[[Request], Awaitable[RequestContext]]:
    """
    Return a dependency that admits these roles, checked before anything else.

    `whole`: only callers with access to all projects, as the data cannot be separated by project.
    """

    async def admitted(request: Request) -> RequestContext:
        api: Api = request.app.state.api
        _refuse_unknown(request)
        if "authorization" not in request.headers:
            who = PUBLIC
        else:
            who = await authenticate(request.headers["authorization"], api.reads, api.oidc)
        ask = RequestContext(request, who)
        if roles and who.role not in roles:
            if request.method != "GET" and who is not PUBLIC:
                await run_in_threadpool(_noted_refusal, ask)
            refuse(who, roles)
        if whole:
            refuse_part(who)
        return ask

    LET_IN[admitted] = LetIn(roles, whole)
    return admitted


def _refuse_unknown(request: Request) -> None:
    """Refuse query parameters that the route lacks; a misspelt one would otherwise be ignored."""
    if not request.url.query or not request.url.path.startswith(f"{_V1}/"):
        return
    dependant = getattr(request.scope.get("route"), "dependant", None)
    known = [] if dependant is None else list(dict.fromkeys(_query_names(dependant)))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        there = f"parameters: {', '.join(known)}" if known else "it accepts none"
        raise ProblemError(422, f"query {unknown[0][:60]!r} is not a parameter; {there}")


def _query_names(dependant: Dependant) -> Iterator[str]:
    """
    Yield the names of a route's query parameters, in the order of the OpenAPI document.

    Creating that document would take a third of a second.
    """
    for query_param in dependant.query_params:
        if getattr(query_param.field_info, "include_in_schema", True):
            yield query_param.alias
    for further in dependant.dependencies:
        yield from _query_names(further)


def _noted_refusal(ask: RequestContext) -> None:
    with ask.reading() as conn:
        ask.noted(conn, _FORBIDDEN)


Ask = Annotated[RequestContext, Depends(_permitted())]
READERS = ("operator", "verifier", "auditor", "admin")
Reader = Annotated[RequestContext, Depends(_permitted(*READERS))]
WholeReader = Annotated[RequestContext, Depends(_permitted(*READERS, whole=True))]
Operator = Annotated[RequestContext, Depends(_permitted("operator"))]
Verifier = Annotated[RequestContext, Depends(_permitted("verifier"))]
Party = Annotated[RequestContext, Depends(_permitted("operator", "verifier"))]
# with access to some projects only, an administrator could create a key for all
Admin = Annotated[RequestContext, Depends(_permitted("admin", whole=True))]
