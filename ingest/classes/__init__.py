"""
Device classes: channels and limits of each kind of device, and conversion factors of units.

A class file defines the table `reading_<class>`: one row per reading, one column per channel, in
the order of the file.  A register has a quantity, and may have a limit (highest plausible rate) and
a tolerance (a step back this small is jitter, not a reset).

Limits of the quality tests are values that are unusual for a channel, but not impossible.  They
come from a class file, a device model's profile, or the registry (for one device, from a date on).
Limits `of_rated` are shares of the device's rated power; they are not applied if it is unknown.

A factor from a payload unit is an exact ratio of integers; registers are multiplied and rounded to
the nearest base unit, gauges are multiplied as floats.  SenML's unit names (RFC 8428, RFC 8798) are
included.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib import resources
from math import isfinite
from typing import Any, NamedTuple

from ingest.errors import ProfileError

MAX_FLAT_S = 604_800
# The longest plausible constant time is divided into this number of segments.  At the end of each,
# the registers can corroborate a constant gauge.  With three, a lost reading or a coarse register
# may invalidate one of them.
FLAT_PARTS = 3
_DAY_US = 86_400_000_000


class UnitLevel(NamedTuple):
    """Level of the unit test: share of the lowest plausible peak, and longest time below it."""

    share: float
    longest_us: int


UNIT_LEVELS = (UnitLevel(1.0, 10 * _DAY_US), UnitLevel(1 / 6, 3 * _DAY_US))
PAIRS = ("bound", "bound_of_rated")
# alternative forms of one limit: the form that is given replaces the other
_EITHER = (
    ("bound", "bound_of_rated"),
    ("spike", "spike_of_rated"),
    ("flat_floor", "flat_floor_of_rated"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """
    Thresholds by test; None disables the test for the channel.

    `bound`, `bound_of_rated`: lowest and highest plausible value.
    `spike`, `spike_of_rated`: height above both neighbouring values.
    `rate_per_minute`: fastest plausible change per minute.
    `flat_s`: longest plausible time with a constant value. [s]
    `flat_floor`, `flat_floor_of_rated`: values nearer to zero may be constant for longer.
    `night_of_rated`: lowest power that counts as generation.
    `peak_of_rated`: lowest plausible peak within ten days.
    `phases_share`: permitted difference between the sum of the phases and the total.
    `gap_s`: shortest time between readings that is a gap. [s]
    `sleep_s`: longest outage over a night that is not a gap. [s]
    """

    bound: tuple[float, float] | None = None
    bound_of_rated: tuple[float, float] | None = None
    spike: float | None = None
    spike_of_rated: float | None = None
    rate_per_minute: float | None = None
    flat_s: float | None = None
    flat_floor: float | None = None
    flat_floor_of_rated: float | None = None
    night_of_rated: float | None = None
    peak_of_rated: float | None = None
    phases_share: float | None = None
    gap_s: float | None = None
    sleep_s: float | None = None

    def changed(self, spec: Mapping[str, Any], where: str) -> Limits:
        """
        Return these limits, replaced by those of a file where it states them.

        `spec`: limits by name; None disables a test.
        `where`: name used in errors.
        Raises ProfileError, naming the place and the error.
        """
        for name, value in spec.items():
            if problem := _problem(name, value):
                raise ProfileError(f"{where}, limits: {problem}")
        result: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list | tuple) else v for k, v in spec.items()
        }
        for item, other in _EITHER:
            if result.get(item) is not None and result.get(other) is not None:
                raise ProfileError(
                    f"{where}, limits: {item} and {other} set the same limit; remove one of them"
                )
            if item in result or other in result:
                result = {item: None, other: None} | result
        return replace(self, **result)


NAMES = tuple(f.name for f in fields(Limits))


def _problem(name: str, value: Any) -> str | None:
    """Return the error of a limit's value; None if it is valid."""
    if name not in NAMES:
        return f"{name} is unknown; known: {', '.join(NAMES)}"
    if value is None:
        return None
    if name in PAIRS:
        pair = value if isinstance(value, list | tuple) else ()
        sound = len(pair) == 2 and all(map(_number, pair)) and pair[0] < pair[1]  # noqa: PLR2004
        return None if sound else f"{name} {value!r} must be [low, high], with low below high"
    if not _number(value) or value <= 0:
        return (
            f"{name} {value!r} must be a number above 0; omit it, or set null, to disable the test"
        )
    if name == "flat_s" and value > MAX_FLAT_S:
        return (
            f"flat_s {value} is longer than one week, the longest time that is tested; enter at "
            f"most {MAX_FLAT_S} s"
        )
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


NO_LIMITS = Limits()
# energy source of a register that advances only by daylight
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

    `limit`: highest plausible rate: `"rated_power"`, a number of base units per hour, or None if
    unknown.
    `power`: gauge from which energy is estimated if the register is not reported; `direction`: sign
    of its values that count.
    `power_up`: whether energy from that gauge is rounded up, as for a charger's consumption.
    `made_from`: energy source of a register, if the class states it.
    `limits`: limits of the quality tests.
    `phases`: gauges whose sum this one is.
    `wire`, `moduli`: unit and possible rollover values in tonne's own payload, if different from
    `profiles/own_payload`.
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
    """Lowest and highest rated power of devices of a class [W], and the source of these figures."""

    least_w: int
    most_w: int
    source: str


@dataclass(frozen=True, slots=True)
class OwnUse:
    """Highest own use of generators of a class, as a share of the rated power, and its source."""

    of_rated: float
    source: str


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """
    Kind of device with its channels in column order; `limits` apply to the times of its readings.

    `rated_power`: usual range of the rated power; None if the class sets no limits.
    `own_use`: None if no source states it.
    """

    id: str
    title: str
    channels: dict[str, Channel]
    limits: Limits = NO_LIMITS
    rated_power: RatedPower | None = None
    own_use: OwnUse | None = None

    @property
    def registers(self) -> list[Channel]:
        """Return the cumulative registers, in column order."""
        return [c for c in self.channels.values() if c.kind == "register"]

    def made_from(self, quantity: str) -> str:
        """Return the energy source of a quantity; empty if the class states none."""
        return next((c.made_from for c in self.registers if c.quantity == quantity), "")

    @property
    def gauges(self) -> list[Channel]:
        """Return the momentary values, in column order."""
        return [c for c in self.channels.values() if c.kind == "gauge"]


def parse(document: dict[str, Any]) -> DeviceClass:
    """
    Return a device class from its parsed TOML.

    Raises ProfileError, naming the class, the channel and the error.
    """
    channels = {name: _channel(name, spec) for name, spec in document.get("channel", {}).items()}
    for channel in channels.values():
        _check(document["id"], channel, channels)
    limits = NO_LIMITS.changed(document.get("limits", {}), f"class {document['id']}")
    rated, own = document.get("rated_power"), document.get("own_use")
    return DeviceClass(
        document["id"],
        document["title"],
        channels,
        limits,
        None if rated is None else RatedPower(**rated),
        None if own is None else OwnUse(**own),
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
    """Return the device classes of tonne's class files, by id."""
    device_classes = {}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            device_class = parse(tomllib.loads(entry.read_text(encoding="utf-8")))
            device_classes[device_class.id] = device_class
    return device_classes


# (from, to): (numerator, denominator, offset)
_FACTORS: dict[tuple[str, str], tuple[int, int, float]] = {
    ("kWh", "Wh"): (1_000, 1, 0.0),
    ("J", "Wh"): (1, 3_600, 0.0),
    ("kJ", "Wh"): (10, 36, 0.0),
    ("MWh", "Wh"): (1_000_000, 1, 0.0),
    ("kW", "W"): (1_000, 1, 0.0),
    ("MW", "W"): (1_000_000, 1, 0.0),
    ("m3", "mL"): (1_000_000, 1, 0.0),
    ("L", "mL"): (1_000, 1, 0.0),
    ("l", "mL"): (1_000, 1, 0.0),
    ("Nm3", "mL"): (1_000_000, 1, 0.0),
    ("km", "m"): (1_000, 1, 0.0),
    ("kg", "g"): (1_000, 1, 0.0),
    ("t", "g"): (1_000_000, 1, 0.0),
    ("t", "kg"): (1_000, 1, 0.0),
    ("g", "kg"): (1, 1_000, 0.0),
    ("mg/m3", "ug/m3"): (1_000, 1, 0.0),
    ("K", "Cel"): (1, 1, -273.15),
    ("degF", "Cel"): (5, 9, -160 / 9),
    ("1", "%"): (100, 1, 0.0),
    ("/", "%"): (100, 1, 0.0),
    ("/100", "%"): (1, 1, 0.0),
    ("%RH", "%"): (1, 1, 0.0),
    ("%EL", "%"): (1, 1, 0.0),
    ("mV", "V"): (1, 1_000, 0.0),
    ("kV", "V"): (1_000, 1, 0.0),
    ("mA", "A"): (1, 1_000, 0.0),
    ("m/s", "km/h"): (36, 10, 0.0),
    ("km/h", "m/s"): (10, 36, 0.0),
    ("A", "mA"): (1_000, 1, 0.0),
    ("h", "s"): (3_600, 1, 0.0),
    ("min", "s"): (60, 1, 0.0),
    ("K d", "K s"): (86_400, 1, 0.0),
    ("GJ", "Wh"): (10_000_000, 36, 0.0),
    ("bar", "kPa"): (100, 1, 0.0),
    ("MPa", "kPa"): (1_000, 1, 0.0),
    ("m", "cm"): (100, 1, 0.0),
    ("mm", "cm"): (1, 10, 0.0),
    ("mm", "m"): (1, 1_000, 0.0),
    ("cm", "m"): (1, 100, 0.0),
    ("kg/h", "t/h"): (1, 1_000, 0.0),
    ("m3/h", "L/s"): (10, 36, 0.0),
}


def factor(wire: str, base: str) -> tuple[int, int, float]:
    """
    Return the conversion from a payload unit to a base unit: `numerator`, `denominator`, `offset`.

    base = wire * numerator / denominator + offset
    Raises ProfileError if no such conversion is known.
    """
    if wire == base:
        return (1, 1, 0.0)
    try:
        return _FACTORS[wire, base]
    except KeyError:
        known = ", ".join([*sorted({a for a, b in _FACTORS if b == base}), base])
        raise ProfileError(
            f"unit {wire!r} cannot be converted to {base!r}; convertible units: {known}"
        ) from None
