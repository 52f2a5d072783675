"""
JSON Schema of registry files, for completion and error marks in editors.

Made from the entries' types, with the names of file keys.  Rules between rows are checked by `tonne
registry check`.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args, get_origin

import msgspec

from ingest import classes, profiles
from ingest.limits import NAMES, PAIRS
from mrv import methodologies
from mrv.model import Direction
from services.registry import authority, entries
from services.registry.fields import ID, Field, fields_of
from services.registry.parse import CERTAINTIES

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SIMPLE: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Decimal: {"type": "number"},
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
}
# what a file may leave out although the entry always has it
_OPTIONAL = {
    ("Topic", "active"), ("Device", "attributes"), ("Project", "parameters"),
    ("Project", "expected"), ("Version", "procedures"), ("Programme", "actions"),
}  # fmt: skip


def schema() -> dict[str, Any]:
    """Return the schema of a whole registry file, with descriptions of keys."""
    sections = {
        "sites": _entry(entries.Site),
        "devices": _device(),
        "topics": _entry(entries.Topic),
        "factors": _factor(),
        "projects": _project(),
    }
    kinds = list(authority.TYPES.values())
    entered, shared = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    sections |= dict(zip(authority.KINDS, entered, strict=True))
    properties = {key: {"type": "array", "items": section} for key, section in sections.items()}
    properties["programme"] = _entry(entries.Programme)
    for where, keys in descriptions().items():
        for key, text in keys.items():
            _at(properties, where)[key]["description"] = text
    return {
        "$schema": _DRAFT,
        "title": "Registry file of tonne",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": shared,
    }


@cache
def descriptions() -> dict[str, dict[str, str]]:
    """Return the meaning of each key, by section, such as `devices.calibrations`."""
    text = files("services.registry").joinpath("descriptions.toml").read_text("utf-8")
    return tomllib.loads(text)


def _at(properties: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the schema of a section's keys, such as of `devices.calibrations`."""
    result = properties
    for name in where.split("."):
        item = result[name]
        result = item.get("items", item)["properties"]
    return result


def _entry(kind: Any) -> dict[str, Any]:
    written = [field for field in fields_of(kind) if field.mark.form != "derived"]
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        "properties": {field.key: _value(field) for field in written},
        "required": [
            field.key
            for field in written
            if field.required and (kind.__name__, field.name) not in _OPTIONAL
        ],
        "additionalProperties": False,
    }


def _value(field: Field) -> dict[str, Any]:
    hint, origin = field.hint, get_origin(field.hint)
    if field.mark.form == "id":
        return {"type": "string", "pattern": ID.pattern}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin is tuple:
        item = get_args(hint)[0]
        return {"type": "array", "items": _entry(item) if field.item else dict(_SIMPLE[item])}
    if origin is Mapping:
        return {"type": "object"}
    if isinstance(hint, tuple):
        return {"type": "number"}
    return dict(_SIMPLE[hint]) if hint in _SIMPLE else _entry(hint)


def _device() -> dict[str, Any]:
    made = _entry(entries.Device)
    properties = made["properties"]
    properties["class"] = {"enum": list(classes.load())}
    properties["replacements"]["items"]["properties"] |= {
        key: {"type": "number", "minimum": 0} for key in ("last", "first")
    }
    quality = properties["quality"]["items"]
    del quality["properties"]["limits"]
    quality["required"].remove("limits")
    quality["properties"] |= {name: _limit(name) for name in NAMES}
    made["allOf"] = [_profiles_of(class_id) for class_id in classes.load()]
    return made


def _limit(name: str) -> dict[str, Any]:
    """Return the schema of a limit of the quality tests; null disables its test."""
    if name in PAIRS:
        numbers = {"items": {"type": "number"}, "minItems": 2, "maxItems": 2}
        return {"type": ["array", "null"], **numbers}
    return {"type": ["number", "null"]}


def _profiles_of(class_id: str) -> dict[str, Any]:
    """Return the schema rule that a device has a profile of its class."""
    known = [p for c, p in profiles.load() if c == class_id]
    return {
        "if": {"properties": {"class": {"const": class_id}}, "required": ["class"]},
        "then": {"properties": {"profile": {"enum": known}}},
    }


def _project() -> dict[str, Any]:
    made = _entry(entries.Project)
    properties = made["properties"]
    period = {key: dict(_SIMPLE[date]) for key in ("from", "to")}
    properties["crediting_period"] = _closed(period, list(period))
    properties["methodology"] = {"enum": sorted({m.id for m in methodologies.load().values()})}
    number = {"type": "number", "minimum": 0}
    expected = ("energy_kwh_per_year", "reduction_t_per_year")
    months = {"type": "array", "items": dict(number), "minItems": 12, "maxItems": 12}
    parameters = {key: dict(number) for key in expected} | {"by_month": months}
    capacity = {"from": dict(_SIMPLE[date]), "capacity_kw": dict(number)}
    dated = {"type": "array", "items": _closed(capacity | copy.deepcopy(parameters), ["from"])}
    properties["expected"] = _closed(parameters | {"dated": dated}, [])
    readings = properties["shared_meters"]["items"]["properties"]["readings"]["items"]
    readings["properties"] |= {"amount": dict(number), "unit": {"type": "string"}}
    device = properties["devices"]["items"]
    del device["properties"]["params"]
    device["required"].remove("params")
    device["additionalProperties"] = True  # what its role asks for
    return made


def _factor() -> dict[str, Any]:
    texts = ("id", "kind", "unit", "source")
    properties: dict[str, Any] = {key: {"type": "string"} for key in texts}
    properties |= {
        "direction": {"enum": list(get_args(Direction))},
        "value": {"type": "number"},
        "valid_from": dict(_SIMPLE[date]),
        "valid_to": dict(_SIMPLE[date]),
        "certainty": {"enum": list(CERTAINTIES)},
        "verified": {"type": "boolean"},
        "bound": {"enum": ["lower", "upper"]},
        "supersedes": {"type": "string"},
        "document": {"type": "object"},
        "calculation": {"type": "object"},
    }
    return _closed(properties, [*texts, "direction", "value", "certainty", "verified"])


def _closed(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
