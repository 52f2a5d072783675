"""
The monitoring plan: parameters, meters, frequency and responsible persons.

A project's plan has versions, each in force from a local day.  A line describes a role (all devices
in it, or one) or a parameter of the project.  `plan_departures` compares a version with the
methodology.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, get_args

from mrv.registry import Id, Key, Sha256
from mrv.texts import Text, text

Kind = Literal["registered", "correction", "permanent_change", "temporary_deviation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
REGISTERED, CORRECTION, PERMANENT, DEVIATION = KINDS
# procedures that a plan describes in addition to its lines (CDM monitoring report form, section C;
# JCM PMS)
PROCEDURES = ("organisation", "data flow", "emergency", "missing data", "retention")
SAMPLING = "sampling"


@dataclass(frozen=True, slots=True)
class Line:
    """
    Line of a monitoring plan for one parameter.

    `parameter`: a role of the methodology, or a parameter of the project.
    `device`: the meter; None for all devices of the role.
    `channel`: the register that is read, as named in registry files (`energy_export_kwh`).
    `accuracy_class`: lowest permitted accuracy class of the meter.
    `qa_qc`: quality checks of the figures.
    `responsible`: responsible function, not a person.
    `error_percent`: correction of the reading by the plan, always in the conservative direction.
    [%]
    """

    parameter: str
    device: Id | None
    channel: str | None
    option: str
    frequency: str
    accuracy_class: str | None
    qa_qc: str
    responsible: str
    error_percent: Annotated[Decimal | None, Key(high=50)] = None


@dataclass(frozen=True, slots=True)
class Approval:
    """
    Decision of a programme on a version of a plan: body, day, reference.

    `sha256` is that of the document's file.
    """

    by: str
    day: Annotated[date, Key("date", "the day of the decision")]
    reference: str
    sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """
    A version of a monitoring plan, in force from a local day until the next one begins.

    `procedures`: texts by subject: organisation, data flow, emergencies, missing data, data
    storage.

    `kind`: the plan as registered, its correction, its permanent change, or a temporary deviation.
    `ends`: first local day after a temporary deviation; then the previous version applies again.
    `approval`: approval by the programme.
    `entered`: time of entry in the registry. [us UTC]
    """

    name: Annotated[str, Key("version")]
    kind: Kind = field(default=REGISTERED, kw_only=True)
    begins: Annotated[date, Key("from", "the local date from which it counts")]
    ends: Annotated[date | None, Key("to")] = field(default=None, kw_only=True)
    approval: Approval | None = field(default=None, kw_only=True)
    responsible: str
    reason: str
    procedures: Mapping[str, str]
    lines: tuple[Line, ...]
    entered: Annotated[int | None, Key(form="derived")] = None

    def line(self, role: str, device: str) -> Line | None:
        """Return the line for a device in a role: the device's own, else that of the role."""
        lines = [line for line in self.lines if line.parameter == role]
        own = [line for line in lines if line.device == device]
        return next(iter([*own, *(line for line in lines if line.device is None)]), None)


def at(versions: Sequence[Version], day: date) -> Version | None:
    """
    Return the version in force on a local day; a temporary deviation takes precedence.

    If two begin on one day, the later one in the list applies.
    """
    begun = [v for v in _ordered(versions) if v.begins <= day]
    deviations = [v for v in begun if v.ends is not None and day < v.ends]
    return next(reversed(deviations or [v for v in begun if v.ends is None]), None)


def in_force(versions: Sequence[Version], first: date, end: date) -> tuple[Version, ...]:
    """Return the versions in force on local days [first, end), that of the last day last."""
    edges = {version.begins for version in versions} | {v.ends for v in versions if v.ends}
    days = sorted({first} | {day for day in edges if first < day < end})
    result = [version for day in days if (version := at(versions, day)) is not None]
    return tuple(v for place, v in enumerate(result) if v not in result[place + 1 :])


def replaced(versions: Sequence[Version], version: Version) -> Version | None:
    """Return the version that another version corrects, changes or deviates from."""
    ordered = _ordered(versions)
    before = [v for v in ordered[: ordered.index(version)] if v.ends is None]
    return next(reversed(before), None)


def _ordered(versions: Sequence[Version]) -> list[Version]:
    return sorted(versions, key=lambda v: v.begins)


def called(kind: Kind) -> Text:
    """Return the name of a kind of version."""
    names: dict[Kind, Text] = {
        "registered": text("plan.registered"),
        "correction": text("plan.correction"),
        "permanent_change": text("plan.permanent_change"),
        "temporary_deviation": text("plan.temporary_deviation"),
    }
    return names[kind]


def as_first(version: Version) -> Version:
    """Return a version in the form of release 0.1.0."""
    return replace(version, kind=REGISTERED, ends=None, approval=None, entered=None)


def blank(version: Version, *, surveyed: bool) -> tuple[str, ...]:
    """
    Return the subjects of missing procedures; `surveyed`: one on sampling is
    required as well.
    """
    required = (*PROCEDURES, SAMPLING) if surveyed else PROCEDURES
    return tuple(name for name in required if not version.procedures.get(name, "").strip())


def differences(before: Version, now: Version) -> Iterator[Text]:
    """Yield a text on each difference between a version and the one that it replaces."""
    was, are = _stated(before), _stated(now)
    for what in sorted(was.keys() | are.keys()):
        if what not in was:
            yield text("plan.added", what=what, now=are[what])
        elif what not in are:
            yield text("plan.removed", what=what, before=was[what])
        elif was[what] != are[what]:
            yield text("plan.changed", what=what, before=was[what], now=are[what])


def _stated(version: Version) -> dict[str, str]:
    result = {"responsible": version.responsible}
    result |= {f"procedures {name}": message for name, message in version.procedures.items()}
    for line in version.lines:
        of = line.parameter if line.device is None else f"{line.parameter} ({line.device})"
        for each in fields(Line):
            value = getattr(line, each.name)
            if each.name not in ("parameter", "device") and value is not None:
                result[f"{of} {each.name}"] = str(value)
    return result
