"""
The words of the reports, one TOML file per language, and short phrases of a statement.

Signed texts are returned unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from functools import cache

from ingest import profiles
from mrv import calendar
from mrv.documents import UNSET, words_of
from mrv.documents.monitoring import CalibrationShown, CrossCheck, MonitoredParameter
from mrv.documents.period_account import Comparison, Deduction, FactorUsed, FixedParameter, Gap
from mrv.documents.statement import Claims
from mrv.errors import ReportError
from mrv.model import MEASURED
from mrv.registry import Event
from mrv.rounding import UG_PER_T, decimal_text, exact_text
from mrv.texts import ENGLISH, dates, declared, filled, form, languages, number

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

# full-width characters, next to which separators between texts are full-width as well
_WIDE = "\u3001-\u30ff\u4e00-\u9fff\uff01-\uff60"
_TAGS = "(?:<[^<>]*>)*"
_BETWEEN = re.compile(
    rf"([{_WIDE}]{_TAGS})(?:([:;,.]) |([.])(?=\s*(?:<|$)))"
    rf"|([:;,]|(?<!\d)[.]) (?={_TAGS}[{_WIDE}])"
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


# display units by the unit of a value, with their size in that unit
_SCALED_UNITS = {
    "t": (("kg", Decimal("0.001")), ("t", Decimal(1)), ("kt", Decimal(1000))),
    "Wh": (("Wh", Decimal(1)), *((f"{k}Wh", Decimal(1000) ** i) for i, k in enumerate("kMG", 1))),
    "m": (("m", Decimal(1)), ("km", Decimal(1000))),
    "mL": (("L", Decimal(1000)), ("m³", Decimal(10**6))),
    "g": (("kg", Decimal(1000)), ("t", Decimal(10**6))),
}
_DIGITS, _MAX_PLACES, _WHOLE_FROM = 4, 6, 10


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
        """
        Return a period as text.

        `begin`, `end`: local times; `end` is the first instant after the period.
        """
        return dates.period(begin, end, self.language)

    def amount(self, value: object, unit: str = "t", digits: int = _DIGITS) -> str:
        """
        Return an amount with at most four significant digits in a suitable unit, rounded down.

        Tables and files contain every digit.
        """
        small, *larger = _SCALED_UNITS.get(unit, ((unit, Decimal(1)),))
        result = Decimal(str(value))
        fitting = [unit_ for unit_ in larger if abs(result / unit_[1]) < 10**_DIGITS]
        name, factor = small
        if larger and abs(result) >= larger[0][1]:
            name, factor = fitting[0] if fitting else larger[-1]
        return f"{self.number(_down(result / factor, digits))}\N{NO-BREAK SPACE}{name}"

    def tonnes(self, value: object) -> str:
        """Return tonnes for a sentence, rounded down: whole, but below ten with two decimals."""
        result = Decimal(str(value))
        if 0 < abs(result) < _WHOLE_FROM:
            return self.amount(result, digits=2)
        return f"{self.number(result.to_integral_value(ROUND_FLOOR))}\N{NO-BREAK SPACE}t"

    def brief(self, value: object) -> str:
        """Return a number with at most four significant digits, or its whole part, rounded down."""
        return self.number(_down(Decimal(str(value)), _DIGITS))

    def share(self, part: Decimal, whole: Decimal) -> str:
        """Return a share in per cent, rounded like `tonnes`."""
        result = part / whole * 100
        return self.number(_down(result, 2, _MAX_PLACES if abs(result) < _WHOLE_FROM else 0))


def _down(value: Decimal, digits: int, maximum: int = _MAX_PLACES) -> str:
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
        """Return the text of a key. Raises KeyError if the language lacks it."""
        return self._texts[key]

    def get(self, key: str, default: str) -> str:
        """Return the text of a key, else the given word of the document."""
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
    """Return a text or page with its language's punctuation between texts; code is unchanged."""
    if language != "ja":
        return text
    return "".join(
        part if at % 2 else _BETWEEN.sub(_full_width, _BRACKETED.sub(_IN_FULL_WIDTH, part))
        for at, part in enumerate(_CODE.split(text))
    )


def _full_width(match: re.Match[str]) -> str:
    return (match[1] or "") + _FULL_WIDTH[match[match.lastindex or 0]]


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


DASH = "\N{EN DASH}"
# by base unit: display unit, and its size in base units
DISPLAY_UNITS = {
    "Wh": ("MWh", 10**6), "m": ("km", 1000), "mL": ("m3", 10**6), "g": ("t", 10**6),
    "s": ("h", 3600), "K s": ("K d", 86_400), "1": ("1", 1),
}  # fmt: skip
_ENGLISH = Words(ENGLISH)
_WHAT = {"energy [kWh]": "what.energy_kwh", "reduction [t]": "what.reduction_t"}


def quantity(parameter: MonitoredParameter, words: Words) -> str:
    """Return the name of a monitored parameter's quantity."""
    return words.get(f"quantity.{parameter.parameter}", parameter.parameter)


def role(name: str, words: Words) -> str:
    """Return the name of a device's role."""
    return words.get(f"role.{name}", name)


def methodology(subject: Claims, words: Words) -> str:
    """Return id, version and title of a statement's methodology."""
    method = subject.methodology
    return f"{method.id} {method.version}: {words.get(f'methodology.{method.id}', method.title)}"


def meaning(fixed: FixedParameter, subject: Claims, words: Words) -> str:
    """
    Return the meaning of a fixed parameter; the signed English text where it is not
    translated.
    """
    if words.language == ENGLISH:
        return fixed.meaning
    name = fixed.parameter.removeprefix(MEASURED)
    result = described(("parameter",), subject.methodology.id, name, words) or fixed.meaning
    known = meanings("parameter", words.language)
    return result if name == fixed.parameter else known["measured"].format(result)


def described(tables: Iterable[str], methodology_id: str, name: str, words: Words) -> str | None:
    """
    Return the meaning of a methodology's parameter, input or step; None if no word file has it.

    The methodology's own texts take precedence over common ones.
    """
    known = [meanings(table, words.language) for table in tables]
    keys = (f"{methodology_id}.{name}", name)
    return next((table[key] for key in keys for table in known if key in table), None)


def source(item: FixedParameter | MonitoredParameter, subject: Claims, words: Words) -> str:
    """Return the source of a parameter; the signed text if the declaration has changed."""
    if isinstance(item, MonitoredParameter):
        table, name = "role_source", item.role
    elif item.parameter.startswith(MEASURED):
        table, name = "source", "measured_of_all" if item.device is None else "measured"
    else:
        table, name = "source", item.parameter
    today, result = (
        described((table,), subject.methodology.id, name, of) for of in (_ENGLISH, words)
    )
    known = {declared(today or "", first=first) for first in (False, True)}
    return result if result is not None and item.source in known else item.source or ""


def until(calibration: CalibrationShown, words: Words) -> str:
    """Return the end of a certificate's validity, and the due date of calibration if earlier."""
    if calibration.due is UNSET:
        return words.day(calibration.valid_until)
    return words.filled(
        "valid_until_due", words.day(calibration.valid_until), words.day(calibration.due)
    )


def plain_until(calibration: CalibrationShown, words: Words) -> str:
    """Return the end of validity as `until`, with days as in the statement."""
    if calibration.due is UNSET:
        return calibration.valid_until
    return words.filled("valid_until_due", calibration.valid_until, calibration.due)


def certificate(calibration: CalibrationShown, words: Words) -> str:
    """Return a certificate with its instrument and laboratory, marked if it is a last test."""
    label = calibration.certificate
    if calibration.channel is not UNSET:
        label = f"{label} ({profiles.register_name(calibration.channel)})"
    by = (calibration.laboratory, calibration.accreditation)
    label = ", ".join((label, *(text for text in by if isinstance(text, str))))
    return label if calibration.last_test is UNSET else words.filled("last_test", label)


def error(calibration: CalibrationShown, words: Words) -> str | None:
    """Return the permissible error and the error found [%]; None where neither is known."""
    known = (
        None
        if calibration.max_error_percent is None
        else words.number(calibration.max_error_percent)
    )
    if calibration.found_error_percent is UNSET:
        return known
    return words.filled("found_error", known or "-", words.number(calibration.found_error_percent))


def rule(gap: Gap, words: Words) -> str:
    """Return the rule applied to a gap."""
    side = gap.rule.partition(" ")[0].removesuffix(":")
    return words.get(f"rule.{side}", gap.rule)


def kind(gap: Gap, words: Words) -> str:
    """Return the kind of a gap, and its cause where the statement has one."""
    name, why = words.get(f"kind.{gap.kind}", gap.kind), gap.why(words.language)
    return f"{name}: {why}" if why else name


def reason(deduction: Deduction, words: Words) -> str:
    """Return the reason of a deduction; one written by tonne 0.1.0 is not translated."""
    return words_of(deduction.reason, words.language)


def compared_quantity(comparison: Comparison, words: Words) -> str:
    """Return the quantity of a comparison with the design, and its roles if not all."""
    message = comparison.what
    text = words[_WHAT[message]] if message in _WHAT else message
    roles = [role(name, words) for name in comparison.roles or ()]
    return f"{text}: {', '.join(roles)}" if roles else text


def witness(check: CrossCheck, words: Words) -> str:
    """Return the kind of source with which a cross-check compares: check meter or invoice."""
    message = check.kind
    return words.get(f"witness.{message.replace(' ', '_')}", message)


def holds(check: CrossCheck, words: Words) -> str:
    """Return the result of a cross-check as text: yes, no or not compared, and its detail."""
    if check.holds is None:
        return f"{words['not_compared']}: {detail(check, words)}"
    text = words["yes" if check.holds else "no"]
    return f"{text}: {detail(check, words)}" if check.detail else text


def detail(check: CrossCheck, words: Words) -> str:
    """Return the detail of a cross-check; empty if it agrees."""
    return words_of(check.detail, words.language)


def certainty(factor: FactorUsed, words: Words) -> str:
    """Return the meaning of a factor's certainty, and whether the project accepted it."""
    letter = factor.certainty
    key = "certainty.accepted" if letter == "M" and factor.accepted else f"certainty.{letter}"
    text = words.get(key, "")
    return f"{letter}: {text}" if text else letter


def factor_kind(kind: str, language: str) -> str:
    """Return the description of a kind of factor, such as the energy content for `diesel.ncv`."""
    result, parts = names(language), kind.split(".")
    keys = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((result[f"factor.{name}"] for name in [*keys, parts[-1], "other"]
                 if f"factor.{name}" in result), kind)  # fmt: skip


def quality_test(name: str, words: Words) -> str:
    """Return the name of a quality test."""
    return words.get(f"test.{name}", name)


def yes_no(value: bool | None, words: Words) -> str:
    """Return yes or no in the language; a dash where not applicable."""
    return DASH if value is None else words["yes" if value else "no"]


def period(subject: Claims, words: Words) -> str:
    """Return the monitoring period: its days, or local times if not midnights."""
    monitoring_period = subject.monitoring_period
    return dates.period(monitoring_period.local_from, monitoring_period.local_to, words.language)


def investigation(event: Event, words: Words) -> str:
    """Return the result of an investigation, its record, investigator and date of resolution."""
    message = f"{event.found} ({event.document})" if event.document else event.found
    if event.by is None:
        return message
    day = DASH if event.resolved is None else words.day(event.resolved.isoformat())
    return f"{message}; {words.filled('dated.resolved', event.by, day)}"


def calculated(factor: FactorUsed, words: Words) -> str:
    """Return the source of a factor's value, and the tool of a project's calculation."""
    if factor.calculation is UNSET:
        return factor.source
    done = factor.calculation
    inputs = json.dumps(done.inputs, ensure_ascii=False, sort_keys=True)
    return f"{factor.source}; {words.filled('calculated_by', done.tool, done.result, inputs)}"
