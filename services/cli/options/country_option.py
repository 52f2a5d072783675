"""The options for country and grid of a project that is not in a registry."""

from __future__ import annotations

import click

from mrv import countries


def _known(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    del context, option
    if code is not None and code.upper() not in countries.known():
        raise click.BadParameter(
            f"{code!r} is not a country; give its two letters of ISO 3166-1, such as KE or DE"
        )
    return None if code is None else code.upper()


def _grid(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    first, dot, area = (code or "").partition(".")
    country = _known(context, option, first or None)
    grids = countries.grids(country)
    if dot and area not in grids:
        known = ", ".join(f"{country}.{name}" for name in grids) or country
        raise click.BadParameter(f"{code!r} is not a grid of {country}; known: {known}")
    return country and country + dot + area


_HELP = "Country of the project (ISO 3166-1, such as DE); selects the grid factor"
country_option = click.option(
    "--country",
    metavar="CODE",
    callback=_grid,
    help=f"{_HELP}; ID.jamali where it has several grids.",
)
needed_country = click.option(
    "--country", metavar="CODE", callback=_known, required=True, help=f"{_HELP}."
)
