"""
Device classes: the canonical channels of each kind of device, in base units.

A class file defines the table `reading_<class>`: one row per reading, one column per channel, in
the order of the file.  A register has a quantity, and may have a limit (highest plausible rate) and
a tolerance (a step back this small is jitter, not a reset).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ingest.errors import ProfileError
from ingest.limits import Limits

NO_LIMITS = Limits()
# what makes the energy of a register whose output ends with the daylight
SUN = "sun"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity of interval rows, with its base unit."""

    name: str
    unit: str


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("energy_export", "Wh"),
    Quantity("energy_import", "Wh"),
    Quantity("distance", "m"),
    Quantity("flow", "mL"),
    Quantity("biogas", "mL"),
    Quantity("mass", "g"),
    Quantity("heat", "Wh"),
    Quantity("count", "1"),
    Quantity("operating_time", "s"),
    Quantity("degree_time", "K s"),
)
QUANTITY_INDEX: dict[str, int] = {q.name: i for i, q in enumerate(QUANTITIES)}


@dataclass(frozen=True, slots=True)
class Channel:
    """
    Channel of a device class.

    `limit` is `"rated_power"`, a number of base units per hour, or None if unknown.  `power` names
    the gauge that replaces a missing register, `direction` the counted sign of that gauge, and
    `power_up` that its energy is rounded up (a charger's use is never a claim). `made_from` is the
    source of a register's energy, if given by the class.  `limits` are those of the quality tests;
    `phases` are the gauges whose sum this one is.  `wire` and `moduli` are unit and possible
    rollover values in tonne's own payload, if different from `profiles/own_payload`.
    """

    name: str
    kind: str
    unit: str
    quantity: str | None = None
    limit: str | int | None = None
    tolerance: int = 0
    power: str | None = None
    direction: int = 1
    power_up: bool = False
    made_from: str = ""
    span: tuple[float, float] | None = None
    span_of_rated: tuple[float, float] | None = None
    limits: Limits = NO_LIMITS
    phases: tuple[str, ...] = ()
    wire: str | None = None
    moduli: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class RatedPower:
    """Lowest and highest rated power of devices of a class [W], and its source."""

    least_w: int
    most_w: int
    source: str


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """
    Kind of device with its channels in column order; `limits` apply to its message times.

    `rated_power` is the usual rating of such devices, None if a rating limits nothing.
    """

    id: str
    title: str
    channels: dict[str, Channel]
    limits: Limits = NO_LIMITS
    rated_power: RatedPower | None = None

    @property
    def registers(self) -> list[Channel]:
        """Return the cumulative registers, in column order."""
        return [c for c in self.channels.values() if c.kind == "register"]

    def made_from(self, quantity: str) -> str:
        """Return the source of a quantity of this class; empty where the class names none."""
        return next((c.made_from for c in self.registers if c.quantity == quantity), "")

    @property
    def gauges(self) -> list[Channel]:
        """Return the momentary values, in column order."""
        return [c for c in self.channels.values() if c.kind == "gauge"]


def parse(document: dict[str, Any]) -> DeviceClass:
    """
    Return a device class from its parsed TOML.

    Raises
    ------
    ProfileError
        Naming the class, the channel and the error.
    """
    channels = {name: _channel(name, spec) for name, spec in document.get("channel", {}).items()}
    for channel in channels.values():
        _check(document["id"], channel, channels)
    limits = NO_LIMITS.changed(document.get("limits", {}), f"class {document['id']}")
    rated = document.get("rated_power")
    return DeviceClass(
        document["id"],
        document["title"],
        channels,
        limits,
        None if rated is None else RatedPower(**rated),
    )


def _channel(name: str, spec: dict[str, Any]) -> Channel:
    lists = ("span", "span_of_rated", "phases", "moduli")
    parts: dict[str, Any] = {k: tuple(spec[k]) for k in lists if k in spec}
    if "limits" in spec:
        parts["limits"] = NO_LIMITS.changed(spec["limits"], f"channel {name}")
    try:
        return Channel(name=name, **{**spec, **parts})
    except TypeError as error:
        raise ProfileError(f"channel {name}: {error}; see ingest/classes for the keys") from None


def _check(class_id: str, channel: Channel, channels: dict[str, Channel]) -> None:
    where = f"class {class_id}, channel {channel.name}"
    if channel.kind not in {"register", "gauge"}:
        raise ProfileError(f"{where}: kind {channel.kind!r} must be 'register' or 'gauge'")
    if channel.kind == "register" and channel.quantity not in QUANTITY_INDEX:
        raise ProfileError(f"{where}: quantity {channel.quantity!r} must be one of {QUANTITIES}")
    if channel.power is not None and channel.power not in channels:
        raise ProfileError(
            f"{where}: power {channel.power!r} is not a channel of this class; name one of "
            "its channels"
        )
    for phase in channel.phases:
        if phase not in channels:
            raise ProfileError(
                f"{where}: phase {phase!r} is not a channel of this class; name one of its channels"
            )


@cache
def load() -> dict[str, DeviceClass]:
    """Return all class files of tonne, by id."""
    device_classes = {}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            device_class = parse(tomllib.loads(entry.read_text(encoding="utf-8")))
            device_classes[device_class.id] = device_class
    return device_classes
