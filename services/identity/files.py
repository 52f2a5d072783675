"""
Secrets of the fleet: files readable only by their owner, and passwords.

Files are written completely or not at all.  Passwords, for devices that cannot hold a certificate,
have 192 random bits, so a salted hash with few rounds is sufficient and fast when a fleet
reconnects.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import InputError

SECRET, PUBLIC = 0o600, 0o644
_ROUNDS = 101  # mosquitto's own number


def make_folder(folder: Path) -> None:
    """
    Create a folder that only its owner may enter.

    Raises
    ------
    InputError
        When it cannot be made.
    """
    try:
        if not folder.parent.exists():
            make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be created: {error.strerror}; name another folder"
        ) from error


def write(path: Path, content: bytes, mode: int = SECRET) -> None:
    """
    Write a file atomically, with its permissions from the first byte on.

    Raises
    ------
    InputError
        When it cannot be written.
    """
    make_folder(path.parent)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
        fresh.replace(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}; free space there or name another folder"
        ) from error


def read(path: Path, what: str) -> bytes:
    """
    Return the contents of a file.

    Raises
    ------
    InputError
        Naming the expected content.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {what} cannot be read: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Hashed:
    """Password as hashed for each broker."""

    salt: str
    pbkdf2_sha512: str
    iterations: int
    rabbit_sha256: str


def make() -> str:
    """Return a new password: 192 random bits, in characters safe in a URL."""
    return secrets.token_urlsafe(24)


def hashed(password: str) -> Hashed:
    """Return a password hashed for mosquitto and for RabbitMQ."""
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, 64)
    rabbit = os.urandom(4)
    digest = hashlib.sha256(rabbit + password.encode()).digest()
    return Hashed(_b64(salt), _b64(key), _ROUNDS, _b64(rabbit + digest))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
