"""
Recorded power data as columns, and as messages of a field device.

By default the power column is the one with `ac_power` in its name, an inverter's before a whole
site's; its unit is the suffix `_w` or `_kw` (W without suffix). Irradiance, module temperature and
the same inverter's DC power are read where present.

The simulated meter integrates power by the trapezoidal rule into whole Wh.  Positive power counts
as export, negative power (standby at night) as import.  A gap in the recording is bridged by a
straight line.
"""

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from services.simulator import Block, Device, Register, SimulatorError

# Recordings whose times carry no offset, by a column of theirs.  NREL's stands in Colorado, and
# its clock in the east: by Denver's its sun would stand highest at two, and shine after dusk.
KNOWN_ZONES = {"inv2_ac_power_w__1047": "America/New_York"}
_WATTS = {"w": 1.0, "kw": 1e3}
_FORMS = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")
RISING = "energy_export_kwh"


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded times [ms since 1970 UTC], power [W], gauges by channel name, and source."""

    time_ms: list[int]
    power_w: list[float]
    gauges: dict[str, list[float]]
    column: str
    unit: str


def read_recording(
    path: Path,
    *,
    column: str | None = None,
    unit: str | None = None,
    time_column: str | None = None,
    timezone: str | None = None,
) -> Recording:
    """
    Return the recording in a CSV file of power data; rows without power are omitted.

    `column`, `unit`, `time_column`, `timezone`: power column, `W` or `kW`, column of the times (the
    first), time zone of times without offset; taken from the header where not given.
    Raises SimulatorError, naming the file, and the line or column that cannot be used.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    if len(lines) < 3:  # noqa: PLR2004
        raise SimulatorError(f"{path} has no data; it needs a header and at least two rows")
    header, rows = lines[0], lines[1:]
    power = column or _power_column(path, header)
    watts = _WATTS[(unit or _unit(power)).lower()]
    at = _position(path, header, power)
    kept = [(number, row) for number, row in enumerate(rows, 2) if _given(row, at)]
    when = 0 if time_column is None else _position(path, header, time_column)
    return Recording(
        time_ms=_times(path, kept, when, _zone(path, header, timezone)),
        power_w=[_number(path, line, row[at]) * watts for line, row in kept],
        gauges={
            channel: [_number(path, line, row[k]) * scale for line, row in kept]
            for channel, k, scale in _companions(header, power)
            if all(_given(row, k) for _, row in kept)
        },
        column=power,
        unit="kW" if watts == _WATTS["kw"] else "W",
    )


def _given(row: Sequence[str], at: int) -> bool:
    return len(row) > at and row[at].strip().lower() not in {"", "nan", "null"}


def _power_column(path: Path, header: Sequence[str]) -> str:
    names = [name for name in header if "ac_power" in name]
    if not names:
        raise SimulatorError(f"{path} names no column ac_power; use --column, of {header}")
    return next((name for name in names if name.startswith("inv")), names[0])


def _unit(column: str) -> str:
    named = re.search(r"_power_(k?w)(_|$)", column)
    return named[1] if named else "w"


def _position(path: Path, header: Sequence[str], column: str) -> int:
    if column not in header:
        raise SimulatorError(f"{path} has no column {column!r}; it has {', '.join(header)}")
    return list(header).index(column)


def _companions(header: Sequence[str], power: str) -> list[tuple[str, int, float]]:
    """Return (channel, column, factor) of other recorded quantities of the same PV array."""
    inverter = power.partition("_")[0]
    wanted = [
        ("irradiance_w_m2", r"poa_irradiance(__\d+)?$", 1.0),
        ("module_temperature_c", r"module_temp(__\d+)?$", 1.0),
        ("dc_power_kw", rf"{re.escape(inverter)}_dc_power(__\d+)?$", 1e-3),
    ]
    return [
        (channel, k, scale)
        for channel, pattern, scale in wanted
        for k, name in enumerate(header)
        if re.match(pattern, name)
    ]


def _zone(path: Path, header: Sequence[str], given: str | None) -> tzinfo | None:
    name = given or next((zone for mark, zone in KNOWN_ZONES.items() if mark in header), None)
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SimulatorError(
            f"{path}: time zone {name!r} is unknown; write it like America/Denver"
        ) from error


def _times(
    path: Path, rows: Sequence[tuple[int, list[str]]], at: int, zone: tzinfo | None
) -> list[int]:
    times: list[int] = []
    for line, row in rows:
        moment = _moment(path, line, row[at], zone)
        # The hour that comes twice in autumn is written the same twice: take the later one.
        if times and _ms(moment) <= times[-1]:
            moment = moment.replace(fold=1)
        if times and _ms(moment) <= times[-1]:
            raise SimulatorError(
                f"{path} line {line}: {row[at]!r} is not later than the row before; sort the "
                "rows by time"
            )
        times.append(_ms(moment))
    return times


def _ms(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1_000)


def _moment(path: Path, line: int, text: str, zone: tzinfo | None) -> datetime:
    moment = None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        for form in _FORMS:
            try:
                moment = datetime.strptime(text, form)  # noqa: DTZ007  # its zone comes below
                break
            except ValueError:
                continue
    if moment is None:
        raise SimulatorError(f"{path} line {line}: {text!r} is not a time; write 2022-01-02 00:15")
    if moment.tzinfo is None and zone is None:
        raise SimulatorError(
            f"{path} line {line}: {text!r} has no offset; use --timezone, such as America/Denver"
        )
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SimulatorError(
            f"{path} line {line}: {text!r} is not a finite number; correct the file"
        )
    return value


class Replayed:
    """
    PV device that repeats a recording.

    `start_ms`: time of the first row; the recorded one by default. [ms]
    `duration_ms`: duration of the rows used; all by default. [ms]
    Raises SimulatorError when no row is left.
    """

    def __init__(
        self,
        recording: Recording,
        device_id: str,
        start_ms: int | None = None,
        duration_ms: int | None = None,
    ) -> None:
        times = np.array(recording.time_ms, dtype=np.int64)
        times += 0 if start_ms is None else start_ms - times[0]
        self._rows = len(times)
        if duration_ms is not None:
            self._rows = int(np.searchsorted(times, times[0] + duration_ms))
        if not self._rows:
            raise SimulatorError(
                "the duration is shorter than the first interval; use a longer --duration"
            )
        self._times, self._recording = times[: self._rows], recording
        peak_w = round(max(recording.power_w))
        step_ms = min((b - a for a, b in pairwise(recording.time_ms)), default=60_000)
        cadence_s = max(step_ms // 1_000, 1)
        self.device = Device(device_id, "pv_inverter", device_id, 0.0, 0.0, peak_w, cadence_s)

    @property
    def span_ms(self) -> tuple[int, int]:
        """Return the first time, and the millisecond after the last."""
        return int(self._times[0]), int(self._times[-1]) + 1

    def blocks(self) -> Iterator[Block]:
        """Yield the recording as one block; registers start at 0."""
        power_mw = np.array(
            [round(power * 1_000) for power in self._recording.power_w[: self._rows]],
            dtype=np.int64,
        )
        yield Block(
            time_ms=self._times,
            number=np.arange(1, self._rows + 1, dtype=np.int64),
            registers={
                RISING: Register(0).advance(self._times, power_mw),
                "energy_import_kwh": Register(0).advance(self._times, -power_mw),
            },
            gauges={
                "active_power_kw": power_mw / 1e6,
                **{
                    channel: np.round(np.array(values[: self._rows]), 4)
                    for channel, values in self._recording.gauges.items()
                },
            },
        )
