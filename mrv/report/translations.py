"""Short phrases of a statement in a reader's language; what no pattern knows stays as signed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mrv.documents.coded import words_of
from mrv.documents.monitoring import CrossCheck, MonitoredParameter
from mrv.documents.period_account import Comparison, Deduction, Gap
from mrv.documents.statement import Claims
from mrv.report.words import Words

DASH = "\N{EN DASH}"
# base unit: what people are shown it in, how many base units that is
SHOWN = {
    "Wh": ("MWh", 10**6), "m": ("km", 1000), "mL": ("m3", 10**6), "g": ("t", 10**6),
    "s": ("h", 3600), "K s": ("K d", 86_400), "1": ("1", 1),
}  # fmt: skip
_REASONS = (
    ("reason.none", re.compile("no calibration")),
    ("reason.expired", re.compile("certificate (.+) has expired")),
    ("reason.left", re.compile("certificate (.+) ended with its meter, which was replaced;.*")),
    ("reason.before", re.compile("before certificate (.+)")),
    ("reason.own", re.compile("(.+) of the same meter in ([0-9]+), with its gaps")),
    ("reason.design", re.compile("above the design of ([0-9]+):.*")),
    ("reason.certified", re.compile("certified elsewhere: certificate (.+), (.+)")),
)
_DETAILS = (
    ("detail.differ", re.compile("they differ by more than they may;.*")),
    ("detail.unknown", re.compile("no quarter hour is known of both")),
    ("detail.beyond", re.compile("reaches beyond the period;.*")),
    ("detail.absent", re.compile("no (.+) of (.+) counts in this period")),
    ("detail.partly", re.compile("(.+) did not serve the project all that time(?:: .*)?")),
)
_WHAT = {"energy [kWh]": "what.energy_kwh", "reduction [t]": "what.reduction_t"}


def quantity(one: MonitoredParameter, words: Words) -> str:
    """Name of a monitored parameter's quantity."""
    return words.get(f"quantity.{one.parameter}", one.parameter)


def role(name: str, words: Words) -> str:
    """Name of a device's role."""
    return words.get(f"role.{name}", name)


def rule(gap: Gap, words: Words) -> str:
    """Rule that a gap was charged by."""
    side = gap.rule.partition(" ")[0].removesuffix(":")
    return words.get(f"rule.{side}", gap.rule)


def kind(gap: Gap, words: Words) -> str:
    """Kind of a gap."""
    return words.get(f"kind.{gap.kind}", gap.kind)


def reason(deduction: Deduction, words: Words) -> str:
    """Reason of a deduction."""
    said = words_of(deduction.reason, words.language)
    return _by_pattern(said, _REASONS, words)


def _by_pattern(text: str, patterns: Sequence[tuple[str, re.Pattern[str]]], words: Words) -> str:
    for key, pattern in patterns:
        found = pattern.fullmatch(text)
        if found:
            return words.filled(key, *found.groups())
    return text


def what(comparison: Comparison, words: Words) -> str:
    """What a comparison with the design is of, and of which roles where not of all."""
    said = comparison.what
    text = words[_WHAT[said]] if said in _WHAT else said
    roles = [role(one, words) for one in comparison.roles or ()]
    return f"{text}: {', '.join(roles)}" if roles else text


def witness(check: CrossCheck, words: Words) -> str:
    """Kind of a second witness."""
    said = check.kind
    return words.get(f"witness.{said.replace(' ', '_')}", said)


def holds(check: CrossCheck, words: Words) -> str:
    """Say whether a cross-check holds, and why not."""
    if check.holds is None:
        return f"{words['not_compared']}: {detail(check, words)}"
    text = words["yes" if check.holds else "no"]
    return f"{text}: {detail(check, words)}" if check.detail else text


def detail(check: CrossCheck, words: Words) -> str:
    """Say what there is to know of a cross-check; empty where it holds."""
    return _by_pattern(words_of(check.detail, words.language), _DETAILS, words)


def certainty(letter: str, words: Words) -> str:
    """Say what a letter of certainty means."""
    text = words.get(f"certainty.{letter}", "")
    return f"{letter}: {text}" if text else letter


def quality_test(name: str, words: Words) -> str:
    """Say what a quality test finds."""
    return words.get(f"test.{name}", name)


def yes_no(value: bool | None, words: Words) -> str:
    """Answer in the language; a dash where it is not asked."""
    return DASH if value is None else words["yes" if value else "no"]


def period(subject: Claims) -> str:
    """Local edges of the monitoring period, as the statement says them."""
    said = subject.monitoring_period
    return f"{said.local_from} {DASH} {said.local_to}"


def span_of_days(subject: Claims) -> str:
    """Local edges, as dates where both are midnight."""
    edges = [subject.monitoring_period.local_from, subject.monitoring_period.local_to]
    if all("T00:00:00" in edge for edge in edges):
        edges = [edge[: len("2026-01-01")] for edge in edges]
    return f" {DASH} ".join(edges)
