"""A bearer token, and whose it is: an API key of ours, or a token of an identity provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.api.principals import CHALLENGE, Principal
from services.api.problems import ProblemError
from services.store.api import api_keys

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from services.api.oidc import Tokens

# a token of three parts is a JWT, RFC 7519
_JWT_DOTS = 2


def authenticate(conn: Connection[TupleRow], authorization: str, oidc: Tokens | None) -> Principal:
    """
    Return who asks.

    Raises
    ------
    ProblemError
        401 where it is not valid; it is never taken for none.
    """
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise ProblemError(401, "give `Authorization: Bearer TOKEN`", CHALLENGE)
    if oidc is not None and token.count(".") == _JWT_DOTS:
        return oidc.principal(token)
    found = api_keys.find(conn, token)
    if found is None:
        raise ProblemError(
            401,
            "this token is not valid: unknown, expired or revoked; an administrator makes one"
            " with `tonne api keys create`",
            {"WWW-Authenticate": 'Bearer realm="tonne", error="invalid_token"'},
        )
    return Principal(f"key:{found.id}", found.name, found.role, found.projects)
