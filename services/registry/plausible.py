"""
Rules: can the rated power make the expected energy?

A plan that says 45 MW and 214.7 GWh a year holds a slip somewhere: no sun
gives 4,771 kWh a kilowatt.  The data must not be derived from either figure
before someone has looked, so the registry says it at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from ingest import classes
from ingest.classes import SUN
from mrv.errors import MethodologyError
from mrv.exante.pv_inputs import DC_TO_AC, HIGHEST_PV_FACTOR, HOURS_PER_YEAR
from mrv.methodologies import find
from mrv.model import DECLARED, SOLAR, TECHNOLOGY
from services.registry.entries import Device, Modules, Project, ProjectDevice
from services.registry.finding import Finding


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Compare rated power, declared modules and expected energy of a PV project."""
    inverters = [
        devices[d.device] for d in project.devices if _by_sun(project, d, devices[d.device])
    ]
    if not inverters:
        return
    unrated = [d.id for d in inverters if d.rated_power_w is None]
    if unrated:
        text = f"rated_power_w of {', '.join(unrated)} is not given; energy cannot be checked"
        yield Finding(project.kind, project.id, text, warning=True)
        return
    rated_kw = Decimal(sum(d.rated_power_w or 0 for d in inverters)) / 1000
    yield from _energy(project, rated_kw)
    yield from _modules(project, rated_kw)


def _by_sun(project: Project, bound: ProjectDevice, device: Device) -> bool:
    """Whether a device, or its role in the project, says that the sun makes what it counts."""
    known = classes.load().get(device.class_id)
    if known is not None and known.made_from("energy_export") == SUN:
        return True
    try:
        needs = find(project.methodology, project.version).roles.get(bound.role)
    except MethodologyError:
        return False
    solar = bound.params.get(TECHNOLOGY) == SOLAR
    return needs is not None and (needs.made_from == SUN or (needs.made_from == DECLARED and solar))


def _energy(project: Project, rated_kw: Decimal) -> Iterator[Finding]:
    expected = project.expected.get("energy_kwh_per_year")
    if expected is None:
        return
    hours = Decimal(expected) / rated_kw
    if hours <= HOURS_PER_YEAR * HIGHEST_PV_FACTOR:
        return
    share = hours / HOURS_PER_YEAR * 100
    yield Finding(
        project.kind,
        project.id,
        f"expected.energy_kwh_per_year: {expected:,} kWh from {rated_kw:,} kW rated are "
        f"{hours:,.0f} kWh/kW a year, a capacity factor of {share:.1f} %, implausible for PV "
        f"(at most {HIGHEST_PV_FACTOR * 100:.0f} %); check rated_power_w and the expected energy"
        + _fits(project, Decimal(expected)),
        warning=hours <= HOURS_PER_YEAR,
    )


def _fits(project: Project, expected: Decimal) -> str:
    """Say what the declared modules would make of the expected energy."""
    modules = project.modules
    if modules is None:
        return ""
    return f"; {_told(modules)} would give {expected / _peak_kw(modules):,.1f} kWh/kW"


def _peak_kw(modules: Modules) -> Decimal:
    return Decimal(modules.count) * modules.watt / 1000


def _told(modules: Modules) -> str:
    return f"{modules.count:,} modules of {modules.watt} W = {_peak_kw(modules):,.0f} kW"


def _modules(project: Project, rated_kw: Decimal) -> Iterator[Finding]:
    modules = project.modules
    if modules is None:
        return
    ratio = _peak_kw(modules) / rated_kw
    low, high = DC_TO_AC
    if not low <= ratio <= high:
        yield Finding(
            project.kind,
            project.id,
            f"modules: {_told(modules)}, but the devices are rated {rated_kw:,} kW, a ratio of "
            f"{ratio:.2f} (usual: {low} to {high}); check rated_power_w, count and watt",
            warning=True,
        )
