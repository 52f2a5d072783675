"""The words of the reports, one TOML file per language; signed texts stay as signed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from functools import cache

from mrv.errors import ReportError
from mrv.rounding import UG_PER_T, decimal_text, exact_text
from mrv.texts import dates, form, languages, number
from mrv.texts.word_files import filled

__all__ = ["LANGUAGES", "Words", "meanings", "names", "number", "percent_sign"]

LANGUAGES = languages()


class Words:
    """
    Texts and numbers of one language.

    Parameters
    ----------
    language : str
        One of `LANGUAGES`.

    Raises
    ------
    ReportError
        If it is none of them.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ReportError(
                f"language {language!r} is not one of {', '.join(LANGUAGES)}; choose one of them"
            )
        self.language = language
        self._texts = _load(language)

    def __getitem__(self, key: str) -> str:
        """Return a text; KeyError if the language lacks it."""
        return self._texts[key]

    def get(self, key: str, default: str) -> str:
        """Return a text, or the document's own word."""
        return self._texts.get(key, default)

    @property
    def all(self) -> Mapping[str, str]:
        """Return every text by its key."""
        return self._texts

    def filled(self, key: str, *values: object) -> str:
        """Return a text with its values filled in."""
        return self._texts[key].format(*values)

    def percent(self, share: str, places: int = 2) -> str:
        """Return a share as a percentage, rounded down."""
        hundredths = Fraction(share) * 100 * 10**places // 1
        text = f"{hundredths:0{places + 1}d}"
        return self.number(f"{text[:-places]}.{text[-places:]}") + percent_sign(self.language)

    def tonnes_of_ug(self, micrograms: str) -> str:
        """Return micrograms as tonnes with all digits."""
        return self.number(exact_text(Fraction(micrograms) / UG_PER_T))

    @staticmethod
    def plain(value: Fraction, places: int = 6) -> str:
        """Return a number as decimal text without trailing zeros, for `number`."""
        text = decimal_text(value, places, "half_even")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def number(self, text: str) -> str:
        """Return decimal text in the language's form."""
        return number(text, self.language)

    def day(self, text: str) -> str:
        """Return the day of a date or time in the language's form."""
        return dates.day(date.fromisoformat(text[: len("2026-01-01")]), self.language)

    def mark(self, name: str) -> str:
        """Return a day, month or year for a chart in the language's form."""
        return dates.mark(name, self.language)


def percent_sign(language: str) -> str:
    """Return the percent sign of a language, with a blank where usual."""
    return form("percent", language)


def names(language: str) -> Mapping[str, str]:
    """Return names common to reports and console."""
    return filled(__name__, "names", language)


def meanings(table: str, language: str) -> Mapping[str, str]:
    """Return the meanings of parameters or steps of methodologies, by keys of the word files."""
    found: Mapping[str, str] = filled(__name__, "meanings", language)[table]
    return found


@cache
def _load(language: str) -> Mapping[str, str]:
    return {**names(language), **filled(__name__, "", language)}
