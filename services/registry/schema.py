"""
JSON Schema of registry files, for editors, and example files by device class.

The schema is generated from the entries' types, with the names of file keys.  `tonne registry
check` checks the rules between rows.

An example explains each key.  Optional keys are commented out with `# `.  Values that only the user
knows and that affect tonnes are placeholders, which an import rejects.  Texts are generated from
classes, profiles and methodologies.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

import msgspec

from ingest import classes, profiles
from ingest.classes import NAMES, PAIRS, DeviceClass
from ingest.errors import RegistryError, did_you_mean
from mrv import countries, methodologies
from mrv.countries import FIRST_COUNTRY
from mrv.model import Direction, Methodology
from services.registry import authority, entries
from services.registry.fields import ID, PLACEHOLDER, Field, fields_of
from services.registry.parse import CERTAINTIES
from services.registry.ratings import PV_INVERTER

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
# keys that a file may omit, although the field of the entry is required
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
    """Return the schema of the keys in a section such as `devices.calibrations`."""
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
    """Return the schema rule that a device's profile is one of its class."""
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
    # further keys are permitted, as the device's role may require them
    device["additionalProperties"] = True
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
    factor = _closed(properties, [*texts, "direction", "value", "certainty", "verified"])
    described = "An emission factor, or another published value, with its source and validity."
    return factor | {"description": described}


def _closed(properties: dict[str, Any], required: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


SITE = "my-site"
_SITE = """\
sites:
  - id: {site}  # letters, digits, - and _
    name: My plant
    # names: {{de: "Mein Werk", ja: "私の工場"}}  # in the languages of the pages
    latitude: {latitude}  # degrees, north is positive
    longitude: {longitude}  # degrees, east is positive
    timezone: {timezone}  # IANA name; days of this site begin in this time zone{several}
    country: {country}  # ISO 3166-1; selects the grid emission factor
    # park: my-park  # group of sites that exchange energy, water or waste
"""
# location of the example; in a country without one it is a placeholder
_PLACES = {FIRST_COUNTRY: ("20.94", "106.60")}
_OFFSET = "+07:00"
_UNKNOWN = (f"{PLACEHOLDER}LATITUDE", f"{PLACEHOLDER}LONGITUDE")
_CALIBRATIONS = f"""\
    # calibrations:  # for time without a certificate, the permissible error is deducted
    #   - performed: {PLACEHOLDER}DAY
    #     valid_until: {PLACEHOLDER}DAY  # first day that it does not cover
    #     certificate: {PLACEHOLDER}CERTIFICATE
    #     accuracy_class: "0.5S"
    #     max_error_percent: 0.5
    #     serial: {PLACEHOLDER}SERIAL  # serial number on the certificate
"""
_PROGRAMME = f"""\
programme:
  name: My city's programme
  actions:
    - id: "1"
      name: Energy
      # target_kt: {PLACEHOLDER}NUMBER  # kt CO2e a year, from the city's own model
"""


def template(class_id: str, country: str = FIRST_COUNTRY) -> str:
    """
    Return a commented registry file with a device of a class; `registry check` accepts it.
    In a country without an example location it is a placeholder; the methodology is one used there.

    Raises RegistryError if there is no such class.
    """
    known = classes.load()
    if class_id not in known:
        hint = did_you_mean(class_id, known) or f"known: {', '.join(known)}"
        raise RegistryError(f"class {class_id!r} is not a device class; {hint}")
    device_class = known[class_id]
    return "".join(
        (
            f"# Registry file: a device of class {class_id} ({device_class.title}).\n",
            "# Edit it, then: tonne registry check FILE; tonne registry import FILE\n",
            _site(country),
            "\n",
            *_device_example(device_class, country),
            "\n",
            *_project_example(device_class, country),
        )
    ).replace(_OFFSET, _offset(country))


def complete_template(country: str = FIRST_COUNTRY) -> str:
    """Return a commented registry file with a site, a device, a project and a programme."""
    lines = template("pv_inverter", country).splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if line.startswith("# projects:"))
    project = [line.removeprefix("# ") for line in lines[at:]]
    return "".join((*lines[:at], *project, "\n", _PROGRAMME))


def _site(country: str) -> str:
    latitude, longitude = _PLACES.get(country, _UNKNOWN)
    return _SITE.format(
        site=SITE,
        latitude=latitude,
        longitude=longitude,
        timezone=countries.known()[country][0],
        country=country,
        several="; check it, the country has several"
        if countries.has_several_clocks(country)
        else "",
    ) + "".join(
        f"    grid: {PLACEHOLDER}GRID  # {', '.join(grids)}, or a name with its factor\n"
        for grids in [countries.grids(country)]
        if grids
    )


def _offset(country: str) -> str:
    """Return the UTC offset of a country's clock on the first day of the example."""
    return datetime(2026, 1, 1, tzinfo=ZoneInfo(countries.known()[country][0])).isoformat()[-6:]


def _azimuth(country: str) -> str:
    """Return the orientation of modules: south at the example's place, else a placeholder."""
    return "180" if country in _PLACES else f"{PLACEHOLDER}NUMBER"


def _device_example(device_class: DeviceClass, country: str) -> Iterator[str]:
    name = f"{device_class.id.replace('_', '-')}-1"
    yield "devices:\n"
    yield f"  - id: {name}  # also its MQTT principal: tonne/v1/{name}/telemetry\n"
    yield f"    site: {SITE}\n"
    yield f"    class: {device_class.id}\n"
    models = ", ".join(_models(device_class.id)) or "none is known"
    yield f"    profile: generic  # or a model: {models}\n"
    rated = any(c.limit == "rated_power" for c in device_class.registers)
    yield f"    {'' if rated else '# '}rated_power_w: 100000  # limit of the register's increase\n"
    if device_class.id == PV_INVERTER:
        yield "    dc_power_w: 120000  # nameplate, needed for the performance ratio\n"
        yield "    tilt: 10  # slope of the modules, degrees from the horizontal\n"
        yield f"    azimuth: {_azimuth(country)}  # degrees clockwise from north: 180 is south;"
        yield " south of the equator modules face north, 0\n"
        yield "    temperature_coefficient_percent: -0.35  # change of power, %/K, data sheet\n"
    yield "    installed: 2026-01-01T00:00:00+07:00  # time with its UTC offset\n"
    yield f"    # maker: {PLACEHOLDER}MAKER\n"
    yield f"    # model: {PLACEHOLDER}MODEL\n"
    yield f"    # serial: {PLACEHOLDER}SERIAL  # `maker` and `serial` identify the meter\n"
    yield "    # gateway: gw-1  # the registered device that transmits its data\n"
    yield "    # removed: 2036-01-01T00:00:00+07:00\n"
    yield "    # commissioned: 2026-02-01  # missing data raise an alarm from this day on\n"
    yield "    attributes: {cadence_s: 900}  # seconds between its messages\n"
    yield _CALIBRATIONS
    yield from _later(device_class, country)
    yield "\n    # Channels of its messages with the generic profile: name, unit, kind\n"
    for source in profiles.load()[device_class.id, profiles.OWN].channels.values():
        channel = device_class.channels[source.channel]
        yield f"    #   {source.path:<26} {source.unit:<8} {channel.kind}\n"


def _later(device_class: DeviceClass, country: str) -> Iterator[str]:
    """Yield optional later entries of a device: meter replacements, limits of tests."""
    registers = list(profiles.registers(device_class.id).values())
    if registers:
        register = registers[0]
        yield "    # replacements:  # last value of the old meter, first value of the new one\n"
        yield "    #   - at: 2027-03-01T09:00:00+07:00\n"
        yield f"    #     channel: {register.name}\n"
        yield f"    #     last: {PLACEHOLDER}READING  # {register.unit}\n"
        yield f"    #     first: {PLACEHOLDER}READING  # {register.unit}\n"
        yield f"    #     reason: {PLACEHOLDER}REASON\n"
        yield f"    #     document: {PLACEHOLDER}PROTOCOL  # record with both values\n"
    if len(registers) > 1:
        yield "    # exchanged_channels:  # two registers that arrived under each other's name\n"
        yield f"    #   - channel: {registers[0].name}\n"
        yield f"    #     with: {registers[-1].name}\n"
        yield "    #     from: 2027-03-01T09:00:00+07:00\n"
        yield "    #     to: 2027-03-02T09:00:00+07:00\n"
        yield f"    #     reason: {PLACEHOLDER}REASON\n"
        yield f"    #     document: {PLACEHOLDER}DOCUMENT\n"
    if any(c.limit == "rated_power" for c in device_class.registers):
        yield "    # ratings:  # changes of the rated power, each from a time on\n"
        yield "    #   - {from: 2026-01-01T00:00:00+07:00, rated_power_w: 100000}\n"
    if device_class.id == PV_INVERTER:
        yield "    # arrays:  # changes of the PV modules, each from a time on\n"
        yield "    #   - from: 2026-01-01T00:00:00+07:00\n"
        yield "    #     dc_power_w: 120000\n"
        yield "    #     tilt: 10\n"
        yield f"    #     azimuth: {_azimuth(country)}\n"
        yield "    #     temperature_coefficient_percent: -0.35\n"
        yield f"    #     document: {PLACEHOLDER}DRAWING\n"
    yield "    # meter_keys:  # public keys of a meter that signs: hex or base64, DER or a point\n"
    yield "    #   - from: 2026-01-01T00:00:00+07:00\n"
    yield f"    #     key: {PLACEHOLDER}KEY\n"
    yield f"    #     document: {PLACEHOLDER}DOCUMENT\n"
    gauge = next((c.name for c in device_class.channels.values() if c.kind == "gauge"), None)
    if gauge is not None:
        yield "    # quality:  # limits of the quality tests for this device\n"
        yield f"    #   - channel: {gauge}\n"
        yield "    #     from: 2026-06-01T00:00:00+07:00\n"
        yield "    #     flat_s: 7200  # longest time without a change [s]\n"
        yield f"    #     reason: {PLACEHOLDER}REASON\n"
    if any(r.unit == "Wh" for r in device_class.registers):
        yield "    # check_of: main-meter  # the main meter of this check meter\n"
        yield "    # check_percent: 2  # permitted difference [%]\n"


def _models(class_id: str) -> list[str]:
    return [p for c, p in profiles.load() if c == class_id and p != profiles.OWN]


def _project_example(device_class: DeviceClass, country: str) -> Iterator[str]:
    result = [
        (method, role)
        for method in methodologies.load().values()
        for role, needs in method.roles.items()
        if device_class.id in needs.classes
        and methodologies.abroad(method.countries, country) is None
    ]
    if not result:
        yield "# No methodology uses this class; its values are indicators without tonnes.\n"
        return
    result.sort(key=lambda entry: (entry[0].id != "jcm-vn-am007", len(entry[0].roles)))
    method, role = result[0]
    served = ", ".join(sorted({f"{m.id} ({r})" for m, r in result}))
    yield f"# Methodologies in which it has a role: {served}.\n"
    yield f"# Inputs of a methodology: tonne evaluate {method.id} --describe\n"
    yield from (f"# {line}\n" for line in _project_lines(device_class, method, role))


def _project_lines(device_class: DeviceClass, method: Methodology, role: str) -> Iterator[str]:
    yield "projects:"
    yield "  - id: my-project"
    yield "    name: My project"
    yield f"    methodology: {method.id}  # {method.title}"
    yield f'    version: "{method.version}"'
    yield "    crediting_period: {from: 2026-01-01, to: 2036-01-01}  # `to`: first day after it"
    yield "    devices:"
    own = {key: _example(spec) for key, spec in method.roles[role].params.items() if spec.required}
    more = "".join(f", {key}: {value}" for key, value in own.items())
    yield f"      - {{device: {device_class.id.replace('_', '-')}-1, role: {role}{more}}}"
    for other, needs in method.roles.items():
        if other != role and needs.required:
            yield f"      # and one in role {other}: {' or '.join(needs.classes)}"
    parameter_specs = {
        k: s for k, s in method.parameters.items() if s.required or k in method.designed
    }
    yield "    parameters:" if parameter_specs else "    parameters: {}"
    for key, spec in parameter_specs.items():
        unit = getattr(spec, "unit", "") or ""
        yield f"      {key}: {_example(spec)}  # {unit + ': ' if unit else ''}{spec.meaning}"
    if method.designed:
        yield "    documents:  # documents of the design and the baseline, dated before the period"
    for key in method.designed:
        whole = key in method.baseline_documents
        lost = (
            "no reduction is credited"
            if whole
            else "a meter without valid calibration is not credited"
        )
        yield f"      {key}:  # without this document, {lost}"
        yield f"        document: {PLACEHOLDER}TITLE-AND-NUMBER"
        yield f"        by: {PLACEHOLDER}ISSUER  # issuer of the document, not the operator"
        yield f"        issued: {PLACEHOLDER}DAY"
        yield f"        sha256: {PLACEHOLDER}SHA256  # SHA-256 of its file"
        yield f"        value: {PLACEHOLDER}NUMBER  # stated value, in the unit of the parameter"
    if method.invoiced:
        names = ", ".join([r for r in method.roles if r in method.invoiced])
        either = f", or of {', '.join(method.powering)}" if method.powering else ""
        yield f"    # a reduction requires calibrated meters, or invoices of {names}{either}"
        yield "    # (tonne invoice import)"
    yield '    action: "1"  # action of the programme to which the project belongs'


def _example(spec: object) -> str:
    """Return a parameter's default, or its first choice, or a placeholder."""
    choices = getattr(spec, "choices", None)
    result = (getattr(spec, "default", None), next(iter(choices)) if choices else None)
    return str(next((amount for amount in result if amount is not None), f"{PLACEHOLDER}NUMBER"))
