"""
Where a monitoring plan departs from what its methodology monitors.

An import and a statement say the same of a plan, since both ask here.  Options are
those of the JCM: A publicly available data, B the amount of a transaction
(invoices), C measurement by own equipment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.model import Methodology, RoleNeeds
from mrv.registry.calibration import class_percent, error_percent
from mrv.registry.monitoring_plan import Line, Version
from mrv.registry.project import Calibration

OPTIONS = ("A", "B", "C")
# From the finest on; a plan may be finer than its methodology asks for, never coarser.
FREQUENCIES = ("continuous", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "once")
_WORD = re.compile("|".join(FREQUENCIES))
Bound = tuple[str, str]  # device and role


@dataclass(frozen=True, slots=True)
class Meter:
    """What a plan is held against of a device: quantities by register, and certificates."""

    registers: Mapping[str, str]
    calibrations: Sequence[Calibration]


def departures(
    version: Version,
    methodology: tuple[str, str],
    bound: Sequence[Bound],
    meters: Mapping[str, Meter],
) -> Iterator[str]:
    """
    Say what a version lacks of what the methodology monitors, or says against it.

    Parameters
    ----------
    methodology : tuple of str
        Id and version.
    bound : sequence of (device, role)
        That serve the project while the version is in force.
    meters : mapping of device id to Meter
    """
    try:
        method = find(*methodology)
    except MethodologyError:
        return  # said elsewhere
    for index, line in enumerate(version.lines):
        where = f"lines[{index}] ({line.parameter})"
        yield from (f"{where}: {text}" for text in _line(line, method, bound, meters))
    for role, need in method.roles.items():
        for device in sorted(d for d, r in bound if r == role):
            if version.line(role, device) is None:
                yield (
                    f"no line for {device} in role {role!r}: {method.id} monitors"
                    f" {need.symbol or need.quantity}; add a line with parameter: {role}"
                )
    for name, spec in method.parameters.items():
        if spec.option and not any(one.parameter == name for one in version.lines):
            yield f"no line for {name}: {method.id} monitors it by option {spec.option}; add one"


def imprecise(version: Version, meters: Mapping[str, Meter], bound: Sequence[Bound]) -> list[str]:
    """Say which meters are attested with a larger error than the plan's class allows."""
    found = []
    for device, role in bound:
        line = version.line(role, device)
        most = None if line is None else class_percent(line.accuracy_class)
        if line is None or most is None or device not in meters:
            continue
        found += [
            f"{device}: certificate {one.certificate} attests a larger error than class"
            f" {line.accuracy_class}, which the plan asks for"
            for one in meters[device].calibrations
            if error_percent(one, "energy_export") > most
        ]
    return found


def _line(
    line: Line, method: Methodology, bound: Sequence[Bound], meters: Mapping[str, Meter]
) -> Iterator[str]:
    if line.option not in OPTIONS:
        yield f"option {line.option!r} must be A, B or C"
    if line.frequency not in FREQUENCIES:
        yield f"frequency {line.frequency!r} must be one of {', '.join(FREQUENCIES)}"
    elif (need := frequency_of(line.parameter, method)) and _coarser(line.frequency, need):
        yield f"frequency {line.frequency} is coarser than {method.id} asks for: {need}"
    role = method.roles.get(line.parameter)
    if role is not None:
        yield from _of_role(line, role, bound, meters)
        return
    spec = method.parameters.get(line.parameter)
    if spec is None:
        known = ", ".join([*method.roles, *method.parameters])
        yield f"parameter {line.parameter!r} is unknown to {method.id}; known: {known}"
    elif line.device is not None or line.channel is not None:
        yield "is a parameter of the project; leave device and channel out"
    elif spec.option and line.option != spec.option:
        yield f"option {line.option} is not that of {method.id}: {spec.option}"


def _of_role(
    line: Line, need: RoleNeeds, bound: Sequence[Bound], meters: Mapping[str, Meter]
) -> Iterator[str]:
    if line.option != "C":
        yield (
            f"option {line.option}: what counts is what the meter measures, option C; invoices are"
            " cross-checked with it, enter them with `tonne invoice import`"
        )
    named = [d for d, r in bound if r == line.parameter and line.device in (None, d)]
    if line.device is not None and not named:
        yield f"device {line.device} has no role {line.parameter!r} in this project at that time"
    if line.channel is None:
        yield f"channel is missing; name the register of {need.quantity} that is read"
    if line.accuracy_class is not None and class_percent(line.accuracy_class) is None:
        yield f"accuracy_class {line.accuracy_class!r} is no class of IEC 62053 or EN 50470"
    for device in named if line.channel is not None else ():
        meter = meters.get(device)
        if meter is not None and meter.registers.get(line.channel or "") != need.quantity:
            known = ", ".join(n for n, q in meter.registers.items() if q == need.quantity)
            yield (
                f"channel {line.channel}: {device} reads no {need.quantity} from it;"
                f" it does from: {known or 'none'}"
            )


def frequency_of(parameter: str, method: Methodology) -> str | None:
    """How often a methodology asks for a role's quantity or a parameter; None if it does not."""
    role = method.roles.get(parameter)
    spec = method.parameters.get(parameter)
    text = role.frequency if role is not None else spec.frequency if spec is not None else ""
    found = _WORD.search(text)
    return found.group() if found else None


def _coarser(one: str, than: str) -> bool:
    return FREQUENCIES.index(one) > FREQUENCIES.index(than)
