"""Times, durations and speeds as one types them at `tonne simulate`."""

import re
from datetime import datetime
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Start(click.ParamType):
    """A moment with its offset, in microseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Microseconds since 1970 of an RFC 3339 time."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no time; write 2026-01-01T00:00:00+07:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset; add Z or +07:00", param, ctx)
        return round(moment.timestamp() * 1_000) * 1_000


class Duration(click.ParamType):
    """A length of time, in microseconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Microseconds of `90s`, `15m`, `2h` or `1d`."""
        parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)
        if parts is None or not float(parts[1]):
            self.fail(f"{value!r} is no duration; write 90s, 15m, 2h or 1d", param, ctx)
        return round(float(parts[1]) * _SECONDS[parts[2]] * 1_000) * 1_000


class Speed(click.ParamType):
    """How many times real time; 0 is as fast as it goes."""

    name = "speed"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return 1 for real time, 60 for a minute a second, 0 for as fast as it goes."""
        if value == "max":
            return 0.0
        try:
            speed = float(value)
        except ValueError:
            speed = -1.0
        if not 0 <= speed < float("inf"):
            self.fail(f"{value!r} is no speed; write 1, 60 or max", param, ctx)
        return speed
