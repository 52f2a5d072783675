"""`tonne indicator`: one environmental indicator on given inputs, no database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from mrv import indicators, limits
from mrv.errors import IndicatorError
from mrv.model import Indicator
from services.cli.calculate import input_schema as schema
from services.cli.calculate.json_input import name_of, read_json, write_json


@click.command()
@click.argument("name", required=False)
@click.argument("inputs", required=False, type=click.File("rb"))
@click.option("--list", "listed", is_flag=True, help="List the indicators.")
@click.option("--describe", is_flag=True, help="JSON Schema of the inputs: units, sources.")
@click.option(
    "--limits", "table", type=click.File("rb"), help="TOML file with a standard's limits."
)
@click.option("--band", is_flag=True, help="Add the index's grade and colour.")
@click.option("--json", "compact", is_flag=True, help="One line of JSON, for programs.")
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
    Compute one indicator of air, water or noise from INPUTS, a JSON file.

    None of them is carbon. The limits of the standards of 2025 could not be
    read: give them with --limits, else nothing is judged.

    \b
    Example:
      tonne indicator --list
      tonne indicator noise --describe
      echo '{"flow_m3_d": 800, "concentration_mg_l": {"cod": 140}}' |
        tonne indicator discharge-load -
    """
    if listed:
        click.echo(_listed(compact=compact))
        return
    if name is None:
        raise click.UsageError("NAME is missing: name one of `tonne indicator --list`")
    one = indicators.find(name)
    if describe:
        click.echo(json.dumps(schema.indicator(one), indent=None if compact else 2))
        return
    if inputs is None:
        raise click.UsageError(
            f"INPUTS is missing: give a JSON file with {', '.join(one.inputs)}, or --describe"
        )
    given = read_json(inputs, one.inputs, one.id)
    result = indicators.evaluate(one, given, name_of(inputs), _table(table))
    if band:
        result |= _band(one, result)
    click.echo(write_json(result, compact=compact))


def _table(file: Any) -> limits.Table | None:
    if file is None:
        return None
    try:
        text = file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise IndicatorError(f"{name_of(file)}: not TOML in UTF-8: {error}") from None
    return limits.read(text, name_of(file))


def _band(one: Indicator, result: Mapping[str, Any]) -> dict[str, Any]:
    if one.banded is None or one.table is None:
        raise click.UsageError(f"{one.id} has no bands; omit --band")
    found = limits.load(one.table).band(result[one.banded])
    return {"band": found.name} | ({"rgb": list(found.rgb)} if found.rgb else {})


def _listed(*, compact: bool) -> str:
    found = indicators.load().values()
    if compact:
        return json.dumps([{"id": i.id, "title": i.title, "limits": _limits(i)} for i in found])
    width = max(len(i.id) for i in found)
    return "\n".join(f"{i.id:<{width}}  {i.title}, {i.reference}{_note(i)}" for i in found)


def _limits(one: Indicator) -> str:
    if one.configured:
        return "to be given"
    return "none" if one.table is None else "built in"


def _note(one: Indicator) -> str:
    return " (needs --limits)" if one.configured else ""
