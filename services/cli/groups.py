"""A group of commands that answers a mistyped name with the nearest one."""

from __future__ import annotations

import click

from services.nearest import did_you_mean


class Group(click.Group):
    """Click's group; groups below it are of its own kind."""

    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = did_you_mean(args[0], self.list_commands(ctx))
            if near and not args[0].startswith("-"):
                error.message = f"{error.message} {near[:1].upper()}{near[1:]}"
            raise
