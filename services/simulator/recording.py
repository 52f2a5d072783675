"""
Recorded power data as columns: which column, which unit, which time.

What the header tells is taken from it: the power column is the one with
`ac_power` in its name, an inverter's before a whole site's, its unit the `_w` or
`_kw` behind that (W where none is named); irradiance, module temperature and the
same inverter's DC power come along where they are.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.simulator.model import SimulatorError

# Recordings whose times carry no offset, by a column of theirs.  NREL's stands in Colorado, and
# its clock in the east: by Denver's its sun would stand highest at two, and shine after dusk.
KNOWN_ZONES = {"inv2_ac_power_w__1047": "America/New_York"}
_WATTS = {"w": 1.0, "kw": 1e3}
_FORMS = ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Recording:
    """Times [ms since 1970 UTC], power [W], gauges by channel name, and where from."""

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
    Read a CSV of power data; rows without a power are left out.

    Parameters
    ----------
    column, unit, time_column, timezone : str, optional
        Power column, `W` or `kW`, column of the times (the first), zone of times
        that carry no offset; found from the header where not given.

    Raises
    ------
    SimulatorError
        Naming the file, and the line or column that cannot be used.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    if len(lines) < 3:  # noqa: PLR2004
        raise SimulatorError(f"{path} has no data; a header and two rows are the least")
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
    found = [name for name in header if "ac_power" in name]
    if not found:
        raise SimulatorError(f"{path} names no column ac_power; give --column, of {header}")
    return next((name for name in found if name.startswith("inv")), found[0])


def _unit(column: str) -> str:
    named = re.search(r"_power_(k?w)(_|$)", column)
    return named[1] if named else "w"


def _position(path: Path, header: Sequence[str], column: str) -> int:
    if column not in header:
        raise SimulatorError(f"{path} has no column {column!r}; it has {', '.join(header)}")
    return list(header).index(column)


def _companions(header: Sequence[str], power: str) -> list[tuple[str, int, float]]:
    """Channel, column and scale of what else the recording tells of the same array."""
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
                f"{path} line {line}: {row[at]!r} is not later than the row before"
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
        raise SimulatorError(f"{path} line {line}: {text!r} is no time; write 2022-01-02 00:15")
    if moment.tzinfo is None and zone is None:
        raise SimulatorError(
            f"{path} line {line}: {text!r} has no offset; give --timezone, such as America/Denver"
        )
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)


def _number(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SimulatorError(f"{path} line {line}: {text!r} is no finite number; correct the file")
    return value
