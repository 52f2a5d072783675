"""The one format of times: RFC 3339 to the second, such as `--from` and `--to` take it."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from mrv import calendar


def shown_time(moment: datetime | str | None, zone: tzinfo | str = UTC) -> str:
    """
    Return a time, or one that is text in RFC 3339, by the clock of a zone, `-` for none.

    What belongs to a site or project is shown by its clock; what belongs to neither, such as
    a key, in UTC.
    """
    if moment is None:
        return "-"
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    clock = calendar.zone(zone) if isinstance(zone, str) else zone
    local = moment.astimezone(clock).replace(microsecond=0)
    return local.isoformat().replace("+00:00", "Z")
