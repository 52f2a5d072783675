"""Tokens of an identity provider: their permissions, and how often the provider is asked."""

import asyncio
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from services.api import principals
from services.api.answers import ProblemError
from services.api.principals import Tokens
from tests.services.api.hostile import forged_token, hanging_provider, knocks

ISSUER, AUDIENCE = "https://id.example.vn", "tonne"


class Provider:
    """Publishes keys; `asked` counts the requests, `keys` are the current ones."""

    def __init__(self):
        self.asked, self.keys, self.away = 0, {}, False

    def sign(self, id_, **claims):
        """Return a token that is valid for a minute, with the given changes."""
        now = int(time.time())
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "an", "iat": now, "exp": now + 60}
        key = self.keys.setdefault(id_, Ed25519PrivateKey.generate())
        said |= {"tonne_role": "auditor", **claims}
        return jwt.encode(said, key, "EdDSA", headers={"kid": id_})

    def document(self):
        """Return the keys as they are published (RFC 7517)."""
        return {
            "keys": [
                {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": id_, "use": "sig"}
                for id_, key in self.keys.items()
            ]
        }


@contextmanager
def published():
    """Yield a provider, and tokens that are verified with its keys."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            provider.asked += 1
            body = msgspec.json.encode(provider.document())
            self.send_response(503 if provider.away else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield provider, Tokens(ISSUER, AUDIENCE, f"http://127.0.0.1:{server.server_port}/keys")
    finally:
        server.shutdown()
        server.server_close()


class Clock:
    """The clock by which the provider is asked again."""

    now_s = 1_000.0

    def monotonic(self):
        """Return the time. [s]"""
        return self.now_s


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Wait for a provider's answer, however busy the machine is."""
    monkeypatch.setattr(principals, "WAIT_S", 120.0)
    monkeypatch.setattr(principals, "_FETCH_S", 120.0)


def refused(found):
    """Return the status of a refusal."""
    assert isinstance(found, ProblemError), found
    return found.status


async def all_of(tokens, texts):
    """Verify tokens concurrently; return principals and refusals."""
    return await asyncio.gather(*map(tokens.principal, texts), return_exceptions=True)


@pytest.mark.parametrize(
    ("claims", "projects"),
    [
        ({}, ()),
        ({"tonne_projects": []}, ()),
        ({"tonne_projects": ["pv"]}, ("pv",)),
        ({"tonne_projects": ["*"]}, None),
        ({"tonne_projects": ["pv", "*"]}, ("pv", "*")),  # no project has such an id
    ],
)
def test_who_is_given_no_projects_sees_none(claims, projects):
    """A token without projects gives access to no project."""
    with published() as (provider, tokens):
        token = provider.sign("one", **claims)
        found = asyncio.run(tokens.principal(token))
    assert found.projects == projects
    assert found.sees("bus") == (projects is None)


@pytest.mark.parametrize("wrong", [None, "pv", "*", {"pv": 1}, [1], 7])
def test_a_claim_of_another_shape_is_refused(wrong):
    """A misread claim would open too much."""
    with published() as (provider, tokens):
        token = provider.sign("one", tonne_projects=wrong)
        (found,) = asyncio.run(all_of(tokens, [token]))
    assert refused(found) == 403


def test_the_provider_is_asked_once_for_all(monkeypatch):
    """Anonymous tokens with random key ids would have us hammer the provider."""
    clock = Clock()
    monkeypatch.setattr(principals, "time", clock)
    with published() as (provider, tokens):

        async def attacked():
            good, forged = provider.sign("one"), [forged_token() for _ in range(200)]
            first = await all_of(tokens, [good, *forged])
            assert first[0].id == "oidc:an"
            assert {refused(one) for one in first[1:]} == {401}
            assert provider.asked == 1
            renewed = provider.sign("two")
            clock.now_s += principals.BETWEEN_S + 1
            assert [one.id for one in await all_of(tokens, [renewed])] == ["oidc:an"]
            again = await all_of(tokens, [good, renewed, *forged])
            assert [one.id for one in again[:2]] == ["oidc:an"] * 2
            clock.now_s += principals.BETWEEN_S + 1
            before = provider.asked
            for _ in range(3):  # an id that was not there is not asked for again
                await all_of(tokens, forged[:1])
            assert provider.asked == before

        asyncio.run(attacked())


def test_known_keys_outlive_an_outage_of_the_provider(monkeypatch):
    """No one could sign in while the provider restarts."""
    monkeypatch.setattr(principals, "FRESH_S", 0.0)
    monkeypatch.setattr(principals, "BETWEEN_S", 0.0)
    with published() as (provider, tokens):

        async def through():
            token = provider.sign("one")
            await tokens.principal(token)
            provider.away = True
            for _ in range(3):
                assert (await tokens.principal(token)).id == "oidc:an"
                await asyncio.sleep(0.05)

        asyncio.run(through())


def test_a_provider_that_hangs_is_waited_for_once(monkeypatch):
    """Each token would wait for the unavailable provider again, and requests would accumulate."""
    monkeypatch.setattr(principals, "WAIT_S", 0.3)
    with hanging_provider() as (url, listening):
        tokens = Tokens(ISSUER, AUDIENCE, url)

        async def waited():
            began_s = time.monotonic()
            found = await all_of(tokens, [forged_token() for _ in range(100)])
            assert {refused(one) for one in found} == {503}
            found = await all_of(tokens, [forged_token() for _ in range(100)])
            assert {refused(one) for one in found} == {503}
            return time.monotonic() - began_s

        # one after another, each would wait its time
        assert asyncio.run(waited()) < 200 * principals.WAIT_S / 2
        assert knocks(listening) <= 1
