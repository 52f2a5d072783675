"""The words of the pages, one TOML a language; names from the registry stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mrv.report.words import LANGUAGES, names, number, percent_sign
from mrv.texts.word_files import filled
from services.api.negotiation import language
from services.api.problems import ProblemError


class Words:
    """Texts and numbers of one language."""

    def __init__(self, of: str) -> None:
        self.language = of
        self._texts = texts(of)
        self.percent_sign = percent_sign(of)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text, with values in their places; KeyError where the language lacks it."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def or_as_is(self, key: str, text: str) -> str:
        """Return a text, or what a document says itself."""
        return self._texts.get(key, text)

    def number(self, text: object) -> str:
        """Write a whole number or decimal text in the language's form: the same digits."""
        return number(str(text), self.language)


@cache
def texts(of: str) -> Mapping[str, str]:
    """Return every text of a language by its key, also the names of reports."""
    return {**names(of), **filled("services.api.console", "words", of)}


def preferred(header: str) -> str:
    """Return the language that a browser prefers of those that there are, else English."""
    try:
        return language(header or None, LANGUAGES)
    except ProblemError:
        return LANGUAGES[0]
