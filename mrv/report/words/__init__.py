"""The words of the reports, one TOML file per language; signed texts stay as signed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import cache

from mrv import calendar
from mrv.errors import ReportError
from mrv.rounding import UG_PER_T, decimal_text, exact_text
from mrv.texts import dates, filled, form, languages, number

__all__ = [
    "LANGUAGES",
    "Numbers",
    "Words",
    "meanings",
    "names",
    "number",
    "percent_sign",
    "punctuated",
]

LANGUAGES = languages()

# signs that code puts between two texts, of which one is written in full width
_WIDE = "\u3001-\u30ff\u4e00-\u9fff\uff01-\uff60"
_BETWEEN = re.compile(
    rf"(?<=[{_WIDE}])([:;,.]) |(?<=[{_WIDE}])([.])(?=\s*(?:<|$))"
    rf"|([:;,]|(?<!\d)[.]) (?=[{_WIDE}])"
)
_BRACKETED = re.compile(rf" \(([{_WIDE}](?:[^()<>]*[{_WIDE}])?)\)")
_IN_FULL_WIDTH = "\N{FULLWIDTH LEFT PARENTHESIS}\\1\N{FULLWIDTH RIGHT PARENTHESIS}"
_CODE = re.compile(
    r"(`[^`\n]*`|<code\b.*?</code>|<pre\b.*?</pre>|<script\b.*?</script>)", re.DOTALL
)
_FULL_WIDTH = {
    ":": "\N{FULLWIDTH COLON}",
    ";": "\N{FULLWIDTH SEMICOLON}",
    ",": "\N{IDEOGRAPHIC COMMA}",
    ".": "\N{IDEOGRAPHIC FULL STOP}",
}


# by the unit of a value: what it is shown in, and how many of the value's own that is
_SHOWN = {
    "t": (("kg", Decimal("0.001")), ("t", Decimal(1)), ("kt", Decimal(1000))),
    "Wh": (("Wh", Decimal(1)), *((f"{k}Wh", Decimal(1000) ** i) for i, k in enumerate("kMG", 1))),
    "m": (("m", Decimal(1)), ("km", Decimal(1000))),
    "mL": (("L", Decimal(1000)), ("m³", Decimal(10**6))),
    "g": (("kg", Decimal(1000)), ("t", Decimal(10**6))),
}
_DIGITS, _MOST_PLACES, _WHOLE_FROM = 4, 6, 10


class Numbers:
    """Number formats of one language, for reports and pages."""

    def __init__(self, language: str) -> None:
        self.language = language

    def number(self, text: object) -> str:
        """Return a whole number or decimal text in the language's form, with the same digits."""
        return number(str(text), self.language)

    def value(self, text: str, unit: str) -> str:
        """Return the value of a parameter; a calendar year without digit grouping."""
        return text if unit == "year" else self.number(text)

    def in_percent(self, text: object) -> str:
        """Return a number with the percent sign of the language."""
        return self.number(text) + percent_sign(self.language)

    def period(self, begin: str, end: str) -> str:
        """Return a period of local times, its end excluded."""
        return dates.period(begin, end, self.language)

    def amount(self, value: object, unit: str = "t", digits: int = _DIGITS) -> str:
        """
        Return an amount with at most four significant digits in a suitable unit, rounded down.

        Tables and files contain every digit.
        """
        small, *larger = _SHOWN.get(unit, ((unit, Decimal(1)),))
        result = Decimal(str(value))
        fitting = [unit_ for unit_ in larger if abs(result / unit_[1]) < 10**_DIGITS]
        name, factor = small
        if larger and abs(result) >= larger[0][1]:
            name, factor = fitting[0] if fitting else larger[-1]
        return f"{self.number(_down(result / factor, digits))}\N{NO-BREAK SPACE}{name}"

    def tonnes(self, value: object) -> str:
        """Return tonnes for a sentence: whole, below ten with two decimals; rounded down."""
        result = Decimal(str(value))
        if 0 < abs(result) < _WHOLE_FROM:
            return self.amount(result, digits=2)
        return f"{self.number(result.to_integral_value(ROUND_FLOOR))}\N{NO-BREAK SPACE}t"

    def brief(self, value: object) -> str:
        """Return a number with at most four significant digits or as whole, rounded down."""
        return self.number(_down(Decimal(str(value)), _DIGITS))

    def share(self, part: Decimal, whole: Decimal) -> str:
        """Return a share in per cent, rounded like `tonnes`."""
        result = part / whole * 100
        return self.number(_down(result, 2, _MOST_PLACES if abs(result) < _WHOLE_FROM else 0))


def _down(value: Decimal, digits: int, maximum: int = _MOST_PLACES) -> str:
    """Return a number with limited significant digits and decimals, rounded down."""
    places = min(max(digits - 1 - value.adjusted(), 0), maximum) if value else 0
    text = f"{value.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Words(Numbers):
    """
    Texts and numbers of one language.

    `language`: one of `LANGUAGES`.
    Raises ReportError if the language is not available.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise ReportError(
                f"language {language!r} is not one of {', '.join(LANGUAGES)}; choose one of them"
            )
        super().__init__(language)
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
        return self.in_percent(f"{text[:-places]}.{text[-places:]}")

    def tonnes_of_ug(self, micrograms: str) -> str:
        """Return micrograms as tonnes with all digits."""
        return self.number(exact_text(Fraction(micrograms) / UG_PER_T))

    @staticmethod
    def plain(value: Fraction, places: int = 6) -> str:
        """Return a number as decimal text without trailing zeros, for `number`."""
        text = decimal_text(value, places, "half_even")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def day(self, text: str) -> str:
        """Return the day of a date or time in the language's form."""
        return dates.day(date.fromisoformat(text[: len("2026-01-01")]), self.language)

    def moment(self, time: str, zone: str) -> str:
        """Return a UTC time in the language's form, to the minute in a time zone."""
        local = datetime.fromisoformat(time).astimezone(calendar.zone(zone))
        return f"{dates.moment(local, self.language)} ({zone})"

    def mark(self, name: str) -> str:
        """Return a day, month or year for a chart in the language's form."""
        return dates.mark(name, self.language)


def percent_sign(language: str) -> str:
    """Return the percent sign of a language, with a blank where usual."""
    return form("percent", language)


def punctuated(text: str, language: str) -> str:
    """
    Return a text or page with the punctuation of its language between texts; code is
    unchanged.
    """
    if language != "ja":
        return text
    return "".join(
        part if at % 2 else _BRACKETED.sub(_IN_FULL_WIDTH, _BETWEEN.sub(_full_width, part))
        for at, part in enumerate(_CODE.split(text))
    )


def _full_width(match: re.Match[str]) -> str:
    return _FULL_WIDTH[match[match.lastindex or 0]]


def names(language: str) -> Mapping[str, str]:
    """Return names common to reports and console."""
    return filled(__name__, "names", language)


def meanings(table: str, language: str) -> Mapping[str, str]:
    """Return the meanings of parameters or steps of methodologies, by keys of the word files."""
    result: Mapping[str, str] = filled(__name__, "meanings", language)[table]
    return result


@cache
def _load(language: str) -> Mapping[str, str]:
    return {**names(language), **filled(__name__, "", language)}
