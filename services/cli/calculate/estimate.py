"""Command `tonne estimate`: ex-ante estimate for a planned system, without database or network."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import click

from mrv import exante, factors
from mrv.errors import MethodologyError
from mrv.exante.model import Outcome
from mrv.rounding import floor_credit
from services.cli.calculate import input_schema as schema
from services.cli.calculate.input_schema import name_of, read_json, write_json
from services.cli.errors import Exit
from services.cli.options.common import country_option

# Nine of ten years reach the mean less so many standard deviations.
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
        click.echo(_listed(compact=compact))
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


def _listed(*, compact: bool) -> str:
    rows = [(e.id, e.title) for e in exante.load().values()]
    if compact:
        return json.dumps([{"id": i, "title": title} for i, title in rows])
    width = max(len(i) for i, _ in rows)
    return "\n".join(f"{i:<{width}}  {title}" for i, title in rows)
