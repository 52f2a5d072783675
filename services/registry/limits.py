"""Estimates, documents, limits of quality tests, and alarm rules in registry files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from ingest import classes
from ingest.classes import NAMES, Channel, DeviceClass
from ingest.errors import ProfileError
from ingest.pipeline.quality_limits import TIME
from services.registry.entries import DOCUMENT, SIGNED, STATED, UNTIL, Quality
from services.registry.fields import Row
from services.registry.located import native

# maximum of each number in an estimate
MAX_EXPECTED = 10**15
_ESTIMATED = ("energy_kwh_per_year", "reduction_t_per_year")
_MONTHS = 12


def expected(row: Row) -> dict[str, Any]:
    """
    Return the value of `expected` in a row: annual ex-ante estimates, and those of
    later phases.
    """
    if not row.has("expected"):
        return {}
    inner = row.row("expected")
    inner.only(*_ESTIMATED, "by_month", "dated")
    result = _estimate(inner)
    rows = inner.rows("dated") or []
    dated = [_phase(row) for row in rows]
    for item in rows:
        inner.problems.extend(item.problems)
    begins = [entry["from"] for entry in dated if "from" in entry]
    if begins != sorted(set(begins)):
        inner.problem("dated", f"{', '.join(begins)}: enter each day once, the earliest first")
    row.problems.extend(inner.problems)
    return {**result, **({"dated": dated} if dated else {})}


def _estimate(row: Row) -> dict[str, Any]:
    result: dict[str, Any] = {key: row.number(key, 0, MAX_EXPECTED) for key in _ESTIMATED}
    result["by_month"] = _months(row)
    return {key: limit for key, limit in result.items() if limit is not None}


def _phase(row: Row) -> dict[str, Any]:
    """Return a row of `expected.dated`: ex-ante estimates that apply from a day on."""
    row.only("from", "capacity_kw", *_ESTIMATED, "by_month")
    begins = row.required("from", row.day("from"), "the first local day to which it applies")
    capacity = row.number("capacity_kw", 0, MAX_EXPECTED)
    result = _estimate(row)
    if not row.problems and not result.keys() & set(_ESTIMATED):
        row.problem(None, f"gives neither {' nor '.join(_ESTIMATED)}")
    return {
        **({"from": begins.isoformat()} if begins else {}),
        **({} if capacity is None else {"capacity_kw": capacity}),
        **result,
    }


def _months(row: Row) -> list[Any] | None:
    if not row.has("by_month"):
        return None
    value = row.table.cells["by_month"]
    result = native(value) if isinstance(value, list) else []
    numbers = [
        item
        for item in result
        if isinstance(item, int | Decimal)
        and not isinstance(item, bool)
        and 0 <= item <= MAX_EXPECTED
    ]
    if len(result) == len(numbers) == _MONTHS and sum(numbers) > 0:
        return numbers
    row.problem(
        "by_month",
        f"{native(value)!r} must be twelve numbers from 0 on, January first, in proportion to what"
        " each month brings, such as kWh",
    )
    return None


_DIGITS = 18  # maximum digits of a stated value, before or after the point


def read(row: Row) -> dict[str, str | dict[str, Any]] | None:
    """
    Return the documents of a project's parameters, by parameter; None without any.

    Each is a text, or a mapping with the keys of `DOCUMENT`, `value`, `signed` and `valid_until`;
    errors are recorded in the row.
    """
    if not row.has("documents"):
        return None
    result: dict[str, str | dict[str, Any]] = {}
    for key, value in row.mapping("documents").items():
        if isinstance(value, str) and value.strip():
            result[key] = value
        elif isinstance(value, dict):
            result[key] = _read(row, key, value, known=(*DOCUMENT, STATED, SIGNED, UNTIL))
        else:
            row.problem("documents", f"{key} = {value!r} must be text: its title and number")
    return result


def stated(row: Row) -> dict[str, str] | None:
    """Return the document of a factor, with the keys of `DOCUMENT`; None without one."""
    if not row.has("document"):
        return None
    result = _read(row, "document", row.mapping("document"), "document")
    lacking = [name for name in DOCUMENT if name not in result]
    if lacking and not row.problems:
        row.problem("document", f"{', '.join(lacking)} is missing; a factor's document needs all")
    return result


def _read(
    row: Row,
    key: str,
    parameters: dict[str, Any],
    column: str = "documents",
    known: tuple[str, ...] = DOCUMENT,
) -> dict[str, Any]:
    for name in sorted(parameters.keys() - set(known), key=str):
        row.problem(column, f"{key}: unknown key {name!r}; known: {', '.join(known)}")
    texts = {k: v.isoformat() if isinstance(v, date) else v for k, v in parameters.items()}
    values: dict[str, Any] = {}
    if STATED in known and STATED in texts:
        values[STATED] = _numbers(row, key, texts.pop(STATED), column)
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            row.problem(column, f"{key}: {name} = {value!r} must be text")
            return {}
    if "document" not in texts:
        row.problem(column, f"{key}: document is missing; enter its title and number")
    for name in ("issued", UNTIL):
        if name in texts and not _is_day(texts[name]):
            wrong = f"{name} = {parameters[name]!r} is not a date such as 2025-03-01"
            row.problem(column, f"{key}: {wrong}")
    if "sha256" in texts and not re.fullmatch("[0-9a-f]{64}", texts["sha256"]):
        row.problem(
            column, f"{key}: sha256 = {texts['sha256']!r} is not a SHA-256: 64 digits 0-9 a-f"
        )
    return {name: texts[name] for name in known if name in texts} | values


def _numbers(row: Row, key: str, value: object, column: str) -> str | dict[str, str]:
    """Return a documented value, or one per device, as exact decimal text."""
    if isinstance(value, dict):
        return {str(device): _number(row, key, item, column) for device, item in value.items()}
    return _number(row, key, value, column)


def _number(row: Row, key: str, value: object, column: str) -> str:
    """Return a value as exact decimal text; anything else is recorded as an error."""
    with suppress(ArithmeticError):
        number = Decimal(str(value))
        if number.is_finite() and abs(number.adjusted()) <= _DIGITS:
            return format(number.normalize(), "f")
    row.problem(column, f"{key}: value = {value!r} is not a number; enter what the document states")
    return "0"


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


_KEYS = ("channel", "from", "reason")
_GAUGES_ONLY = (
    "bound", "bound_of_rated", "spike", "spike_of_rated", "rate_per_minute", "flat_floor",
    "flat_floor_of_rated", "night_of_rated", "peak_of_rated", "phases_share",
)  # fmt: skip


def reader(class_id: str, rated_w: int | None) -> Callable[[Row], Quality]:
    """Return a parser for a device's `quality` rows."""
    device_class = classes.load().get(class_id)

    def read(row: Row) -> Quality:
        row.only(*_KEYS, *NAMES)
        channel = row.text("channel")
        begins = row.required("from", row.moment("from"), "a time with its offset")
        result = {k: _plain(v) for k, v in row.all().items() if k in NAMES}
        for key, text in _problems(device_class, channel, result, rated_w):
            row.problem(key, text)
        return Quality(channel, begins, result, row.text("reason"))

    return read


def _problems(
    device_class: DeviceClass | None, channel: str, result: Mapping[str, Any], rated_w: int | None
) -> Iterator[tuple[str | None, str]]:
    if device_class is None or not channel:
        return  # another parser records this error
    device_channel = device_class.channels.get(channel)
    if device_channel is None and channel != TIME:
        known = ", ".join((*device_class.channels, TIME))
        yield "channel", f"{channel!r} is not a channel of {device_class.id}; known: {known}"
        return
    try:
        (device_class.limits if device_channel is None else device_channel.limits).changed(
            result, channel
        )
    except ProfileError as error:
        yield None, str(error)
        return
    for name, value in result.items():
        if value is None:
            continue
        if name.endswith("_of_rated") and rated_w is None:
            yield name, "is a share of rated_power_w, which this device does not have; enter it"
        if problem := _misplaced(name, device_channel):
            yield name, problem
    if device_channel is not None:
        yield from _unreachable(device_channel, result, rated_w)


def _misplaced(name: str, channel: Channel | None) -> str | None:
    """Return why a limit cannot apply to its channel; None if it can."""
    if (name in ("gap_s", "sleep_s")) != (channel is None):
        return (
            f"is a limit of {'channels' if channel is None else 'the channel time'}; move it there"
        )
    if channel is not None and channel.kind == "register" and name in _GAUGES_ONLY:
        return "is for gauges; the limit of a register follows from the rated power"
    if channel is not None and name == "phases_share" and not channel.phases:
        return "is for a channel that is the sum of phases"
    return None


def _unreachable(
    channel: Channel, result: Mapping[str, Any], rated_w: int | None
) -> Iterator[tuple[str | None, str]]:
    """Yield errors of limits outside the range of values that are stored."""
    for name, span, scale in (
        ("bound", channel.span, 1.0),
        ("bound", channel.span_of_rated if rated_w else None, float(rated_w or 0)),
        ("bound_of_rated", channel.span_of_rated, 1.0),
    ):
        bound = result.get(name)
        if bound is None or span is None:
            continue
        low, high = (edge * scale for edge in span)
        if bound[0] >= high or bound[1] <= low:
            yield (
                name,
                f"{list(bound)} contains no value that can be stored ({low:g} to {high:g})",
            )


def _plain(value: Any) -> Any:
    """Return a limit with each Decimal as a float, the type of the quality tests."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | str | dict | int):
        return value
    return float(value)


# columns of the database, in order
NUMBERS = (
    "after_s", "clear_s", "raise_below", "clear_above", "days", "raise_above", "clear_below",
    "light_after_s", "will_after_s",
)  # fmt: skip
# keys of a device's own alarm limits, and their maximum: a year, a ratio, two months
_MAXIMA = {"after_s": 31_536_000, "raise_below": 2, "days": 60}
_OF_KINDS = {"raise_below": ("inverter_low",), "days": ("charger_dead",)}


@dataclass(frozen=True, slots=True)
class Kind:
    """Kind of alarm: its subject (device, gateway or project), severity and remedy."""

    name: str
    subject: str
    severity: str
    runbook: str
    what_to_do: str


@cache
def _read_rule() -> dict[str, dict[str, Any]]:
    file = resources.files("services.registry").joinpath("alarm_rules.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def kinds() -> Mapping[str, Kind]:
    """Return all kinds of alarms by name."""
    names = ("subject", "severity", "runbook", "what_to_do")
    return {
        kind: Kind(kind, *(rule[name] for name in names)) for kind, rule in _read_rule().items()
    }


def rows() -> Iterator[tuple[Any, ...]]:
    """Yield (kind, class or '' without devices, severity, *`NUMBERS`) of each alarm rule."""
    for kind, rule in _read_rule().items():
        of = rule.get("only", classes.load()) if rule["subject"] == "device" else ("",)
        for class_id in of:
            own = {**rule, **rule.get("class", {}).get(class_id, {})}
            yield (kind, class_id, own["severity"], *(own.get(name) for name in NUMBERS))


def problems(value: object) -> Iterator[str]:
    """Yield errors in a device's `attributes.alarms`."""
    if not isinstance(value, dict):
        yield f"alarms {value!r} is not a mapping; write KIND: {{after_s: 7200}}"
        return
    for kind, own in value.items():
        if kind not in _read_rule():
            yield f"alarms.{kind} is not a kind of alarm; there are: {', '.join(_read_rule())}"
        elif not isinstance(own, dict):
            yield (
                f"alarms.{kind} {own!r} is not a mapping; write {{after_s: 7200}} or {{off: true}}"
            )
        else:
            yield from (f"alarms.{kind}.{text}" for text in _wrong(kind, own))


def _wrong(kind: str, own: Mapping[str, Any]) -> Iterator[str]:
    takes = ["off", *(n for n in _MAXIMA if kind in _OF_KINDS.get(n, (kind,)))]
    for name, value in own.items():
        if name not in takes:
            yield f"{name} is not a key of the rule; its keys are {', '.join(takes)}"
        elif name == "off":
            if not isinstance(value, bool):
                yield f"off {value!r} must be true or false"
        elif isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            yield f"{name} {value!r} must be a number"
        elif not 0 <= value <= _MAXIMA[name]:
            yield f"{name} {value} must be from 0 to {_MAXIMA[name]}"
