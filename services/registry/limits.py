"""
Limits of the quality tests for one device, as registry files write them.

They are read with the class and the rated power beside them, so that a limit
that says nothing, or the opposite of another, is refused where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ingest import classes
from ingest.classes import Channel, DeviceClass
from ingest.errors import ProfileError
from ingest.limits import NAMES
from ingest.pipeline.quality_limits import TIME
from services.registry.entries import Quality
from services.registry.fields import Row

_OWN = ("channel", "from", "reason")
_GAUGES_ONLY = (
    "bound", "bound_of_rated", "spike", "spike_of_rated", "rate_per_minute", "flat_floor",
    "flat_floor_of_rated", "night_of_rated", "peak_of_rated", "phases_share",
)  # fmt: skip


def reader(class_id: str, rated_w: int | None) -> Callable[[Row], Quality]:
    """Return a reader of a device's `quality` rows."""
    device_class = classes.load().get(class_id)

    def read(row: Row) -> Quality:
        row.only(*_OWN, *NAMES)
        channel = row.text("channel")
        begins = row.required("from", row.moment("from"), "a time with its offset")
        found = {k: _plain(v) for k, v in row.all().items() if k in NAMES}
        for key, text in _problems(device_class, channel, found, rated_w):
            row.problem(key, text)
        return Quality(channel, begins, found, row.text("reason"))

    return read


def _problems(
    device_class: DeviceClass | None, channel: str, found: Mapping[str, Any], rated_w: int | None
) -> Iterator[tuple[str | None, str]]:
    if device_class is None or not channel:
        return  # told already
    held = device_class.channels.get(channel)
    if held is None and channel != TIME:
        known = ", ".join((*device_class.channels, TIME))
        yield "channel", f"{channel!r} is not a channel of {device_class.id}; known: {known}"
        return
    try:
        (device_class.limits if held is None else held.limits).changed(found, channel)
    except ProfileError as error:
        yield None, str(error)
        return
    for name, value in found.items():
        if value is None:
            continue
        if name.endswith("_of_rated") and rated_w is None:
            yield name, "is a share of rated_power_w, which this device does not give; add it"
        if problem := _misplaced(name, held):
            yield name, problem
    if held is not None:
        yield from _beyond(held, found, rated_w)


def _misplaced(name: str, held: Channel | None) -> str | None:
    """Say why a limit would say nothing where it stands."""
    if (name in ("gap_s", "sleep_s")) != (held is None):
        return f"is a limit of {'channels' if held is None else 'the channel time'}; move it there"
    if held is not None and held.kind == "register" and name in _GAUGES_ONLY:
        return "is for gauges; what a register may do follows from its rated power"
    if held is not None and name == "phases_share" and not held.phases:
        return "is for a channel that is the sum of phases"
    return None


def _beyond(
    held: Channel, found: Mapping[str, Any], rated_w: int | None
) -> Iterator[tuple[str | None, str]]:
    """Find bounds that no stored value can reach: the hard span refuses them before."""
    for name, span, scale in (
        ("bound", held.span, 1.0),
        ("bound", held.span_of_rated if rated_w else None, float(rated_w or 0)),
        ("bound_of_rated", held.span_of_rated, 1.0),
    ):
        bound = found.get(name)
        if bound is None or span is None:
            continue
        low, high = (edge * scale for edge in span)
        if bound[0] >= high or bound[1] <= low:
            yield (
                name,
                f"{list(bound)} holds none of the values that are stored, {low:g} to {high:g}",
            )


def _plain(value: Any) -> Any:
    """Numbers as the tests reckon with them."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | str | dict | int):
        return value
    return float(value)
