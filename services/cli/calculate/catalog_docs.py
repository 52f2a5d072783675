"""
What each project of the catalog of Hai Phong counts, as a part of docs/haiphong.md.

Written by `make pages` from the catalog, the methodologies and the factor book, so that the
page cannot say another thing than the account does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mrv import factors
from mrv.accounting.entered_values import parameters_of
from mrv.methodologies import find
from mrv.model import Factor, Methodology
from mrv.registry import programme_systems
from services.registry import needs
from services.registry.entries import Device, Project, Registry
from services.registry.files import read_files
from services.registry.service_times import country

PAGE = Path("docs/haiphong.md")
CATALOG = Path("deploy/catalog/haiphong")
_BEGIN, _END = "<!-- projects: begin, `make pages` -->", "<!-- projects: end -->"
_COSTS = (
    "Not credited in any project: time without readings, register steps of unknown size, energy"
    " above the rated power or of the wrong kind, a meter whose certificate is for another meter,"
    " energy that another project claims. Consumption in such time is charged at its upper bound."
)


def section(page: str) -> str:
    """Return the page with its part on projects written anew."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{chr(10).join(_lines())}\n{_END}{after}"


def _lines() -> Iterator[str]:
    registry = read_files([CATALOG]).registry
    yield f"{_COSTS}\n"
    used: dict[str, Factor] = {}
    for system in programme_systems.load().values():
        mine = [p for p in registry.projects.values() if p.system == system.id]
        yield f"### {system.title}\n"
        if system.reason:
            yield f"No tonnes: {system.reason}.\n"
        elif not mine:
            yield f"No project in the catalog. Counted by {', '.join(system.methods)}.\n"
        for project in sorted(mine, key=lambda p: p.id):
            yield from _project(project, registry, used)
    yield "### Factors and their sources\n"
    yield "`[M]` is unverified, `[r]` second-hand, `[B]` back-solved, `[T]` a transcription.\n"
    yield "| factor | value | unit | for | source |\n|---|---|---|---|---|"
    for _, factor in sorted(used.items()):
        yield (
            f"| `{factor.id}` | {factor.text} | {factor.unit} | {factor.direction} |"
            f" {factor.source} [{factor.certainty}] |"
        )


def _project(project: Project, registry: Registry, used: dict[str, Factor]) -> Iterator[str]:
    methodology = find(project.methodology, project.version)
    page = f"methodologies/{methodology.id}.md"
    yield (
        f"**`{project.id}`** {project.name}, by [{methodology.reference}]({page})"
        f" ({methodology.id} {project.version}).\n"
    )
    yield f"- measured: {'; '.join(_measured(project, methodology, registry.devices))}"
    typed = [*_typed(project, methodology)]
    if typed:
        yield f"- by document or laboratory: {', '.join(typed)}"
    mine = _factors(project, methodology, registry)
    used |= {factor.id: factor for factor in mine}
    named = (f"`{f.id}` {_amount(f.text, f.unit)}" for f in mine)
    yield f"- factors: {', '.join(named) or 'none'}"
    yield f"- rules of the methodology: {' '.join(methodology.rules)}\n"


def _measured(
    project: Project, methodology: Methodology, devices: dict[str, Device]
) -> Iterator[str]:
    for role, need in methodology.roles.items():
        bound = [d.device for d in project.devices if d.role == role]
        if bound:
            kinds = ", ".join(sorted({devices[name].class_id for name in bound}))
            less = f" less {need.less}" if need.less else ""
            meters = "1 meter" if len(bound) == 1 else f"{len(bound)} meters"
            yield f"{need.symbol or role} {need.quantity}{less} ({kinds}, {meters})"


def _typed(project: Project, methodology: Methodology) -> Iterator[str]:
    for name, spec in methodology.parameters.items():
        if name in project.parameters:
            measured = f", or {spec.channels[-1]}" if spec.channels else ""
            yield f"`{name}` = {_amount(project.parameters[name], spec.unit)}{measured}"


def _amount(value: object, unit: str) -> str:
    return str(value) if unit in ("1", "year") else f"{value} {unit}"


def _factors(project: Project, methodology: Methodology, registry: Registry) -> list[Factor]:
    parameters = parameters_of(methodology, project.parameters, project.id)
    book = factors.load().within(country(project, registry))
    return needs.factors_asked(project, methodology, parameters, book)
