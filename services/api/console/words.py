"""The words of the pages, one TOML a language; names from the registry stay as they are."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LANGUAGES = ("en", "vi", "ja")
# decimal mark, mark between thousands
_MARKS = {"en": (".", ","), "vi": (",", "."), "ja": (".", ",")}
_GROUP = 3


class Words:
    """Texts and numbers of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = texts(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text, with values in their places; KeyError where the language lacks it."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def or_as_is(self, key: str, text: str) -> str:
        """Return a text, or what a document says itself."""
        return self._texts.get(key, text)

    def number(self, text: object) -> str:
        """Write a whole number or decimal text in the language's form: the same digits."""
        point, comma = _MARKS[self.language]
        said = str(text)
        sign = "\N{MINUS SIGN}" if said.startswith("-") else ""
        whole, _, rest = said.lstrip("-").partition(".")
        head = len(whole) % _GROUP
        parts = [whole[:head]] if head else []
        parts += [whole[i : i + _GROUP] for i in range(head, len(whole), _GROUP)]
        return sign + comma.join(parts) + (point + rest if rest else "")


@cache
def texts(language: str) -> Mapping[str, str]:
    """Return every text of a language by its key."""
    file = resources.files("services.api.console").joinpath(f"words/{language}.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


def preferred(header: str) -> str:
    """Return the language that a browser prefers of those that there are (RFC 9110, 12.5.4)."""
    wanted = [_weighed(one) for one in header.split(",")]
    known = [(weight, language) for weight, language in wanted if language in LANGUAGES and weight]
    # of equal weight the first one said
    return max(known, key=lambda one: one[0], default=(0.0, LANGUAGES[0]))[1]


def _weighed(one: str) -> tuple[float, str]:
    name, _, quality = one.strip().partition(";q=")
    try:
        weight = float(quality) if quality else 1.0
    except ValueError:
        weight = 0.0
    return weight, name.split("-")[0].lower()
