"""Authentication of a request by a bearer token: an API key, or a token of an identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg_pool import ConnectionPool
from starlette.concurrency import run_in_threadpool

from services.api.principals import CHALLENGE, Principal
from services.api.problems import ProblemError
from services.store.api import api_keys
from services.store.api.api_keys import ApiKey

if TYPE_CHECKING:
    from services.api.oidc import Tokens

# a token of three parts is a JWT, RFC 7519
_JWT_DOTS = 2


async def authenticate(authorization: str, reads: ConnectionPool, oidc: Tokens | None) -> Principal:
    """
    Return the principal of a request; no connection is held while waiting for a provider.

    Raises
    ------
    ProblemError
        401 for an invalid token; it never counts as anonymous.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise ProblemError(401, "give `Authorization: Bearer TOKEN`", CHALLENGE)
    if oidc is not None and token.count(".") == _JWT_DOTS:
        return await oidc.principal(token)
    if not api_keys.is_token(token):
        raise _invalid()  # the database has nothing to say of it
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
