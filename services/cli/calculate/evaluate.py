"""
Commands of calculations without database or network: `evaluate`, `indicator`, `estimate`.

`estimate` is the ex-ante estimate of a planned system.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

import click

from mrv import exante, factors, indicators, limits, methodologies
from mrv.errors import IndicatorError, MethodologyError
from mrv.exante import Outcome
from mrv.methodologies import _tools as tools
from mrv.model import Indicator, Methodology, Reductions, Tool
from mrv.parameters import read
from mrv.registry import programme_systems as programme
from mrv.registry.programme_systems import System
from mrv.rounding import floor_credit
from services.cli import country_option
from services.cli.calculate import input_schema as schema
from services.cli.calculate.input_schema import name_of, read_json, write_json
from services.cli.output import Exit

_ELSEWHERE = (
    "Another country's limits: a TOML like those in mrv/countries/vn/limits, given with --limits,\n"
    "or as `attributes.limits.table` of a station (docs/plants-and-stations.md)."
)


@click.command()
@click.argument("name", required=False)
@click.argument("inputs", required=False, type=click.File("rb"))
@click.option("--list", "listed", is_flag=True, help="List the indicators.")
@click.option(
    "--describe", is_flag=True, help="Print the JSON Schema of the inputs, with units and sources."
)
@click.option(
    "--limits",
    "table",
    type=click.File("rb"),
    help="TOML file with a standard's limits; default: no comparison with limits.",
)
@click.option("--band", is_flag=True, help="Add the index's grade and colour.")
@click.option("--json", "compact", is_flag=True, help="Print the JSON on one line, for programs.")
def indicator(
    name: str | None,
    inputs: Any,
    table: Any,
    *,
    listed: bool,
    describe: bool,
    band: bool,
    compact: bool,
) -> None:
    """
    Calculate one indicator of air, water or noise from INPUTS, a JSON file.

    Indicators are not carbon figures. The limits of the 2025 standards are not included: give them
    with --limits, otherwise no comparison with limits is made.

    \b
    Example:
      tonne indicator --list
      tonne indicator noise --describe
      echo '{"flow_m3_d": 800, "concentration_mg_l": {"cod": 140}}' |
        tonne indicator discharge-load -
    """
    if listed:
        click.echo(_indicators(compact=compact))
        return
    if name is None:
        raise click.UsageError("NAME is missing: name one of `tonne indicator --list`")
    indicator = indicators.find(name)
    if describe:
        click.echo(json.dumps(schema.indicator(indicator), indent=None if compact else 2))
        return
    if inputs is None:
        raise click.UsageError(
            f"INPUTS is missing: pass a JSON file with {', '.join(indicator.inputs)}, or --describe"
        )
    given = read_json(inputs, indicator.inputs, indicator.id)
    result = indicators.evaluate(indicator, given, name_of(inputs), _table(table))
    if band:
        result |= _band(indicator, result)
    click.echo(write_json(result, compact=compact))


def _table(file: Any) -> limits.Table | None:
    if file is None:
        return None
    try:
        text = file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise IndicatorError(
            f"{name_of(file)}: not TOML in UTF-8: {error}; correct the file"
        ) from None
    return limits.read(text, name_of(file))


def _band(indicator: Indicator, result: Mapping[str, Any]) -> dict[str, Any]:
    if indicator.banded is None or indicator.table is None:
        raise click.UsageError(f"{indicator.id} has no bands; omit --band")
    band = limits.load(indicator.table).band(result[indicator.banded])
    return {"band": band.name} | ({"rgb": list(band.rgb)} if band.rgb else {})


def _indicators(*, compact: bool) -> str:
    known = indicators.load().values()
    if compact:
        return json.dumps([{"id": i.id, "title": i.title, "limits": _limits(i)} for i in known])
    width = max(len(i.id) for i in known)
    rows = [f"{i.id:<{width}}  {i.title}, {i.reference}{_note(i)}" for i in known]
    return "\n".join([*rows, _ELSEWHERE])


def _limits(indicator: Indicator) -> str:
    if indicator.configured:
        return "to be given"
    return "none" if indicator.table is None else "built in"


def _note(indicator: Indicator) -> str:
    own = ", Viet Nam" if indicator.id.startswith(("qcvn-", "vn-")) else ""
    return own + (" (needs --limits)" if indicator.configured else "")


@click.command()
@click.argument("methodology", required=False)
@click.argument("inputs", required=False, type=click.File("rb"))
@click.option("--list", "listed", is_flag=True, help="List methodologies and tools.")
@click.option(
    "--systems", is_flag=True, help="List the programme's systems and their methodologies."
)
@click.option(
    "--describe", is_flag=True, help="Print the JSON Schema of the inputs, with units and sources."
)
@country_option
@click.option("--json", "compact", is_flag=True, help="Print the JSON on one line, for programs.")
def evaluate(
    methodology: str | None,
    inputs: Any,
    *,
    listed: bool,
    systems: bool,
    describe: bool,
    country: str | None,
    compact: bool,
) -> None:
    """
    Calculate one methodology from INPUTS, a JSON file (- for standard input).

    Prints tonnes with six decimals and the whole tonnes to credit, rounded down. A negative
    reduction is printed as it is and credits 0. Tools (tool04, tool07) print the factors they
    compute. For a system without a methodology the tonnes are null, with the reason. If the
    methodology uses a grid emission factor, --country selects the grid.

    \b
    Example:
      tonne evaluate --list
      tonne evaluate --systems
      tonne evaluate ams-i-d@18.0 --describe
      echo '{"eg_mwh": 120, "ef_grid_t_per_mwh": 0.344}' | tonne evaluate ams-i-d - --country DE
    """
    if listed:
        click.echo(_listed(compact=compact))
        return
    if systems:
        click.echo(_systems(compact=compact))
        return
    if methodology is None:
        raise click.UsageError("METHODOLOGY is missing: name one of `tonne evaluate --list`")
    methodology, version = _name_and_version(methodology)
    system = programme.load().get(methodology)
    if system is not None and methodology not in methodologies.load():
        click.echo(write_json(_of_system(system), compact=compact))
        return
    method = _find(methodology, version)
    if describe:
        click.echo(json.dumps(_described(method), indent=None if compact else 2))
        return
    if inputs is None:
        raise click.UsageError(
            f"INPUTS is missing: pass a JSON file with {', '.join(method.inputs)}, or --describe"
        )
    click.echo(write_json(_computed(method, inputs, country), compact=compact))


def _name_and_version(text: str) -> tuple[str, str | None]:
    """Return id and version of `id@version`; None as version of a text without `@`."""
    name, at, version = text.partition("@")
    return name, version if at else None


def _find(name: str, version: str | None) -> Methodology | Tool:
    tool = tools.load().get(name)
    if tool is None:
        return methodologies.find(name, version)
    if version not in (None, tool.version):
        raise MethodologyError(f"tool {name} has no version {version!r}; available: {tool.version}")
    return tool


def _of_system(system: System) -> dict[str, Any]:
    """
    Return null tonnes and the reason for a system without a methodology.

    Raises MethodologyError if the system has a methodology, naming it.
    """
    if system.methods:
        raise MethodologyError(
            f"{system.id} is a system; evaluate one of its methodologies:"
            f" {', '.join(system.methods)}"
        )
    nothing = dict.fromkeys(
        ("baseline_t", "project_t", "leakage_t", "reduction_t", "credit_t"), None
    )
    return {"system": system.id, **nothing, "reason": f"no methodology: {system.reason}"}


def _systems(*, compact: bool) -> str:
    systems = list(programme.load().values())
    if compact:
        keys = ("id", "title", "methods", "reason", "annex", "note")
        return json.dumps([{key: getattr(item, key) for key in keys} for item in systems])
    width = max(len(item.id) for item in systems)
    return "\n".join(
        f"{item.id:<{width}}  {', '.join(item.methods) or f'null: {item.reason}'}"
        for item in systems
    )


def _described(method: Methodology | Tool) -> dict[str, Any]:
    return schema.methodology(method) if isinstance(method, Methodology) else schema.tool(method)


def _computed(method: Methodology | Tool, file: Any, country: str | None) -> dict[str, Any]:
    given, name = read_json(file, method.inputs, method.id), name_of(file)
    book = factors.load().within(country)
    checked = methodologies.filled(method.inputs, read(method.inputs, given, name), book)
    if isinstance(method, Tool):
        return dict(method.compute(checked, book))
    reductions = methodologies.compute(method, checked, book, name)
    if (strange := methodologies.odd(method, checked)) is not None:
        click.echo(f"warning: {name}: {strange}; it is applied as given", err=True)
    return _reductions(reductions)


def _reductions(result: Reductions) -> dict[str, Any]:
    return {
        "baseline_t": result.baseline_t,
        "project_t": result.project_t,
        "leakage_t": result.leakage_t,
        "reduction_t": result.reduction_t,
        "credit_t": floor_credit(result.reduction_t),
        **result.extra,
    }


def _listed(*, compact: bool) -> str:
    rows = sorted((m.id, m.version, m.title, kind) for kind, m in _all())
    if compact:
        keys = ("id", "version", "title", "kind")
        return json.dumps([dict(zip(keys, row, strict=True)) for row in rows])
    width = max(len(identifier) for identifier, *_ in rows)
    return "\n".join(f"{i:<{width}}  {v:<5} {title} ({kind})" for i, v, title, kind in rows)


def _all() -> Iterator[tuple[str, Methodology | Tool]]:
    for methodology in methodologies.load().values():
        yield "methodology, live" if methodology.roles else "methodology", methodology
    for tool in tools.load().values():
        yield "factor", tool


# nine of ten years exceed the mean minus this many standard deviations
_P90 = Fraction("1.2816")
_BELOW_ZERO = "the project would emit more than its baseline"


@click.command()
@click.argument("system", required=False)
@click.argument("inputs", required=False, type=click.File("rb"))
@click.option("--list", "listed", is_flag=True, help="List the systems that can be estimated.")
@click.option(
    "--describe", is_flag=True, help="Print the JSON Schema of the inputs, with units and defaults."
)
@click.option(
    "--expected", is_flag=True, help="Print only the `expected` entry for the registry, as YAML."
)
@country_option
@click.option("--json", "compact", is_flag=True, help="Print the JSON on one line, for programs.")
def estimate(
    system: str | None,
    inputs: Any,
    *,
    listed: bool,
    describe: bool,
    expected: bool,
    country: str | None,
    compact: bool,
) -> None:
    """
    Estimate one year's emission reductions of a planned SYSTEM from INPUTS, a JSON file (- for
    standard input).

    SYSTEM is pv, ev-bus or the id of a methodology, whose equation is applied to the planned
    activity. A PV plant is estimated by the methodology and grid factor of its country, for example
    AMS-I.D. Copy the printed `expected` into the project's registry entry: each statement then
    compares it with the measured reduction.

    Exit status 1 if an input is physically implausible; `flags` says which.

    \b
    Example:
      tonne estimate --list
      tonne estimate pv --describe
      echo '{"latitude": 48.0, "longitude": 7.8, "rated_kw": 100,
             "ghi_kwh_per_m2": [1150], "ghi_source": "map",
             "air_c": 13}' | tonne estimate pv - --country DE
    """
    if listed:
        click.echo(_listed_estimates(compact=compact))
        return
    if system is None:
        raise click.UsageError("SYSTEM is missing: name one of `tonne estimate --list`")
    model = exante.find(system)
    if describe:
        click.echo(json.dumps(schema.estimate(model), indent=None if compact else 2))
        return
    if inputs is None:
        raise click.UsageError(
            f"INPUTS is missing: pass a JSON file with {', '.join(model.inputs)}, or --describe"
        )
    given = read_json(inputs, model.inputs, model.id)
    outcome = exante.estimate(model, given, factors.load().within(country), name_of(inputs))
    _print(outcome, expected=expected, compact=compact)
    if any(flag.severity == "impossible" for flag in outcome.flags):
        click.get_current_context().exit(Exit.FALSE)


def _print(outcome: Outcome, *, expected: bool, compact: bool) -> None:
    if not expected:
        click.echo(write_json(_document(outcome), compact=compact))
        return
    values = _expected(outcome)
    if values is None:
        raise MethodologyError(f"no estimate: {outcome.withheld or _BELOW_ZERO}")
    inner = ", ".join(
        f"{key}: {float(v) if key.startswith('red') else v}" for key, v in values.items()
    )
    click.echo(f"expected: {{{inner}}}")


def _document(outcome: Outcome) -> dict[str, Any]:
    result = outcome.reductions
    return {
        "method": outcome.method,
        "energy_kwh_per_year": outcome.energy_kwh,
        "baseline_t_per_year": None if result is None else result.baseline_t,
        "project_t_per_year": None if result is None else result.project_t,
        "leakage_t_per_year": None if result is None else result.leakage_t,
        "reduction_t_per_year": None if result is None else result.reduction_t,
        "credit_t_per_year": None if result is None else floor_credit(result.reduction_t),
        **outcome.figures,
        "uncertainty_percent": outcome.uncertainty_percent,
        "energy_kwh_in_9_of_10_years": _p90(outcome),
        "flags": [
            {"about": f.about, "severity": f.severity, "text": f.text} for f in outcome.flags
        ],
        "assumptions": [
            {
                "name": a.name,
                "value": a.value,
                "unit": a.unit,
                "given": a.given,
                "source": a.source,
                "certainty": a.certainty,
            }
            for a in outcome.assumptions
        ],
        "expected": _expected(outcome),
        "expected_withheld": outcome.withheld,
    }


def _p90(outcome: Outcome) -> int | None:
    if outcome.energy_kwh is None or outcome.uncertainty_percent is None:
        return None
    return int(outcome.energy_kwh * (1 - _P90 * outcome.uncertainty_percent / 100))


def _expected(outcome: Outcome) -> dict[str, Any] | None:
    """Return the `expected` entry for the project in the registry; None if withheld or negative."""
    result = outcome.reductions
    if outcome.withheld is not None or result is None or result.reduction_t < 0:
        return None
    tonnes = Fraction(int(result.reduction_t * 10), 10)
    energy = {} if outcome.energy_kwh is None else {"energy_kwh_per_year": outcome.energy_kwh}
    months = outcome.figures.get("kwh_by_month")
    by_month = {} if months is None else {"by_month": months}
    return {**energy, "reduction_t_per_year": tonnes, **by_month}


def _listed_estimates(*, compact: bool) -> str:
    rows = [(e.id, e.title) for e in exante.load().values()]
    if compact:
        return json.dumps([{"id": i, "title": title} for i, title in rows])
    width = max(len(i) for i, _ in rows)
    return "\n".join(f"{i:<{width}}  {title}" for i, title in rows)
