"""
Menu of the console, with locks on pages that need a sign-in, and the return address after a
sign-in.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mrv.report.words import LANGUAGES
from services.api.principals import Principal

_EVERYBODY, _SIGNED_IN, _ALL_PROJECTS = range(3)
_PAGES = (
    ("overview", "", _EVERYBODY),
    ("statements", "statements", _EVERYBODY),
    ("check", "check", _EVERYBODY),
    ("programme", "programme", _ALL_PROJECTS),
    ("sewers", "sewers", _ALL_PROJECTS),
    ("alarms", "alarms", _SIGNED_IN),
    ("live", "live", _SIGNED_IN),
)
# a page of ours and its query: no other host, no control character, no escape
_OWN = re.compile(rf"/console/({'|'.join(LANGUAGES)})/[A-Za-z0-9_./-]*(\?[A-Za-z0-9_.,:;=&%+-]*)?")
_LONGEST = 500
_NOT_AFTER = ("sign-in", "sign-out", "events")


class Item(NamedTuple):
    """Menu entry: its text, its address, and whether it is locked."""

    word: str
    page: str
    locked: bool


def menu(who: Principal | None) -> list[Item]:
    """Return the menu of a user; None: without sign-in and locks."""
    return [Item(word, page, _locked(who, needs)) for word, page, needs in _PAGES]


def own(address: str) -> str | None:
    """
    Return an address to return to after a sign-in; None if it is no page of the console.

    This prevents other sites from redirecting users through the sign-in.
    """
    if len(address) > _LONGEST or _OWN.fullmatch(address) is None:
        return None
    path = address.split("?", maxsplit=1)[0]
    parts = path.split("/")
    return None if "//" in path or ".." in parts or parts[-1] in _NOT_AFTER else address


def _locked(who: Principal | None, needs: int) -> bool:
    if who is None or needs == _EVERYBODY:
        return False
    return who.role == "public" or (needs == _ALL_PROJECTS and who.projects is not None)
