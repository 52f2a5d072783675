"""Series of readings for metering tests, and metering them whole, in parts, from marks.

Messages through `decode`, as a device of a class and profile sends them.
"""

import numpy as np

from ingest.classes import load
from ingest.decode import Decoded, decode
from ingest.model import INTERVAL_FIELDS, NULL, Device, Fleet, Frame, IntervalRows
from ingest.pipeline import Bounds, MeterState, meter

RECEIVED_US = 1_767_225_600_000_000


def read(payload, *, device_class, profile="generic", content_type=None) -> Decoded:
    """Decode one payload of one device."""
    fleet = Fleet([Device("d", "s", device_class, profile=profile)])
    data = payload.encode() if isinstance(payload, str) else payload
    return decode(fleet, lambda _: 0, ["d"], [data], [content_type], RECEIVED_US)


def rows(decoded: Decoded) -> list[dict]:
    """Readings as plain dictionaries of what is present, `time_us` among it."""
    found = []
    for frame in decoded.frames:
        for i in range(len(frame)):
            row = {name: values[i].item() for name, values in frame.columns.items()}
            row = {k: v for k, v in row.items() if v == v and v != NULL}  # noqa: PLR0124 (NaN)
            found.append({"time_us": int(frame.time_us[i]), **row})
    return found


def reasons(decoded: Decoded) -> list[str]:
    """Reasons of refusal, in order."""
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
    """Meter a complete set of readings from nothing."""
    found = meter(Bounds(fleet_), MeterState(len(fleet_)), [readings])
    assert not found.rewrites
    return found.rows


def table(rows: IntervalRows) -> dict:
    """Rows by key, as plain numbers."""
    return {
        tuple(row[:3]): tuple(row[3:])
        for row in zip(*(getattr(rows, name).tolist() for name in INTERVAL_FIELDS), strict=True)
    }
