"""A time-stamp authority over HTTP (RFC 3161, section 3.4): a request out, an answer back."""

from __future__ import annotations

from http.client import HTTPException, HTTPMessage
from typing import IO, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ingest.errors import ServerError

TIMEOUT_S: Final = 10.0
_LONGEST = 100_000
_GOOD = (200, 201)
_TYPE = "application/timestamp-reply"


class _NoWayOn(HTTPRedirectHandler):
    """Only the authority that was named is asked."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Follow no redirect; the answer then counts as an error."""


def ask(url: str, request: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """
    Send a request; return the answer's bytes, unread.

    Parameters
    ----------
    url : str
        Of the authority, http or https.
    timeout_s : float
        For each wait on the network. [s]

    Raises
    ------
    ServerError
        If it is away, refuses, or answers with something else.
    """
    asked = Request(  # noqa: S310 - settings take http and https alone
        url,
        data=request,
        headers={"Content-Type": "application/timestamp-query", "Accept": _TYPE},
        method="POST",
    )
    try:
        with build_opener(_NoWayOn).open(asked, timeout=timeout_s) as answer:
            status, kind = answer.status, answer.headers.get_content_type()
            content: bytes = answer.read(_LONGEST + 1)
    except HTTPError as error:
        raise _away(url, f"it answers {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _away(url, str(getattr(error, "reason", error)) or type(error).__name__) from error
    if status not in _GOOD or kind != _TYPE or len(content) > _LONGEST:
        raise _away(url, f"it answers {status} with {kind} of {len(content)} bytes and no token")
    return content


def shown(url: str) -> str:
    """Write a URL without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _away(url: str, why: str) -> ServerError:
    return ServerError(f"time-stamp authority {shown(url)} is away: {why}")
