"""
The monitoring plan: what is measured, by which meter, how often, and who answers for it.

A project's plan comes in versions, each in force from a local day on.  A line
speaks of a role (all devices in it, or one) or of a parameter of the project.  A
version is held against what the methodology monitors; what it lacks is said in
words, so that an import and a statement say the same.

Options are those of the JCM: A publicly available data, B the amount of a
transaction (invoices), C measurement by own equipment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.registry.calibration import class_percent, error_percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mrv.model import Methodology, RoleNeeds
    from mrv.registry.project import Calibration

OPTIONS = ("A", "B", "C")
# From the finest on; a plan may be finer than its methodology asks for, never coarser.
FREQUENCIES = ("continuous", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "once")
_WORD = re.compile("|".join(FREQUENCIES))
Bound = tuple[str, str]  # device and role


@dataclass(frozen=True, slots=True)
class Line:
    """
    What a plan says of one parameter.

    Attributes
    ----------
    parameter : str
        A role of the methodology, or a parameter of the project.
    device : str or None
        The meter; None for all devices of the role.
    channel : str or None
        The register that is read, as registry files name it (`energy_export_kwh`).
    accuracy_class : str or None
        The worst class that the meter may have.
    qa_qc : str
        How the figures are checked.
    responsible : str
        The role that answers for them, not a person.
    """

    parameter: str
    device: str | None
    channel: str | None
    option: str
    frequency: str
    accuracy_class: str | None
    qa_qc: str
    responsible: str


@dataclass(frozen=True, slots=True)
class Version:
    """
    A version of a plan, in force from a local day until the next begins.

    `procedures` are texts by what they are about: how data are kept, what is done
    when some are lost.
    """

    name: str
    begins: date
    responsible: str
    reason: str
    procedures: Mapping[str, str]
    lines: tuple[Line, ...]

    def line(self, role: str, device: str) -> Line | None:
        """Return the line that speaks of a device in a role, its own before the role's."""
        found = [one for one in self.lines if one.parameter == role]
        own = [one for one in found if one.device == device]
        return next(iter([*own, *(one for one in found if one.device is None)]), None)


@dataclass(frozen=True, slots=True)
class Meter:
    """What a plan is held against of a device: quantities by register, and certificates."""

    registers: Mapping[str, str]
    calibrations: Sequence[Calibration]


def in_force(versions: Sequence[Version], first: date, end: date) -> tuple[Version, ...]:
    """
    Return the versions in force within half-open local days, in their order.

    Of two that begin on one day the later in the list counts.
    """
    ordered = sorted(versions, key=lambda v: v.begins)
    before = [v for v in ordered if v.begins <= first][-1:]
    within: dict[date, Version] = {}
    for one in ordered:
        if first < one.begins < end:
            within[one.begins] = one
    return (*before, *within.values())


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
            " held against it, enter them with `tonne invoice import`"
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


def version_out(one: Version) -> dict[str, Any]:
    """Write a version as canonical JSON can hold it."""
    return {
        "version": one.name,
        "from": one.begins.isoformat(),
        "responsible": one.responsible,
        "reason": one.reason,
        "procedures": dict(one.procedures),
        "lines": [
            {
                "parameter": line.parameter,
                "device": line.device,
                "channel": line.channel,
                "option": line.option,
                "frequency": line.frequency,
                "accuracyClass": line.accuracy_class,
                "qaQc": line.qa_qc,
                "responsible": line.responsible,
            }
            for line in one.lines
        ],
    }


def version_in(record: Mapping[str, Any]) -> Version:
    """Read what `version_out` wrote; KeyError or ValueError if it is something else."""
    return Version(
        name=record["version"],
        begins=date.fromisoformat(record["from"]),
        responsible=record["responsible"],
        reason=record["reason"],
        procedures=dict(record["procedures"]),
        lines=tuple(
            Line(
                one["parameter"],
                one["device"],
                one["channel"],
                one["option"],
                one["frequency"],
                one["accuracyClass"],
                one["qaQc"],
                one["responsible"],
            )
            for one in record["lines"]
        ),
    )
