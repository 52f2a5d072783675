# ruff: noqa: INP001 - a script, run by `make pages`
"""Documentation pages of the rules: their order in docs/rules.md, their texts in docs/rules/."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from itertools import groupby
from pathlib import Path

from mrv import methodologies
from mrv.countries import ruling
from mrv.methodologies import ams_iii_c
from mrv.model import Methodology, RoleNeeds
from mrv.rules import STAGES, Rule, code_words, rules, words
from mrv.texts import sourced
from services.cli.calculate.rules import described

PAGE, FOLDER = Path("docs/rules.md"), Path("docs/rules")
_BEGIN = "<!-- rules: begin, `make pages` -->"
# title of each page, and the groups on it; a group may be divided by stages
_TITLES = {
    "metering": "Rules of meters",
    "services": "Rules of services and consumption",
    "parameters": "Rules of parameters and emission factors",
    "corroboration": "Rules of corroborating evidence",
    "claims": "Rules of boundary, claims, plan and period",
}
_GROUPS = {"REG": "metering", "PAR": "parameters", "FAC": "parameters", "EVD": "corroboration"}
_ELECTRIC, _HOURS = "Wh", "operating_time"
_UNCREDITED = next(field.default for field in fields(Methodology) if field.name == "uncredited")


def page_of(row: Rule) -> str:
    """Return the name of the documentation page with a rule's text."""
    if row.group == "MTR":
        return "metering" if row.stage in {"registry", "meter"} else "services"
    return _GROUPS.get(row.group, "claims")


def acting_on(method: Methodology) -> list[Rule]:
    """Return the rules that apply to a methodology, in catalogue order."""
    return [
        row
        for row in rules().values()
        if all(_REQUIREMENTS[need](method) for need in _conditions(row))
    ]


def _conditions(row: Rule) -> tuple[str, ...]:
    return (*row.asks, *(code for code in (row.id,) if code in _REQUIREMENTS))


def _roles(method: Methodology, side: str | None = None) -> list[RoleNeeds]:
    return [role for role in method.roles.values() if side in (None, role.side)]


def _metered(method: Methodology) -> bool:
    return bool(method.roles)


def _always(method: Methodology) -> bool:
    del method
    return True


# requirement in a rule's row -> whether a methodology meets it; then rules that require more
_REQUIREMENTS: Mapping[str, Callable[[Methodology], bool]] = {
    "baseline_meter": lambda m: bool(_roles(m, "baseline")),
    "common_meter": _metered,
    "project_meter": lambda m: bool(_roles(m, "project")),
    "meter": _metered,
    "site_meter": _metered,
    "service": lambda m: bool(m.consumptions),
    "capacity": lambda m: bool(m.capacities),
    "operating_hours": lambda m: any(role.quantity == _HOURS for role in _roles(m)),
    "regression": lambda m: bool(m.ranges),
    "entered": _metered,
    "ex_ante": _metered,
    "monitored": _metered,
    "invoice": _metered,
    "invoiced_quantity": _metered,
    "document": _metered,
    "certificate": _metered,
    "certified_energy": lambda m: any(role.unit == _ELECTRIC for role in _roles(m)),
    "factor": _metered,
    "plan": _metered,
    "period": _metered,
    "methodology": _always,
    "site": _metered,
    "MTR-09": lambda m: any(role.draws for role in _roles(m)),
    "MTR-12": lambda m: any(role.draws for role in _roles(m)),
    "MTR-13": lambda m: any(role.delivers for role in _roles(m)),
    "PAR-08": lambda m: bool(m.agreement),
    "EVD-01": lambda m: any(role.unit == _ELECTRIC for role in _roles(m, "baseline")),
    "EVD-04": lambda m: any(role.class_limit is ams_iii_c.class_limit for role in _roles(m)),
    "BND-02": lambda m: m.uncredited is not _UNCREDITED,
    "CLM-03": lambda m: bool(m.apart),
}


def rules_page(text: str) -> str:
    """Return docs/rules.md with its order of rules replaced; the text before it is kept."""
    before = text.partition(_BEGIN)[0]
    return "\n".join((f"{before}{_BEGIN}", *_order(), ""))


def pages() -> dict[str, str]:
    """Return the text of each rule page by file name."""
    return {f"{name}.md": "\n".join((*_page(name), "")) for name in _TITLES}


def write() -> None:
    """Write the rule pages below the current folder."""
    PAGE.write_text(rules_page(PAGE.read_text("utf-8")), encoding="utf-8")
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def link(row: Rule, folder: str) -> str:
    """Return a Markdown link to a rule; `folder` is the relative path to the rule pages."""
    kept = [c for c in f"{row.id} {words(row.id).title}".lower() if c.isalnum() or c in " -"]
    return f"[{row.id}]({folder}{page_of(row)}.md#{''.join(kept).replace(' ', '-')})"


def by_effect(method: Methodology, folder: str) -> Iterator[str]:
    """Yield lines with links to the rules that apply to a methodology, grouped by effect."""
    acting = acting_on(method)
    for effect in dict.fromkeys(effect for row in rules().values() for effect in row.effects):
        names = ", ".join(link(row, folder) for row in acting if effect in row.effects)
        if names and (effect != "raise_project" or _roles(method, "project")):
            yield f'- Effect "{code_words("effects", effect)}": {names}.'


def _order() -> Iterator[str]:
    yield "\n## Order of evaluation\n"
    yield "| stage | `--stage` | rules |\n|---|---|---|"
    for stage in STAGES:
        names = [link(row, "rules/") for row in rules().values() if row.stage == stage]
        if names:
            yield f"| {code_words('stage', stage)} | `{stage}` | {', '.join(names)} |"


def _page(name: str) -> Iterator[str]:
    yield f"# {_TITLES[name]}\n"
    yield (
        "For: verifiers and operators. Written by `make pages`. [rules.md](../rules.md) has"
        " calculation and terms, [findings.md](../findings.md) the severities,"
        ' [evidence.md](../evidence.md#grades) the grades A to D. "Shall" states the requirement,'
        " the next sentences what tonne does. Sources were not compared unless words in"
        " parentheses state it."
    )
    mine = [row for row in rules().values() if page_of(row) == name]
    for group, rows in groupby(mine, key=lambda row: row.group):
        yield f"\n## {code_words('group', group)}"
        for row in rows:
            yield from _rule(row)


def _rule(row: Rule) -> Iterator[str]:
    text = words(row.id)
    yield f"\n### {row.id} {text.title}\n"
    yield f"{text.checks}\n"
    severity = code_words("severity", row.severity)
    yield f"- **Effect**: {described('effects', row.effects)}; severity {severity}."
    asks = described("asks", row.asks)
    yield f"- **Applies to**: {asks}{_methodologies(row)}."
    yield f"- **Tolerance**: {text.tolerance}."
    yield f"- **Finding closed by**: {described('needs', row.needs)}."
    yield f"- **Remedy**: {text.remedy}"
    yield f"- **Source**: {sourced(row.source)}."
    for country, ruled in ruling("rules").items():
        if row.id in ruled["sources"]:
            yield f"- **Source in {country}**: {sourced(ruled['sources'][row.id])}."


def _methodologies(row: Rule) -> str:
    """Return the methodologies a rule applies to, as text; empty: all metered ones."""
    every = [method for method in methodologies.load().values() if method.roles]
    some = [method.id for method in every if row in acting_on(method)]
    if len(some) == len(every):
        return ""
    return f" ({', '.join(f'[{name}](../methodologies/{name}.md)' for name in some)})"
