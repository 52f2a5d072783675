"""
Grafana dashboards and alert rules of tonne, from short descriptions: `make dashboards`.

Texts to translate are marked: «power» is its own key in the word files of `deploy/grafana/words`,
«@class.pump» is a key of the console's word files, so that both use the same names.

Grafana uses one colour for both themes, so each colour has a contrast of 3.5:1 or more on both
backgrounds (checked in `tests/grafana/test_languages.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.models import dashboard as model

from ingest import classes
from mrv.report.words import names
from mrv.texts import ENGLISH, read, tags
from services.api.console.translations import texts

GREEN, YELLOW, ORANGE, RED, BLUE, PURPLE = (
    "#398a57",
    "#b97a12",
    "#b5691c",
    "#d5534a",
    "#577dbd",
    "#a961e6",
)
# Grafana's text colour of the theme
GREY = "text"
# colours of actions, as --a1 to --a6 of the console
ACTIONS = (BLUE, YELLOW, PURPLE, "#0b9656", "#d43f95", "#7f8894")


WORDS = Path(__file__).parents[1] / "words"
_MARKED = re.compile(r"«([^«»]+)»")
_HEAD = "# English texts of the boards, written by `make dashboards`: each is its own key.\n\n"


def word(text: str) -> str:
    """Return a text marked for translation; a text with marks is returned unchanged."""
    return text if "«" in text else f"«{text}»"


def named(key: str) -> str:
    """Return the translation mark for a key of the console's word files, such as `class.pump`."""
    return f"«@{key}»"


def languages() -> tuple[str, ...]:
    """Return the languages with a word file, English first."""
    return tags(WORDS)


def marked(text: str) -> set[str]:
    """Return the texts in a dashboard that need translation."""
    return {text_ for text_ in _MARKED.findall(text) if not text_.startswith("@")}


def translated(text: str, language: str) -> str:
    """Return a dashboard's text in a language; untranslated texts stay English."""
    own, common = _own(language), _common(language)

    def words_of(match: re.Match[str]) -> str:
        text = match[1]
        return common[text[1:]] if text.startswith("@") else own.get(text) or text

    return _MARKED.sub(words_of, text)


def english(marks: Iterable[str]) -> str:
    """Return the contents of the English word file."""
    lines = (
        f"{json.dumps(mark, ensure_ascii=False)} = {json.dumps(mark, ensure_ascii=False)}\n"
        for mark in sorted(marks)
    )
    return _HEAD + "".join(lines)


@cache
def _own(language: str) -> Mapping[str, str]:
    return {} if language == ENGLISH else read(WORDS, language)


@cache
def _common(language: str) -> Mapping[str, str]:
    return {**names(language), **texts(language)}


HEADINGS = {
    "acknowledged_by": "acknowledged by",
    "against_site": "difference from the plant's median",
    "avoided_t": "avoided",
    "before_t": "with all evidence",
    "avoided_t_per_day": "avoided per day",
    "baseline_t": "baseline",
    "capacity_factor": "capacity factor",
    "clean_transport": "Clean Transport",
    "clipped_h": "clipped",
    "clipped_share": "clipped",
    "clock_drift_s_per_day": "drift per day",
    "clock_offset_s": "clock offset",
    "cost_t": "loss",
    "cost_t_per_day": "loss per day",
    "credit_t": "credit",
    "days_ago": "days since",
    "device_id": "device",
    "distance_km": "distance",
    "energy_efficiency": "Energy Efficiency",
    "energy_kwh": "energy",
    "expected_30_days_t": "expected, 30 days",
    "expected_t": "expected",
    "expected_t_per_year": "expected per year",
    "expected_this_year_t": "expected this year so far",
    "first_day": "from",
    "flags_last_day": "flags in 24 hours",
    "flat_line": "value does not change",
    "from_time": "from",
    "gateway_state": "gateway state",
    "green_building": "Green Building",
    "green_industry": "Green Industry",
    "gross_range": "outside the permitted range",
    "issued_t": "issued",
    "kg_d": "COD load",
    "km_per_day": "per day",
    "kwh_km": "energy per kilometre",
    "last_30_days_t": "last 30 days",
    "last_day": "until",
    "last_heard": "last data",
    "last_reading": "last reading",
    "last_sealed_day": "last sealed day",
    "local_from": "from",
    "local_to": "until",
    "lost_kwh": "lost",
    "lost_t": "tonnes",
    "mean_kw": "mean",
    "missed_t": "missed",
    "monitored_t": "monitored",
    "no_ratio": "why no ratio",
    "peak_kw": "peak",
    "percent_per_year": "change per year",
    "performance_ratio": "performance ratio",
    "performance_ratio_25": "ratio at 25 °C",
    "project_id": "project",
    "project_t": "project",
    "reduction_t": "reduction",
    "runs_out_on": "end",
    "runs_out": "expires",
    "share_of_target": "share of target",
    "silent_s": "no data for",
    "silent_since": "no data since",
    "soiling_high": "soiling, upper limit",
    "soiling_low": "soiling, lower limit",
    "soiling_percent": "soiling",
    "standing_share": "standstill",
    "statement_id": "statement",
    "target_t_per_year": "target per year",
    "this_year_t": "this year",
    "to_time": "until",
    "usual_kwh": "usual",
    "valid_until": "valid until",
    "vn_wqi": "index",
    "volume_m3": "volume",
    "volume_nm3": "volume",
    "wind_speed": "wind speed",
    "why_no_soiling": "why no soiling",
    "why_none": "why no change",
    "yield_h": "yield",
}


# columns whose heading is their name, translated
_PLAIN = (
    "acknowledged", "action", "amount", "availability", "busy", "cause", "channel", "change", "class", "clipped", "clock",
    "counted", "coverage", "currency", "day", "days", "devices", "energy", "entries", "exceeded", "flags", "gateway",
    "grade", "high", "hour", "id", "irradiance", "kind", "km", "last", "letters", "low", "methodology", "money", "name", "not_reporting", "oldest",
    "online", "other", "pairs", "part", "place", "principal", "problem", "programme", "projects", "readings", "reason",
    "registered", "role", "rule", "severity", "side", "since", "site", "source", "spike", "standard", "standing", "state",
    "statements", "subject", "successor", "system", "test", "things", "utilisation", "actor", "what", "worth",
)  # fmt: skip
_OTHER = {
    "actor": "by", "board": "Dashboards", "clipped": "clipping", "high": "upper limit", "km": "distance", "letters": "rejected", "low": "lower limit",
    "last": "last", "not_reporting": "not reporting", "online": "online", "part": "channel or indicator", "principal": "sender",
    "standing": "standstill", "things": "number", "what": "fault",
}  # fmt: skip


def headings(query: str) -> dict[str, str]:
    """Return the headings of the columns that an SQL query can return, by column name."""
    words = set(re.findall(r"[a-z_0-9]+", query))
    known = {**{heading: heading for heading in _PLAIN}, **_OTHER, **HEADINGS}
    return {name: heading for name, heading in known.items() if name in words}


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
# text on the dashboards for a code of the database; other codes only lose their underscores
_TEXTS = {
    "dark": "offline",
    "exceeded": "limit exceeded",
    "never heard": "never reported",
    "silent": "no data",
    "under_verification": "under verification",
    "within": "within the limit",
}
_NO_RATIO = (
    "no dc_power_w in the registry",
    "irradiance not measured",
    "less than 8 hours of sun measured",
)
_BOARDS = {
    "pv": "PV", "ev": "EV charging and buses", "air": "Air and noise", "water": "Wastewater and canal",
    "factories": "Factories and buildings", "wind": "Wind", "works": "Works and fields",
}  # fmt: skip
_MONEY = ("cost", "earned", "saved")
_EVENTS = ("jitter", "catch_up", "rollover", "glitch", "reset", "impossible", "replacement")


def states() -> list[Any]:
    """Return the value mappings of device states, each with its colour."""
    return colored(STATES)


def text_of(value: str) -> str:
    """Return the translated name of a state or event code."""
    return word(_TEXTS.get(value, value.replace("_", " ")))


def colored(values: Mapping[str, str]) -> list[Any]:
    """Return value mappings with a colour for each code."""
    results = {
        value: model.ValueMappingResult(text=text_of(value), color=color, index=k)
        for k, (value, color) in enumerate(values.items())
    }
    return [model.ValueMap(options=results)]


def columns() -> dict[str, dict[str, str]]:
    """Return the translations of codes, by column."""
    kinds = {**_common_codes("alarm.kind"), **_common_codes("kind")} | {
        kind: word(kind) for kind in _MONEY
    }
    return {
        "class": {class_id: named(f"class.{class_id}") for class_id in classes.load()},
        "system": _common_codes("system"),
        "kind": kinds,
        "test": _common_codes("test"),
        "cause": _common_codes("cause") | {"never heard": named("cause.never_heard")},
        "side": _common_codes("side"),
        "role": _common_codes("role"),
        "grade": _common_codes("grade"),
        "part": {**_common_codes("channel"), **_common_codes("indicator")},
        "channel": _common_codes("channel"),
        "board": {board: word(title) for board, title in _BOARDS.items()},
        "no_ratio": {reason: word(reason) for reason in _NO_RATIO},
    }


def class_words() -> str:
    """Return an SQL expression with the name of a device class for the code in `class`."""
    cases = " ".join(
        f"WHEN '{class_id}' THEN '{named(f'class.{class_id}')}'" for class_id in classes.load()
    )
    return f"CASE class {cases} END"


def events() -> dict[str, str]:
    """Return the translation marks of register events, by event code."""
    return {event: text_of(event) for event in _EVENTS}


def mapped(codes: Mapping[str, str]) -> list[dict[str, object]]:
    """Return the value mapping of a field override, a text for each code."""
    options = {code: {"text": text, "index": k} for k, (code, text) in enumerate(codes.items())}
    return [{"type": "value", "options": options}]


def _common_codes(head: str) -> dict[str, str]:
    known: Iterable[str] = {**names(ENGLISH), **texts(ENGLISH)}
    return {
        key.removeprefix(f"{head}."): named(key)
        for key in sorted(known)
        if key.startswith(f"{head}.") and "." not in key.removeprefix(f"{head}.")
    }
