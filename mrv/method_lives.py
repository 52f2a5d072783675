"""
Validity of methodologies: programme, start, end and successor.

A project can register under a methodology that is open for new projects on that day, and may use it
until the programme's last day for credits, if any.  Days and sources are in `method_lives.toml`; no
project is excluded because of missing data.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from mrv.texts import Text, text


@dataclass(frozen=True, slots=True)
class Life:
    """
    Validity of a methodology in a programme.

    `programmes`: names of the programme in registrations.
    `register_from`, `register_until`: new projects register on days in [from, until).
    `credits_until`: first day on which no more credits are issued under it.
    `inactive`: closed for new projects, from an unknown day.
    `successor`: id of the successor.
    `computes`: False if its equations were not available.
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
    """Return the validity of every methodology in each programme, as listed by tonne."""
    rows = (resources.files(__package__) / "method_lives.toml").read_text("utf-8")
    return tuple(_life(row) for row in tomllib.loads(rows)["life"])


def _life(row: dict[str, Any]) -> Life:
    return Life(**{**row, "programmes": tuple(row["programmes"])})


def find_life(methodology: str, version: str | None, named: Iterable[str | None]) -> Life | None:
    """
    Return the validity of a methodology in the programme of a registration; None if unlisted.

    `named`: programme, registry and standard of the registration.
    """
    words = {name.casefold() for name in named if name}
    for life in lives():
        of = {life.programme.casefold(), *(name.casefold() for name in life.programmes)}
        same = life.version in (None, version) or version is None
        if life.id == methodology and same and words & of:
            return life
    return None


def not_computed(methodology: str) -> str | None:
    """Return the text on a methodology that tonne lists but does not calculate; None for others."""
    life = next((live for live in lives() if live.id == methodology and not live.computes), None)
    if life is None:
        return None
    before = [live.name for live in lives() if live.successor == methodology]
    follows = f", which follows {' and '.join(before)}" if before else ""
    return (
        f"{life.name}{follows} in {life.programme} is in the list of methodologies "
        f"but not calculated, as its equations were not available; source: {life.source}"
    )


def registration_refused(life: Life, registered: date) -> Text | None:
    """Return why a project cannot register under a methodology on a day; None if it can."""
    day, values = str(registered), _named(life)
    if life.inactive:
        return _followed(life, text("PLN-03.inactive", **values))
    if life.register_from is not None and registered < life.register_from:
        since = str(life.register_from)
        return text("PLN-03.not_yet", since=since, registered=day, **values)
    if life.register_until is not None and registered >= life.register_until:
        until = str(life.register_until)
        return _followed(life, text("PLN-03.closed", until=until, registered=day, **values))
    return None


def broken(life: Life, registered: date | None, end: date) -> Iterator[Text]:
    """
    Yield a text on each rule of a methodology's validity that a period does not meet.

    `registered`: when the project was registered; None where not stated.
    `end`: first local day after the period.
    """
    if registered is not None and (refused := registration_refused(life, registered)) is not None:
        yield refused
    ended = life.inactive or (life.register_until is not None and end > life.register_until)
    if registered is None and ended:
        yield _followed(life, text("PLN-03.no_day", **_named(life)))
    if life.credits_until is not None and end > life.credits_until:
        until = str(life.credits_until)
        yield _followed(life, text("PLN-03.no_credits", until=until, **_named(life)))


def _named(life: Life) -> dict[str, str]:
    return {"name": life.name, "programme": life.programme, "source": life.source}


def _followed(life: Life, breach: Text) -> Text:
    """Return the text on a rule that is not met, with the successor methodology, if any."""
    follows = next((live for live in lives() if live.id == life.successor), None)
    if follows is None:
        return breach
    return text("PLN-03.successor", breach=breach, successor=follows.name)
