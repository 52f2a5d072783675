"""
Principals of a request: anonymous, holder of an API key, or of an OpenID Connect token.

A principal has one role and access to some projects or all.  Other projects are answered as not
found.

Claims `tonne_role` (operator, verifier, auditor, admin) and `tonne_projects` (a list of ids, or
`["*"]` for all; none by default) determine the permissions.  Only asymmetric signatures are
accepted (RFC 8725, section 3.1).

Keys are cached so that callers cannot cause many requests to the provider: one runs at a time, the
next starts after a pause, and unknown key ids are remembered.  Waiting requests hold no thread and
no database connection.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn, get_args
from urllib.request import Request, urlopen

import jwt
import msgspec

from services.api.answers import ProblemError
from services.store.api_keys import ApiRole

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tonne"'}


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Caller of a request.

    `id`: `key:<id>`, `oidc:<subject>`, or `public`.
    `name`: display name.
    `role`: operator, verifier, auditor, admin; public without a token.
    `projects`: visible projects; None is all.
    """

    id: str
    name: str
    role: str
    projects: tuple[str, ...] | None

    def sees(self, project: str) -> bool:
        """Return whether a project is within the scope."""
        return self.role != "public" and (self.projects is None or project in self.projects)

    @property
    def sees_all(self) -> bool:
        """Return whether every project, including future ones, is within the scope."""
        return self.role != "public" and self.projects is None


PUBLIC = Principal("public", "public", "public", ())


def refuse(principal: Principal, roles: tuple[str, ...]) -> NoReturn:
    """
    Refuse a principal of another role.

    Raises ProblemError: 401 without a token, 403 with another role.
    """
    if principal.role == "public":
        raise ProblemError(
            401, "a token is required; send `Authorization: Bearer TOKEN`", CHALLENGE
        )
    raise ProblemError(
        403,
        f"the role {principal.role} is not allowed to do this; use a key of the role "
        f"{' or '.join(roles)}",
    )


def refuse_part(principal: Principal) -> None:
    """
    Refuse a caller limited to some projects, for data of all projects.

    Raises ProblemError: 403.
    """
    if not principal.sees_all:
        raise ProblemError(
            403,
            "access to all projects is required, but your key is limited to some "
            "projects; "
            "ask for a key without `--project`",
        )


FRESH_S = 300.0
STALE_S = 24 * 3600.0
BETWEEN_S = 10.0
UNKNOWN_S = 300.0
MAX_UNKNOWN = 10_000
WAIT_S = 2.0
_FETCH_S = 5.0
_LARGEST = 1_048_576
_PART = 65_536


class ProviderAwayError(Exception):
    """The identity provider's keys are not available."""


class ProviderKeys:
    """
    Public keys of an identity provider by id.

    `url`: URL of the published keys.
    `fetch`: called with the URL; returns the document's bytes, or raises `OSError`.
    """

    def __init__(self, url: str, fetch: Callable[[str], bytes] | None = None) -> None:
        self._url = url
        self._fetch = fetch or read
        self._keys: dict[str, jwt.PyJWK] = {}
        self._had_s = float("-inf")
        self._requested_s = float("-inf")
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._flight: asyncio.Future[bool] | None = None
        self._thread = ThreadPoolExecutor(1, "provider-keys")

    async def key(self, id_: str) -> jwt.PyJWK | None:
        """
        Return the key with an id; None if the provider has none.

        Raises ProviderAwayError when the provider does not answer, and no keys are known.
        """
        age_s = time.monotonic() - self._had_s
        result = self._keys.get(id_) if age_s < STALE_S else None
        if result is not None:
            if age_s > FRESH_S:  # the new keys are for the next request; this one does not wait
                self._begin()
            return result
        if self._is_unknown(id_):
            return None
        is_up_to_date = await self._answer()
        result = self._keys.get(id_)
        if result is None and not is_up_to_date and time.monotonic() - self._had_s > FRESH_S:
            raise ProviderAwayError
        if result is None:
            self._remember_unknown(id_)
        return result

    async def _answer(self) -> bool:
        """Wait for the provider's answer; return whether there was one, now or recently."""
        flight = self._begin()
        if flight is None:
            return self._had_s >= self._requested_s
        try:
            async with asyncio.timeout(WAIT_S):
                return await asyncio.shield(flight)
        except TimeoutError:
            return False

    def _begin(self) -> asyncio.Future[bool] | None:
        """Return the running or new request to the provider; None if it was asked recently."""
        if self._flight is not None and not self._flight.done():
            return self._flight
        if time.monotonic() - self._requested_s < BETWEEN_S:
            return None
        self._requested_s = time.monotonic()
        self._flight = asyncio.ensure_future(self._ask())
        return self._flight

    async def _ask(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(self._thread, self._fetch, self._url)
            result = jwt.PyJWKSet.from_dict(msgspec.json.decode(body, type=dict))
        except (OSError, ValueError, msgspec.DecodeError, jwt.PyJWTError):
            return False
        self._keys = {
            key.key_id: key
            for key in result.keys
            if key.key_id is not None and key.public_key_use in {None, "sig"}
        }
        self._had_s = time.monotonic()
        self._unknown.clear()
        return True

    def _is_unknown(self, id_: str) -> bool:
        return time.monotonic() < self._unknown.get(id_, float("-inf"))

    def _remember_unknown(self, id_: str) -> None:
        self._unknown[id_] = time.monotonic() + UNKNOWN_S
        while len(self._unknown) > MAX_UNKNOWN:
            self._unknown.popitem(last=False)


def read(url: str) -> bytes:
    """
    Return the contents of a URL, at most 1 MB, within some seconds.

    Raises OSError if that is not possible.
    """
    until_s = time.monotonic() + _FETCH_S
    request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the operator's own setting
    body = bytearray()
    with urlopen(request, timeout=_FETCH_S) as answer:  # noqa: S310 - the operator's own setting
        while part := answer.read1(_PART):
            body += part
            if len(body) > _LARGEST:
                raise OSError(f"{url}: the answer has more than {_LARGEST} bytes; check the URL")
            if time.monotonic() > until_s:
                raise OSError(f"{url}: no complete answer within {_FETCH_S} s")
    return bytes(body)


_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
_ALL = ["*"]


class Tokens:
    """
    Verifies tokens of one issuer for one audience.

    `issuer`, `audience`: required `iss` and `aud`.
    `jwks_url`: URL of the issuer's keys (RFC 7517).
    """

    def __init__(self, issuer: str, audience: str, jwks_url: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = ProviderKeys(jwks_url)

    async def principal(self, token: str) -> Principal:
        """
        Return the principal of a token.

        Raises ProblemError: 401 if it is invalid, 403 if it names no role, 503 if the issuer's keys
        are unavailable.
        """
        claims = await self._claims(token)
        role, projects = claims.get("tonne_role"), claims.get("tonne_projects", [])
        if role not in get_args(ApiRole):
            raise ProblemError(
                403,
                f"the token's tonne_role is {role!r}; the identity provider must set it to one of "
                f"{', '.join(get_args(ApiRole))}",
            )
        if not (
            isinstance(projects, list) and all(isinstance(project, str) for project in projects)
        ):
            raise ProblemError(
                403,
                f"the token's tonne_projects is {projects!r}; the identity provider must set it to "
                'a list of project ids, or to ["*"]',
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
                503,
                "the identity provider's keys are not available; try again",
                {"Retry-After": "10"},
            ) from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise ProblemError(
                401,
                "this token is not valid here: check signature, issuer, audience and "
                "time; sign in again",
                {"WWW-Authenticate": 'Bearer realm="tonne", error="invalid_token"'},
            ) from None
        return claims
