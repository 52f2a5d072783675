"""Registry entries in file format: an export can be imported unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.profiles import file_registers
from mrv.registry.declared import Calibration, JointReading
from services.registry import authority
from services.registry.entries import (
    Device,
    Entered,
    Entry,
    Programme,
    Project,
    Published,
    PvArray,
    Rating,
    Registry,
    Replacement,
    Site,
    Topic,
)
from services.registry.fields import plain
from services.registry.located import NUMBER


def document(entry: Entry) -> dict[str, Any]:
    """Return an entry with the keys of registry files, without empty optional keys."""
    writers: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
        Site: plain,
        Topic: asdict,
        Device: _device,
        Project: _project,
        Published: _published,
        Entered: authority.document,
        Programme: plain,
    }
    return writers[type(entry)](entry)


def sections(registry: Registry) -> dict[str, Any]:
    """Return a registry as sections of a file, without empty ones."""
    whole: dict[str, Any] = {
        "sites": [document(e) for e in registry.sites.values()],
        "devices": [document(e) for e in registry.devices.values()],
        "topics": [document(e) for e in registry.topics.values()],
        "factors": [document(e) for e in registry.factors.values()],
        "projects": [document(e) for e in registry.projects.values()],
    }
    for section, kind in authority.KINDS.items():
        whole[section] = [document(e) for e in registry.entered if e.kind == kind]
    if registry.programme is not None:
        whole["programme"] = document(registry.programme)
    return {key: value for key, value in whole.items() if value}


def to_yaml(registry: Registry) -> str:
    """Return a registry as one YAML file."""
    return dump(sections(registry))


def dump(document: Any, *, flow: bool = False) -> str:
    """Return values of a registry file as YAML; `flow` is one line."""
    return yaml.dump(
        document,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=2**30 if flow else 100,
        default_flow_style=flow,
    )


def _device(device: Device) -> dict[str, Any]:
    registers = file_registers.registers(device.class_id).values()
    names = {register.column: register.name for register in registers}
    return plain(
        device,
        calibrations=[_calibration(c, names) for c in device.calibrations or ()],
        replacements=[_replacement(device.class_id, r) for r in device.replacements or ()],
        ratings=_dated(device, device.ratings or ()),
        arrays=_dated(device, device.arrays or ()),
    )


def _dated(device: Device, rows: Sequence[Rating | PvArray]) -> Sequence[Rating | PvArray]:
    """Return dated rows of a device; empty if it has only the initial one."""
    first = len(rows) == 1 and rows[0].begins == device.installed and rows[0].document is None
    return () if first else rows


def _calibration(calibration: Calibration, names: Mapping[str, str]) -> dict[str, Any]:
    channel = calibration.channel
    return plain(
        calibration,
        valid_until=None if calibration.last_test else calibration.valid_until,
        channel=channel and names.get(channel, channel),
    )


def _replacement(class_id: str, swap: Replacement) -> dict[str, Any]:
    register = file_registers.of_column(class_id, swap.channel)
    last, first = register.to_file(swap.last), register.to_file(swap.first)
    return plain(swap, channel=register.name, last=last, first=first)


def _project(project: Project) -> dict[str, Any]:
    period = {"from": project.crediting_from, "to": project.crediting_to}
    return plain(
        project,
        crediting_from=period,
        shared_meters=[
            plain(meter, readings=[_reading(reading) for reading in meter.readings])
            for meter in project.shared_meters or ()
        ],
    )


def _reading(reading: JointReading) -> dict[str, Any]:
    unit = QUANTITIES[QUANTITY_INDEX[reading.quantity]].unit
    return plain(reading, value={"amount": reading.value, "unit": unit})


def _published(factor: Published) -> dict[str, Any]:
    record = dict(factor.record)
    days: dict[str, Any] = {
        k: date.fromisoformat(record[k]) for k in ("valid_from", "valid_to") if k in record
    }
    return {**record, "value": Decimal(record["value"]), **days}


class _Dumper(yaml.SafeDumper):
    """YAML writer with exact numbers, unquoted dates, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _decimal(dumper: yaml.SafeDumper, value: Decimal) -> yaml.ScalarNode:
    text = format(value, "f")
    kind = "float" if "." in text else "int"
    return dumper.represent_scalar(f"tag:yaml.org,2002:{kind}", text)


def _date(dumper: yaml.SafeDumper, value: date) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:timestamp", value.isoformat())


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Return text as YAML, quoted if it would be read as a number."""
    style = '"' if NUMBER.match(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Decimal, _decimal)
_Dumper.add_representer(date, _date)
