"""One request: who asks, a connection to answer from, and the record that is kept of it."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import Depends, Request
from starlette.responses import Response

from services.api.authentication import authenticate
from services.api.principals import Principal, require
from services.api.problems import ProblemError, status_of
from services.store import api_records
from services.store.api_records import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from psycopg import Connection
    from psycopg.rows import TupleRow
    from psycopg_pool import ConnectionPool

    from services.api.cursors import Cursors
    from services.api.oidc import Verifier

ALL_ROLES = ("operator", "verifier", "auditor", "admin")
_LONGEST_KEY = 200
_DEFECT = 500


@dataclass(frozen=True, slots=True)
class Api:
    """What the routes share: pools by role, page marks, the identity provider, the home."""

    reads: ConnectionPool[Connection[TupleRow]]
    writes: ConnectionPool[Connection[TupleRow]]
    cursors: Cursors
    oidc: Verifier | None
    home: Path


class Asked:
    """One request, as the routes see it."""

    def __init__(self, request: Request) -> None:
        self.api: Api = request.app.state.api
        self.request = request

    @contextmanager
    def reading(self, *roles: str) -> Iterator[tuple[Connection[TupleRow], Principal]]:
        """
        Give a connection, as `tonne_api`, and who asks; with no roles, anybody may.

        Raises
        ------
        ProblemError
            401 or 403.
        """
        with self.api.reads.connection() as conn:
            who = authenticate(conn, self.request.headers.get("authorization"), self.api.oidc)
            if roles:
                require(who, roles)
            yield conn, who

    def noted(self, conn: Connection[TupleRow], who: Principal, status: int) -> None:
        """Keep an audit row of this request."""
        at = self.request
        number = hashlib.sha256(at.url.query.encode()).hexdigest()[:16] if at.url.query else ""
        api_records.audit(conn, who.id, who.role, at.method, at.url.path[:500], status, number)

    def write(
        self,
        roles: tuple[str, ...],
        said: str,
        work: Callable[[Connection[TupleRow], Principal], tuple[int, Any]],
    ) -> Response:
        """
        Do what changes something, once a request that names itself, and note it.

        Parameters
        ----------
        roles : tuple of str
            Who may.
        said : str
            The body, by which a repeated request is recognised.
        work : callable
            Takes a connection as `tonne_mrv`, in autocommit, and who asks; returns the
            status and what to answer, as JSON.

        Raises
        ------
        ProblemError
            401, 403; 422 where the request's name was used for another one.
        """
        key = self._key()
        with self.api.reads.connection() as conn:
            who = authenticate(conn, self.request.headers.get("authorization"), self.api.oidc)
            try:
                require(who, roles)
                answer, again = self._once(conn, who, key, said, work)
            except Exception as error:
                if who.role != "public":
                    self.noted(conn, who, status_of(error) or _DEFECT)
                raise
            if not again:
                self.noted(conn, who, answer.status)
        headers = {"Idempotency-Replayed": "true"} if again else {}
        return Response(answer.body, answer.status, headers, "application/json")

    def _once(
        self,
        conn: Connection[TupleRow],
        who: Principal,
        key: str | None,
        said: str,
        work: Callable[[Connection[TupleRow], Principal], tuple[int, Any]],
    ) -> tuple[Answer, bool]:
        line = f"{self.request.method} {self.request.url.path}\n{said}"
        digest = hashlib.sha256(line.encode()).digest()
        with conn.transaction():
            if key is not None:
                api_records.one_at_a_time(conn, who.id, key)
                found = api_records.answer(conn, who.id, key)
                if found is not None and found.request != digest:
                    raise ProblemError(
                        422, "this Idempotency-Key was used for another request; take a new one"
                    )
                if found is not None:
                    return found, True
            with self.api.writes.connection() as writing:
                status, body = work(writing, who)
            answer = Answer(digest, status, msgspec.json.encode(body))
            if key is not None:
                api_records.keep_answer(conn, who.id, key, answer)
            return answer, False

    def _key(self) -> str | None:
        key = self.request.headers.get("idempotency-key")
        fit = key is None or (key.isascii() and key.isprintable() and 0 < len(key) <= _LONGEST_KEY)
        if not fit:
            raise ProblemError(
                400, f"Idempotency-Key must be 1 to {_LONGEST_KEY} printable ASCII characters"
            )
        return key


async def _asked(request: Request) -> Asked:
    return Asked(request)


Ask = Annotated[Asked, Depends(_asked)]
