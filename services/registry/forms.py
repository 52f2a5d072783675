"""
Example registry file for a methodology, with the required sections only.

Values that only the plant knows are placeholders, which an import rejects; notes explain each
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingest import classes
from ingest.errors import RegistryError, did_you_mean
from mrv import countries, methodologies
from mrv.accounting.corroborated_energy import is_declared
from mrv.accounting.entered_values import KEY, unaccepted
from mrv.calendar import local_date
from mrv.errors import FactorError
from mrv.factors import GRID, FactorBook, is_of_banks, load
from mrv.model import SOLAR, TECHNOLOGY, Candidate, CandidateDevice, Factor, Methodology, RoleNeeds
from mrv.parameters import ParameterSpec, of_parameter
from mrv.statement.conformity import GASES
from mrv.texts import render
from services.clock import now_us
from services.registry.fields import PLACEHOLDER
from services.registry.located import dump
from services.registry.ratings import PV_INVERTER
from services.registry.workbook import write_workbook

_SITE, _PROJECT = "my-site", "my-project"
_DAY, _TIME = f"{PLACEHOLDER}DAY", "T00:00:00"


class Form(NamedTuple):
    """Contents of an example file: sections, explanations by sheet and key, next steps."""

    sections: dict[str, Any]
    notes: dict[tuple[str, str], str]
    about: str

    def workbook(self) -> bytes:
        """Return the form as a workbook, one sheet per table."""
        return write_workbook(self.sections, self.notes, self.about)

    def yaml(self) -> str:
        """Return the form as YAML, with explanations above the values."""
        alike: dict[tuple[str, str], list[str]] = {}
        for (sheet, key), text in self.notes.items():
            alike.setdefault((sheet, text), []).append(key)
        meant = [f"{sheet}: {', '.join(keys)}: {text}" for (sheet, text), keys in alike.items()]
        head = "".join(f"# {line}\n" for line in (*self.about.splitlines(), *meant))
        return head + dump(self.sections)


def form(methodology: str, country: str) -> Form:
    """
    Return the example file of a methodology for a project in a country.

    Raises RegistryError if there is no such methodology, or it has no projects in that country.
    """
    known = methodologies.load()
    if methodology not in known:
        hint = did_you_mean(methodology, known) or f"known: {', '.join(known)}"
        raise RegistryError(f"methodology {methodology!r} is not known; {hint}")
    method = known[methodology]
    elsewhere = methodologies.abroad(method.countries, country)
    if elsewhere is not None:
        raise RegistryError(f"methodology {methodology}: {render(elsewhere)}")
    required = _required_roles(method)
    notes: dict[tuple[str, str], str] = {}
    if countries.has_several_clocks(country):
        notes["sites", "timezone"] = f"{country} has several time zones: enter that of the site"
    book = load().within(country)
    project = _project(method, required, book, notes)
    devices = [_device(role, role_needs, country) for role, role_needs in required.items()]
    sections = {"sites": [_site(country)], "devices": devices, "projects": [project]}
    return Form(sections, notes, _about(method, required, book))


def _required_roles(method: Methodology) -> dict[str, RoleNeeds]:
    """Return the required roles by name; of alternative roles, the first."""
    required = {role for role, needs in method.roles.items() if needs.required}
    devices = tuple(CandidateDevice(r, r, method.roles[r].classes[0], 1) for r in sorted(required))
    for check in method.applicability:
        try:
            broken = check.test(Candidate({}, devices, 1, None))
        except KeyError:
            continue  # the condition needs parameters, not only roles
        if broken is not None and broken.code == "condition.no_roles":
            alternatives = dict(broken.values)["roles"]
            required |= (
                {str(choice) for choice in alternatives[:1]}
                if isinstance(alternatives, tuple)
                else set()
            )
    return {
        role: needs for role, needs in method.roles.items() if role in (required or method.roles)
    }


def _site(country: str) -> dict[str, Any]:
    zone = countries.known()[country][0]
    return {
        "id": _SITE, "name": f"{PLACEHOLDER}NAME", "latitude": f"{PLACEHOLDER}LATITUDE",
        "longitude": f"{PLACEHOLDER}LONGITUDE", "timezone": zone, "country": country,
        **({"grid": f"{PLACEHOLDER}GRID"} if countries.grids(country) else {}),
    }  # fmt: skip


def _device(role: str, needs: RoleNeeds, country: str) -> dict[str, Any]:
    device_class = classes.load()[needs.classes[0]]
    clock = datetime(2026, 1, 1, tzinfo=ZoneInfo(countries.known()[country][0])).isoformat()[-6:]
    result: dict[str, Any] = {
        "id": role.replace("_", "-"), "site": _SITE, "class": device_class.id, "profile": "generic",
        "installed": f"{_DAY}{_TIME}{clock}", "maker": f"{PLACEHOLDER}MAKER",
        "serial": f"{PLACEHOLDER}SERIAL",
    }  # fmt: skip
    registers = [r for r in device_class.registers if r.quantity in needs.quantities]
    if any(register.limit == "rated_power" for register in registers):
        result["rated_power_w"] = f"{PLACEHOLDER}NUMBER"
    if device_class.id == PV_INVERTER:
        names = ("dc_power_w", "tilt", "azimuth", "temperature_coefficient_percent")
        result |= dict.fromkeys(names, f"{PLACEHOLDER}NUMBER")
    if needs.quantity in GASES:
        result["attributes"] = {"gas_basis": f"{PLACEHOLDER}DRY-OR-WET"}
    result["calibrations"] = [
        {"performed": _DAY, "valid_until": _DAY, "certificate": f"{PLACEHOLDER}CERTIFICATE",
         "max_error_percent": f"{PLACEHOLDER}NUMBER", "serial": f"{PLACEHOLDER}SERIAL"}
    ]  # fmt: skip
    return result


def _project(
    method: Methodology,
    required: Mapping[str, RoleNeeds],
    book: FactorBook,
    notes: dict[tuple[str, str], str],
) -> dict[str, Any]:
    parameter_specs = {
        k: s for k, s in method.parameters.items() if s.required or k in method.designed
    }
    bound_devices, specs = [], dict(parameter_specs)
    for role, needs in required.items():
        own = {
            key: spec
            for key, spec in needs.params.items()
            if spec.required
            or key in method.documented
            or (key == TECHNOLOGY and is_declared(needs, needs.classes[0]))
        }
        bound_devices.append(
            {"device": role.replace("_", "-"), "role": role}
            | {key: _example(key, spec, book) for key, spec in own.items()}
        )
        notes |= {("projects.devices", key): _meaning(spec) for key, spec in own.items()}
        specs |= own
    notes |= {("projects.parameters", key): _meaning(spec) for key, spec in parameter_specs.items()}
    made: dict[str, Any] = {
        "id": _PROJECT, "name": f"{PLACEHOLDER}NAME", "methodology": method.id,
        "version": method.version, "crediting_period": {"from": _DAY, "to": _DAY},
        "devices": bound_devices,
        "parameters": {key: _example(key, spec, book) for key, spec in parameter_specs.items()},
    }  # fmt: skip
    for key, spec in specs.items():
        if not _is_documented(method, key, spec):
            continue
        made.setdefault("documents", {})[key] = {
            "document": f"{PLACEHOLDER}TITLE-AND-NUMBER", "by": f"{PLACEHOLDER}ISSUER",
            "issued": _DAY, "sha256": f"{PLACEHOLDER}SHA256", "value": _example(key, spec, book),
        }  # fmt: skip
        notes["projects.documents", key] = (
            "the document that states the value, dated before the period; without it no reduction"
            " is credited"
            if key in method.baseline_documents
            else "the licence or design report that states the value; without it, a quantity that"
            " only the plant's own meters report is not credited"
            if key in method.designed
            else "a third party's document that states the value, dated before the period; without"
            " it the conservative end of the published range is applied, and no reduction is"
            " credited if none is published"
        )  # fmt: skip
    return made


def _is_documented(method: Methodology, key: str, spec: Any) -> bool:
    """Return whether a check, or the grade of evidence, requires a document of a value."""
    graded = "document" in of_parameter(key).by and getattr(spec, "unit", "") != "year"
    return graded or key in method.documented or key in method.baseline_documents


def _optional(subset: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the optional choices of a methodology: key and specification."""
    for specs in subset:
        yield from ((key, s) for key, s in specs.items() if not s.required and s.choices)


def _meaning(spec: Any) -> str:
    unit = getattr(spec, "unit", "") or ""
    choices = ", ".join(map(str, getattr(spec, "choices", None) or ()))
    named = "" if unit in ("", "1") else f"{unit}: "
    return f"{named}{spec.meaning}{'; one of: ' + choices if choices else ''}"


def _example(key: str, spec: Any, book: FactorBook) -> Any:
    """Return the published value, the default, or the only choice; else a placeholder."""
    if key == TECHNOLOGY:
        return SOLAR
    if getattr(spec, "published", "") == GRID:
        published = _grid(book)
        return f"{PLACEHOLDER}NUMBER" if published is None else float(published.value)
    choices = tuple(getattr(spec, "choices", None) or ())
    default = getattr(spec, "default", None)
    if default is not None and not of_parameter(key).ranges:
        return _number(default) if isinstance(spec, ParameterSpec) else default
    return choices[0] if len(choices) == 1 else f"{PLACEHOLDER}NUMBER"


def _number(text: str) -> int | float:
    """Return decimal text as a number, so that a file contains it without quotes."""
    return int(text) if text.lstrip("-").isdigit() else float(text)


def _grid(book: FactorBook) -> Factor | None:
    """Return this year's published factor of a country with one grid; None if there is none."""
    if countries.grids(book.country):
        return None
    try:
        return book.select(GRID, "consumed", local_date(now_us(), "UTC"))
    except FactorError:
        return None


def _about(method: Methodology, required: Mapping[str, RoleNeeds], book: FactorBook) -> str:
    also = {role: role_needs for role, role_needs in method.roles.items() if role not in required}
    lines = [
        f"{method.id} {method.version}: {method.title}",
        f"Replace each text that begins with {PLACEHOLDER}: an import rejects it.",
        "Enter each further site or device in a new row. A cell that begins with # is a note.",
        *(f"Role {role}: {' or '.join(r.classes)}" for role, r in required.items()),
        *(
            f"Role {role}, where there is one: {' or '.join(role_needs.classes)}"
            for role, role_needs in also.items()
        ),
    ]
    sheets = {
        "projects.devices": _optional(role_needs.params for role_needs in required.values()),
        "projects.parameters": _optional([method.parameters]),
    }
    lines += [
        f"Optional, in {sheet}, with its document: {key}: {_meaning(spec)}"
        for sheet, some in sheets.items()
        for key, spec in some
        if key != TECHNOLOGY
    ]
    lines += _factor_notes(method, book)
    sampled = [k for k, s in method.parameters.items() if s.unmeasured is not None or s.option]
    if sampled:
        lines.append(
            f"Each period needs results in projects.laboratory: {', '.join(sampled)}; without them,"
            " or an analyser's readings, a conservative value is applied or a finding remains."
        )
    if method.invoiced:
        names = ", ".join(role for role in method.roles if role in method.invoiced)
        lines.append(f"Without a valid certificate {names} needs invoices: tonne invoice import.")
    return "\n".join(lines)


def _factor_notes(method: Methodology, book: FactorBook) -> Iterator[str]:
    """Yield notes on factors that an import would warn about."""
    specs = [s for s in method.inputs.values() if isinstance(s, ParameterSpec)]
    draws = any(s.published == GRID or (s.factor or ("",))[0] == GRID for s in specs)
    grid = _grid(book) if draws else None
    if grid is not None and is_of_banks(grid):
        yield (
            f"Grid factor: {grid.id} = {grid.text} {grid.unit}, a default of development banks. If"
            " the country's authority publishes one, enter it under `factors`, with its document,"
            f" and use its value; if the programme accepts the default, enter {KEY}: [{grid.id}]"
        )
    used = [factor for factor in book if factor.kind.startswith(method.uses)] if method.uses else []
    if unaccepted(used, frozenset()):
        yield (
            f"Factors that the check names as not compared with their text: in `parameters`, {KEY}"
            " lists the ids that the programme accepts."
        )
