"""Readings of stations, and the hours and days calculated from them."""

from datetime import date

import numpy as np

from ingest import classes
from ingest.model import NULL, Device, Frame
from mrv import environment
from mrv.calendar import midnight_us
from mrv.environment import KINDS, Flow
from mrv.environment.kinds import day_of

MINUTE_US, HOUR_US = 60_000_000, 3_600_000_000
HANOI = "Asia/Ho_Chi_Minh"
DAY = day_of(midnight_us(date(2026, 1, 10), HANOI), HANOI)
AIR = Device("air", "s", "air_station", timezone=HANOI)
NOISE = Device("noise", "s", "noise_station", timezone=HANOI)
PLANT = Device("plant", "s", "wastewater_plant", timezone=HANOI)


def frame(class_id: str, time_us: list[int], **given) -> Frame:
    """Return readings of one station; channels that are not given are empty."""
    n = len(time_us)
    columns = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()[class_id].channels.items()
    }
    columns |= {name: np.array(values, dtype=np.float64) for name, values in given.items()}
    zero = np.zeros(n, dtype=np.int32)
    return Frame(class_id, zero, np.array(time_us, dtype=np.int64), zero, columns)


def hours(device: Device, time_us: list[int], **given) -> dict:
    """Return values and shares of complete hours, by kind and start."""
    found = environment.hourly([device], frame(device.class_id, time_us, **given))
    rows = zip(found.kind, found.start_us, found.value, found.covered, strict=True)
    return {(KINDS[k].name, int(s)): (float(v), float(c)) for k, s, v, c in rows}


def minutes(*at: float) -> list[int]:
    return [DAY.begin_us + round(m * MINUTE_US) for m in at]


def known(**series) -> dict:
    """Return hourly values from the first hour of the day on, None where one is missing."""
    return {
        kind: {DAY.begin_us + i * HOUR_US: v for i, v in enumerate(values) if v is not None}
        for kind, values in series.items()
    }


def of_hour(values: dict, hour: int) -> list:
    return environment.of_hours(AIR, values, [DAY.begin_us + hour * HOUR_US])


def of_day(device: Device, values: dict, flow: Flow | None = None) -> dict:
    flows = {} if flow is None else {DAY.begin_us: flow}
    return {row.kind: row for row in environment.of_days(device, values, [DAY], flows)}
