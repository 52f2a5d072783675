"""
Plausibility rules: rated power and expected energy, registered factors, programme targets, sites.

Example: a PV plant of 45 MW cannot generate 214.7 GWh a year, which is 4,771 kWh per kilowatt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from fractions import Fraction
from functools import cache
from importlib import resources

from ingest import classes
from ingest.classes import SUN
from mrv import countries, factors
from mrv.countries import country_of
from mrv.errors import FactorError, MethodologyError
from mrv.exante.pv import DC_TO_AC, HIGHEST_PV_FACTOR, HOURS_PER_YEAR
from mrv.factors import FactorBook
from mrv.factors.ledger import factor_of
from mrv.methodologies import find
from mrv.methodologies._tools import calculated
from mrv.model import DECLARED, SOLAR, TECHNOLOGY, Factor
from mrv.registry import programme_systems as systems
from mrv.rounding import decimal_text
from services.registry.entries import (
    Action,
    Device,
    Modules,
    Programme,
    Project,
    ProjectDevice,
    Registry,
    Site,
)
from services.registry.located import Finding

# flows between the sites of a park, and their sources and sinks outside of it
FLOWS = ("energy", "heat", "water", "waste")
OUTSIDE_PARK = ("grid", "mains", "sewer", "outside")


def check_programme(registry: Registry) -> Iterator[Finding]:
    """Yield errors and warnings on programme, actions, systems, flows and coordinates."""
    programme = registry.programme
    for device in registry.devices.values():
        yield from _flow(device, registry)
    for project in registry.projects.values():
        yield from _system(project)
        if programme is not None:
            yield from _action(project, programme)
    for site in registry.sites.values():
        yield from _swapped(site)
    if programme is not None:
        yield from _targets(programme)
        yield from _parts(programme)
        for site in registry.sites.values():
            yield from _place(site, programme)


def _flow(device: Device, registry: Registry) -> Iterator[Finding]:
    """Yield errors of a meter's attribute `flow`: subject, source and destination."""
    flow = device.attributes.get("flow")
    if flow is None:
        return
    keys = {"of", "from", "to"}
    if not isinstance(flow, dict) or set(flow) != keys:
        text = "attributes.flow: enter exactly of, from and to"
        yield Finding(device.kind, device.id, text)
        return
    if flow["of"] not in FLOWS:
        text = f"attributes.flow.of: {flow['of']!r} must be one of {', '.join(FLOWS)}"
        yield Finding(device.kind, device.id, text)
    for end in ("from", "to"):
        if flow[end] not in registry.sites and flow[end] not in OUTSIDE_PARK:
            text = (
                f"attributes.flow.{end}: {flow[end]!r} is not a site; register it, or enter one of"
                f" {', '.join(OUTSIDE_PARK)} (outside the park)"
            )
            yield Finding(device.kind, device.id, text)


def _system(project: Project) -> Iterator[Finding]:
    if project.system is None:
        return
    known = systems.load()
    system = known.get(project.system)
    if system is None:
        text = f"system: {project.system!r} is not a system; known: {', '.join(known)}"
        yield Finding(project.kind, project.id, text)
    elif project.methodology not in system.methods:
        methods = ", ".join(system.methods) or f"none, because {system.reason}"
        text = (
            f"system: {system.title} is calculated by {methods}, not by {project.methodology};"
            " choose one of them, or another system"
        )
        yield Finding(project.kind, project.id, text, warning=bool(system.methods))


def _action(project: Project, programme: Programme) -> Iterator[Finding]:
    names = [a.id for a in programme.actions]
    if project.action is None:
        row = f'write `action: "{names[0]}"`' if names else "enter `actions` there, and one here"
        known = f", or another of {', '.join(names)}" if names[1:] else ""
        text = (
            f"action: is missing, and its tonnes are in no total of {programme.name}; {row}{known};"
            " no change is needed if the project is not part of the programme"
        )
        yield Finding(project.kind, project.id, text, warning=True)
        return
    if any(project.action == name or project.action.startswith(f"{name}-") for name in names):
        return
    text = f"action: {project.action!r} is not in the programme; known: {', '.join(names)}"
    yield Finding(project.kind, project.id, text)


def _targets(programme: Programme) -> Iterator[Finding]:
    tops = [a for a in programme.actions if _whole(a, programme) is None]
    values = [Decimal(a.target_kt) for a in tops if a.target_kt is not None]
    if programme.target_kt is None or len(values) < len(tops):
        return
    if sum(values) != Decimal(programme.target_kt):
        terms = " + ".join(str(a.target_kt) for a in tops)
        yield Finding(
            programme.kind,
            programme.id,
            f"target_kt: {programme.target_kt} kt, but the actions' targets sum to"
            f" {terms} = {sum(values)} kt; correct one of them",
        )


def _parts(programme: Programme) -> Iterator[Finding]:
    for action in programme.actions:
        parts = [a for a in programme.actions if _whole(a, programme) is action]
        together = sum(Decimal(p.target_kt or 0) for p in parts)
        if action.target_kt is not None and together > action.target_kt:
            yield Finding(
                programme.kind,
                programme.id,
                f"actions[{action.id}].target_kt: its parts {', '.join(p.id for p in parts)} add up"
                f" to {together} kt, more than its own {action.target_kt}; correct one of them",
            )


def _whole(part: Action, programme: Programme) -> Action | None:
    """Return the action of which another one is a part: 1 for 1-03; None for a main action."""
    actions = [a for a in programme.actions if part.id.startswith(f"{a.id}-")]
    return max(actions, key=lambda a: len(a.id), default=None)


def _swapped(site: Site) -> Iterator[Finding]:
    """Yield a warning if latitude and longitude seem interchanged, by the time zone's location."""
    near = _zone_places().get(site.timezone.partition(",")[0])
    if near is None:
        return
    if site.country and country_of(replace(site, country=None)) not in {site.country, None}:
        return  # the time zone itself may be wrong, which another check reports
    given, swapped = site.latitude, site.longitude
    far = _degrees_apart(near, (given, swapped))
    if (
        abs(swapped) <= _POLE
        and far > _MIN_DEGREES
        and far > _MIN_RATIO * _degrees_apart(near, (swapped, given))
    ):
        yield Finding(
            site.kind,
            site.id,
            f"latitude, longitude: {given}, {swapped} is far from time zone {site.timezone}, and"
            f" {swapped}, {given} is near; latitude (north) and longitude (east) may be swapped",
            warning=True,
        )


# maximum latitude; minimum distance of a suspicious site from its zone's reference place [degrees];
# minimum ratio of the distances as entered and interchanged
_POLE, _MIN_DEGREES, _MIN_RATIO = 90, 15, 3


@cache
def _zone_places() -> Mapping[str, tuple[float, float]]:
    """Return the reference place of each time zone, by the zone database. [degrees]"""
    table = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if not line.startswith("#"))
    values = {}
    for _, place, name, *_ in rows:
        at = max(place.rfind("+"), place.rfind("-"))
        values[name] = _degrees(place[:at], 2), _degrees(place[at:], 3)
    return values


def _degrees(text: str, whole: int) -> float:
    """Return an angle from text with a sign, a number of whole degrees, and minutes. [degrees]"""
    size = int(text[1 : 1 + whole]) + int(text[1 + whole : 3 + whole]) / 60
    return -size if text[0] == "-" else size


def _degrees_apart(place: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the larger of the differences in latitude and in longitude. [degrees]"""
    east = abs(place[1] - other[1]) % 360
    return max(abs(place[0] - other[0]), min(east, 360 - east))


def _place(site: Site, programme: Programme) -> Iterator[Finding]:
    area = programme.area
    if area is None or (
        area.south <= site.latitude <= area.north and area.west <= site.longitude <= area.east
    ):
        return
    yield Finding(
        site.kind,
        site.id,
        f"latitude, longitude: {site.latitude}, {site.longitude} lies outside of {programme.name}"
        f" (latitude {area.south} to {area.north}, longitude {area.west} to {area.east})"
        "; check the coordinates; no change is needed if they are correct",
        warning=True,
    )


# permitted ratio of a published factor to the previous one: narrower in the direction that
# increases the reduction
_DOWN, _UP = Fraction(85, 100), Fraction(115, 100)
_SERIES = {
    "consumed": (_DOWN, Fraction(3, 2)),
    "avoided": (Fraction(1, 2), _UP),
    "either": (_DOWN, _UP),
}

# maximum factor of a grid: only lignite plants; maximum losses: half of the energy fed in
_MAX = {factors.GRID: Fraction(2), factors.LOSSES: Fraction(1, 2)}


def book_of(registry: Registry) -> tuple[FactorBook, list[Finding]]:
    """Return all factors, including the registry's, and errors and warnings on the latter."""
    book = factors.load()
    findings: list[Finding] = []
    own = {factor.id: factor for factor in book}
    kinds = book.kinds()
    # a factor comes before the one that supersedes it
    values = sorted(
        ((entry, _stated(factor_of(entry.record))) for entry in registry.factors.values()),
        key=lambda pair: (pair[1].valid_from or date.min, pair[1].supersedes is not None),
    )
    for entry, factor in values:
        what, grid = factors.national(factor.kind)
        whose = grid[:2] if grid is not None and what in _MAX else None
        if factor.kind not in kinds and whose not in countries.known():
            near = ", ".join(get_close_matches(factor.kind.lower(), kinds, 3)) or "see mrv/factors"
            text = f"kind: no equation uses {factor.kind!r}; did you mean {near}?"
            findings.append(Finding(entry.kind, entry.id, text))
        elif factor.id in own:
            same = factor.text == own[factor.id].text
            text = (
                f"id: tonne publishes {factor.id!r} itself, as {own[factor.id].text}, and its"
                f" value is applied{'' if same else ', not ' + factor.text}"
            )
            findings.append(Finding(entry.kind, entry.id, text, warning=same))
        elif whose is not None and (wrong := _unstated(factor, whose, kinds)) is not None:
            findings.append(Finding(entry.kind, entry.id, wrong))
        elif (differs := _miscalculated(factor, whose)) is not None:
            findings.append(Finding(entry.kind, entry.id, f"calculation: {differs}"))
        elif (
            factor.document is None
            and (far := _large_difference(factor, factors.load())) is not None
        ):
            findings.append(Finding(entry.kind, entry.id, f"value: {far}"))
        else:
            findings += (
                Finding(entry.kind, entry.id, text, warning=True)
                for text in (_doubtful(factor, registry) if whose is not None else ())
            )
            try:
                book = book.with_more([factor])
            except FactorError as error:
                findings.append(Finding(entry.kind, entry.id, f"valid_from: {error}"))
    return book, findings


def _miscalculated(factor: Factor, country: str | None) -> str | None:
    """Return the error if a factor is not its conservatively rounded calculation, else None."""
    if factor.calculation is None:
        return None
    country = country or countries.FIRST_COUNTRY
    try:
        exact = calculated(factor.calculation, factors.load().within(country), "calculation")
    except (MethodologyError, FactorError) as error:
        return str(error)
    digits = len(factor.text.partition(".")[2])
    step = Fraction(1, 10**digits)
    low, high = exact // step * step, -(-exact // step) * step
    right = {"avoided": (low,), "consumed": (high,), "either": (low, high)}[factor.direction]
    if factor.value in right:
        return None
    wants = " or ".join(
        decimal_text(number, digits, "half_even") for number in dict.fromkeys(right)
    )
    return (
        f"{factor.calculation.tool} gives {decimal_text(exact, digits + 4, 'half_even')}"
        f" {factor.unit}, which is {wants} for the direction {factor.direction}; {factor.text} is"
        " entered: correct one of them"
    )


def _stated(factor: Factor) -> Factor:
    """Return a factor; with a document it is marked to take precedence over tonne's own."""
    given = factor.document is not None
    return replace(factor, brought=given, documented=given)


def _unstated(factor: Factor, country: str, kinds: list[str]) -> str | None:
    """Return the error of a grid factor (unit, direction, bounds, document), or None."""
    what, _ = factors.national(factor.kind)
    unit, maximum = factors.UNITS[what], _MAX[what]
    if factor.unit != unit:
        return f"unit: {factor.unit!r} is not that of {factor.kind}; enter the value in {unit}"
    right = factors.DIRECTIONS[what]
    if factor.direction != right and country != countries.FIRST_COUNTRY:
        return f"direction: {factor.kind} is used as {right}; write `direction: {right}`"
    if factor.value > maximum:
        return (
            f"value: {factor.text} {unit} is above {maximum}, the maximum of any grid; correct it"
        )
    if factor.document is None and factor.kind not in kinds:
        return (
            f"document: is missing, and tonne publishes no {factor.kind}; enter the document in"
            f" which the authority of {country} states the value:"
            f" {factors.row_to_write(factor.kind, factor.valid_from or date(2026, 1, 1))}"
        )
    return None


def _doubtful(factor: Factor, registry: Registry) -> Iterator[str]:
    """Yield warnings on a national factor: start, grid, difference from the published one."""
    begins = factor.valid_from or date.min
    if (begins.month, begins.day) != (1, 1):
        yield (
            f"valid_from: {begins}: a year uses the factor valid on its 1 January, so this factor"
            f" applies from {begins.year + 1} on; enter {begins.year}-01-01 if it is the factor of"
            f" {begins.year}"
        )
    _, grid = factors.national(factor.kind)
    country, _, area = (grid or "").partition(".")
    sites = registry.sites.values()
    if area and not any(site.grid == area and country_of(site) == country for site in sites):
        yield f"kind: no site is of this grid; write `grid: {area}` at the sites that are"
    book = factors.load()
    if factor.kind in book.kinds() and (far := _large_difference(factor, book)) is not None:
        yield f"value: {far.partition(';')[0]}; a verifier compares the document with it"


def _large_difference(factor: Factor, book: FactorBook) -> str | None:
    """
    Return a text if a factor differs strongly from tonne's last published one of its kind, else
    None.  Factors of registry files are no reference, as many small steps could add up to a large
    one.
    """
    of_kind = [f for f in book if f.kind == factor.kind]
    same = [f for f in of_kind if f.direction == factor.direction] or of_kind
    last = same[-1]
    low, high = _SERIES[factor.direction]
    if low * last.value <= factor.value <= high * last.value:
        return None
    return (
        f"{factor.text} is less than {float(low):g} or more than {float(high):g} times"
        f" {last.id} = {last.text} {last.unit}; compare it with its source, {factor.source}, and"
        " use a release of tonne that contains it if it is right"
    )


def check(project: Project, devices: Mapping[str, Device]) -> Iterator[Finding]:
    """Yield errors and warnings on rated power, modules and expected energy of a PV project."""
    inverters = [
        devices[d.device] for d in project.devices if _is_solar(project, d, devices[d.device])
    ]
    if not inverters:
        return
    unrated = [d.id for d in inverters if d.rated_power_w is None]
    if unrated:
        text = f"rated_power_w of {', '.join(unrated)} is not entered; energy cannot be checked"
        yield Finding(project.kind, project.id, text, warning=True)
        return
    rated_kw = Decimal(sum(d.rated_power_w or 0 for d in inverters)) / 1000
    yield from _energy(project, rated_kw)
    yield from _modules(project, rated_kw)


def _is_solar(project: Project, bound: ProjectDevice, device: Device) -> bool:
    """Return whether a device, by its class or its role in the project, generates from the sun."""
    known = classes.load().get(device.class_id)
    if known is not None and known.made_from("energy_export") == SUN:
        return True
    try:
        needs = find(project.methodology, project.version).roles.get(bound.role)
    except MethodologyError:
        return False
    solar = bound.params.get(TECHNOLOGY) == SOLAR
    return needs is not None and (needs.made_from == SUN or (needs.made_from == DECLARED and solar))


# minimum annual yield of PV [kWh/kW]: even a north wall gives more, so a lower value has a wrong
# unit
_MIN_YIELD = 200


def _energy(project: Project, rated_kw: Decimal) -> Iterator[Finding]:
    expected = project.expected.get("energy_kwh_per_year")
    if expected is None:
        return
    hours = Decimal(expected) / rated_kw
    if hours < _MIN_YIELD:
        yield Finding(
            project.kind,
            project.id,
            f"expected.energy_kwh_per_year: {expected:,} kWh from {rated_kw:,} kW rated are"
            f" {hours:,.1f} kWh/kW a year, less than any PV plant gives; check the unit (kWh, not"
            " MWh) and rated_power_w",
            warning=True,
        )
    if hours <= HOURS_PER_YEAR * HIGHEST_PV_FACTOR:
        return
    share = hours / HOURS_PER_YEAR * 100
    yield Finding(
        project.kind,
        project.id,
        f"expected.energy_kwh_per_year: {expected:,} kWh from {rated_kw:,} kW rated are "
        f"{hours:,.0f} kWh/kW a year, a capacity factor of {share:.1f} %, implausible for PV "
        f"(at most {HIGHEST_PV_FACTOR * 100:.0f} %); check rated_power_w and the expected energy"
        + _modules_yield(project, Decimal(expected)),
        warning=hours <= HOURS_PER_YEAR,
    )


def _modules_yield(project: Project, expected: Decimal) -> str:
    """Return the expected energy per kilowatt of the modules, as text; empty without modules."""
    modules = project.modules
    if modules is None:
        return ""
    return f"; {_peak(modules)} would give {expected / _peak_kw(modules):,.1f} kWh/kW"


def _peak_kw(modules: Modules) -> Decimal:
    return Decimal(modules.count) * modules.watt / 1000


def _peak(modules: Modules) -> str:
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
            f"modules: {_peak(modules)}, but the devices are rated {rated_kw:,} kW, a ratio of "
            f"{ratio:.2f} (usual: {low} to {high}); check rated_power_w, count and watt",
            warning=True,
        )
