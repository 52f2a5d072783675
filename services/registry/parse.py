"""Parsers from rows of registry files to entries; the keys are the public format."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from mrv import countries
from mrv.errors import FactorError
from mrv.factors.records import factor_of
from mrv.registry.article6_transfer import TransferClass
from mrv.registry.calibration_interval import MAX_MONTHS
from mrv.registry.declared import Design, Sample
from mrv.statement.conformity import GAS_BASES
from mrv.texts import dates
from services.registry import arrays, declared, limits, meters, monitoring, ratings
from services.registry import limits as estimates
from services.registry import limits as parameter_documents
from services.registry import ratings as tariffs
from services.registry.entries import (
    ARRAY_KEYS,
    CALIBRATION_EVERY,
    CHECK_PERCENT,
    Action,
    Area,
    Device,
    LaterZone,
    Modules,
    Outside,
    Programme,
    Project,
    ProjectDevice,
    Published,
    Reported,
    Site,
    Topic,
    calibration_every,
    place,
)
from services.registry.fields import Row
from services.registry.limits import MAX_EXPECTED
from services.registry.meters import calibrator, replacer

Item = TypeVar("Item")
_MOST_SIGNATURES = 9
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]{1,200}(/[A-Za-z0-9._~/-]{0,200})?")
_MOST_NAME, _MOST_FED = 200, 50
_DAYS = [[begin, end] for begin in range(24) for end in range(begin + 1, 25)]
MAX_CADENCE_S = 31 * 86_400
YEARS = 1990, 2200
DEVICE_KEYS = (
    "id", "site", "class", "profile", "gateway", "rated_power_w", "installed", "removed",
    "commissioned", "serial", "attributes", "calibrations", "replacements", "quality", "check_of",
    "check_percent", "maker", "model", "ratings", "meter_keys", *ARRAY_KEYS, "arrays",
)  # fmt: skip
_LONGEST_NAME = 200
# read, transcribed, second-hand, back-solved, from memory
CERTAINTIES = ("R", "T", "r", "B", "M")


def site(row: Row) -> Site:
    """Return the site in a row."""
    row.only(*(f.name for f in fields(Site)))
    return Site(
        id=row.identifier("id"),
        name=row.text("name"),
        latitude=_degrees(row, "latitude", 90),
        longitude=_degrees(row, "longitude", 180),
        timezone=row.text("timezone"),
        park=row.identifier("park") if row.has("park") else None,
        names=_names(row),
        timezones=_list(row, "timezones", _later_zone, lambda z: (z.begins,)),
        country=_country(row),
        tariffs=_list(row, "tariffs", tariffs.tariff, lambda t: (t.begins,)),
        grid=row.text("grid") if row.has("grid") else None,
    )


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


def _later_zone(row: Row) -> LaterZone:
    row.only("from", "timezone")
    begins = row.required("from", _dated(row, "from"), "a local date")
    return LaterZone(begins or date(YEARS[0], 1, 1), row.text("timezone"))


def _dated(row: Row, key: str) -> date | None:
    """Return a local date within the permitted years."""
    day = row.day(key)
    if day is not None and not YEARS[0] <= day.year <= YEARS[1]:
        row.problem(key, f"{day} is not a date of {YEARS[0]} to {YEARS[1]}")
        return None
    return day


def _names(row: Row) -> dict[str, str] | None:
    """Return an entry's names in other languages."""
    if not row.has("names"):
        return None
    result = row.mapping("names")
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
    row.only(*DEVICE_KEYS)
    class_id = row.text("class")
    rated = row.whole("rated_power_w", 1, ratings.MAX_RATED_W)
    return Device(
        id=row.identifier("id"),
        site=row.identifier("site"),
        class_id=class_id,
        profile=row.text("profile"),
        gateway=row.identifier("gateway") if row.has("gateway") else None,
        rated_power_w=rated,
        installed=row.required("installed", row.moment("installed"), "a time with its offset"),
        removed=row.moment("removed"),
        commissioned=_dated(row, "commissioned"),
        serial=row.optional("serial"),
        attributes=_attributes(row),
        calibrations=_list(
            row, "calibrations", calibrator(class_id), lambda c: (c.performed, c.certificate)
        ),
        replacements=_list(row, "replacements", replacer(class_id), lambda r: (r.channel, r.at)),
        quality=_list(
            row, "quality", limits.reader(class_id, rated), lambda q: (q.channel, q.begins)
        ),
        check_of=row.identifier("check_of") if row.has("check_of") else None,
        check_percent=_share(row),
        maker=row.optional("maker"),
        model=row.optional("model"),
        ratings=_list(row, "ratings", ratings.rating, lambda r: (r.begins, r.sha256 or "")),
        meter_keys=_list(row, "meter_keys", meters.meter_key, lambda k: (k.begins,)),
        **arrays.values(row, class_id),
        arrays=_list(row, "arrays", arrays.array, lambda a: (a.begins,)),
    )


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
    if not isinstance(point, str) or not 0 < len(point.strip()) <= _MOST_NAME:
        yield f"point {point!r} must be text of 1 to {_MOST_NAME} characters: where it measures"
    listed = isinstance(feeds, list) and 0 < len(feeds) <= _MOST_FED
    if not listed or not all(
        isinstance(o, str) and 0 < len(o.strip()) <= _MOST_NAME for o in feeds
    ):
        yield (
            f"feeds {feeds!r} must be a list of 1 to {_MOST_FED} names: devices, bus bars,"
            " consumers, the grid"
        )


def topic(row: Row) -> Topic:
    """Return the topic template in a row."""
    row.only(*(f.name for f in fields(Topic)))
    active = row.flag("active")
    return Topic(row.identifier("id"), row.text("template"), active is None or active)


def published(row: Row) -> Published:
    """
    Return the factor in a row with the keys of `mrv/factors/*.toml`; its value keeps its
    digits.
    """
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
        **({"document": stated} if (stated := parameter_documents.stated(row)) else {}),
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
    row.only("id", "name", "methodology", "version", "crediting_period", "devices", "parameters",
             "expected", "modules", "action", "system", "transfer", "monitoring",
             "boundary", "laboratory", "documents", "names", "surveys", "events",
             "design", "shared_meters", "defaults")  # fmt: skip
    crediting = _checked_row(row, "crediting_period", "from", "to")
    first, end = _days(crediting)
    devices = row.rows("devices") or []
    if not devices and not row.problems:
        row.problem("devices", "is missing or empty; name at least one device and its role")
    entries = tuple(_project_device(d, first, end) for d in devices)
    _gather(row, crediting, *devices)
    return Project(
        id=row.identifier("id"),
        name=row.text("name"),
        methodology=row.text("methodology"),
        version=row.text("version"),
        crediting_from=first,
        crediting_to=end,
        devices=entries,
        parameters=row.mapping("parameters"),
        expected=estimates.expected(row),
        modules=_modules(row),
        action=row.optional("action"),
        transfer=_transfer(row),
        system=row.identifier("system") if row.has("system") else None,
        monitoring=monitoring.versions(row),
        boundary=_list(row, "boundary", _outside, lambda o: o.device),
        laboratory=_list(row, "laboratory", sample, place),
        documents=parameter_documents.read(row),
        names=_names(row),
        surveys=_list(row, "surveys", declared.survey, lambda s: (s.parameter, s.taken)),
        events=_list(row, "events", declared.event, lambda e: (e.begins, e.what, e.found)),
        design=_design(row),
        shared_meters=_list(row, "shared_meters", declared.shared_meter, lambda s: s.main),
        defaults=_list(row, "defaults", declared.default, lambda d: d.factor),
    )


def _design(row: Row) -> Design | None:
    if not row.has("design"):
        return None
    inner = _checked_row(row, "design", *declared.DESIGN)
    design = declared.design(inner)
    _gather(row, inner)
    return design


def sample(row: Row) -> Sample:
    """Return the laboratory result in a row."""
    row.only("parameter", "sample", "taken", "value", "method", "laboratory", "sha256", "signed")
    sha256 = row.optional("sha256")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        row.problem("sha256", f"{sha256!r} is not a SHA-256 of a file: 64 digits 0-9 a-f")
    return Sample(
        parameter=row.text("parameter"),
        sample=row.text("sample"),
        taken=row.required("taken", row.day("taken"), "the local day on which it was taken"),
        value=row.required("value", row.number("value", 0, MAX_EXPECTED), "what was found") or 0,
        method=row.text("method"),
        laboratory=row.text("laboratory"),
        sha256=sha256,
        signed=row.optional("signed"),
    )


def _outside(row: Row) -> Outside:
    row.only("device", "reason", "upstream_of")
    return Outside(row.identifier("device"), row.text("reason"), row.identifiers("upstream_of"))


def programme(row: Row) -> Programme:
    """Return the programme in a row, with its actions."""
    row.only("name", "actions", "target_kt", "area", "issue_signatures", "public_url")
    actions = row.rows("actions") or []
    result = tuple(_action(a) for a in actions)
    area = _area(row)
    _gather(row, *actions)
    for name in {a.id for a in result if [b.id for b in result].count(a.id) > 1}:
        row.problem("actions", f"action {name!r} is given twice; keep one")
    target, signatures = (
        row.number("target_kt", 0, MAX_EXPECTED),
        row.whole("issue_signatures", 1, _MOST_SIGNATURES),
    )
    return Programme(row.text("name"), result, target, area, signatures, _url(row))


def _url(row: Row) -> str | None:
    if not row.has("public_url"):
        return None
    result = row.text("public_url").rstrip("/")
    if not _URL.fullmatch(result):
        row.problem("public_url", f"{result!r} is not an address such as https://tonne.example.org")
    return result


def _area(row: Row) -> Area | None:
    if not row.has("area"):
        return None
    inner = _checked_row(row, "area", "south", "north", "west", "east")
    area = Area(
        _degrees(inner, "south", 90),
        _degrees(inner, "north", 90),
        _degrees(inner, "west", 180),
        _degrees(inner, "east", 180),
    )
    if not inner.problems and (area.south >= area.north or area.west >= area.east):
        inner.problem("south", "south must be below north, and west below east")
    _gather(row, inner)
    return area


def _share(row: Row) -> Decimal | int:
    if row.has("check_percent") and not row.has("check_of"):
        row.problem("check_percent", "has no effect without check_of; name the meter it checks")
    result = row.number("check_percent", 0.01, 100)
    return CHECK_PERCENT if result is None else result


def _degrees(row: Row, key: str, maximum: int) -> float:
    return float(row.required(key, row.number(key, -maximum, maximum), "decimal degrees") or 0)


def _list(
    row: Row, key: str, read: Callable[[Row], Item], order: Callable[[Item], Any]
) -> tuple[Item, ...] | None:
    rows = row.rows(key)
    if rows is None:
        return None
    items = [read(r) for r in rows]
    _gather(row, *rows)
    if row.problems:
        return ()
    items.sort(key=order)
    keys = [order(i) for i in items]
    if len(set(keys)) < len(keys):
        row.problem(key, "has the same entry twice; keep one")
    return tuple(items)


def _checked_row(row: Row, key: str, *known: str) -> Row:
    value = row.table.cells.get(key, "")
    inner = Row(value, row.file, f"{row.path}.{key}", row.table.lines.get(key, row.table.line))
    inner.only(*known)
    return inner


def _gather(row: Row, *inner: Row) -> None:
    for item in inner:
        row.problems.extend(item.problems)


def _days(row: Row) -> tuple[Any, Any]:
    first = row.required("from", row.day("from"), "a local date")
    end = row.required("to", row.day("to"), "a local date, the first that no longer counts")
    if not row.problems and first >= end:
        row.problem("to", f"{end} is not after {first}; the period is half-open")
    return first, end


def _project_device(row: Row, first: Any, end: Any) -> ProjectDevice:
    own = ("device", "role", "from", "to")
    dates = row.day("from"), row.day("to")
    begins, ends = (d if d != edge else None for d, edge in zip(dates, (first, end), strict=True))
    if first and end and not first <= (begins or first) < (ends or end) <= end:
        row.problem("from", f"{begins or first} to {ends or end} is not within {first} to {end}")
    params = {k: v for k, v in row.all().items() if k not in own and v is not None}
    return ProjectDevice(row.identifier("device"), row.text("role"), params, begins, ends)


def _modules(row: Row) -> Modules | None:
    if not row.has("modules"):
        return None
    inner = _checked_row(row, "modules", "count", "watt")
    count = inner.required("count", inner.whole("count", 1), "the number of modules")
    watt = inner.required("watt", inner.number("watt", 1, 10_000), "the rated power of one in W")
    _gather(row, inner)
    return Modules(count, watt)


def _transfer(row: Row) -> TransferClass | None:
    if not row.has("transfer"):
        return None
    inner = _checked_row(row, "transfer", "list", "measure", "corresponding_adjustment")
    number = inner.whole("list", 1, 2)
    transfer_class = TransferClass(
        number, inner.optional("measure"), inner.flag("corresponding_adjustment")
    )
    if transfer_class.measure is not None and number is None:
        inner.problem("measure", "names a measure of Annex I without its list; enter list: 1 or 2")
    _gather(row, inner)
    return transfer_class


def _action(row: Row) -> Action:
    row.only("id", "name", "target_kt", "target_year", "reported", "names")
    years = row.rows("reported") or []
    reported = tuple(sorted((_reported(y) for y in years), key=lambda r: r.year))
    _gather(row, *years)
    if len({r.year for r in reported}) < len(reported):
        row.problem("reported", "has the same year twice; keep one")
    return Action(
        row.identifier("id"),
        row.text("name"),
        row.number("target_kt", 0, MAX_EXPECTED),
        row.whole("target_year", *YEARS),
        reported,
        _names(row),
    )


def _reported(row: Row) -> Reported:
    row.only("year", "kt", "source")
    year = row.required("year", row.whole("year", *YEARS), "a calendar year")
    kt = row.required("kt", row.number("kt", 0, MAX_EXPECTED), "the reduction in kt CO2e")
    return Reported(year or 0, kt or 0, row.text("source"))
