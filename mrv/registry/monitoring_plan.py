"""
The monitoring plan: what is measured, by which meter, how often, and who answers for it.

A project's plan comes in versions, each in force from a local day on.  A line
speaks of a role (all devices in it, or one) or of a parameter of the project.
`plan_departures` compares a version with the project's methodology.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any


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
