"""The one format of times: RFC 3339 to the second, such as `--from` and `--to` take it."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo


def shown_time(moment: datetime | None, zone: tzinfo = UTC) -> str:
    """Return a time by the clock of `zone`, `-` for none."""
    if moment is None:
        return "-"
    local = moment.astimezone(zone).replace(microsecond=0)
    return local.isoformat().replace("+00:00", "Z")
