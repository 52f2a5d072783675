"""Texts of the pages, one TOML file per language; names from the registry are unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache

from mrv import calendar
from mrv.report.blocks import legible
from mrv.report.words import LANGUAGES, Numbers, names, percent_sign
from mrv.texts import dates, filled, form
from services.api.answers import ProblemError, language

# units as they are written in the trade
_UNITS = (
    ("Cel", "\N{DEGREE SIGN}C"),
    ("m2", "m\N{SUPERSCRIPT TWO}"),
    ("m3", "m\N{SUPERSCRIPT THREE}"),
    ("ug", "\N{MICRO SIGN}g"),
)
_NAMED, _STANDARD = 3, 40
_PARTED = re.compile(r"(?<=\}) (?=%)|(?<=:) (?=\{count\})")
# days in documents, single or as a span that may be open
_DAYS = re.compile(r"(?<![\w-])(\d{4}-\d\d-\d\d)(?:( \.\.)(?: (\d{4}-\d\d-\d\d))?)?(?![\w-])")


class Words(Numbers):
    """Texts and numbers of one language."""

    def __init__(self, of: str) -> None:
        super().__init__(of)
        self._texts = texts(of)
        self.percent_sign = percent_sign(of).replace(" ", "\N{NO-BREAK SPACE}")
        self.decimal, self.group = form("decimal", of), form("group", of)

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its values filled in; KeyError if the language lacks it."""
        text = self._texts[key]
        return text.format(**values) if values else text

    def or_as_is(self, key: str, text: str) -> str:
        """Return the translation of a key, or the given text if there is none."""
        return self._texts.get(key, text)

    def and_more(self, names: Sequence[str], maximum: int = _NAMED) -> str:
        """Return several names, and the number of the others."""
        named, more = ", ".join(names[:maximum]), len(names) - maximum
        return named if more <= 0 else self("fault.and_more", named=named, count=self.number(more))

    def exceeded(self, detail: Mapping[str, object]) -> str:
        """Return the exceeded limits of an alarm, and their standard as it is cited."""
        exceeded = str(detail["exceeded"]).split(", ")
        limits = [legible(self.or_as_is(f"detail.exceeded.{of}", of), _STANDARD) for of in exceeded]
        body, *numbers = legible(str(detail["standard"]), _STANDARD).upper().split("-")
        return f"{', '.join(limits)} ({body} {':'.join(numbers)})"

    def weekdays(self, begins: int) -> list[str]:
        """Return the short weekday names, from the first day of the week; 0 is Monday."""
        names_ = self("weekdays").split()
        return names_[begins:] + names_[:begins]

    def day(self, item: date | str | None) -> str:
        """Return a day in the form of the language; a dash for None."""
        if item is None:
            return "\N{EN DASH}"
        return dates.day(date.fromisoformat(item) if isinstance(item, str) else item, self.language)

    def moment(self, at: datetime | str, timezone: str | None = None) -> str:
        """Return a time to the minute in the form of the language, in a zone or as local time."""
        when = datetime.fromisoformat(at) if isinstance(at, str) else at
        local = when if timezone is None else when.astimezone(calendar.zone(timezone))
        return dates.moment(local, self.language)

    def moment_form(self) -> str:
        """Return the pattern that joins a time, {0}, and a day, {1}."""
        return dates.moment_form(self.language)

    def days(self, first: date, last: date) -> str:
        """Return a range of days as text."""
        return dates.days(first, last, self.language)

    def dated(self, text: str) -> str:
        """Return a text with its days, single or `first .. last`, in the form of the language."""

        def written(match: re.Match[str]) -> str:
            first, open_, last = match.groups()
            if last:
                return self.days(date.fromisoformat(first), date.fromisoformat(last))
            return self("fault.since", since=self.day(first)) if open_ else self.day(first)

        return _DAYS.sub(written, text)

    def month(self, day: date) -> str:
        """Return the month and year of a day."""
        return dates.month(day, self.language)

    def short_month(self, day: date) -> str:
        """Return the short month of a day."""
        return dates.short_month(day, self.language)

    def span(self, name: str) -> str:
        """Return the text of a span in a URL: `2026`, `2026-01`, `2026-01-31`; a time unchanged."""
        parts = name.split("-")
        if len(parts) == 1:
            return dates.year(date(int(name), 1, 1), self.language) if name.isdigit() else name
        first = date(*(int(number) for number in (*parts, "1")[:3]))
        return self.day(first) if len(parts) > 2 else self.month(first)  # noqa: PLR2004 - with a day


@cache
def texts(of: str) -> Mapping[str, str]:
    """Return all texts of a language by key, including the names of reports."""
    together = {**names(of), **filled("services.api.console", "words", of)}
    # a number stays on one line with its percent sign, and a count with its noun
    return {key: _PARTED.sub("\N{NO-BREAK SPACE}", text) for key, text in together.items()}


def unit(code: str) -> str:
    """Return a unit for display: Cel is a degree Celsius."""
    for code_, written in _UNITS:
        code = code.replace(code_, written)
    return code


def preferred(header: str) -> str:
    """Return the browser's preferred language among the available ones, else English."""
    try:
        return language(header or None, LANGUAGES)
    except ProblemError:
        return LANGUAGES[0]
