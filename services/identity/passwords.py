"""
Passwords of devices that can hold no certificate: made by us, long and random.

The broker keeps a salted hash.  Few rounds do: there is nothing to guess in 192
random bits, and a fleet that reconnects would otherwise hold the broker up.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass

_ROUNDS = 101  # mosquitto's own number


@dataclass(frozen=True, slots=True)
class Hashed:
    """One password as each broker keeps it; none of these lets anyone log in."""

    salt: str
    pbkdf2_sha512: str
    iterations: int
    rabbit_sha256: str


def make() -> str:
    """Return a new password: 192 random bits, safe in a URL."""
    return secrets.token_urlsafe(24)


def hashed(password: str) -> Hashed:
    """Hash a password as mosquitto and as RabbitMQ want it."""
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, 64)
    rabbit = os.urandom(4)
    digest = hashlib.sha256(rabbit + password.encode()).digest()
    return Hashed(_b64(salt), _b64(key), _ROUNDS, _b64(rabbit + digest))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
