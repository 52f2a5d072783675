"""Documentation of a methodology's limits on the delivered service, and of required evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mrv.methodologies import _vehicles
from mrv.model import Methodology
from mrv.parameters import ParameterSpec
from mrv.parameters.evidence import of_parameter
from mrv.rounding import amount_text
from mrv.rules.metering import WEEKS

# parameters of a device of which the most in a day is asked for
_LIQUID = {"density_kg_per_m3": 540}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def limits_and_evidence(methodology: Methodology) -> Iterator[str]:
    """
    Yield the lines on the limits of a methodology's delivered service; beyond them the conservative
    limit applies.
    """
    for taken in methodology.consumptions:
        yield (
            f"The service (output delivered) that `{', '.join(taken.serves)}` measures requires"
            f" electricity or fuel, which `{', '.join(taken.uses)}` measures [{taken.unit}]. If a"
            " consumption meter does not advance"
            " during service, tonne adds its consumption at a conservative rate (MTR-05)."
            + (f" Source of the plausible range: {taken.source}." if taken.source else "")
            + "\n"
        )
        if taken.by_history and taken.lowest:
            yield (
                f"In each block of {WEEKS} weeks, the consumption per unit of service is compared"
                " with that of the project's earlier periods. Below"
                f" {float(taken.lowest):g} times that value, the credited service is at most the"
                " metered consumption divided by that value (MTR-06, tonne's own rule).\n"
            )
        if taken.by_model and not taken.by_design:
            yield (
                f"Below {float(taken.closer or taken.lowest):g} times the devices'"
                f" `{taken.by_model}`, the credited service is at most the metered consumption"
                f" divided by `{taken.by_model}` (MTR-06). Invoices of"
                f" `{', '.join(taken.uses)}` are not required; EVD-03 reports missing ones.\n"
            )
        if taken.by_design:
            closer = taken.lowest if taken.closer is None else taken.closer
            sure = taken.sure if taken.sure > closer else 0
            also = f" Up to {float(sure):g} times it, the consumption is reported." if sure else ""
            yield (
                f"If the consumption per unit of service is below {float(closer):g} times"
                f" `{taken.by_design}`, the credited service is at most the metered consumption"
                f" divided by `{taken.by_design}` (MTR-06, tonne's own rule).{also}\n"
            )
    for built in methodology.capacities:
        of = f" times `{built.of}`" if built.of else ""
        whose = "each meter" if built.each else "the service"
        yield (
            f"{'Over the period' if built.of else 'In each week'}, {whose} of"
            f" `{', '.join(built.serves)}`{of} is credited up to `{built.parameter}` per day on"
            " average (MTR-07). The service of a meter without"
            " valid calibration is not credited unless a dated document states"
            f" `{built.parameter}`, or invoices state the service (EVD-02).\n"
        )
    if methodology.invoiced:
        either = (
            f" The invoices may instead be of the electricity `{', '.join(methodology.powering)}`."
            if methodology.powering
            else ""
        )
        names = ", ".join(r for r in methodology.roles if r in methodology.invoiced)
        yield (
            f"A reduction is credited only if `{names}` has a meter under valid calibration that no"
            " invoice contradicts, or invoices with file hashes for at least 95 % of the time"
            f" ([EVD-03](../findings.md#evidence-that-evd-03-requires)).{either}\n"
        )
    yield from _maxima(methodology)
    for name, spec in methodology.parameters.items():
        if spec.unmeasured is not None:
            channels = " and ".join(f"`{c}`" for c in spec.channels[1:])
            by = f"{channels} of the role `{spec.channels[0]}`, or by " if channels else ""
            yield (
                f"`{name}` is measured by {by}`laboratory` results; without measurements, tonne"
                f" applies {spec.unmeasured} (PAR-06).\n"
            )
        if spec.by_publication:
            beside = "the published values" if spec.factor is None else "its default"
            yield (
                f"A value of `{name}` other than {beside} is applied only if a third party's"
                " document states it (`documents`), or if it does not raise the reduction"
                " (FAC-01, tonne's own rule).\n"
            )
    yield from _evidence_of_values(methodology)


def _evidence_of_values(methodology: Methodology) -> Iterator[str]:
    """Yield the values that need a dated document (EVD-03), and the published ranges (PAR-05)."""
    if methodology.baseline_documents:
        names = ", ".join(f"`{name}`" for name in methodology.baseline_documents)
        yield f"Without a dated document of each of {names}, the reduction is 0 (EVD-03).\n"
    own = (spec for role in methodology.roles.values() for spec in role.params.items())
    rows: list[tuple[str, ...]] = [
        (f"`{name}`", ", ".join(f"{low} to {high}" for low, high in ranges), spec.unit, source)
        for name, spec in {**methodology.parameters, **dict(own)}.items()
        for ranges, source in [_published_range(name, spec)]
        if ranges
    ]
    if rows:
        yield (
            "If a value lacks evidence of the required grade, the end of its published range that"
            " gives the lower reduction is applied (PAR-05):\n"
        )
        yield from table(("value", "published ranges", "unit", "source"), rows)
        yield ""


def _published_range(name: str, spec: ParameterSpec) -> tuple[Sequence[tuple[str, str]], str]:
    """Return the worldwide published ranges of a value, and their source; none without any."""
    declared = of_parameter(name)
    if declared.ranges:
        return declared.ranges, declared.source
    return ((), "") if spec.plausible is None else (spec.plausible.ranges, spec.plausible.source)


def _maxima(methodology: Methodology) -> Iterator[str]:
    """
    Yield the maximum energy per device: per hour and day (rule MTR-01) and on average (rule
    EVD-04).
    """
    for role, needs in methodology.roles.items():
        if needs.class_limit is _vehicles.class_limit:
            yield (
                "The class of a vehicle follows from its baseline fuel consumption. Each class has"
                " limits of electricity and distance (MTR-01, MTR-05, EVD-04):\n"
            )
            yield from table(
                ("class", "baseline fuel below [L/100 km]", "kWh/km", "km an hour", "km a day",
                 "mean km a day"),
                [
                    (vehicle_class.name, f"{float(vehicle_class.below):g}",
                     " to ".join(f"{float(end):g}" for end in vehicle_class.kwh_per_km),
                     str(vehicle_class.km_per_h), str(vehicle_class.km_per_day),
                     str(vehicle_class.km_per_mean_day))
                    for vehicle_class in _vehicles.CLASSES
                ],
            )  # fmt: skip
            yield ""
        elif needs.class_limit is not None and (most := needs.class_limit(_LIQUID)) is not None:
            hour, day = (amount_text(n, needs.unit) for n in (most.per_hour, most.per_day))
            of = " of a liquid" if "density_kg_per_m3" in needs.params else ""
            yield (
                f"For a device of role `{role}`, at most {hour}{of} per hour and {day} per day are"
                " credited (MTR-01).\n"
            )
