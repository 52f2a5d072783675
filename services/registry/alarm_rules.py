"""Alarm rules by kind and device class (`alarm_rules.toml`), and a device's own settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from ingest import classes

# what stands in the database, in its order there
NUMBERS = (
    "after_s", "clear_s", "raise_below", "clear_above", "days", "raise_above", "clear_below",
    "light_after_s", "will_after_s",
)  # fmt: skip
# what one device may have otherwise, and the largest value: a year, a ratio, two months
_LARGEST = {"after_s": 31_536_000, "raise_below": 2, "days": 60}
_OF_KINDS = {"raise_below": ("inverter_low",), "days": ("charger_dead",)}


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of alarm: what it applies to, and its remedy."""

    name: str
    subject: str
    severity: str
    runbook: str
    what_to_do: str


@cache
def _read() -> dict[str, dict[str, Any]]:
    file = resources.files("services.registry").joinpath("alarm_rules.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def kinds() -> Mapping[str, Kind]:
    """Return every kind of alarm by name."""
    names = ("subject", "severity", "runbook", "what_to_do")
    return {kind: Kind(kind, *(rule[name] for name in names)) for kind, rule in _read().items()}


def rows() -> Iterator[tuple[Any, ...]]:
    """
    Yield (kind, class, severity, *`NUMBERS`) of each alarm rule; class '' for gateways and
    projects.
    """
    for kind, rule in _read().items():
        of = rule.get("only", classes.load()) if rule["subject"] == "device" else ("",)
        for class_id in of:
            own = {**rule, **rule.get("class", {}).get(class_id, {})}
            yield (kind, class_id, own["severity"], *(own.get(name) for name in NUMBERS))


def problems(value: object) -> Iterator[str]:
    """Yield errors in a device's `attributes.alarms`."""
    if not isinstance(value, dict):
        yield f"alarms {value!r} is no mapping; write KIND: {{after_s: 7200}}"
        return
    for kind, own in value.items():
        if kind not in _read():
            yield f"alarms.{kind} is no kind of alarm; there are: {', '.join(_read())}"
        elif not isinstance(own, dict):
            yield f"alarms.{kind} {own!r} is no mapping; write {{after_s: 7200}} or {{off: true}}"
        else:
            yield from (f"alarms.{kind}.{text}" for text in _wrong(kind, own))


def _wrong(kind: str, own: Mapping[str, Any]) -> Iterator[str]:
    takes = ["off", *(n for n in _LARGEST if kind in _OF_KINDS.get(n, (kind,)))]
    for name, value in own.items():
        if name not in takes:
            yield f"{name} is not known; it takes {', '.join(takes)}"
        elif name == "off":
            if not isinstance(value, bool):
                yield f"off {value!r} is neither true nor false"
        elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            yield f"{name} {value!r} is not a number"
        elif not 0 <= value <= _LARGEST[name]:
            yield f"{name} {value} is not within 0 and {_LARGEST[name]}"
