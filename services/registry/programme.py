"""Rules: consistency of the programme: targets, actions, systems, places of sites."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from mrv.registry import programme_systems as systems
from services.registry.entries import Action, Device, Programme, Project, Registry, Site
from services.registry.located import Finding

# What a park's members exchange, and what lies around them.
FLOWS = ("energy", "heat", "water", "waste")
AROUND = ("grid", "mains", "sewer", "outside")


def check(registry: Registry) -> Iterator[Finding]:
    """Check programme, projects and sites against each other."""
    programme = registry.programme
    for device in registry.devices.values():
        yield from _flow(device, registry)
    for project in registry.projects.values():
        yield from _system(project)
        if programme is not None:
            yield from _action(project, programme)
    if programme is not None:
        yield from _targets(programme)
        yield from _parts(programme)
        for site in registry.sites.values():
            yield from _place(site, programme)


def _flow(device: Device, registry: Registry) -> Iterator[Finding]:
    """Find flows of a park that begin or end nowhere, or that nothing counts."""
    flow = device.attributes.get("flow")
    if flow is None:
        return
    keys = {"of", "from", "to"}
    if not isinstance(flow, dict) or set(flow) != keys:
        text = "attributes.flow: give exactly of, from and to"
        yield Finding(device.kind, device.id, text)
        return
    if flow["of"] not in FLOWS:
        text = f"attributes.flow.of: {flow['of']!r} must be one of {', '.join(FLOWS)}"
        yield Finding(device.kind, device.id, text)
    for end in ("from", "to"):
        if flow[end] not in registry.sites and flow[end] not in AROUND:
            text = (
                f"attributes.flow.{end}: {flow[end]!r} is no site; register it, or say what lies"
                f" around the park: {', '.join(AROUND)}"
            )
            yield Finding(device.kind, device.id, text)


def _system(project: Project) -> Iterator[Finding]:
    if project.system is None:
        return
    known = systems.load()
    found = known.get(project.system)
    if found is None:
        text = f"system: {project.system!r} is none; known: {', '.join(known)}"
        yield Finding(project.kind, project.id, text)
    elif project.methodology not in found.methods:
        methods = ", ".join(found.methods) or f"none, because {found.reason}"
        text = (
            f"system: {found.title} is counted by {methods}, not by {project.methodology};"
            " choose one of them, or another system"
        )
        yield Finding(project.kind, project.id, text, warning=bool(found.methods))


def _action(project: Project, programme: Programme) -> Iterator[Finding]:
    names = [a.id for a in programme.actions]
    if project.action is None:
        row = f'write `action: "{names[0]}"`' if names else "give `actions` there, and one here"
        known = f", or another of {', '.join(names)}" if names[1:] else ""
        text = (
            f"action: is missing, and its tonnes are in no total of {programme.name}; {row}{known},"
            " or leave it as it is where the project is not of the programme"
        )
        yield Finding(project.kind, project.id, text, warning=True)
        return
    if any(project.action == name or project.action.startswith(f"{name}-") for name in names):
        return
    text = f"action: {project.action!r} is not in the programme; known: {', '.join(names)}"
    yield Finding(project.kind, project.id, text)


def _targets(programme: Programme) -> Iterator[Finding]:
    tops = [a for a in programme.actions if _whole(a, programme) is None]
    given = [Decimal(a.target_kt) for a in tops if a.target_kt is not None]
    if programme.target_kt is None or len(given) < len(tops):
        return
    if sum(given) != Decimal(programme.target_kt):
        terms = " + ".join(str(a.target_kt) for a in tops)
        yield Finding(
            programme.kind,
            programme.id,
            f"target_kt: {programme.target_kt} kt, but the actions' targets sum to"
            f" {terms} = {sum(given)} kt; correct one of them",
        )


def _parts(programme: Programme) -> Iterator[Finding]:
    for action in programme.actions:
        parts = [a for a in programme.actions if _whole(a, programme) is action]
        together = sum(Decimal(p.target_kt or 0) for p in parts)
        if action.target_kt is not None and together > action.target_kt:
            yield Finding(
                programme.kind,
                programme.id,
                f"actions[{action.id}].target_kt: its parts {', '.join(p.id for p in parts)} come"
                f" to {together} kt, more than its own {action.target_kt}; correct one of them",
            )


def _whole(part: Action, programme: Programme) -> Action | None:
    """Return the action that another is a part of: 1 of 1-03."""
    found = [a for a in programme.actions if part.id.startswith(f"{a.id}-")]
    return max(found, key=lambda a: len(a.id), default=None)


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
        "; check the place, or leave it as it is",
        warning=True,
    )
