"""The option that names the country of a project that no registry holds."""

from __future__ import annotations

import click

from mrv import countries


def _known(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    del context, option
    if code is not None and code.upper() not in countries.known():
        raise click.BadParameter(
            f"{code!r} is not a country; give its two letters of ISO 3166-1, such as VN or DE"
        )
    return None if code is None else code.upper()


_HELP = "Country of the project (ISO 3166-1, such as DE); selects the grid factor."
country_option = click.option("--country", metavar="CODE", callback=_known, help=_HELP)
needed_country = click.option(
    "--country", metavar="CODE", callback=_known, required=True, help=_HELP
)
