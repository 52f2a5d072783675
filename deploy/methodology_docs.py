# ruff: noqa: INP001 - a script, run by `make pages`
"""
Documentation pages of the methodologies, written from their code.

`make pages` writes `docs/methodologies/`, the table of symbols in `mrv/NOMENCLATURE.md`, the table
of catalog projects in `docs/haiphong.md`, the pages of rules and the reference pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy import catalog_docs, reference_docs, rule_docs
from deploy.catalog_docs import limits_and_evidence, table
from mrv import methodologies
from mrv.method_lives import Life, lives
from mrv.methodologies import _tools as tools
from mrv.model import Methodology, Tool
from mrv.parameters import ListSpec, MapSpec, ParameterSpec, RecordSpec
from mrv.steps import BEFORE, Published, Step, in_symbols
from mrv.texts import sourced
from services.cli.calculate import input_schema as describe

_HEAD = ("input", "symbol", "unit", "meaning", "bounds", "default", "monitoring option", "side",
         "source")  # fmt: skip
_LIFE_HEAD = ("programme", "methodology", "version", "in tonne", "projects register from",
              "no registration from", "no credits from", "successor", "source",
              "certainty")  # fmt: skip
_FACTOR_HEAD = ("factor", "value", "unit", "applied to", "valid", "source",
                "value compared with the source")  # fmt: skip
_COUNTRY = (
    "tonne applies the grid emission factor of the project's country and year. `tonne factors list"
    " --kind grid.de` shows those of Germany. [another-city.md](../another-city.md) explains how to"
    " add the factors of another country."
)
# a factor's `direction` -> the emissions to which it applies
_APPLIED_TO = {"avoided": "baseline emissions", "consumed": "project emissions", "either": "both"}
_FOR = (
    "Applied to: the emissions for which the value is conservative. In a project's file and a"
    " statement, `direction` is `avoided` (baseline emissions), `consumed` (project emissions and"
    " leakage) or `either` (both: a property of a fuel or gas). Of a 95 % interval, the lower limit"
    " is applied to baseline emissions and the upper one to project emissions, so that uncertainty"
    " lowers the reduction. The last column states whether tonne's authors had the text of the"
    " source and compared the value with it. The grid's official factor is listed under project"
    " emissions also where the equations use it on both sides. A value that a project enters, such"
    " as an official combined margin, is listed in its statement as a project value."
)
_BEGIN, _END = "<!-- symbols: begin, `make pages` -->", "<!-- symbols: end -->"
# symbol and unit -> names in tonne, and the methodologies that use it
_Rows = dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]]
_NOTE = "Written by `make pages`."
_LEGEND = (
    'Words in parentheses after a source, such as "primary source", state how its text was'
    " available ([certainty](../statement-figures.md#certainty-of-a-source)). Without such words,"
    " the source is cited, but its text was not compared. The table of inputs explains each symbol."
    " Unit 1: a number without a unit; Cel: degrees Celsius; a: year. `absent`: the input may be"
    " omitted. Monitoring options of the JCM: A public data, B invoices, C own measurement. Side:"
    " the part of the account (baseline, or project with leakage) that the input enters."
)


def pages() -> dict[str, str]:
    """Return the text of every methodology page by file name."""
    pages = {f"{m.id}.md": _lined(_page(m)) for m in _all()}
    return {"README.md": _lined(_index()), **pages}


def symbols(nomenclature: str) -> str:
    """Return the nomenclature page with its table of symbols replaced."""
    before, _, rest = nomenclature.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{_lined(_symbols())}{_END}{after}"


def main() -> None:
    """Write all pages below the current folder."""
    folder = Path("docs/methodologies")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    nomenclature = Path("mrv/NOMENCLATURE.md")
    nomenclature.write_text(symbols(nomenclature.read_text("utf-8")), encoding="utf-8")
    catalog_docs.write_conformity()
    if catalog_docs.PAGE.is_file():
        text = catalog_docs.PAGE.read_text("utf-8")
        catalog_docs.PAGE.write_text(catalog_docs.section(text), encoding="utf-8")
        reference_docs.main()
    if rule_docs.PAGE.is_file():
        rule_docs.write()


def _all() -> list[Methodology | Tool]:
    return [*methodologies.load().values(), *tools.load().values()]


def _lined(lines: Iterator[str]) -> str:
    return sourced("\n".join(lines) + "\n")


def _index() -> Iterator[str]:
    yield "# Methodology library\n"
    yield f"For: verifiers, and people who enter a project. {_NOTE}"
    yield "`live`: meters supply the inputs, and tonne shows the reduction while readings arrive."
    yield "The others are calculated from figures of documents, with `tonne evaluate`. `additive`:"
    yield "the reduction of a project is the sum of the reductions of its meters.\n"
    yield from table(
        ("id", "version", "title", "live", "additive"),
        [(f"[{m.id}]({m.id}.md)", m.version, m.title, *_nature(m)) for m in _all()],
    )
    yield "\n## Validity in a programme\n"
    yield "The table states from when and until when a programme registers new projects under a"
    yield "methodology, and its successor. tonne rejects the import of a registration outside these"
    yield "dates, and PLN-03 raises a finding on a period closed outside them. If a date is"
    yield "unknown, tonne rejects no registration because of it."
    yield "`computed`: tonne calculates the methodology. `named`: tonne knows only its dates, as"
    yield "its equations were not available. The letters of certainty are explained in"
    yield "[statement-figures.md](../statement-figures.md#certainty-of-a-source).\n"
    yield from table(_LIFE_HEAD, [_life(live) for live in lives()])


def _life(life: Life) -> tuple[str, ...]:
    until = "inactive, date unknown" if life.inactive else str(life.register_until or "")
    return (
        life.programme,
        life.name,
        life.version or "",
        "computed" if life.computes else "named",
        str(life.register_from or ""),
        until,
        str(life.credits_until or ""),
        next((n.name for n in lives() if n.id == life.successor), ""),
        life.source,
        life.certainty,
    )


def _nature(definition: Methodology | Tool) -> tuple[str, str]:
    if not isinstance(definition, Methodology):
        return "factor", ""
    return "yes" if definition.roles else "no", "yes" if definition.additive else "no"


def _page(definition: Methodology | Tool) -> Iterator[str]:
    schema = (
        describe.methodology(definition)
        if isinstance(definition, Methodology)
        else describe.tool(definition)
    )
    yield f"# {definition.id}: {definition.title}\n"
    yield f"For: verifiers, and people who enter a project. {_NOTE}"
    yield f"Reference: {definition.reference}.\n"
    yield _LEGEND
    if "ef_grid_t_per_mwh" in definition.inputs:
        yield "EF_el is the emission factor of the grid (EF_grid,y in texts of the CDM).\n"
    else:
        yield ""
    yield f"{definition.notes}\n"
    yield "## Equation\n"
    yield from _equation(definition)
    yield "## Inputs\n"
    yield from table(_HEAD, list(_rows(schema, "")))
    yield from _published(schema)
    if isinstance(definition, Methodology):
        yield from _conditions(schema["methodology"])
        yield from limits_and_evidence(definition)
        if definition.roles:
            yield "## Rules\n"
            yield "These rules can change, or report on, a statement of this methodology. Each line"
            yield "has the rules of one effect; [rules.md](../rules.md) has their order.\n"
            yield from rule_docs.by_effect(definition, "../rules/")


def _equation(definition: Methodology | Tool) -> Iterator[str]:
    """Yield the lines of a method's calculation steps; the same steps as in the workbook."""
    symbols = definition.steps.symbols(definition.inputs)
    rows: list[tuple[str, ...]] = [
        (
            f"{step.symbol} = {in_symbols(step.formula, symbols)}",
            step.unit,
            f"{step.meaning}{_where(step)}",
            step.source,
        )
        for step in definition.steps.formulas
        if step.when or step.name not in definition.inputs
    ]
    yield from table(("step", "unit", "meaning", "source"), rows)
    yield ""


def _where(step: Step) -> str:
    each = f"; for each row of `{step.over}`" if step.over else ""
    if BEFORE in step.formula.split():
        each += f" (`{BEFORE}`: the result of the row before it, 0 for the first)"
    return f"{each}; only if `{step.when}` is given" if step.when else each


def _conditions(about: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Applicability and rules\n"
    where = " and ".join(about["countries"]) or "any country"
    yield f"Programme: {about['programme']}. Projects may be in {where}.\n"
    sentences = [*about["applicability"], *about["rules"]]
    yield from (
        f"- {clause}"
        for clause in sentences or ["no condition other than the bounds of the inputs"]
    )
    if not about["live"]:
        return
    yield "\n## In a project\n"
    for role, needs in about["roles"].items():
        classes = " or ".join(f"`{name}`" for name in needs["classes"])
        cap = f", at most `{needs['yearly_cap']}`" if needs["yearly_cap"] else ""
        less = f" minus `{needs['less']}`" if needs["less"] else ""
        yield f"Role `{role}` ({needs['side']} side), symbol {needs['symbol']}: the quantity"
        yield f"`{needs['quantity']}`{less} of a device of class {classes}. Source:"
        yield f"{needs['source']}; monitoring option {needs['option']}{cap}.\n"
        yield from _some("Of each device:", needs["params"])
    yield from _some("Parameters of the project:", about["parameters"])


def _some(title: str, schema: Mapping[str, Any]) -> Iterator[str]:
    rows = list(_rows(schema, ""))
    if rows:
        yield f"{title}\n"
        yield from table(_HEAD, rows)
        yield ""


def _rows(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, ...]]:
    for key, property_ in schema["properties"].items():
        name = f"{prefix}{key}"
        below = property_.get("items", property_.get("additionalProperties"))
        if "properties" in property_:
            yield from _rows(property_, f"{name}.")
        elif isinstance(below, dict):
            between = "[]." if property_["type"] == "array" else ".NAME."
            yield from _rows(below, f"{name}{between}")
        else:
            yield _row(name, property_, required=key in schema["required"])


def _row(name: str, property_: Mapping[str, Any], *, required: bool) -> tuple[str, ...]:
    default = property_.get("default", "" if required else "absent")
    monitored = f"{property_['option']}, {property_['frequency']}" if "option" in property_ else ""
    source = f"{property_['source']} {property_.get('certainty', '')}".rstrip()
    return (
        f"`{name}`",
        property_.get("symbol", ""),
        property_.get("unit", ""),
        property_["description"],
        _bounds(property_),
        str(default),
        monitored,
        property_.get("side", ""),
        source,
    )


def _bounds(property_: Mapping[str, Any]) -> str:
    if "enum" in property_:
        return ", ".join(map(str, property_["enum"]))
    if "exclusiveMaximum" in property_:
        return f"{property_['minimum']} to below {property_['exclusiveMaximum']}"
    return f"{property_['minimum']} to {property_['maximum']}"


def _published(schema: Mapping[str, Any]) -> Iterator[str]:
    about = schema.get("methodology") or schema["tool"]
    listed = {
        "Factors that the equations use": about["factors"],
        "Values to choose from": _factors(schema),
    }
    published: set[str] = set()
    for title, definitions in listed.items():
        rows = {f["id"]: _factor_row(f) for f in definitions if f["id"] not in published}
        published |= rows.keys()
        if rows:
            yield f"\n## {title}\n"
            yield from table(_FACTOR_HEAD, list(rows.values()))
    if published:
        yield f"\n{_FOR}"
    if _of_country(schema):
        yield f"\n{_COUNTRY}"


def _of_country(node: Any) -> bool:
    """Return whether an input is the grid emission factor of the project's country."""
    below = node.values() if isinstance(node, dict) else ()
    return bool(below) and ("of_country" in node or any(map(_of_country, below)))


def _factor_row(factor: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"`{factor['id']}`",
        str(factor["value"]),
        factor["unit"],
        _APPLIED_TO[factor["direction"]],
        _validity(factor),
        f"{factor['source']} {factor['certainty']}",
        "yes" if factor["verified"] else "no",
    )


def _validity(factor: Mapping[str, Any]) -> str:
    """Return the text of a factor's validity dates: local, end excluded; empty if unlimited."""
    begin, end = factor["valid_from"], factor["valid_to"]
    if begin is None and end is None:
        return "until superseded"
    return f"{begin or ''} to {end or ''}".strip()


def _factors(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("published", [])
        if "default_factor" in node:
            yield node["default_factor"]
        for key in ("properties", "items", "additionalProperties"):
            yield from _factors(node.get(key))
        if "type" not in node:
            for below in node.values():
                yield from _factors(below)


def _symbols() -> Iterator[str]:
    rows: _Rows = {}
    for definition in _all():
        for key, spec in _numbers(definition.inputs):
            if spec.symbol:
                names, ids = rows.setdefault((spec.symbol, spec.unit), ({}, {}))
                names[f"`{key}`"] = None
                ids[definition.id] = None
    yield from _symbol_table(("symbol", "our name", "unit", "methodologies"), rows)
    yield "\n## Factors of the formulas\n"
    yield "Each row has a symbol, the kind of factor and its direction; `{...}` is an input.\n"
    inputs: _Rows = {}
    for definition in _all():
        for part in definition.steps.parts:
            if isinstance(part, Published):
                _add(inputs, part, f"`{part.kind}`, {part.direction}", definition.id)
    yield from _symbol_table(("symbol", "kind, direction", "unit", "methodologies"), inputs)
    yield "\n## Steps\n"
    yield "Their formulas: docs/methodologies.\n"
    made: _Rows = {}
    for definition in _all():
        for step in definition.steps.formulas:
            _add(made, step, f"`{step.name}`", definition.id)
    yield from _symbol_table(("symbol", "our name", "unit", "methodologies"), made)


def _add(rows: _Rows, part: Published | Step, name: str, identifier: str) -> None:
    names, ids = rows.setdefault((part.symbol, part.unit), ({}, {}))
    names[name] = None
    ids[identifier] = None


def _symbol_table(head: tuple[str, ...], rows: _Rows) -> Iterator[str]:
    yield from table(
        head,
        [(s, ", ".join(names), unit, ", ".join(ids)) for (s, unit), (names, ids) in rows.items()],
    )


def _numbers(fields: Mapping[str, Any]) -> Iterator[tuple[str, ParameterSpec]]:
    for key, spec in fields.items():
        if isinstance(spec, ParameterSpec):
            yield key, spec
        elif isinstance(spec, ListSpec | MapSpec | RecordSpec):
            yield from _numbers(spec.fields)


if __name__ == "__main__":
    main()
