"""Options of commands without a server: groups, choices, times, `--json`, pack size limits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import click

from ingest.errors import did_you_mean
from mrv import countries
from mrv.packs import LARGE, USUAL, Budget


def _known(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    del context, option
    if code is not None and code.upper() not in countries.known():
        raise click.BadParameter(
            f"{code!r} is not a country; enter its two letters of ISO 3166-1, such as KE or DE"
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


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Group(click.Group):
    """
    Command group that suggests the nearest name for a mistyped command; also used for
    subgroups.
    """

    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command named by the first argument."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = did_you_mean(args[0], self.list_commands(ctx))
            if near and not args[0].startswith("-"):
                error.message = f"{error.message} {near[:1].upper()}{near[1:]}"
            raise


class Choice(click.Choice[str]):
    """Choice option that suggests the nearest word for a mistyped one."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the chosen word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = did_you_mean(str(value), map(str, self.choices))
            error.message = f"{error.message} {near[:1].upper()}{near[1:]}".rstrip()
            raise


class Moment(click.ParamType):
    """Command-line type of an RFC 3339 time with offset."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time of an RFC 3339 text."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.fail(
                f"{value!r} is not a time with offset; write 2026-01-31T08:00:00Z", param, ctx
            )
        return time.astimezone(UTC)


def pack_budget(*, large: bool = False) -> Budget:
    """Return the size limit for an evidence pack; `large` raises it for packs of a known origin."""
    from services.settings import Settings  # noqa: PLC0415 - loads what else `verify` does without

    return LARGE if large or Settings().large_packs else USUAL
