"""One request: who asks, a connection to answer from, and the record that is kept of it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from services.api.authentication import authenticate
from services.api.principals import PUBLIC, Principal, refuse
from services.api.problems import ProblemError, status_of
from services.store.api import audit_and_idempotency as api_records
from services.store.api.audit_and_idempotency import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from psycopg_pool import ConnectionPool

    from services.api.cursors import Cursors
    from services.api.oidc import Tokens

_FORBIDDEN, _DEFECT = 403, 500
_V1 = "/v1"  # a route within a router may know its path without it


@dataclass(frozen=True, slots=True)
class Api:
    """
    What the routes share: pools by role, page marks, the identity provider, the home.

    `strict` refuses statements that rest on a factor which nobody accepted by name.
    """

    reads: ConnectionPool[Connection[TupleRow]]
    writes: ConnectionPool[Connection[TupleRow]]
    cursors: Cursors
    oidc: Tokens | None
    home: Path
    strict: bool


class Asked:
    """
    One request, as the routes see it.

    Attributes
    ----------
    who : Principal
        Authenticated, and of a role that the route is for.
    """

    def __init__(self, request: Request, who: Principal) -> None:
        self.api: Api = request.app.state.api
        self.request = request
        self.who = who

    @contextmanager
    def reading(self) -> Iterator[Connection[TupleRow]]:
        """Give a connection, as `tonne_api`."""
        with self.api.reads.connection() as conn:
            yield conn

    def noted(self, conn: Connection[TupleRow], status: int) -> None:
        """Keep an audit row of this request."""
        at, who = self.request, self.who
        query = at.url.query.encode()
        digest = hashlib.sha256(query).hexdigest()[:16] if query else ""
        api_records.audit(conn, who.id, who.role, at.method, at.url.path[:500], status, digest)

    def write(self, said: str, work: Callable[[Connection[TupleRow]], tuple[int, Any]]) -> Response:
        """
        Do what changes something, once a request that names itself, and note it.

        Parameters
        ----------
        said : str
            The body, by which a repeated request is recognised.
        work : callable
            Takes a connection as `tonne_mrv`, in autocommit; returns the status and what
            to answer, as JSON.

        Raises
        ------
        ProblemError
            422 where the request's name was used for another one.
        """
        key = self.request.headers.get("idempotency-key")
        with self.api.reads.connection() as conn:
            try:
                answer, again = self._once(conn, key, said, work)
            except Exception as error:
                self.noted(conn, status_of(error) or _DEFECT)
                raise
            if not again:
                self.noted(conn, answer.status)
        headers = {"Idempotency-Replayed": "true"} if again else {}
        return Response(answer.body, answer.status, headers, "application/json")

    def _once(
        self,
        conn: Connection[TupleRow],
        key: str | None,
        said: str,
        work: Callable[[Connection[TupleRow]], tuple[int, Any]],
    ) -> tuple[Answer, bool]:
        line = f"{self.request.method} {self.request.url.path}\n{said}"
        digest = hashlib.sha256(line.encode()).digest()
        with conn.transaction():
            if key is not None:
                api_records.one_at_a_time(conn, self.who.id, key)
                found = api_records.answer(conn, self.who.id, key)
                if found is not None and found.request != digest:
                    raise ProblemError(
                        422, "this Idempotency-Key was used for another request; take a new one"
                    )
                if found is not None:
                    return found, True
            with self.api.writes.connection() as writing:
                status, body = work(writing)
            answer = Answer(digest, status, msgspec.json.encode(body))
            if key is not None:
                api_records.keep_answer(conn, self.who.id, key, answer)
            return answer, False


def _asked(*roles: str) -> Callable[[Request], Awaitable[Asked]]:
    """Return a dependency that lets these roles in, before anything else is looked at."""

    async def asked(request: Request) -> Asked:
        _refuse_unknown(request)
        if "authorization" not in request.headers:
            who = PUBLIC
        else:
            who = await run_in_threadpool(_authenticated, request)
        ask = Asked(request, who)
        if roles and who.role not in roles:
            if request.method != "GET" and who is not PUBLIC:
                await run_in_threadpool(_noted_refusal, ask)
            refuse(who, roles)
        return ask

    return asked


def _refuse_unknown(request: Request) -> None:
    """Refuse a query parameter that the route does not have: a misspelt one would be ignored."""
    if not request.url.query or not request.url.path.startswith(f"{_V1}/"):
        return
    path = getattr(request.scope.get("route"), "path", "").removeprefix(_V1)
    ways = request.app.openapi()["paths"].get(_V1 + path, {})
    way = ways.get(request.method.lower(), {})
    known = [one["name"] for one in way.get("parameters", ()) if one["in"] == "query"]
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        there = f"there are: {', '.join(known)}" if known else "it takes none"
        raise ProblemError(422, f"query {unknown[0][:60]!r} is no parameter here; {there}")


def _authenticated(request: Request) -> Principal:
    api: Api = request.app.state.api
    with api.reads.connection() as conn:
        return authenticate(conn, request.headers["authorization"], api.oidc)


def _noted_refusal(ask: Asked) -> None:
    with ask.reading() as conn:
        ask.noted(conn, _FORBIDDEN)


Ask = Annotated[Asked, Depends(_asked())]
READERS = ("operator", "verifier", "auditor", "admin")
Reader = Annotated[Asked, Depends(_asked(*READERS))]
Operator = Annotated[Asked, Depends(_asked("operator"))]
Verifier = Annotated[Asked, Depends(_asked("verifier"))]
Party = Annotated[Asked, Depends(_asked("operator", "verifier"))]
Admin = Annotated[Asked, Depends(_asked("admin"))]
