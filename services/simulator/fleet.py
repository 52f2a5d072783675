"""
Devices to simulate, from a fleet file or registry files.

A fleet file has groups of devices; a registry file names each device, with default values for
missing attributes such as the cadence.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

from ingest import profiles
from ingest.errors import RegistryError
from services.registry.located import dump, native
from services.registry.workbook import SUFFIX, read_workbook
from services.simulator import Device, SimulatorError
from services.simulator.simulated import MODELS

USUAL_CADENCE_S = 60
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
USUAL_POWER_W = {
    "pv_inverter": 100_000,
    "ev_charger": 60_000,
    "vehicle": 200_000,
    "energy_meter": 250_000,
    "wastewater_plant": 150_000,
    "waste_heat_turbine": 6_000_000,
    "chiller": 350_000,
    "lamp_controller": 8_000,
    "wind_turbine": 3_000_000,
    "pump": 400_000,
    "furnace": 1_000_000,
}
# quantity on a working day, in the unit of the payload
USUAL_PER_DAY = {
    "weighbridge": 60_000.0,
    "steam_meter": 120.0,
    "recycling_line": 4_000.0,
    "passenger_counter": 8_000.0,
    "fuel_meter": 110.0,
    "waterworks": 100_000.0,
}


class Place(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Coordinates in degrees; by default, the centre of Hai Phong."""

    latitude: float = 20.86
    longitude: float = 106.68


class Group(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"kind": "class"}):
    """Devices of one class: `ids`, or `count` of them named `prefix` and a number."""

    kind: str
    count: int = 1
    prefix: str | None = None
    ids: tuple[str, ...] = ()
    gateway: str | None = None
    site: Place = Place()
    rated_power_w: int | None = None
    per_day: float | None = None
    cadence_s: int = USUAL_CADENCE_S

    def devices(self) -> Iterator[Device]:
        """Return the devices of the group, in order."""
        prefix = self.prefix or self.kind.replace("_", "-") + "-"
        for name in self.ids or [f"{prefix}{k:03d}" for k in range(1, self.count + 1)]:
            yield _device(
                name,
                self.kind,
                self.gateway,
                self.site,
                self.rated_power_w,
                self.per_day,
                self.cadence_s,
            )


class Site(msgspec.Struct, frozen=True):
    """Data of a registry's site for the simulator."""

    id: str
    latitude: float = Place().latitude
    longitude: float = Place().longitude


class Attributes(msgspec.Struct, frozen=True):
    """Registry attributes for the simulation of a device."""

    simulated_per_day: float | None = None
    cadence_s: int | None = None


class Bound(msgspec.Struct, frozen=True):
    """A device of a project, with its role."""

    device: str
    role: str


class Project(msgspec.Struct, frozen=True):
    """Data of a registry's project for the simulator."""

    devices: list[Bound] = []


class Row(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """Data of a registry's device for the simulator."""

    id: str
    kind: str
    site: str | None = None
    gateway: str | None = None
    profile: str = "generic"
    rated_power_w: int | None = None
    attributes: Attributes = Attributes()


def read_fleet(path: Path, cadence_s: int | None = None) -> list[Device]:
    """
    Return the devices of a fleet or registry file, or of all registry files in a folder.

    `cadence_s`: time between readings in place of the file's, except for devices with their own
    (`attributes.cadence_s`). [s]
    Raises SimulatorError when the file is not YAML, has no device, or a device cannot be simulated.
    """
    devices = list(_devices(_content(path), path, cadence_s))
    if not devices:
        raise SimulatorError(f"{path} has no device to simulate; enter `fleet:` or `devices:`")
    counted = Counter(device.id for device in devices)
    for name, times in counted.most_common(1):
        if times > 1:
            raise SimulatorError(
                f"{path} has {times} devices with the id {name!r}; give each its own id"
            )
    return devices


def _content(path: Path) -> Any:
    """Return the parsed content of a file, or the merged sites and devices of a folder's files."""
    if not path.is_dir():
        return _read(path)
    whole: dict[str, list[Any]] = {"sites": [], "devices": [], "projects": []}
    for file in sorted((*path.glob("*.yaml"), *path.glob(f"*{SUFFIX}"))):
        content = _read(file)
        for key, rows in whole.items():
            rows.extend(content.get(key) or [] if isinstance(content, dict) else [])
    return whole


def _read(path: Path) -> Any:
    try:
        if path.suffix.lower() == SUFFIX:
            text = dump(native(read_workbook(path.read_bytes(), str(path))))
        else:
            text = path.read_text(encoding="utf-8")
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 (a safe one)
    except RegistryError as error:
        raise SimulatorError(str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SimulatorError(f"{path} is not YAML: {error}; correct the file") from error


def leave_out(devices: list[Device], names: tuple[str, ...]) -> list[Device]:
    """
    Return the fleet without the named devices.

    Raises SimulatorError when a name is not in the fleet, or no device is left.
    """
    for name in names:
        if all(device.id != name for device in devices):
            raise SimulatorError(f"--without {name!r} names no device of the fleet; check the id")
    kept = [device for device in devices if device.id not in names]
    if not kept:
        raise SimulatorError("--without excludes all devices; name fewer")
    return kept


def _devices(content: Any, path: Path, cadence_s: int | None) -> Iterator[Device]:
    try:
        if isinstance(content, dict) and "devices" in content:
            sites = msgspec.convert(content.get("sites") or [], list[Site])
            projects = msgspec.convert(content.get("projects") or [], list[Project])
            bound = [bound_device for project in projects for bound_device in project.devices]
            generating = {
                bound_device.device for bound_device in bound if bound_device.role == "generation"
            }
            for device in _registered(
                msgspec.convert(content["devices"], list[Row]),
                {site.id: site for site in sites},
                cadence_s,
            ):
                yield replace(device, generates=device.id in generating)
        else:
            listed = content.get("fleet") if isinstance(content, dict) else content
            for group in msgspec.convert(listed or [], list[Group]):
                for device in group.devices():
                    yield replace(device, cadence_s=cadence_s) if cadence_s else device
    except (msgspec.ValidationError, SimulatorError) as error:
        raise SimulatorError(f"{path}: {error}") from error


def _registered(rows: list[Row], sites: dict[str, Site], usual_s: int | None) -> Iterator[Device]:
    """Yield the devices of a registry file, with the payload format of their models."""
    for row in rows:
        site = sites.get(row.site or "", Site(id=""))
        place = Place(site.latitude, site.longitude)
        own = row.attributes
        device = _device(
            row.id,
            row.kind,
            row.gateway,
            place,
            row.rated_power_w,
            own.simulated_per_day,
            own.cadence_s or usual_s or USUAL_CADENCE_S,
        )
        if (row.kind, row.profile) not in profiles.load():
            raise SimulatorError(
                f"device {row.id!r} has profile {row.profile!r}, which class {row.kind} lacks; "
                "name a profile of that class"
            )
        yield replace(device, profile=row.profile)


def _device(
    name: str,
    kind: str,
    gateway: str | None,
    place: Place,
    power_w: int | None,
    per_day: float | None,
    cadence_s: int,
) -> Device:
    if kind not in MODELS:
        raise SimulatorError(
            f"device {name!r} has class {kind!r}, which has no simulator; "
            f"choose from {', '.join(MODELS)}"
        )
    if any(sign in name for sign in "/+#") or not name:
        raise SimulatorError(
            f"device id {name!r} cannot be part of a topic; it must not contain / + #"
        )
    if cadence_s < 1:
        raise SimulatorError(f"device {name!r} has cadence_s {cadence_s}; enter at least 1 second")
    power = USUAL_POWER_W.get(kind, 0) if power_w is None else power_w
    amount = USUAL_PER_DAY.get(kind, 0.0) if per_day is None else per_day
    return Device(
        name, kind, gateway or name, place.latitude, place.longitude, power, cadence_s,
        per_day=amount,
    )  # fmt: skip
