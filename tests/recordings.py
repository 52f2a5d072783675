"""
Honest readings that were recorded in the field, as frames of a device class.

Their sources are in `tests/data/README.md`, `deploy/data/README.md` and, for those of
`shared/data` beside the checkout (or of the folder that `RECORDED_DATA` names), in its README.
What a recording has as power, a meter would also have counted: the register is its integral, in
the steps that such registers have.  What a recording has to twelve digits, a sensor shows in steps,
too; they are chosen so that values stand still as long as they do in the field.
"""

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ingest import classes
from ingest.model import NULL, Device, Frame

ROOT = Path(__file__).parents[1]
OURS, NREL = ROOT / "tests" / "data", ROOT / "deploy" / "data"
SHARED = Path(os.environ.get("RECORDED_DATA") or ROOT.parent / "shared" / "data")
GOLDEN = (39.74, -105.18)
HOUR_US = 3_600_000_000
# the recording's clock: docs/quality.md
EAST = timezone(timedelta(hours=-5))
RATED_W = 100_000


@dataclass(frozen=True)
class Recording:
    """Readings of one device, and which of them no one marked as faulty."""

    name: str
    device: Device
    frame: Frame
    honest: np.ndarray


class Column(NamedTuple):
    """A column of a CSV file: times [us UTC], values, and the rows that have one."""

    time_us: np.ndarray
    value: np.ndarray
    rows: list[dict[str, str]]


def column(path: Path, name: str, zone: timezone = EAST) -> Column:
    """Read the rows of a file that have a value, in the order of their times."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row[name]]
    first = next(iter(rows[0]))
    time_us = np.array([_moment(row[first], zone) for row in rows])
    return Column(time_us, np.array([float(row[name]) for row in rows]), rows)


def _moment(text: str, zone: timezone) -> int:
    form = "%m/%d/%Y %H:%M"
    at = datetime.strptime(text, form) if "/" in text else datetime.fromisoformat(text)  # noqa: DTZ007
    return round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()) * 1_000_000


def frame(class_id: str, time_us: np.ndarray, **columns: np.ndarray) -> Frame:
    """Return a frame of one device; channels that are not given are absent."""
    n = len(time_us)
    absent = {
        name: np.full(n, NULL, dtype=np.int64) if c.kind == "register" else np.full(n, np.nan)
        for name, c in classes.load()[class_id].channels.items()
    }
    none = np.zeros(n, dtype=np.int32)
    return Frame(class_id, none, time_us, none, absent | columns)


def register(time_us: np.ndarray, power_w: np.ndarray, step_wh: int) -> np.ndarray:
    """Count what a power makes, in steps. [Wh]"""
    made = np.maximum(power_w, 0)
    mean = (made[1:] + made[:-1]) / 2
    total = np.concatenate([[0.0], np.cumsum(mean * np.diff(time_us) / HOUR_US)])
    return (np.floor(total / step_wh) * step_wh).astype(np.int64)


def stepped(value: np.ndarray, step: float) -> np.ndarray:
    """Return values as a sensor shows them that has steps."""
    return np.round(value / step) * step


def kept_here() -> Iterator[Recording]:
    """Give what is in the repository."""
    for step_wh in (1, 1_000):
        yield _serf("minutes", NREL / "nrel_serf_east_1min.csv", "ac_power__752", step_wh)
        yield _serf("quarter hours", OURS / "nrel_serf_east_15min.csv", "ac_power", step_wh)
        yield from _rsf2(step_wh)
        home = OURS / "home_electricity_hourly.csv"
        yield from _meters("home", home, "kwh", step_wh)
    yield _marked("inverter 7539", "inverter_7539_outliers.csv", "outlier", 1.0)
    yield _marked("inverter 2173", "inverter_2173_stale.csv", "stale_data_mask", None)
    air = column(OURS / "air_temperature_hourly.csv", "celsius")
    yield from _air("air", air.time_us, air.value)


def shared() -> Iterator[Recording]:
    """Give what lies beside the checkout; nothing where it is missing."""
    if not SHARED.is_dir():
        return
    for step_wh in (1, 100, 1_000):
        building = SHARED / "building_electricity_hourly.csv"
        yield from _meters("building", building, "value", step_wh)
    air = column(SHARED / "building_temperature_hourly_f.csv", "tempF")
    yield from _air("air of the building", air.time_us, (air.value - 32) / 1.8)


def _serf(name: str, path: Path, value: str, step_wh: int) -> Recording:
    """A 6 kW array, whose inverter draws standby power at night."""
    time_us, power, _ = column(path, value)
    device = Device("d", "s", "pv_inverter", rated_power_w=6_000, place=GOLDEN)
    columns = {
        "energy_export_wh": register(time_us, power, step_wh),
        "energy_import_wh": register(time_us, -power, step_wh),
        "active_power_w": power,
    }
    return _whole(f"SERF, {name}, register in {step_wh} Wh", device, time_us, columns)


def _rsf2(step_wh: int) -> Iterator[Recording]:
    """One inverter with its sensors, the site's meter, and its weather."""
    path = NREL / "nrel_rsf2_inverter_15min.csv"
    time_us, power, _ = column(path, "inv2_ac_power_w__1047")
    device = Device("d", "s", "pv_inverter", rated_power_w=RATED_W, place=GOLDEN)
    for step in (0.1, 1.0):
        sensors = {
            "irradiance_w_m2": stepped(column(path, "poa_irradiance__1055").value, step),
            "module_temperature_c": stepped(column(path, "module_temp__1056").value, step),
        }
        columns = {"energy_export_wh": register(time_us, power, step_wh), "active_power_w": power}
        name = f"RSF II, sensors in {step}, register in {step_wh} Wh"
        yield _whole(name, device, time_us, columns | sensors)
    site = column(path, "ac_power_kw_1137").value * 1_000
    meter = Device("d", "s", "energy_meter", rated_power_w=210_000)
    columns = {"energy_export_wh": register(time_us, site, step_wh), "active_power_w": -site}
    yield _whole(f"RSF II, meter in {step_wh} Wh", meter, time_us, columns)
    if step_wh == 1:
        yield from _air("RSF II", time_us, column(path, "ambient_temp__1053").value)


def _meters(name: str, path: Path, value: str, step_wh: int) -> Iterator[Recording]:
    """The consumption of each hour as a meter shows it at its end, its power in steps."""
    begin_us, kwh, _ = column(path, value)
    rated = int(kwh.max() * 1_100)
    total = np.floor(np.cumsum(kwh) * 1_000 / step_wh) * step_wh
    for step in (1, 10, 100):
        columns = {
            "energy_import_wh": total.astype(np.int64),
            "active_power_w": stepped(kwh * 1_000, step),
        }
        device = Device("d", "s", "energy_meter", rated_power_w=rated)
        title = f"{name}, power in {step} W, register in {step_wh} Wh"
        yield _whole(title, device, begin_us + HOUR_US, columns)


def _air(name: str, time_us: np.ndarray, celsius: np.ndarray) -> Iterator[Recording]:
    for step in (0.1, 1.0):
        columns = {"temperature_c": stepped(celsius, step)}
        title = f"{name}, temperature in {step} degrees C"
        yield _whole(title, Device("d", "s", "air_station"), time_us, columns)


def _marked(name: str, file: str, mark: str, peak: float | None) -> Recording:
    """
    An inverter's power, with faults that someone marked.

    The data do not say where it stands: east and west by its own noon.
    """
    time_us, share, rows = column(OURS / file, "value_normalized")
    marks = np.array([row[mark].upper() == "TRUE" for row in rows])
    made = np.where(marks, 0.0, np.maximum(share, 0.0))
    noon = float(np.average(time_us / HOUR_US % 24, weights=made))
    place = GOLDEN[0], (12 - noon) * 15
    device = Device("d", "s", "pv_inverter", rated_power_w=RATED_W, place=place)
    power = share / (share.max() if peak is None else peak) * RATED_W
    read = frame("pv_inverter", time_us, active_power_w=power)
    return Recording(f"{name}, unmarked", device, read, ~marks)


def _whole(
    name: str, device: Device, time_us: np.ndarray, columns: dict[str, np.ndarray]
) -> Recording:
    read = frame(device.class_id, time_us, **columns)
    return Recording(name, device, read, np.ones(len(time_us), dtype=np.bool_))
