"""
Sender of simulated and recorded messages: publishes each message at its time.

One loop, no threads.  If there are more devices than connections, devices share them, and the first
connection receives all receipts.

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
import select
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from ingest.addresses import Tls
from services.simulator import Block, Device, EdgeNode, Outgoing, Register, SimulatorError
from services.simulator.connection import MAX_CONNECTIONS, Connection, Identities, Identity, Outbox

_AT_ONCE = 500
_POLL_S = 0.05
_TEND_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """
    Simulation speed in simulated seconds per second; 0 is as fast as the broker accepts.

    Readings delayed beyond `end_us` are sent at the end.  [us]
    """

    speed: float
    start_us: int
    end_us: int | None

    def due_s(self, message: Outgoing) -> float:
        """Return the seconds after the start at which a message is sent."""
        if not self.speed:
            return 0.0
        send_us = message.send_us if self.end_us is None else min(message.send_us, self.end_us)
        return (send_us - self.start_us) / 1e6 / self.speed


@dataclass(slots=True)
class Sent:
    """
    Numbers of sent messages and bytes.

    `transmissions` includes repetitions; `without_subscriber` counts PUBACKs without a
    subscriber, `refused` negative ones; `unreceipted` counts messages still without receipt.
    """

    messages: int = 0
    transmissions: int = 0
    receipts: int = 0
    unreceipted: int = 0
    without_subscriber: int = 0
    refused: int = 0
    connection_breaks: int = 0
    seconds: float = 0.0
    first_ts_us: int | None = None
    last_ts_us: int | None = None

    def count(self, message: Outgoing) -> None:
        """Count a message that is sent for the first time."""
        self.messages += 1
        if message.ids:
            earliest, latest = self.first_ts_us, self.last_ts_us
            self.first_ts_us = min(message.ts_us, message.ts_us if earliest is None else earliest)
            self.last_ts_us = max(message.ts_us, message.ts_us if latest is None else latest)


class Sender:
    """
    Publisher of a fleet's messages.

    `url`: MQTT broker.
    `connections`: maximum number of connections.
    `receipts`: whether to repeat messages without a receipt.
    `wait_s`: maximum waiting time at the end without another receipt. [s]
    `sparkplug`: Sparkplug group of the principals, which are then edge nodes without receipts.
    `identities`: credentials of each principal; then connections are not shared.
    `trust`: trusted certificate authority for `mqtts://` without identities.
    Raises SimulatorError when there are fewer connections than edge nodes or identities.
    """

    def __init__(
        self,
        url: str,
        fleet: Sequence[Device],
        *,
        connections: int,
        receipts: bool,
        wait_s: float,
        label: str,
        sparkplug: str | None = None,
        identities: Identities | None = None,
        trust: Tls | None = None,
    ) -> None:
        receipts = receipts and sparkplug is None
        self._outbox = Outbox(receipts=receipts)
        self._wait_s = wait_s
        self._left, self._since_s = -1, 0.0
        self._links: list[Connection] = []
        principals = list(dict.fromkeys(device.principal for device in fleet))
        if identities is not None:
            connections = max(connections, min(len(principals), MAX_CONNECTIONS))
        shared = len(principals) > connections
        if shared and identities is not None:
            raise SimulatorError(
                f"{len(principals)} principals need a connection each, and {MAX_CONNECTIONS} is the"
                " maximum: split the fleet, or leave some out by --without"
            )
        if shared and sparkplug is not None:
            raise SimulatorError(
                f"--sparkplug needs a connection an edge node, {len(principals)} of them;"
                f" --connections is {connections}"
            )
        for k, name in enumerate(principals[:connections]):
            receipts_topic = f"tonne/v1/{'+' if shared else name}/receipt"
            self._links.append(
                Connection(
                    url,
                    f"simulate-{label}-{k}" if shared else name,
                    principal=None if shared or sparkplug is not None else name,
                    receipt_topic=receipts_topic if receipts and not (shared and k) else None,
                    on_receipt=self._outbox.receipt,
                    on_published=self._outbox.published,
                    identity=Identity(trust or Tls())
                    if identities is None
                    else identities.of(name),
                    edge=None if sparkplug is None else _edge(sparkplug, name, fleet),
                )
            )
        link_of = {name: self._links[k % connections] for k, name in enumerate(principals)}
        self._link = {device.id: link_of[device.principal] for device in fleet}
        self.sent = Sent()

    def run(
        self,
        messages: Iterator[Outgoing],
        pace: Pace,
        *,
        watch: Callable[[Sent], None],
        stopped: Callable[[], bool],
    ) -> Sent:
        """
        Send all messages and return their numbers.

        `watch` is called about every second; `stopped` ends the sending early.

        Raises ServerError when the broker cannot be reached at the start, or refuses a device.
        """
        began = tended = time.monotonic()
        waiting: Outgoing | None = None
        all_taken = False
        for link in self._links:
            link.open(began)
        while True:
            now = time.monotonic()
            if not all_taken:
                waiting, ended = self._take(messages, pace, waiting, now - began)
                all_taken = ended or stopped()
            elif self._done(now):
                break
            for entry in self._outbox.overdue(now):
                self._link[entry.message.device_id].queue(entry)
            due_s = began + pace.due_s(waiting) - now if waiting else 0.0
            self._exchange(now, due_s)
            if now - tended >= _TEND_S:
                tended = now
                self._tend()
                watch(self._figures(now - began))
        for link in self._links:
            link.close()
        return self._figures(time.monotonic() - began)

    def _take(
        self, messages: Iterator[Outgoing], pace: Pace, waiting: Outgoing | None, elapsed_s: float
    ) -> tuple[Outgoing | None, bool]:
        """Queue the due messages; return the first one not yet due, and whether none is left."""
        for _ in range(_AT_ONCE):
            message = waiting or next(messages, None)
            if message is None:
                return None, True
            link = self._link[message.device_id]
            if pace.due_s(message) > elapsed_s or self._outbox.full or not link.has_room:
                return message, False
            waiting = None
            link.queue(self._outbox.keep(message))
            self.sent.count(message)
        return None, False

    def _exchange(self, now_s: float, due_s: float) -> None:
        """Read and write as far as the sockets allow; wait if there is nothing to do."""
        for link in self._links:
            link.write()
        links = ((link.descriptor, link) for link in self._links)
        open_links = {number: link for number, link in links if number is not None}
        writers = [number for number, link in open_links.items() if link.wants_write]
        if not open_links:
            time.sleep(_POLL_S)
        else:
            readable, _, _ = select.select(list(open_links), writers, [], self._pause(due_s))
            for number in readable:
                open_links[number].read()
        if len(open_links) < len(self._links):
            for link in self._links:
                link.open(now_s)

    def _pause(self, due_s: float) -> float:
        """Return the waiting time for the network; short while messages are unacknowledged. [s]"""
        if all(link.idle for link in self._links):
            return min(max(due_s, _POLL_S), _TEND_S)
        return _POLL_S / 10

    def _tend(self) -> None:
        for link in self._links:
            link.tend()

    def _done(self, now_s: float) -> bool:
        """Return whether all messages are acknowledged and receipted, or the last wait is over."""
        left = self._outbox.readings or sum(link.pending for link in self._links)
        if left != self._left:
            self._left, self._since_s = left, now_s
        return not left or now_s - self._since_s > self._wait_s

    def _figures(self, seconds: float) -> Sent:
        links = self._links
        self.sent.transmissions = sum(link.sent for link in links)
        self.sent.without_subscriber = sum(link.without_subscriber for link in links)
        self.sent.refused = sum(link.refused for link in links)
        self.sent.connection_breaks = sum(link.breaks for link in links)
        self.sent.receipts = self._outbox.received
        self.sent.unreceipted = len(self._outbox)
        self.sent.seconds = seconds
        return self.sent


def _edge(group: str, name: str, fleet: Sequence[Device]) -> EdgeNode:
    return EdgeNode(group, name, [device for device in fleet if device.principal == name])


# time zones of recordings whose times have no offset, by a column name.  NREL's system is in
# Colorado, with a clock in eastern time: in Denver's time its sun would be highest at 14 h and
# shine after dusk.
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
        # the hour that occurs twice in autumn is written the same twice: take the later one
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
