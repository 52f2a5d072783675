"""
The life of methodologies: in which programme, from when to when, and what follows.

A project registers by a methodology that takes new projects on that day; it may go on with it
afterwards, until the programme's last day for credits, where it has one.  Days and sources stand
in `method_lives.toml`; what is not known there refuses nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Life:
    """
    A methodology in a programme.

    Attributes
    ----------
    programmes : tuple of str
        How registrations name the programme.
    register_from, register_until : date or None
        New projects register on days in [from, until).
    credits_until : date or None
        First day for which no credits are issued by it.
    inactive : bool
        It takes no new project; the day is not known.
    successor : str or None
        Id of what follows.
    computes : bool
        False where its equations were not to be had.
    """

    programme: str
    programmes: tuple[str, ...]
    id: str
    name: str
    source: str
    certainty: str
    version: str | None = None
    register_from: date | None = None
    register_until: date | None = None
    credits_until: date | None = None
    inactive: bool = False
    successor: str | None = None
    computes: bool = True


@cache
def lives() -> tuple[Life, ...]:
    """Return every row."""
    text = (resources.files(__package__) / "method_lives.toml").read_text("utf-8")
    return tuple(_life(row) for row in tomllib.loads(text)["life"])


def _life(row: dict[str, Any]) -> Life:
    return Life(**{**row, "programmes": tuple(row["programmes"])})


def find_life(methodology: str, version: str | None, named: Iterable[str | None]) -> Life | None:
    """
    Return the life of a methodology in the programme that a registration names.

    Parameters
    ----------
    named : iterable of str or None
        Programme, registry and standard, as the registration has them.
    """
    words = {one.casefold() for one in named if one}
    for life in lives():
        of = {life.programme.casefold(), *(name.casefold() for name in life.programmes)}
        same = life.version in (None, version) or version is None
        if life.id == methodology and same and words & of:
            return life
    return None


def not_computed(methodology: str) -> str | None:
    """Say what is known of a methodology that tonne names and does not compute."""
    found = next((one for one in lives() if one.id == methodology and not one.computes), None)
    if found is None:
        return None
    before = [one.name for one in lives() if one.successor == methodology]
    follows = f", which follows {' and '.join(before)}" if before else ""
    return (
        f"{found.name}{follows} in {found.programme} is named in the ledger of methodologies and"
        f" not computed: its equations were not to be had; source: {found.source}"
    )


def registration_refused(life: Life, registered: date) -> str | None:
    """Say why a project may not register by a methodology on a day; None where it may."""
    if life.inactive:
        return f"{life.name} takes no new project in {life.programme}{_next(life)}: {life.source}"
    if life.register_from is not None and registered < life.register_from:
        return (
            f"{life.name} is valid in {life.programme} from {life.register_from}, and the project"
            f" was registered on {registered}: {life.source}"
        )
    if life.register_until is not None and registered >= life.register_until:
        return (
            f"{life.name} takes no new project in {life.programme} from {life.register_until} on,"
            f" and this one was registered on {registered}{_next(life)}: {life.source}"
        )
    return None


def broken(life: Life, registered: date | None, end: date) -> Iterator[str]:
    """
    Say what a period that ends on a day breaks.

    Parameters
    ----------
    registered : date or None
        When the project was registered; None where nobody said so.
    end : date
        First local day after the period.
    """
    if registered is not None and (text := registration_refused(life, registered)) is not None:
        yield text
    ended = life.inactive or (life.register_until is not None and end > life.register_until)
    if registered is None and ended:
        yield (
            f"{life.name} takes no new project in {life.programme}{_next(life)}, and the day of"
            " registration is not entered; add `registered` to the registration"
        )
    if life.credits_until is not None and end > life.credits_until:
        yield (
            f"{life.programme} issues no credits by {life.name} for time from"
            f" {life.credits_until} on{_next(life)}: {life.source}"
        )


def _next(life: Life) -> str:
    follows = next((one for one in lives() if one.id == life.successor), None)
    return "" if follows is None else f"; {follows.name} follows"
