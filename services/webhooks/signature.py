"""
Secrets and signatures of webhooks, in the form of Standard Webhooks (standardwebhooks.com).

HMAC-SHA256 over id, time and body.  A message carries a signature by each secret that holds at
the time, so that a secret is replaced while messages go on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
_LENGTH = 32


def new_secret() -> str:
    """Return a secret: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_LENGTH)).decode()


def headers(held: Sequence[str], id_: str, at_s: int, body: bytes) -> dict[str, str]:
    """
    Return the headers that sign a message.

    Parameters
    ----------
    held : sequence of str
        Secrets that hold now, at least one.
    id_ : str
        Of the event: the same in each attempt, so that a receiver knows it again.
    at_s : int
        When it is sent, seconds since 1970.
    """
    signed = f"{id_}.{at_s}.".encode() + body
    signatures = (
        hmac.digest(base64.b64decode(one.removeprefix(PREFIX)), signed, hashlib.sha256)
        for one in held
    )
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(s).decode()}" for s in signatures),
    }
