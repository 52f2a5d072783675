"""
Parsing of registry files to entries with positions and errors, and merging with stored ones.

Entries are written in the same format: an export can be imported unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from ingest import profiles
from ingest.classes import QUANTITIES, QUANTITY_INDEX
from ingest.errors import RegistryError
from mrv.registry import Calibration, JointReading, Sample
from mrv.registry.monitoring_plan import Version
from services.registry import authority, parse
from services.registry.entries import (
    Device,
    Entered,
    Entry,
    EntryKey,
    Programme,
    Project,
    Published,
    PvArray,
    Rating,
    Registry,
    Replacement,
    Site,
    Topic,
    array_fields,
    place,
)
from services.registry.fields import Row, fields_of, keys, plain
from services.registry.located import Table, Value, decoded, dump, read_csv, read_yaml
from services.registry.workbook import SUFFIX, read_workbook

SECTIONS: dict[str, Callable[[Row], Entry]] = {
    "sites": parse.site,
    "devices": parse.device,
    "topics": parse.topic,
    "factors": parse.published,
    "projects": parse.project,
    **{section: authority.reader(kind) for section, kind in authority.KINDS.items()},
}
KINDS = {
    "sites": "site",
    "devices": "device",
    "topics": "topic",
    "factors": "factor",
    "projects": "project",
    **authority.KINDS,
}
MAX_BYTES = 256 << 20
FORMATS = (".yaml", ".yml", ".csv", SUFFIX)


@dataclass(frozen=True, slots=True)
class Incoming:
    """Parsed files: valid entries, the position of each, and errors by row."""

    registry: Registry = field(default_factory=Registry)
    places: dict[EntryKey, str] = field(default_factory=dict)
    problems: dict[EntryKey, list[str]] = field(default_factory=dict)


def read_files(paths: Sequence[Path]) -> Incoming:
    """
    Return parsed registry files: YAML, workbooks, or CSV of devices; a folder stands for its files.

    Raises RegistryError when a file as a whole cannot be read; errors of rows are returned.
    """
    incoming = Incoming()
    for path in expanded(paths):
        _add_all(incoming, read_document(path, "devices"), str(path))
    return incoming


def read_bytes(name: str, data: bytes) -> Incoming:
    """
    Return a parsed registry file from its bytes; the format follows from its name.

    Raises RegistryError as `read_files` does.
    """
    incoming = Incoming()
    _add_all(incoming, parse_document(name, data, "devices"), name)
    return incoming


def _add_all(incoming: Incoming, document: Value, name: str) -> None:
    for kind, row, entry in _sections(document, name):
        _add(incoming, kind, row, entry)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """
    Return files in order, those of a folder by name.

    Raises RegistryError when a folder contains no registry file.
    """
    result: list[Path] = []
    for path in paths:
        inside = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in FORMATS)
            if (path.is_dir())
            else [path]
        )
        if not inside:
            raise RegistryError(
                f"{path} contains no {', '.join(FORMATS)} file; name another folder"
            )
        result += inside
    return result


def read_document(path: Path, csv_section: str) -> Value:
    """
    Return a file as a mapping of sections: YAML, a workbook, or CSV as rows of one section.

    Raises RegistryError when it cannot be read in the format of its name.
    """
    return parse_document(str(path), _bytes(path), csv_section)


def parse_document(name: str, data: bytes, csv_section: str) -> Value:
    """Return the contents of a file's bytes, as `read_document`."""
    suffix = Path(name).suffix.lower()
    if suffix == SUFFIX:
        return read_workbook(data, name)
    if suffix == ".csv":
        known = keys(Device) if csv_section == "devices" else None
        return Table(1, {csv_section: list(read_csv(decoded(data, name), name, known))}, {})
    if suffix in (".yaml", ".yml"):
        return read_yaml(decoded(data, name), name)
    raise RegistryError(f"{name}: its name must end in {', '.join(FORMATS)}; rename it")


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RegistryError(f"{path} is larger than {MAX_BYTES >> 20} MiB; split it")
        return path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{path} cannot be read: {error.strerror}; check its name") from None


def _sections(document: Value, name: str) -> Iterator[tuple[str, Row, Entry]]:
    top = Row(document, name, "file", 1)
    top.only(*SECTIONS, "programme")
    for section, read in SECTIONS.items():
        for i, row in enumerate(top.rows(section) or []):
            cells = row.table.cells
            row.path = f"{section}[{cells.get('id', cells.get('project', i))}]"
            yield KINDS[section], row, read(row)
    if top.has("programme"):
        line = top.table.lines["programme"]
        row = Row(top.table.cells["programme"], name, "programme", line)
        yield "programme", row, parse.programme(row)
    if top.problems:
        raise RegistryError("\n".join(top.problems))


def _add(incoming: Incoming, kind: str, row: Row, entry: Entry) -> None:
    place = f"{row.file}:{row.table.line}"
    key = (kind, entry.id or row.path)
    if key in incoming.places:
        row.problem(
            None, f"{kind} {entry.id} is also defined at {incoming.places[key]}; remove one of them"
        )
    incoming.places.setdefault(key, place)
    if row.problems:
        incoming.problems.setdefault(key, []).extend(row.problems)
    else:
        incoming.registry.entries[key] = entry


def updated(stored: Registry, incoming: Registry) -> Registry:
    """Return a registry in which a file's entries replace the stored ones."""
    entries = dict(stored.entries)
    for key, entry in incoming.entries.items():
        entries[key] = _keep_lists(entry, entries.get(key))
    return Registry(entries)


# data of a project that remain stored if a file omits them
RETAINED = ("boundary", "surveys", "events", "shared_meters", "defaults", "design", "laboratory",
        "documents")  # fmt: skip


def merged(
    stored: tuple[Version, ...], versions: tuple[Version, ...] | None
) -> tuple[Version, ...]:
    """Return the stored plan versions, with new approvals and versions of a file added."""
    known = {version.name for version in stored}
    approvals = {version.name: version.approval for version in versions or ()}
    return (
        *(replace(v, approval=v.approval or approvals.get(v.name)) for v in stored),
        *(version for version in versions or () if version.name not in known),
    )


def with_samples(
    stored: tuple[Sample, ...], samples: tuple[Sample, ...] | None
) -> tuple[Sample, ...]:
    """Return the stored laboratory samples and those that a file adds."""
    known = {place(sample) for sample in stored}
    more = (sample for sample in samples or () if place(sample) not in known)
    return tuple(sorted((*stored, *more), key=lambda s: (s.taken, *place(s))))


def _keep_lists(entry: Entry, stored: Entry | None) -> Entry:
    """Return an entry completed with the stored lists that the file omits, such as certificates."""
    if isinstance(entry, Project):
        before = stored if isinstance(stored, Project) else None
        lists = [name for name in RETAINED if name not in ("design", "laboratory", "documents")]
        return replace(
            entry,
            **{name: _entry_list(entry, before, name) for name in lists},
            monitoring=merged(before.monitoring or () if before else (), entry.monitoring),
            design=_own_value(entry.design, before and before.design),
            laboratory=with_samples(before.laboratory or () if before else (), entry.laboratory),
            documents={**(before.documents or {} if before else {}), **(entry.documents or {})},
        )
    if isinstance(entry, Site):
        before_site = stored if isinstance(stored, Site) else None
        return replace(entry, timezones=_entry_list(entry, before_site, "timezones") or None)
    return _keep_of_device(entry, stored) if isinstance(entry, Device) else entry


def _keep_of_device(entry: Device, stored: Entry | None) -> Device:
    known = stored if isinstance(stored, Device) else None
    lists = {f.name: _entry_list(entry, known, f.name) for f in fields_of(Device) if f.item}
    modules = array_fields(lists["arrays"][-1]) if lists["arrays"] else {}
    own = {key: _own_value(getattr(entry, key), value) for key, value in modules.items()}
    # files of 0.1.0 do not have maker and model
    maker, model = (known.maker, known.model) if known else (None, None)
    return replace(entry, **lists, **own, maker=entry.maker or maker, model=entry.model or model)


def _entry_list(entry: Entry, stored: Entry | None, name: str) -> Any:
    """Return the list `name` of the file's entry; if the file omits it, the stored list, or ()."""
    return _own_value(getattr(entry, name), getattr(stored, name, None)) or ()


def _own_value(own: Any, before: Any) -> Any:
    return before if own is None else own


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


def _device(device: Device) -> dict[str, Any]:
    registers = profiles.registers(device.class_id).values()
    names = {register.column: register.name for register in registers}
    return plain(
        device,
        calibrations=[_calibration(c, names) for c in device.calibrations or ()],
        replacements=[_replacement(device.class_id, r) for r in device.replacements or ()],
        exchanged_channels=[
            plain(e, channel=names[e.channel], other=names[e.other])
            for e in device.exchanged_channels or ()
        ],
        ratings=_dated(device, device.ratings or ()),
        arrays=_dated(device, device.arrays or ()),
    )


def _dated(device: Device, rows: Sequence[Rating | PvArray]) -> Sequence[Rating | PvArray]:
    """
    Return dated rows of a device; empty if its only row has no document and begins on the day of
    installation.
    """
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
    register = profiles.register_of_column(class_id, swap.channel)
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
