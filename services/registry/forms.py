"""
A form by methodology: only the required sections of a registry file.

A value that only the plant knows is a placeholder, which an import refuses; a value that the
methodology gives stands as it is.  The notes say what each value is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingest import classes
from ingest.errors import RegistryError
from mrv import countries, methodologies
from mrv.model import Methodology, RoleNeeds
from mrv.texts import render
from services.nearest import did_you_mean
from services.registry import arrays
from services.registry.document import dump
from services.registry.fields import PLACEHOLDER
from services.registry.workbook import write_workbook

_SITE, _PROJECT = "my-site", "my-project"
_DAY, _TIME = f"{PLACEHOLDER}DAY", "T00:00:00"


class Form(NamedTuple):
    """Contents of a form: sections, explanations by sheet and key, next steps."""

    sections: dict[str, Any]
    notes: dict[tuple[str, str], str]
    about: str

    def workbook(self) -> bytes:
        """Return it as a workbook, one sheet per table."""
        return write_workbook(self.sections, self.notes, self.about)

    def yaml(self) -> str:
        """Return it as YAML, with explanations above the values."""
        meant = [f"{sheet}: {key}: {text}" for (sheet, key), text in self.notes.items()]
        head = "".join(f"# {line}\n" for line in (*self.about.splitlines(), *meant))
        return head + dump(self.sections)


def form(methodology: str, country: str) -> Form:
    """
    Return the form of a methodology for a project in a country.

    Raises
    ------
    RegistryError
        If there is no such methodology, or none of its projects is in that country.
    """
    known = methodologies.load()
    if methodology not in known:
        hint = did_you_mean(methodology, known) or f"known: {', '.join(known)}"
        raise RegistryError(f"methodology {methodology!r} is not known; {hint}")
    method = known[methodology]
    elsewhere = methodologies.abroad(method.countries, country)
    if elsewhere is not None:
        raise RegistryError(f"methodology {methodology}: {render(elsewhere)}")
    taken = {role: r for role, r in method.roles.items() if r.required} or method.roles
    notes: dict[tuple[str, str], str] = {}
    if len(countries.known()[country]) > 1:
        notes["sites", "timezone"] = f"{country} has several time zones: enter that of the site"
    project = _project(method, taken, notes)
    devices = [_device(role, role_needs, country) for role, role_needs in taken.items()]
    sections = {"sites": [_site(country)], "devices": devices, "projects": [project]}
    return Form(sections, notes, _about(method, taken))


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
    if any(register.limit == "rated_power" for register in device_class.registers):
        result["rated_power_w"] = f"{PLACEHOLDER}NUMBER"
    if device_class.id == arrays.CLASS:
        names = ("dc_power_w", "tilt", "azimuth", "temperature_coefficient_percent")
        result |= dict.fromkeys(names, f"{PLACEHOLDER}NUMBER")
    result["calibrations"] = [
        {"performed": _DAY, "valid_until": _DAY, "certificate": f"{PLACEHOLDER}CERTIFICATE",
         "max_error_percent": f"{PLACEHOLDER}NUMBER", "serial": f"{PLACEHOLDER}SERIAL"}
    ]  # fmt: skip
    return result


def _project(
    method: Methodology, taken: Mapping[str, RoleNeeds], notes: dict[tuple[str, str], str]
) -> dict[str, Any]:
    parameter_specs = {
        k: s for k, s in method.parameters.items() if s.required or k in method.designed
    }
    optional = dict(_optional(role_needs.params for role_needs in taken.values()))
    every = dict.fromkeys((*method.designed, *method.baseline_documents, *method.dated))
    documents = [key for key in every if key not in optional]
    serving = []
    for role, needs in taken.items():
        own = {key: spec for key, spec in needs.params.items() if spec.required or key in documents}
        serving.append(
            {"device": role.replace("_", "-"), "role": role}
            | {key: _example(spec) for key, spec in own.items()}
        )
        notes |= {("projects.devices", key): _meaning(spec) for key, spec in own.items()}
    notes |= {("projects.parameters", key): _meaning(spec) for key, spec in parameter_specs.items()}
    made: dict[str, Any] = {
        "id": _PROJECT, "name": f"{PLACEHOLDER}NAME", "methodology": method.id,
        "version": method.version, "crediting_period": {"from": _DAY, "to": _DAY},
        "devices": serving,
        "parameters": {key: _example(spec) for key, spec in parameter_specs.items()},
    }  # fmt: skip
    for key in documents:
        made.setdefault("documents", {})[key] = {
            "document": f"{PLACEHOLDER}TITLE-AND-NUMBER", "by": f"{PLACEHOLDER}ISSUER",
            "issued": _DAY, "sha256": f"{PLACEHOLDER}SHA256",
        }  # fmt: skip
        spec = method.parameters.get(key) or next(
            (r.params[key] for r in taken.values() if key in r.params), None
        )
        if not getattr(spec, "choices", None):  # a choice is no number that a document states
            made["documents"][key]["value"] = f"{PLACEHOLDER}NUMBER"
        notes["projects.documents", key] = (
            "without it no reduction is credited" if key in method.baseline_documents
            else "until it is entered, a quantity that only the plant's own meters report is zero"
            if key in method.designed
            else "until it is entered, the conservative end of the published range is applied;"
            " without a published range no reduction is credited"
        )  # fmt: skip
    return made


def _optional(subset: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield optional entries, each with its document."""
    for specs in subset:
        yield from ((key, s) for key, s in specs.items() if not s.required and s.choices)


def _meaning(spec: Any) -> str:
    unit = getattr(spec, "unit", "") or ""
    choices = ", ".join(map(str, getattr(spec, "choices", None) or ()))
    named = "" if unit in ("", "1") else f"{unit}: "
    return f"{named}{spec.meaning}{'; one of: ' + choices if choices else ''}"


def _example(spec: Any) -> Any:
    """Return the default or the only choice; a placeholder where only the plant knows it."""
    choices = tuple(getattr(spec, "choices", None) or ())
    result = (getattr(spec, "default", None), choices[0] if len(choices) == 1 else None)
    return next((one for one in result if one is not None), f"{PLACEHOLDER}NUMBER")


def _about(method: Methodology, taken: Mapping[str, RoleNeeds]) -> str:
    also = {role: role_needs for role, role_needs in method.roles.items() if role not in taken}
    lines = [
        f"{method.id} {method.version}: {method.title}",
        f"Replace each text that begins with {PLACEHOLDER}: an import rejects it.",
        "Enter each further site or device in a new row. A cell that begins with # is a note.",
        *(f"Role {role}: {' or '.join(r.classes)}" for role, r in taken.items()),
        *(
            f"Role {role}, where there is one: {' or '.join(role_needs.classes)}"
            for role, role_needs in also.items()
        ),
    ]
    sheets = {
        "projects.devices": _optional(role_needs.params for role_needs in taken.values()),
        "projects.parameters": _optional([method.parameters]),
    }
    lines += [
        f"Optional, in {sheet}, with its document: {key}: {_meaning(spec)}"
        for sheet, some in sheets.items()
        for key, spec in some
    ]
    if method.invoiced:
        names = ", ".join(role for role in method.roles if role in method.invoiced)
        lines.append(f"Without a valid certificate {names} needs invoices: tonne invoice import.")
    return "\n".join(lines)
