"""A time as an option: RFC 3339 with its offset."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class Moment(click.ParamType):
    """A time with its offset."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read RFC 3339."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            self.fail(f"{value!r} is no time with offset; write 2026-01-31T08:00:00Z", param, ctx)
        return found.astimezone(UTC)
