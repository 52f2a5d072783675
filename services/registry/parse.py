"""
Parsers from rows of registry files to entries; the keys are the public format.

The types of the entries declare keys, units and limits.  The functions of `_CHECKS` check several
keys of a row together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar, get_args, get_origin

from ingest import profiles
from ingest.profiles import FileRegister
from mrv import countries
from mrv import registry as types
from mrv.errors import FactorError
from mrv.factors.ledger import factor_of
from mrv.registry import MAX_EXPECTED, MAX_WATT, YEARS
from mrv.registry.calibration_interval import MAX_MONTHS
from mrv.registry.monitoring_plan import Approval, Version
from mrv.registry.programme_systems import TransferClass
from mrv.statement.conformity import GAS_BASES
from mrv.texts import dates
from services.registry import declared, limits, meters, ratings
from services.registry.entries import (
    CALIBRATION_EVERY,
    CHECK_PERCENT,
    Area,
    Device,
    Exchange,
    MeterKey,
    Programme,
    Project,
    ProjectDevice,
    Published,
    PvArray,
    Rating,
    Replacement,
    Site,
    Tariff,
    Topic,
    calibration_every,
)
from services.registry.fields import MAX_WHOLE, Field, Row, amount, fields_of, keys

Item = TypeVar("Item")
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,200}(/[A-Za-z0-9._~/-]{0,200})?")
_MAX_NAME, _MAX_LOADS = 200, 50
_DAYS = [[begin, end] for begin in range(24) for end in range(begin + 1, 25)]
MAX_CADENCE_S = 31 * 86_400
_LONGEST_NAME = 200
# certainty of a factor: read in the source, transcribed, of a secondary source, back-calculated,
# unverified
CERTAINTIES = ("R", "T", "r", "B", "M")


_EMPTY: dict[Any, Any] = {str: "", int: 0, float: 0.0, Decimal: Decimal(0)}
_LACKS: dict[Any, str] = {str: "text", date: "a local date", datetime: "a time with its offset"}


def read(row: Row, kind: type[Item], *more: str, **own: Callable[[Row], Any]) -> Item:
    """
    Return a row as an entry, or as a part of one; errors are recorded in the row.

    `more`: permitted keys in addition to those of the fields.
    `own` (by name of the field): parser of the field if its type is not sufficient; it receives the
    row, or each row of a list.
    """
    row.only(*keys(kind), *more)
    item = kind(
        **{field.name: _value(row, field, own.get(field.name)) for field in fields_of(kind)}
    )
    if kind in _CHECKS:
        _CHECKS[kind](row, item)
    return item


def _value(row: Row, field: Field, own: Callable[[Row], Any] | None) -> Any:
    if field.item is not None:
        value = _list(row, field, own or partial(read, kind=field.item))
        return () if value is None and field.required else field.default if value is None else value
    if own is not None or field.mark.form == "derived":
        return field.default if own is None else own(row)
    if isinstance(field.hint, type) and is_dataclass(field.hint):
        if not row.has(field.key):
            return field.default
        inner = row.row(field.key)
        result: Any = read(inner, field.hint)
        row.gather(inner)
        return result
    value = _plain(row, field)
    if field.required:
        row.required(field.key, value, field.mark.lacks or _LACKS.get(field.hint, "text"))
    default = _EMPTY.get(field.hint) if field.required else field.default
    return default if value is None else value


def _plain(row: Row, field: Field) -> Any:
    """Return the value of a key without rows; None if it is absent."""
    key, hint, mark = field.key, field.hint, field.mark
    reader = _READERS.get(mark.form) or _READERS.get(get_origin(hint)) or _READERS.get(hint)
    if reader is not None:
        return reader(row, key) if row.has(key) or mark.form != "id" else None
    if get_origin(hint) is Literal:
        return row.one_of(key, get_args(hint))
    if hint is int:
        return row.whole(key, int(mark.low), MAX_WHOLE if mark.high is None else int(mark.high))
    number = row.number(key, mark.low, MAX_EXPECTED if mark.high is None else mark.high)
    exact = number is None or isinstance(hint, tuple)
    return number if exact else hint(number)


def _list(row: Row, field: Field, reader: Callable[[Row], Any]) -> tuple[Any, ...] | None:
    """Return the rows of a list in the order of the field; None if the key is absent."""
    rows = row.rows(field.key)
    if rows is None:
        return None
    items = [reader(inner) for inner in rows]
    row.gather(*rows)
    if row.problems:
        return ()
    order = field.mark.order
    items.sort(key=lambda item: [getattr(item, name) or "" for name in order])
    placed = [tuple(getattr(item, name) for name in order) for item in items]
    if order and len(set(placed)) < len(placed):
        row.problem(field.key, "contains an entry twice; remove one of them")
    return tuple(items)


def site(row: Row) -> Site:
    """Return the site in a row."""
    return read(row, Site, country=_country)


def _country(row: Row) -> str | None:
    if not row.has("country"):
        return None
    result = row.text("country")
    if result and result not in countries.known():
        row.problem(
            "country",
            f"{result!r} is not a country; enter its two letters of ISO 3166-1, such as KE or DE",
        )
    return result or None


def _dated(row: Row, key: str) -> date | None:
    """Return a local date within the permitted years."""
    day = row.day(key)
    if day is not None and not YEARS[0] <= day.year <= YEARS[1]:
        row.problem(key, f"{day} is not a date of {YEARS[0]} to {YEARS[1]}")
        return None
    return day


def _names(row: Row, key: str) -> dict[str, str] | None:
    """Return an entry's names in other languages, by language code; None if the key is absent."""
    result = row.mapping(key)
    for language, text in result.items():
        if not dates.is_language(language):
            row.problem(
                "names", f"{language!r} is not a language; enter its tag, such as ja or pt-BR"
            )
        elif not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_NAME:
            row.problem("names", f"{language} = {text!r} must be text of 1 to 200 characters")
    return result or None


def device(row: Row) -> Device:
    """Return the device in a row, with its certificates and meter replacements."""
    if row.has("id") and not any(map(row.has, ("site", "class", "profile", "installed"))):
        row.problem(
            "id",
            "the entry has only a part of the device's keys; enter the new ones in its whole entry,"
            " which `tonne registry export` prints",
        )
    class_id = row.text("class")
    registers = profiles.registers(class_id)
    channel = meters.calibrated_channel(class_id)

    def replacement(inner: Row) -> Replacement:
        register = meters.register_of(inner, registers, class_id)
        return read(
            inner,
            Replacement,
            channel=lambda _: register.column if register else "",
            last=lambda row: meters.in_base(row, "last", register),
            first=lambda row: meters.in_base(row, "first", register),
        )

    return read(
        row,
        Device,
        attributes=_attributes,
        calibrations=lambda inner: read(
            inner, types.Calibration, channel=channel, valid_until=meters.valid_until
        ),
        replacements=replacement,
        exchanged_channels=lambda inner: _exchange(inner, registers, class_id),
        quality=limits.reader(class_id, row.whole("rated_power_w", 1, MAX_WATT)),
        meter_keys=lambda inner: read(inner, MeterKey, key=meters.meter_key),
        check_percent=_share,
    )


def _exchange(row: Row, registers: Mapping[str, FileRegister], class_id: str) -> Exchange:
    """Return a row of `exchanged_channels`; equal registers and an empty span are errors."""
    register, other = (
        meters.register_of(row, registers, class_id, key) for key in ("channel", "with")
    )
    exchange = read(
        row,
        Exchange,
        channel=lambda _: register.column if register else "",
        other=lambda _: other.column if other else "",
    )
    if register is not None and register == other:
        row.problem("with", f"{register.name} is `channel` too; name the other register")
    if not row.problems and exchange.ends <= exchange.begins:
        row.problem("to", f"{exchange.ends} is not after `from`, {exchange.begins}; correct one")
    return exchange


def _attributes(row: Row) -> dict[str, Any]:
    result = row.mapping("attributes")
    cadence = result.get("cadence_s")
    whole = isinstance(cadence, int | Decimal) and not isinstance(cadence, bool)
    if cadence is not None and not (whole and 1 <= cadence <= MAX_CADENCE_S):
        row.problem(
            "attributes",
            f"cadence_s {cadence!r} is not a number of seconds from 1 to {MAX_CADENCE_S}",
        )
    every = result.get(CALIBRATION_EVERY)
    if every is not None and calibration_every(every) is None:
        row.problem(
            "attributes",
            f"{CALIBRATION_EVERY} {every!r} is not a whole number of months from 1 to {MAX_MONTHS}",
        )
    basis = result.get("gas_basis")
    if basis is not None and basis not in GAS_BASES:
        row.problem("attributes", f"gas_basis {basis!r} must be {' or '.join(GAS_BASES)}")
    for text in _placed(result):
        row.problem("attributes", text)
    limited = result.get("limits")
    hours = limited.get("day_hours") if isinstance(limited, Mapping) else None
    if hours is not None and hours not in _DAYS:
        row.problem("attributes", f"limits.day_hours {hours!r} must be two hours, such as [7, 21]")
    for text in limits.problems(result["alarms"]) if "alarms" in result else ():
        row.problem("attributes", text)
    return result


def _placed(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield errors of a device's monitoring point and loads."""
    point, feeds = values.get("point", "-"), values.get("feeds", ["-"])
    if not isinstance(point, str) or not 0 < len(point.strip()) <= _MAX_NAME:
        yield f"point {point!r} must be text of 1 to {_MAX_NAME} characters: where it measures"
    listed = isinstance(feeds, list) and 0 < len(feeds) <= _MAX_LOADS
    if not listed or not all(isinstance(o, str) and 0 < len(o.strip()) <= _MAX_NAME for o in feeds):
        yield (
            f"feeds {feeds!r} must be a list of 1 to {_MAX_LOADS} names: devices, bus bars,"
            " consumers, the grid"
        )


def topic(row: Row) -> Topic:
    """Return the topic template in a row."""
    return read(row, Topic, active=lambda row: row.flag("active") in (None, True))


def published(row: Row) -> Published:
    """Return the factor in a row (keys of `mrv/factors/*.toml`), its value with all digits."""
    row.only("id", "kind", "value", "unit", "direction", "valid_from", "valid_to", "source",
             "certainty", "verified", "bound", "supersedes", "document", "calculation")  # fmt: skip
    name = row.identifier("id")
    row.required("value", row.number("value", 0, MAX_EXPECTED), "the published number")
    texts = {key: row.text(key) for key in ("kind", "unit", "direction", "source", "certainty")}
    days = {key: row.day(key) for key in ("valid_from", "valid_to")}
    if texts["certainty"] and texts["certainty"] not in CERTAINTIES:
        known = ", ".join(CERTAINTIES)
        row.problem("certainty", f"{texts['certainty']!r} must be one of {known}")
    record = {
        "id": name,
        **texts,
        "value": str(row.table.cells.get("value", "")),
        **{key: day.isoformat() for key, day in days.items() if day},
        "verified": bool(row.required("verified", row.flag("verified"), "true or false")),
        **{key: text for key in ("bound", "supersedes") if (text := row.optional(key))},
        **({"document": stated} if (stated := limits.stated(row)) else {}),
        **({"calculation": _exact(row.mapping("calculation"))} if row.has("calculation") else {}),
    }
    if not row.problems:
        try:
            factor_of(record)
        except FactorError as error:
            row.problem(None, str(error))
    return Published(name, record)


def _exact(value: Any) -> Any:
    """Return a mapping with numbers as decimal text."""
    if isinstance(value, Mapping):
        return {str(key): _exact(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    number_ = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return format(Decimal(value), "f") if number_ else value


def project(row: Row) -> Project:
    """Return the project in a row, with its devices."""
    crediting = row.row("crediting_period")
    crediting.only("from", "to")
    first, end = _days(crediting)
    row.gather(crediting)
    if not row.rows("devices") and not row.problems:
        row.problem("devices", "is missing or empty; name at least one device and its role")
    return read(
        row,
        Project,
        crediting_from=lambda _: first,
        crediting_to=lambda _: end,
        devices=lambda inner: _project_device(inner, first, end),
        expected=limits.expected,
        documents=limits.read,
        shared_meters=lambda inner: read(
            inner, types.SharedMeter, users=declared.users, readings=_joint
        ),
    )


def _joint(row: Row) -> types.JointReading:
    quantity = row.optional("quantity") or ""
    return read(row, types.JointReading, "unit", value=lambda row: amount(row, quantity))


def programme(row: Row) -> Programme:
    """Return the programme in a row, with its actions."""
    return read(row, Programme, public_url=_url)


def _actions(row: Row, item: Programme) -> None:
    names = [action.id for action in item.actions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        row.problem("actions", f"action {name!r} is entered twice; remove one of them")


def _area(row: Row, area: Area) -> None:
    if not row.problems and (area.south >= area.north or area.west >= area.east):
        row.problem("south", "south must be below north, and west below east")


def _transfer(row: Row, item: TransferClass) -> None:
    if item.measure is not None and item.number is None:
        row.problem("measure", "names a measure of Annex I without its list; enter list: 1 or 2")


def _url(row: Row) -> str | None:
    if not row.has("public_url"):
        return None
    result = row.text("public_url").rstrip("/")
    if not _URL.fullmatch(result):
        row.problem("public_url", f"{result!r} is not an address such as https://tonne.example.org")
    return result


def _share(row: Row) -> Decimal | int:
    if row.has("check_percent") and not row.has("check_of"):
        row.problem("check_percent", "has no effect without check_of; name the meter it checks")
    result = row.number("check_percent", 0.01, 100)
    return CHECK_PERCENT if result is None else result


def _days(row: Row) -> tuple[Any, Any]:
    first = row.required("from", row.day("from"), "a local date")
    end = row.required("to", row.day("to"), "a local date, the first day after it")
    if not row.problems and first >= end:
        row.problem("to", f"{end} is not after {first}; `to` is the first day after the period")
    return first, end


def _project_device(row: Row, first: Any, end: Any) -> ProjectDevice:
    own = ("device", "role", "from", "to")
    dates = row.day("from"), row.day("to")
    begins, ends = (d if d != edge else None for d, edge in zip(dates, (first, end), strict=True))
    if first and end and not first <= (begins or first) < (ends or end) <= end:
        row.problem("from", f"{begins or first} to {ends or end} is not within {first} to {end}")
    params = {k: v for k, v in row.all().items() if k not in own and v is not None}
    return ProjectDevice(row.identifier("device"), row.text("role"), params, begins, ends)


_READERS: dict[Any, Callable[[Row, str], Any]] = {
    "id": Row.identifier,
    "names": _names,
    "sha256": Row.sha256,
    "year": _dated,
    Mapping: Row.mapping,
    tuple: Row.identifiers,
    bool: Row.flag,
    date: Row.day,
    datetime: Row.moment,
    str: Row.optional,
}
_CHECKS: dict[type[Any], Callable[[Row, Any], None]] = {
    Approval: declared.approval,
    Area: _area,
    Device: ratings.modules,
    Programme: _actions,
    Project: declared.versions,
    PvArray: ratings.modules,
    Rating: ratings.rating,
    Tariff: ratings.tariff,
    TransferClass: _transfer,
    Version: declared.version,
    types.Calibration: meters.calibration,
    types.Default: declared.default,
    types.Design: declared.design,
    types.DesignedPopulation: declared.population,
    types.EmissionSource: declared.source,
    types.Event: declared.event,
    types.JointReading: declared.joint_reading,
    types.SharedMeter: declared.shared_meter,
    types.Stratum: declared.stratum,
    types.Survey: declared.survey,
}
