"""Content negotiation: media type and language of an answer, and waiting preference (RFC 7240)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mrv.report import MEDIA_TYPES
from services.api.problems import ProblemError

_WAIT = re.compile(r'wait\s*=\s*"?([0-9]{1,5})"?')


class Preferences(NamedTuple):
    """
    The known preferences; others are ignored, as in the standard.

    Attributes
    ----------
    respond_async : bool
        Answer 202 with the address of a job.
    longest_s : float or None
        Wait no longer than this. [s]
    """

    respond_async: bool
    longest_s: float | None

    def wait_s(self, most_s: float) -> float:
        """Return the waiting time, at most `most_s`. [s]"""
        return most_s if self.longest_s is None else min(self.longest_s, most_s)

    @staticmethod
    def of(headers: Iterable[str]) -> Preferences:
        """Return the preferences of `Prefer` headers; of a repeated one the first."""
        lines = [
            part.partition(";")[0].strip().lower() for line in headers for part in line.split(",")
        ]
        waits = [match for line in lines if (match := _WAIT.fullmatch(line))]
        return Preferences("respond-async" in lines, float(waits[0][1]) if waits else None)


VC = "application/vc"
# of a statement at its own address, the likeliest first
STATEMENT_FORMS = ("application/json", VC, *MEDIA_TYPES.values())
_MOST = 50  # entries that are looked at; nobody means more


class Wish(NamedTuple):
    """Entry of an `Accept` or `Accept-Language` header."""

    value: str
    quality: float


def media_type(accept: str | None, offered: Sequence[str]) -> str:
    """
    Return the caller's preferred media type; the first one offered without a preference.

    Raises
    ------
    ProblemError
        406, naming the available ones.
    """
    result = _best(accept, offered, _suits_type)
    if result is None:
        raise ProblemError(
            406,
            f"not available as {(accept[:200] if accept else '')!r}; available: "
            f"{', '.join(offered)}",
            {"Vary": "Accept"},
        )
    return result


def language(accept: str | None, offered: Sequence[str]) -> str:
    """
    Return the caller's preferred language, with `vi-VN` as `vi`.

    Raises
    ------
    ProblemError
        406, naming the available ones.
    """
    result = _best(accept, offered, _suits_language)
    if result is None:
        raise ProblemError(
            406,
            f"not available in the languages {(accept[:200] if accept else '')!r}; "
            f"available: {', '.join(offered)}; choose one with `lang`",
            {"Vary": "Accept-Language"},
        )
    return result


def _best(
    header: str | None, offered: Sequence[str], suits: Callable[[str, str], int]
) -> str | None:
    """
    Return the offer with the highest quality by its most specific entry; ties in the order
    offered.
    """
    wishes = [] if header is None else _wishes(header)
    if not wishes:
        return offered[0]
    judged = []
    for place, value in enumerate(offered):
        fitting = [(suits(wish.value, value), wish.quality) for wish in wishes]
        closest, quality = max(fitting)
        if closest and quality:
            judged.append((quality, -place, value))
    return max(judged)[2] if judged else None


def _wishes(header: str) -> list[Wish]:
    wishes = []
    for entry in header.split(",", _MOST)[:_MOST]:
        value, *parameters = (part.strip().lower() for part in entry.split(";"))
        if value:
            wishes.append(Wish(value, _quality(parameters)))
    return wishes


def _quality(parameters: list[str]) -> float:
    """Return the quality of an entry, 0 if it is not a number from 0 to 1."""
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name.strip() == "q":
            digits = text.strip()
            plain = digits.replace(".", "", 1).isdigit() and digits.isascii()
            quality = float(digits) if plain and len(digits) <= len("0.000") else 0.0
            return quality if quality <= 1 else 0.0
    return 1.0


def _suits_type(wish: str, offer: str) -> int:
    if wish == offer:
        return 3
    kind = offer.partition("/")[0]
    return 2 if wish == f"{kind}/*" else int(wish == "*/*")


def _suits_language(wish: str, offer: str) -> int:
    tag = offer.lower()
    if wish == tag or wish.startswith(f"{tag}-"):
        return 2
    return int(wish == "*")
