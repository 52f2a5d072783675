"""
Cursors of paged lists: the start of the next page, in a text that callers cannot forge.

A cursor has the last row's key, so no row is skipped or repeated when others are written meanwhile;
it is bound to its list and filters.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from services.api.problems import ProblemError

_MAC_BYTES = 16


class Cursors:
    """
    Creates and reads cursors.

    Parameters
    ----------
    secret : bytes
        Shared by all processes of the same database.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, of: tuple[object, ...], key: list[Any]) -> str:
        """Return the cursor after a row, in the list described by `of`."""
        body = json.dumps(key, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(of, body) + body).decode().rstrip("=")

    def read(self, of: tuple[object, ...], mark: str | None) -> list[Any] | None:
        """
        Return the key in a cursor; None without a cursor.

        Raises
        ------
        ProblemError
            If it was not made for this list.
        """
        if mark is None:
            return None
        try:
            raw = base64.b64decode(mark + "=" * (-len(mark) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        tag, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not body or not hmac.compare_digest(tag, self._mac(of, body)):
            raise ProblemError(
                400, "cursor does not belong to this list; take it from `next` of the previous page"
            )
        key: list[Any] = json.loads(body)
        return key

    def _mac(self, of: tuple[object, ...], body: bytes) -> bytes:
        content = json.dumps(of, default=str).encode()
        return hmac.new(self._secret, content + b"\0" + body, hashlib.sha256).digest()[:_MAC_BYTES]
