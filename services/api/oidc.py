"""
Bearer tokens of an identity provider: OpenID Connect, signatures by its published keys.

Claims `tonne_role` (operator, verifier, auditor, admin) and `tonne_projects` (a list
of ids, or `["*"]` for all; none where absent) say what the holder may do.  Only
asymmetric signatures are taken, as RFC 8725 section 3.1 asks.
"""

from __future__ import annotations

from typing import Any, get_args

import jwt

from services.api.principals import Principal
from services.api.problems import ProblemError
from services.api.provider_keys import ProviderAwayError, ProviderKeys
from services.store.api.api_keys import ApiRole

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_ALL = ["*"]


class Tokens:
    """
    Checks tokens of one issuer for one audience.

    Parameters
    ----------
    issuer, audience : str
        What `iss` and `aud` must be.
    jwks_url : str
        Where the issuer publishes its keys (RFC 7517).
    """

    def __init__(self, issuer: str, audience: str, jwks_url: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = ProviderKeys(jwks_url)

    async def principal(self, token: str) -> Principal:
        """
        Return whose token it is.

        Raises
        ------
        ProblemError
            401 where it is not valid, 403 where it names no role, 503 where the
            issuer's keys cannot be had.
        """
        claims = await self._claims(token)
        role, projects = claims.get("tonne_role"), claims.get("tonne_projects", [])
        if role not in get_args(ApiRole):
            raise ProblemError(
                403, f"the token's tonne_role must be one of {', '.join(get_args(ApiRole))}"
            )
        if not (
            isinstance(projects, list) and all(isinstance(project, str) for project in projects)
        ):
            raise ProblemError(
                403, "the token's tonne_projects must be a list of project ids, or only '*' in it"
            )
        subject = str(claims["sub"])
        name = str(claims.get("name", subject))
        return Principal(
            f"oidc:{subject}", name, str(role), None if projects == _ALL else tuple(projects)
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = await self._keys.key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise jwt.InvalidKeyError
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=_ALGORITHMS,
                issuer=self._issuer,
                audience=self._audience,
                options={"require": ["exp", "iat", "sub"]},
            )
        except ProviderAwayError:
            raise ProblemError(
                503, "the identity provider's keys cannot be had; try again", {"Retry-After": "10"}
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ProblemError(
                401,
                "this token is not valid here: signature, issuer, audience or time; sign in again",
                {"WWW-Authenticate": 'Bearer realm="tonne", error="invalid_token"'},
            ) from None
        return claims
