"""`tonne registry template` and `tonne registry schema`: help for writing the files."""

from __future__ import annotations

from pathlib import Path

import click

from ingest import classes
from services.cli.options.common import json_option
from services.cli.options.country_option import needed_country
from services.cli.output.documents import print_json
from services.registry import forms
from services.registry import schema as schemas
from services.registry import template as templates


@click.command("template")
@click.argument("class_id", metavar="[CLASS]", required=False)
@needed_country
@click.option("--methodology", metavar="ID", help="What a project by this methodology needs.")
@click.option(
    "--xlsx",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it as a workbook, a sheet a table; with --methodology.",
)
@json_option
def template_(
    class_id: str | None, country: str, methodology: str | None, xlsx: Path | None, *, as_json: bool
) -> None:
    """
    Print a complete example file, with what each key means; `registry check` accepts it.

    With CLASS, of a device of that class. With --methodology, what a project by it
    needs and nothing more; what only the plant knows is left open, and an import
    refuses it until it is filled in. Without either, of a PV system with its project
    and programme; the last lines list the classes.

    \b
    Example:
      tonne registry template --country DE > registry.yaml
      tonne registry template ev_charger --country ID > chargers.yaml
      tonne registry template --methodology ams-i-d --country KE --xlsx solar.xlsx
    """
    if (class_id is not None and methodology is not None) or (xlsx and methodology is None):
        raise click.UsageError("give CLASS, or --methodology ID with or without --xlsx FILE")
    if methodology is not None:
        asked = forms.form(methodology, country)
        if xlsx is not None:
            xlsx.write_bytes(asked.workbook())
        text = f"{xlsx}\n" if xlsx is not None else asked.yaml()
    elif class_id:
        text = templates.template(class_id, country)
    else:
        text = templates.complete_template(country) + _classes()
    if as_json:
        made = {"file": str(xlsx)} if xlsx is not None else {"yaml": text}
        print_json({"class": class_id, "methodology": methodology, **made})
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
