"""The words of the pages, one TOML a language; names from the registry stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import cache

from mrv import calendar
from mrv.report.words import LANGUAGES, names, number, percent_sign
from mrv.texts import dates, form
from mrv.texts.word_files import filled
from services.api.negotiation import language
from services.api.problems import ProblemError

# by the unit of a value: what it is shown in, and how many of the value's own that is
_SHOWN = {
    "t": (("kg", Decimal("0.001")), ("t", Decimal(1)), ("kt", Decimal(1000))),
    "Wh": (("Wh", Decimal(1)), *((f"{k}Wh", Decimal(1000) ** i) for i, k in enumerate("kMG", 1))),
    "m": (("m", Decimal(1)), ("km", Decimal(1000))),
    "mL": (("L", Decimal(1000)), ("m³", Decimal(10**6))),
    "g": (("kg", Decimal(1000)), ("t", Decimal(10**6))),
}
# as people write a unit of the classes
_UNITS = (
    ("Cel", "\N{DEGREE SIGN}C"),
    ("m2", "m\N{SUPERSCRIPT TWO}"),
    ("m3", "m\N{SUPERSCRIPT THREE}"),
    ("ug", "\N{MICRO SIGN}g"),
)
_DIGITS, _MOST_PLACES, _WHOLE_FROM, _NAMED = 4, 6, 10, 3


class Words:
    """Texts and numbers of one language."""

    def __init__(self, of: str) -> None:
        self.language = of
        self._texts = texts(of)
        self.percent_sign = percent_sign(of)
        self.decimal, self.group = form("decimal", of), form("group", of)

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

    def amount(self, value: object, unit: str = "t", digits: int = _DIGITS) -> str:
        """
        Write an amount for people: at most four significant digits, in a unit that fits.

        Rounded down, so that nothing is overstated; tables and files have every digit.
        """
        small, *larger = _SHOWN.get(unit, ((unit, Decimal(1)),))
        found = Decimal(str(value))
        fitting = [one for one in larger if abs(found / one[1]) < 10**_DIGITS]
        name, factor = small
        if larger and abs(found) >= larger[0][1]:
            name, factor = fitting[0] if fitting else larger[-1]
        return f"{self.number(_down(found / factor, digits))}\N{NO-BREAK SPACE}{name}"

    def tonnes(self, value: object) -> str:
        """Write tonnes as sentences do: whole, below ten with two digits; rounded down."""
        found = Decimal(str(value))
        if 0 < abs(found) < _WHOLE_FROM:
            return self.amount(found, digits=2)
        return f"{self.number(found.to_integral_value(ROUND_FLOOR))}\N{NO-BREAK SPACE}t"

    def share(self, part: Decimal, whole: Decimal) -> str:
        """Write a share in per cent, as `tonnes` writes tonnes."""
        found = part / whole * 100
        return self.number(_down(found, 2, _MOST_PLACES if abs(found) < _WHOLE_FROM else 0))

    def and_more(self, names: Sequence[str]) -> str:
        """Write some names, and how many more there are."""
        named, more = ", ".join(names[:_NAMED]), len(names) - _NAMED
        return named if more <= 0 else self("fault.and_more", named=named, count=self.number(more))

    def weekdays(self, begins: int) -> list[str]:
        """Return the days of a week, short, from the one on which it begins; 0 is Monday."""
        names_ = self("weekdays").split()
        return names_[begins:] + names_[:begins]

    def day(self, one: date | str | None) -> str:
        """Write a day as the language does; a dash where there is none."""
        if one is None:
            return "\N{EN DASH}"
        return dates.day(date.fromisoformat(one) if isinstance(one, str) else one, self.language)

    def moment(self, at: datetime | str, timezone: str | None = None) -> str:
        """Write a time to the minute as the language does, by a zone's clock or as it is local."""
        when = datetime.fromisoformat(at) if isinstance(at, str) else at
        local = when if timezone is None else when.astimezone(calendar.zone(timezone))
        return dates.moment(local, self.language)

    def moment_form(self) -> str:
        """Return how the language joins a time, {0}, and a day, {1}."""
        return dates.moment_form(self.language)

    def days(self, first: date, last: date) -> str:
        """Write the days from the first to the last."""
        return dates.days(first, last, self.language)

    def month(self, day: date) -> str:
        """Write the month of a day."""
        return dates.month(day, self.language)

    def short_month(self, day: date) -> str:
        """Write the month of a day alone, short."""
        return dates.short_month(day, self.language)

    def span(self, name: str) -> str:
        """Write what an address calls a span: `2026`, `2026-01`, `2026-01-31`; a time as it is."""
        parts = name.split("-")
        if len(parts) == 1:
            return dates.year(date(int(name), 1, 1), self.language) if name.isdigit() else name
        first = date(*(int(one) for one in (*parts, "1")[:3]))
        return self.day(first) if len(parts) > 2 else self.month(first)  # noqa: PLR2004 - with a day

    def period(self, begin: str, end: str) -> str:
        """Write a period of local times, its end not in it."""
        return dates.period(begin, end, self.language)


def _down(value: Decimal, digits: int, most: int = _MOST_PLACES) -> str:
    """Return a number with so many significant digits and at most so many places, rounded down."""
    places = min(max(digits - 1 - value.adjusted(), 0), most) if value else 0
    text = f"{value.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


@cache
def texts(of: str) -> Mapping[str, str]:
    """Return every text of a language by its key, also the names of reports."""
    return {**names(of), **filled("services.api.console", "words", of)}


def unit(code: str) -> str:
    """Return a unit of the classes as people write it: Cel is a degree Celsius."""
    for code_, written in _UNITS:
        code = code.replace(code_, written)
    return code


def preferred(header: str) -> str:
    """Return the language that a browser prefers of those that there are, else English."""
    try:
        return language(header or None, LANGUAGES)
    except ProblemError:
        return LANGUAGES[0]
