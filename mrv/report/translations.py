"""Short phrases of a statement in a reader's language."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ingest import profiles
from mrv.documents import UNSET, words_of
from mrv.documents.monitoring import CalibrationShown, CrossCheck, MonitoredParameter
from mrv.documents.period_account import Comparison, Deduction, FactorUsed, FixedParameter, Gap
from mrv.documents.statement import Claims
from mrv.model import MEASURED
from mrv.registry import Event
from mrv.report.words import Words, meanings, names
from mrv.texts import ENGLISH, dates, declared

DASH = "\N{EN DASH}"
# base unit: what people are shown it in, how many base units that is
SHOWN = {
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
    """Return the meaning of a fixed parameter; as signed in English and in untranslated cases."""
    if words.language == ENGLISH:
        return fixed.meaning
    name = fixed.parameter.removeprefix(MEASURED)
    result = described(("parameter",), subject.methodology.id, name, words) or fixed.meaning
    known = meanings("parameter", words.language)
    return result if name == fixed.parameter else known["measured"].format(result)


def described(tables: Iterable[str], methodology_id: str, name: str, words: Words) -> str | None:
    """
    Return the meaning of a methodology's parameter, input or step; None without words.

    Words of the methodology take precedence over common ones.
    """
    known = [meanings(table, words.language) for table in tables]
    keys = (f"{methodology_id}.{name}", name)
    return next((table[key] for key in keys for table in known if key in table), None)


def source(item: FixedParameter | MonitoredParameter, subject: Claims, words: Words) -> str:
    """Return the source of a parameter; as signed if it differs from today's declaration."""
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
    """Return the end of a certificate's validity, and an earlier due date of calibration."""
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
    """Return the subject of a comparison with the design, and its roles if not all."""
    message = comparison.what
    text = words[_WHAT[message]] if message in _WHAT else message
    roles = [role(name, words) for name in comparison.roles or ()]
    return f"{text}: {', '.join(roles)}" if roles else text


def witness(check: CrossCheck, words: Words) -> str:
    """Return the kind of a comparison source."""
    message = check.kind
    return words.get(f"witness.{message.replace(' ', '_')}", message)


def holds(check: CrossCheck, words: Words) -> str:
    """Return whether a cross-check is met, and why not."""
    if check.holds is None:
        return f"{words['not_compared']}: {detail(check, words)}"
    text = words["yes" if check.holds else "no"]
    return f"{text}: {detail(check, words)}" if check.detail else text


def detail(check: CrossCheck, words: Words) -> str:
    """Return the detail of a cross-check; empty if it is met."""
    return words_of(check.detail, words.language)


def certainty(factor: FactorUsed, words: Words) -> str:
    """Return the meaning of a factor's letter of certainty, and whether the project accepted it."""
    letter = factor.certainty
    key = "certainty.accepted" if letter == "M" and factor.accepted else f"certainty.{letter}"
    text = words.get(key, "")
    return f"{letter}: {text}" if text else letter


def factor_kind(kind: str, language: str) -> str:
    """
    Return the description of a kind of factor, such as the energy content of a fuel for
    `diesel.ncv`.
    """
    result, parts = names(language), kind.split(".")
    keys = [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next((result[f"factor.{name}"] for name in [*keys, parts[-1], "other"]
                 if f"factor.{name}" in result), kind)  # fmt: skip


def quality_test(name: str, words: Words) -> str:
    """Return the name of a quality test's flag."""
    return words.get(f"test.{name}", name)


def yes_no(value: bool | None, words: Words) -> str:
    """Return yes or no in the language; a dash where not applicable."""
    return DASH if value is None else words["yes" if value else "no"]


def period(subject: Claims, words: Words) -> str:
    """Return the monitoring period: its days, or local times if not midnights."""
    monitoring_period = subject.monitoring_period
    return dates.period(monitoring_period.local_from, monitoring_period.local_to, words.language)


def found_words(event: Event, words: Words) -> str:
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
