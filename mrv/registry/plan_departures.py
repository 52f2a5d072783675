"""
Deviations of a monitoring plan from its methodology's requirements.

The registry import and the statement use this check.  Monitoring options are those of the JCM: A
publicly available data, B invoiced quantities, C measurement by own equipment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.model import Methodology, RoleNeeds
from mrv.registry import Calibration
from mrv.registry.calibration import class_percent, error_percent
from mrv.registry.calibration_interval import after
from mrv.registry.monitoring_plan import Line, Version
from mrv.texts import Text, text

OPTIONS = ("A", "B", "C")
# in descending order; a plan may have a higher frequency than its methodology, never a lower one
FREQUENCIES = ("continuous", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly", "once")
_MONTHS = {"weekly": 0, "monthly": 1, "quarterly": 3, "yearly": 12}
# default maximum time between surveys, as AMS-III.U requires one every second year
SURVEY_MONTHS = 24
_WORD = re.compile("|".join(FREQUENCIES))
Bound = tuple[str, str]  # device and role


@dataclass(frozen=True, slots=True)
class Meter:
    """Data of a device for comparison with the plan: quantities by register, and certificates."""

    registers: Mapping[str, str]
    calibrations: Sequence[Calibration]


def departures(
    version: Version,
    methodology: tuple[str, str],
    bound: Sequence[Bound],
    meters: Mapping[str, Meter],
) -> Iterator[Text]:
    """
    Yield a text on each missing or contradictory line of a plan version.

    The version is compared with the methodology.

    `methodology`: id and version.
    `bound` (sequence of (device, role)): devices that serve the project while the version is in
    force.
    `meters`: mapping of device id to Meter.
    """
    try:
        method = find(*methodology)
    except MethodologyError:
        return  # another check reports an unknown methodology
    for index, line in enumerate(version.lines):
        for wrong in _line(line, method, bound, meters):
            yield text("PLN-01.line", index=index, parameter=line.parameter, wrong=wrong)
    for role, need in method.roles.items():
        for device in sorted(d for d, r in bound if r == role):
            if version.line(role, device) is None:
                yield text(
                    "PLN-01.no_line", device=device, role=role, methodology=method.id,
                    quantity=need.symbol or need.quantity,
                )  # fmt: skip
    for name, spec in method.parameters.items():
        if spec.option and not any(line.parameter == name for line in version.lines):
            yield text(
                "PLN-01.no_parameter", parameter=name, methodology=method.id, option=spec.option
            )


def seldom(version: Version, methodology: tuple[str, str]) -> Iterator[Text]:
    """Yield a text on each line whose meters are read less often than the methodology requires."""
    method = find(*methodology)
    for index, line in enumerate(version.lines):
        role = method.roles.get(line.parameter)
        match = _WORD.search(
            "" if role is None or role.frequency else required_frequency(method, role.symbol)
        )
        if match and line.frequency in FREQUENCIES and _coarser(line.frequency, match.group()):
            wrong = text(
                "PLN-01.coarse", frequency=line.frequency, methodology=method.id,
                asked=match.group(),
            )  # fmt: skip
            yield text("PLN-01.line", index=index, parameter=line.parameter, wrong=wrong)


def again(
    version: Version | None, parameter: str, method: Methodology, last: date, months: int | None
) -> date | None:
    """
    Return the day on which a parameter has to be determined again; None if it has not.

    `months`: interval if neither plan nor methodology states one.
    """
    line = None if version is None else version.line(parameter, "")
    often = frequency_of(parameter, method) if line is None else line.frequency
    if often == "weekly":
        return last + timedelta(days=7)
    every = _MONTHS.get(often or "", months)
    return None if every is None else after(last, every)


def required_frequency(method: Methodology, symbol: str | None) -> str:
    """Return the monitoring frequency that a methodology requires for a symbol; else empty."""
    fields = [
        s for spec in method.inputs.values() for s in (spec, *getattr(spec, "fields", {}).values())
    ]
    frequencies = (s.frequency for s in fields if symbol and getattr(s, "symbol", None) == symbol)
    return next(filter(None, frequencies), "")


def imprecise(
    version: Version,
    methodology: tuple[str, str],
    meters: Mapping[str, Meter],
    bound: Sequence[Bound],
) -> list[Text]:
    """Return a text on each instrument whose certified error exceeds the plan's accuracy class."""
    specs = find(*methodology).parameters
    lines = [(device, "", version.line(role, device)) for device, role in bound]
    # a parameter measured by a gauge has a line without a device
    lines += [
        (device, channel, line)
        for line in version.lines
        if line.parameter in specs
        for device, role in bound
        if role == next(iter(specs[line.parameter].channels), None)
        for channel in specs[line.parameter].channels[1:]
    ]
    texts = []
    for device, channel, line in lines:
        maximum = None if line is None else class_percent(line.accuracy_class)
        if line is None or maximum is None or device not in meters:
            continue
        texts += [
            text(
                "PLN-01.imprecise",
                device=device,
                certificate=calibration.certificate,
                accuracy=str(line.accuracy_class),
            )
            for calibration in meters[device].calibrations
            if (not channel or calibration.channel == channel)
            and not calibration.last_test  # a last test states an error, not a class
            and error_percent(calibration, channel or "energy_export") > maximum
        ]
    return texts


def _line(
    line: Line, method: Methodology, bound: Sequence[Bound], meters: Mapping[str, Meter]
) -> Iterator[Text]:
    if line.option not in OPTIONS:
        yield text("PLN-01.bad_option", option=line.option)
    if line.frequency not in FREQUENCIES:
        yield text("PLN-01.bad_frequency", frequency=line.frequency, known=FREQUENCIES)
    elif (need := frequency_of(line.parameter, method)) and _coarser(line.frequency, need):
        yield text("PLN-01.coarse", frequency=line.frequency, methodology=method.id, asked=need)
    role = method.roles.get(line.parameter)
    if role is not None:
        yield from _of_role(line, role, bound, meters)
        return
    spec = method.parameters.get(line.parameter)
    if spec is None:
        known = (*method.roles, *method.parameters)
        yield text("PLN-01.unknown", parameter=line.parameter, methodology=method.id, known=known)
    elif line.device is not None or line.channel is not None:
        yield text("PLN-01.of_project")
    elif spec.option and line.option != spec.option:
        yield text(
            "PLN-01.other_option", option=line.option, methodology=method.id, asked=spec.option
        )


def _of_role(
    line: Line, need: RoleNeeds, bound: Sequence[Bound], meters: Mapping[str, Meter]
) -> Iterator[Text]:
    if line.option != "C":
        yield text("PLN-01.not_measured", option=line.option)
    named = [d for d, r in bound if r == line.parameter and line.device in (None, d)]
    if line.device is not None and not named:
        yield text("PLN-01.no_role", device=line.device, role=line.parameter)
    if line.channel is None:
        yield text("PLN-01.no_channel", quantity=need.quantity)
    if line.accuracy_class is not None and class_percent(line.accuracy_class) is None:
        yield text("PLN-01.bad_class", accuracy=line.accuracy_class)
    for device in named if line.channel is not None else ():
        meter = meters.get(device)
        if meter is not None and meter.registers.get(line.channel or "") != need.quantity:
            yield text(
                "PLN-01.other_channel", channel=line.channel or "", device=device,
                quantity=need.quantity,
                known=tuple(n for n, q in meter.registers.items() if q == need.quantity) or "none",
            )  # fmt: skip


def frequency_of(parameter: str, method: Methodology) -> str | None:
    """Return the frequency required by a methodology for a role or parameter; None without one."""
    role = method.roles.get(parameter)
    spec = method.parameters.get(parameter)
    required = role.frequency if role is not None else spec.frequency if spec is not None else ""
    match = _WORD.search(required)
    return match.group() if match else None


def _coarser(value: str, than: str) -> bool:
    return FREQUENCIES.index(value) > FREQUENCIES.index(than)
