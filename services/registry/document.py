"""Registry entries in file format: an export can be imported unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import yaml

from ingest.profiles import file_registers
from mrv.registry.article6_transfer import TransferClass
from mrv.registry.declared import Calibration
from services.registry import authority, declared, monitoring, ratings
from services.registry.entries import (
    CHECK_PERCENT,
    Device,
    Entered,
    Entry,
    Programme,
    Project,
    ProjectDevice,
    Published,
    Quality,
    Registry,
    Replacement,
    Site,
    Topic,
    array_fields,
)
from services.registry.located import NUMBER


def document(entry: Entry) -> dict[str, Any]:
    """Return an entry with the keys of registry files, without empty optional keys."""
    writers: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
        Site: _site,
        Topic: asdict,
        Device: _device,
        Project: _project,
        Published: _published,
        Entered: authority.document,
        Programme: _programme,
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


def _site(site: Site) -> dict[str, Any]:
    later = [
        {"from": timezone.begins, "timezone": timezone.timezone}
        for timezone in site.timezones or ()
    ]
    return _present(**{**asdict(site), "timezones": later, "tariffs": ratings.rows(site)})


def _device(device: Device) -> dict[str, Any]:
    return _present(
        id=device.id,
        site=device.site,
        **{"class": device.class_id},
        profile=device.profile,
        gateway=device.gateway,
        rated_power_w=device.rated_power_w,
        installed=_time(device.installed),
        removed=_time(device.removed) if device.removed else None,
        commissioned=device.commissioned,
        serial=device.serial,
        attributes=dict(device.attributes),
        calibrations=[_calibration(device.class_id, c) for c in device.calibrations or ()],
        replacements=[_replacement(device.class_id, r) for r in device.replacements or ()],
        quality=[_quality(q) for q in device.quality or ()],
        maker=device.maker,
        model=device.model,
        ratings=_ratings(device),
        meter_keys=[
            {"from": _time(k.begins)} | _present(key=k.key, document=k.document)
            for k in device.meter_keys or ()
        ],
        **array_fields(device),
        arrays=_arrays(device),
        check_of=device.check_of,
        check_percent=None if device.check_percent == CHECK_PERCENT else device.check_percent,
    )


def _ratings(device: Device) -> list[dict[str, Any]]:
    """Return the dated ratings of a device; empty if it has only the initial one."""
    stored = device.ratings or ()
    if len(stored) == 1 and stored[0].begins == device.installed and stored[0].document is None:
        return []
    return [
        {"from": _time(r.begins)}
        | _present(rated_power_w=r.rated_power_w, document=r.document, sha256=r.sha256)
        for r in stored
    ]


def _arrays(device: Device) -> list[dict[str, Any]]:
    """Return the dated modules of a device; empty if it has only the initial ones."""
    pv_arrays = device.arrays or ()
    if (
        len(pv_arrays) == 1
        and pv_arrays[0].begins == device.installed
        and pv_arrays[0].document is None
    ):
        return []
    return [
        {"from": _time(a.begins)} | _present(**array_fields(a), document=a.document)
        for a in pv_arrays
    ]


def _calibration(class_id: str, calibration: Calibration) -> dict[str, Any]:
    registers = {
        register.column: register.name for register in file_registers.registers(class_id).values()
    }
    channel = calibration.channel
    return _present(
        performed=calibration.performed,
        valid_until=None if calibration.last_test else calibration.valid_until,
        certificate=calibration.certificate,
        accuracy_class=calibration.accuracy_class,
        max_error_percent=calibration.max_error_percent,
        serial=calibration.serial,
        channel=channel and registers.get(channel, channel),
        found_error_percent=calibration.found_error_percent,
        last_test=calibration.last_test or None,
        laboratory=calibration.laboratory,
        accreditation=calibration.accreditation,
    )


def _replacement(class_id: str, swap: Replacement) -> dict[str, Any]:
    register = file_registers.of_column(class_id, swap.channel)
    return _present(
        at=_time(swap.at),
        channel=register.name,
        last=register.to_file(swap.last),
        first=register.to_file(swap.first),
        reason=swap.reason,
        document=swap.document,
        same_meter=swap.same_meter or None,
    )


def _quality(quality: Quality) -> dict[str, Any]:
    begins = {"channel": quality.channel, "from": _time(quality.begins)}
    return begins | dict(quality.limits) | {"reason": quality.reason}


def _project(project: Project) -> dict[str, Any]:
    modules = project.modules
    return _present(
        id=project.id,
        name=project.name,
        names=dict(project.names or {}),
        methodology=project.methodology,
        version=project.version,
        crediting_period={"from": project.crediting_from, "to": project.crediting_to},
        devices=[_project_device(d) for d in project.devices],
        parameters=dict(project.parameters),
        expected=dict(project.expected),
        modules=asdict(modules) if modules else None,
        action=project.action,
        system=project.system,
        transfer=_transfer(project.transfer),
        monitoring=[monitoring.document(version) for version in project.monitoring or ()],
        boundary=[_present(**asdict(outside)) for outside in project.boundary or ()],
        documents=dict(project.documents or {}),
        laboratory=[_present(**asdict(sample)) for sample in project.laboratory or ()],
        **declared.document(project),
    )


def _published(factor: Published) -> dict[str, Any]:
    record = dict(factor.record)
    days: dict[str, Any] = {
        k: date.fromisoformat(record[k]) for k in ("valid_from", "valid_to") if k in record
    }
    return {**record, "value": Decimal(record["value"]), **days}


def _transfer(transfer_class: TransferClass | None) -> dict[str, Any] | None:
    if transfer_class is None:
        return None
    return _present(
        list=transfer_class.number,
        measure=transfer_class.measure,
        corresponding_adjustment=transfer_class.adjusted,
    )


def _project_device(bound: ProjectDevice) -> dict[str, Any]:
    dates = {"from": bound.from_date, "to": bound.to_date}
    return _present(device=bound.device, role=bound.role, **bound.params, **dates)


def _programme(programme: Programme) -> dict[str, Any]:
    actions = [
        _present(
            id=a.id,
            name=a.name,
            names=dict(a.names or {}),
            target_kt=a.target_kt,
            target_year=a.target_year,
            reported=[asdict(r) for r in a.reported],
        )
        for a in programme.actions
    ]
    return _present(
        name=programme.name,
        target_kt=programme.target_kt,
        area=asdict(programme.area) if programme.area else None,
        issue_signatures=programme.issue_signatures,
        public_url=programme.public_url,
        actions=actions,
    )


def _present(**keys: Any) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value not in (None, {}, [], ())}


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


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
