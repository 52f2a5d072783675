"""Translations of codes in columns: states, classes, tests, causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.source.language import named, word
from deploy.grafana.source.palette import BLUE, GREEN, GREY, ORANGE, RED, YELLOW
from ingest import classes
from mrv.report.words import names
from mrv.texts.word_files import ENGLISH
from services.api.console.translations import texts

STATES = {
    "online": GREEN, "late": YELLOW, "offline": RED, "dark": RED, "not commissioned": GREY,
    "reporting": GREEN, "silent": RED, "never heard": RED,
    "valid": GREEN, "expiring": ORANGE, "expired": RED, "missing": RED,
    "within": GREEN, "exceeded": RED, "good": GREEN, "ahead": ORANGE, "behind": ORANGE,
    "drifting": ORANGE, "issued": GREEN, "verified": BLUE, "submitted": BLUE,
    "under_verification": BLUE, "draft": GREY, "rejected": RED, "revoked": RED,
    "superseded": GREY, "critical": RED, "major": ORANGE, "minor": YELLOW,
    "open": RED, "acknowledged": ORANGE, "cleared": GREEN,
}  # fmt: skip
# what the database calls a thing in a column, and how a board calls it
_CALLED = {
    "dark": "offline",
    "never heard": "never reported",
    "silent": "no data",
    "under_verification": "under verification",
}
_NO_RATIO = (
    "no dc_power_w in the registry",
    "irradiance not measured",
    "less than 8 hours of sun measured",
)
_MONEY = ("cost", "earned", "saved")
_EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")


def states() -> list[Any]:
    """Return the value mappings of device states, each with its colour."""
    return colored(STATES)


def called(value: str) -> str:
    """Return the translated name of a state or event code."""
    return word(_CALLED.get(value, value.replace("_", " ")))


def colored(values: Mapping[str, str]) -> list[Any]:
    """Return value mappings with a colour for each code."""
    results = {
        value: model.ValueMappingResult(text=called(value), color=color, index=k)
        for k, (value, color) in enumerate(values.items())
    }
    return [model.ValueMap(options=results)]


def columns() -> dict[str, dict[str, str]]:
    """Return the translations of codes, by column."""
    kinds = {**_common("alarm.kind"), **_common("kind")} | {kind: word(kind) for kind in _MONEY}
    return {
        "class": {class_id: named(f"class.{class_id}") for class_id in classes.load()},
        "system": _common("system"),
        "kind": kinds,
        "test": _common("test"),
        "cause": _common("cause") | {"never heard": named("cause.never_heard")},
        "side": _common("side"),
        "role": _common("role"),
        "grade": _common("grade"),
        "part": {**_common("channel"), **_common("indicator")},
        "channel": _common("channel"),
        "no_ratio": {reason: word(reason) for reason in _NO_RATIO},
    }


def class_words() -> str:
    """Return an SQL expression with the name of a device class for the code in `class`."""
    cases = " ".join(
        f"WHEN '{class_id}' THEN '{named(f'class.{class_id}')}'" for class_id in classes.load()
    )
    return f"CASE class {cases} END"


def events() -> dict[str, str]:
    """Return the translations of register events."""
    return {event: called(event) for event in _EVENTS}


def mapped(codes: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the value mapping of a field override, a text for each code."""
    options = {code: {"text": text, "index": k} for k, (code, text) in enumerate(codes.items())}
    return [{"type": "value", "options": options}]


def _common(head: str) -> dict[str, str]:
    known: Iterable[str] = {**names(ENGLISH), **texts(ENGLISH)}
    return {
        key.removeprefix(f"{head}."): named(key)
        for key in sorted(known)
        if key.startswith(f"{head}.") and "." not in key.removeprefix(f"{head}.")
    }
