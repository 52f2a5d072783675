"""`tonne registry template` and `tonne registry schema`: help for writing the files."""

from __future__ import annotations

import click

from ingest import classes
from services.cli.options.common import json_option
from services.cli.options.country_option import needed_country
from services.cli.output.documents import print_json
from services.registry import schema as schemas
from services.registry import template as templates


@click.command("template")
@click.argument("class_id", metavar="[CLASS]", required=False)
@needed_country
@json_option
def template_(class_id: str | None, country: str, *, as_json: bool) -> None:
    """
    Print a complete example file, with what each key means; `registry check` accepts it.

    With CLASS, of a device of that class. Without it, of a PV system with its project
    and programme; the last lines list the classes.

    \b
    Example:
      tonne registry template --country VN > registry.yaml
      tonne registry template ev_charger --country ID > chargers.yaml
      tonne registry template pv_inverter --country DE > plant.yaml
    """
    text = (
        templates.template(class_id, country)
        if class_id
        else templates.complete_template(country) + _classes()
    )
    if as_json:
        print_json({"class": class_id, "yaml": text})
    else:
        click.echo(text, nl=False)


def _classes() -> str:
    lines = [f"#   {one.id:<20} {one.title}\n" for one in classes.load().values()]
    return "\n# Classes, for `tonne registry template CLASS --country CODE`:\n" + "".join(lines)


@click.command("schema")
@json_option
def schema_(*, as_json: bool) -> None:
    """
    Print the JSON Schema of registry files, for editors.

    In VS Code with the YAML extension put this line at the top of a file:
    # yaml-language-server: $schema=registry.schema.json

    \b
    Example:
      tonne registry schema > registry.schema.json
    """
    del as_json  # it is JSON in any case
    print_json(schemas.schema())
