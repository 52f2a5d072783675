"""
Series of readings for metering tests, metered as a whole, in parts, and from marks.

Messages are decoded by `decode`, as of a device of a class and profile.
"""

import numpy as np

from ingest.classes import load
from ingest.decode import Decoded, decode
from ingest.model import INTERVAL_FIELDS, NULL, Device, Fleet, Frame, IntervalRows
from ingest.pipeline import Bounds, MeterState, meter

RECEIVED_US = 1_767_225_600_000_000


def read(payload, *, device_class, profile="generic", content_type=None) -> Decoded:
    """Return the decoded payload of one device."""
    fleet = Fleet([Device("d", "s", device_class, profile=profile)])
    data = payload.encode() if isinstance(payload, str) else payload
    return decode(fleet, lambda _: 0, ["d"], [data], [content_type], RECEIVED_US)


def rows(decoded: Decoded) -> list[dict]:
    """Return readings as plain dictionaries of the present values, with `time_us`."""
    found = []
    for frame in decoded.frames:
        for i in range(len(frame)):
            row = {name: values[i].item() for name, values in frame.columns.items()}
            row = {k: v for k, v in row.items() if v == v and v != NULL}  # noqa: PLR0124 (NaN)
            found.append({"time_us": int(frame.time_us[i]), **row})
    return found


def reasons(decoded: Decoded) -> list[str]:
    """Return the reasons of rejections, in order."""
    return [r.reason for r in decoded.rejected]


MINUTE_US = 60_000_000
T0_US = 1_767_225_600_000_000


def fleet(n: int = 3, rated_w: int | None = 100_000, **more) -> Fleet:
    return Fleet(
        [Device(f"d{i}", "s", "pv_inverter", rated_power_w=rated_w, **more) for i in range(n)]
    )


def frame(device, time_us, export_wh, power_w=None) -> Frame:
    n = len(time_us)
    nan = np.full(n, np.nan)
    return Frame(
        "pv_inverter",
        np.asarray(device, dtype=np.int32),
        np.asarray(time_us, dtype=np.int64),
        np.arange(n, dtype=np.int32),
        {name: np.full(n, np.nan) for name in load()["pv_inverter"].channels}
        | {
            "energy_export_wh": np.asarray(export_wh, dtype=np.int64),
            "energy_import_wh": np.full(n, NULL, dtype=np.int64),
            "active_power_w": nan if power_w is None else np.asarray(power_w, dtype=np.float64),
        },
    )


def whole(fleet_: Fleet, readings: Frame) -> IntervalRows:
    """Meter a complete set of readings without earlier state."""
    found = meter(Bounds(fleet_), MeterState(len(fleet_)), [readings])
    assert not found.rewrites
    return found.rows


def table(rows: IntervalRows) -> dict:
    """Return rows by key, as plain numbers."""
    return {
        tuple(row[:3]): tuple(row[3:])
        for row in zip(*(getattr(rows, name).tolist() for name in INTERVAL_FIELDS), strict=True)
    }
