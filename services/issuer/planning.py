"""Monitoring plans for people: a first version to start from, and the diagram."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from mrv.calendar import instant_us
from mrv.methodologies import find
from mrv.model import Methodology
from mrv.registry.monitoring_plan import PROCEDURES
from mrv.registry.plan_departures import frequency_of
from mrv.statement.conformity import meter
from mrv.statement.diagram import diagram, line_diagram
from services.clock import now_us
from services.issuer.collect_evidence import plan_of
from services.registry.document import document, dump
from services.registry.entries import Project, Registry
from services.store.registry import load as registry
from services.store.registry.entries_from_rows import load_registry

_DAY_US = 86_400_000_000


def diagram_of(
    conn: Connection, project_id: str, begin: str | None = None, *, single_line: bool = False
) -> str | None:
    """
    Draw a project's meters as the registry has them on a local day.

    Its data flow, or its single-line diagram: None where no meter says what it feeds.

    Parameters
    ----------
    begin : str, optional
        The day, such as 2026-01-31; today where absent, within the crediting period.

    Raises
    ------
    RegistryError
        If the project is unknown.
    """
    project = registry.load_project(conn, project_id)
    if begin is None:
        us = min(max(now_us(), project.from_us), project.to_us - _DAY_US)
    else:
        us = instant_us(begin, project.timezone)
    plan = plan_of(conn, project_id, us, us + _DAY_US)
    return line_diagram(plan) if single_line else diagram(plan)


def draft_of(conn: Connection, project_id: str) -> str:
    """
    Write a first version of a project's plan as a registry file.

    What no one but the plant knows is left empty: an import names each such place.

    Raises
    ------
    RegistryError
        If the project is unknown.
    """
    registry.load_project(conn, project_id)  # says which there are, where this one is not
    stored = load_registry(conn)
    project = stored.projects[project_id]
    version = {
        "version": str(len(project.monitoring or ()) + 1),
        **({} if not project.monitoring else {"kind": ""}),
        "from": project.crediting_from,
        "responsible": "",
        "reason": "first plan" if not project.monitoring else "",
        "procedures": dict.fromkeys(PROCEDURES, ""),
        "lines": _lines(project, stored),
    }
    return dump({"projects": [{**document(project), "monitoring": [version]}]})


def _lines(project: Project, stored: Registry) -> list[dict[str, Any]]:
    method = find(project.methodology, project.version)
    lines = []
    for role, need in method.roles.items():
        bound = [stored.devices[d.device] for d in project.devices if d.role == role]
        channels = {
            name
            for device in bound
            for name, quantity in meter(device.class_id, device.profile, ()).registers.items()
            if quantity == need.quantity
        }
        more = {"channel": min(channels, default="")}
        if need.quantity.startswith("energy"):
            more["accuracy_class"] = ""
        if bound:
            lines.append(_line(role, "C", method, **more))
    lines += [
        _line(name, spec.option, method) for name, spec in method.parameters.items() if spec.option
    ]
    return lines


def _line(parameter: str, option: str, method: Methodology, **more: str) -> dict[str, Any]:
    return {
        "parameter": parameter,
        "option": option,
        "frequency": frequency_of(parameter, method) or "continuous",
        **more,
        "qa_qc": "",
        "responsible": "",
    }
