"""
Acceptance of decoded readings: those that may be stored, and rejections with reasons.

An impossible time rejects the reading.  A gauge outside its range is omitted and flagged; the
register of the same reading may still be valid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest import classes
from ingest.classes import Channel
from ingest.decode import Decoded, Rejected, Seen, decode
from ingest.model import HOUR_US, NULL, Fleet, Float64, Frame
from ingest.quality import gauges
from ingest.reading import Given

LIFETIME_HOURS = 87_600
# a multiple of the device's maximum that indicates a wrong unit of the value or of the rated power
_MANY = 10


@dataclass(slots=True)
class Admitted:
    """Frames to store, rejections, ignored channels, and the readings and codec of each message."""

    frames: list[Frame]
    rejected: list[Rejected]
    ignored: Counter[tuple[str, str, str]]
    seen: Seen
    codecs: list[str]


def admit(
    fleet: Fleet,
    route: Callable[[str], int],
    topics: Sequence[str],
    payloads: Sequence[bytes],
    content_types: Sequence[str | None],
    received_us: int,
    values: Sequence[Given] = (),
    unread: Sequence[Rejected] = (),
) -> Admitted:
    """
    Return the accepted readings of a batch of messages, and its rejections.

    Parameters
    ----------
    fleet : Fleet
    route : callable
        Topic to fleet index; raises PayloadError.
    topics, payloads, content_types : sequences, n
    received_us : int
        Time of receipt; times more than 5 minutes later are rejected. [us UTC]
    values : sequence of Given
        Decoded content of the Sparkplug messages among them.
    unread : sequence of Rejected
        Messages already rejected.
    """
    decoded = decode(fleet, route, topics, payloads, content_types, received_us, values, unread)
    frames = [_judge(fleet, frame, decoded, received_us) for frame in decoded.frames]
    kept = [f for f in frames if len(f)]
    return Admitted(kept, decoded.rejected, decoded.ignored, decoded.seen, decoded.codecs)


def _judge(fleet: Fleet, frame: Frame, out: Decoded, received_us: int) -> Frame:
    frame = _judge_times(frame, out, received_us)
    for channel in classes.load()[frame.class_id].channels.values():
        if channel.kind == "gauge":
            _judge_gauge(fleet, frame, channel, out)
        elif channel.limit == "rated_power":
            frame = _judge_register(fleet, frame, channel, out, received_us)
    return _drop_empty(frame) if frame.flags else frame


def _judge_times(frame: Frame, out: Decoded, received_us: int) -> Frame:
    verdict = gauges.judge(frame.time_us, received_us)
    if not verdict.any():
        return frame
    for row in np.flatnonzero(verdict):
        kind = int(verdict[row])
        detail = f"ts {frame.time_us[row] // 1000} ms {gauges.REMEDIES[kind]}"
        out.rejected.append(_of_row(frame, row, gauges.REASONS[kind], detail))
    return frame.take(verdict == gauges.OK)


def _of_row(frame: Frame, row: np.intp, reason: str, detail: str) -> Rejected:
    return Rejected(int(frame.message[row]), reason, detail, int(frame.time_us[row]))


def _judge_gauge(fleet: Fleet, frame: Frame, channel: Channel, out: Decoded) -> None:
    values: Float64 = frame.columns[channel.name]  # type: ignore[assignment]
    low, high = _span(fleet, frame, channel)
    if gauges.within(values, low, high):
        return
    bad = gauges.outside(values, low, high) | np.isinf(values)
    if not bad.any():
        return
    for row in np.flatnonzero(bad):
        bounds = f"[{_at(low, row):g}, {_at(high, row):g}] {channel.unit}"
        detail = f"{channel.name} {values[row]:g} is outside {bounds}; check its unit"
        if channel.span_of_rated is not None and abs(values[row]) > _MANY * _at(high, row):
            detail += ", and whether rated_power_w is in W"
        out.rejected.append(_of_row(frame, row, "out_of_range", detail))
        frame.flags.setdefault(int(row), {})[channel.name] = "out_of_range"
    frame.columns[channel.name] = np.where(bad, np.nan, values)


def _span(fleet: Fleet, frame: Frame, channel: Channel) -> tuple[float | Float64, float | Float64]:
    if channel.span is not None:
        return channel.span
    if channel.span_of_rated is None:
        return (-np.inf, np.inf)
    rated = fleet.rated_w[frame.device].astype(np.float64)
    rated[rated == 0] = np.inf
    return (rated * channel.span_of_rated[0], rated * channel.span_of_rated[1])


def _at(bound: float | Float64, row: np.intp) -> float:
    return float(bound[row]) if isinstance(bound, np.ndarray) else bound


def _judge_register(
    fleet: Fleet, frame: Frame, channel: Channel, out: Decoded, received_us: int
) -> Frame:
    """
    Return the frame without register values above the device's possible lifetime total.

    Such a value has a wrong unit.
    """
    values = frame.columns[channel.name]
    rated = fleet.rated_w[frame.device]
    hours = np.maximum(received_us - fleet.installed_us[frame.device], 0) / HOUR_US + LIFETIME_HOURS
    bad: NDArray[np.bool_] = (values != NULL) & (rated > 0) & (values > rated * hours)
    if not bad.any():
        return frame
    for row in np.flatnonzero(bad):
        device = fleet.devices[frame.device[row]]
        detail = (
            f"{channel.name} {values[row]} {channel.unit} is more than {device.rated_power_w} "
            f"W could produce since {LIFETIME_HOURS} h before its installation; "
            "check the unit, and whether rated_power_w is in W"
        )
        out.rejected.append(_of_row(frame, row, "implausible_register", detail))
    return frame.take(~bad)


def _drop_empty(frame: Frame) -> Frame:
    """Return the frame without rows of which no channel was accepted."""
    rows = np.array(sorted(frame.flags), dtype=np.intp)
    empty = np.ones(len(rows), dtype=np.bool_)
    for values in frame.columns.values():
        known = values[rows]
        empty &= (known == NULL) if known.dtype == np.int64 else np.isnan(known)
    if not empty.any():
        return frame
    keep = np.ones(len(frame), dtype=np.bool_)
    keep[rows[empty]] = False
    return frame.take(keep)
