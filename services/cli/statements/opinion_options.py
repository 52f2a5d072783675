"""What a verifier says of people and visits, as the command line takes it."""

from __future__ import annotations

from datetime import date

from ingest.errors import InputError
from mrv.documents.verification import PersonNamed, SiteVisit


def person(option: str, text: str) -> PersonNamed:
    """Read NAME:FUNCTION; InputError names the option."""
    name, mark, function = (part.strip() for part in text.partition(":"))
    if not mark or not name or not function:
        raise InputError(f"{option} is {text!r}; write it as NAME:FUNCTION")
    return PersonNamed(name=name, function=function)


def site_visit(text: str) -> SiteVisit:
    """Read DAY:PLACE:TEXT, the day as 2026-02-03; InputError otherwise."""
    day, _, rest = text.partition(":")
    place, mark, said = (part.strip() for part in rest.partition(":"))
    try:
        when = date.fromisoformat(day.strip())
    except ValueError:
        when = None
    if when is None or not mark or not place or not said:
        raise InputError(f"--site-visit is {text!r}; write it as 2026-02-03:PLACE:TEXT")
    return SiteVisit(day=when.isoformat(), place=place, text=said)
