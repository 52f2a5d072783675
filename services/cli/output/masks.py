"""Passwords out of what is printed: terminals are shared, logged and photographed."""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*):(?P<password>[^\s/]*)@(?=[^\s@]*)")
_WORD = re.compile(r"\b(?P<key>password|passwd|pwd)=(?:'[^']*'|\S+)", re.IGNORECASE)


def masked(text: str) -> str:
    """Return text with `***` for the password of each URL and connection string."""
    return _WORD.sub(r"\g<key>=***", _LOGIN.sub(r"\g<head>:***@", text))
