"""Command `tonne simulate`: sends simulated or recorded readings over MQTT."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.status import Status

from ingest.addresses import PORTS, Tls, server_of
from services.cli import Choice
from services.cli.server_options import identity_folder
from services.clock import now_us
from services.settings import Settings
from services.simulator import SimulatorError, Source
from services.simulator.connection import Identities
from services.simulator.fleet import leave_out, read_fleet
from services.simulator.flow import DeviceTruth, fleet_sources, outgoing, parse_faults, source_truth
from services.simulator.sender import RISING, Pace, Replayed, Sender, Sent, read_recording
from services.simulator.simulated import broken, gauges_only, todays_sources

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DAY_MS = 86_400_000
NOT_SAFE = "messages have no receipt: not stored yet"
# time without any receipt after which a warning states that the pipeline may not be running [s]
_QUIET_S = 10.0


class Start(click.ParamType):
    """Command-line type of a time with offset, converted to microseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return an RFC 3339 time in microseconds since 1970."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-01-01T00:00:00Z", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset; add Z for UTC, or the local offset", param, ctx)
        return round(moment.timestamp() * 1_000) * 1_000


class Duration(click.ParamType):
    """Command-line type of a duration, converted to microseconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """Return the microseconds of `90s`, `15m`, `2h`, `1d` or a sum such as `31d15m`."""
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", value)
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
        if "".join(map("".join, parts)) != value or not seconds:
            self.fail(f"{value!r} is not a duration; write 90s, 15m, 2h, 1d or 31d15m", param, ctx)
        return round(seconds * 1_000) * 1_000


class Speed(click.ParamType):
    """Command-line type of a simulation speed, as a multiple of real time; 0 is unlimited."""

    name = "speed"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return the speed: 1 is real time, 60 is a minute per second, 0 (`max`) is unlimited."""
        if value == "max":
            return 0.0
        try:
            speed = float(value)
        except ValueError:
            speed = -1.0
        if not 0 <= speed < float("inf"):
            self.fail(f"{value!r} is not a speed; write 1, 60 or max", param, ctx)
        return speed


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of `tonne simulate`; times in microseconds."""

    fleet: Path | None
    without: tuple[str, ...]
    replay: Path | None
    device: str | None
    column: str | None
    unit: str | None
    time_column: str | None
    timezone: str | None
    start: int | None
    today: bool
    gauges_only: bool
    silent: tuple[tuple[str, int], ...]
    stuck: tuple[tuple[str, int], ...]
    duration: int | None
    speed: float
    cadence: int | None
    seed: int
    faults: str
    connections: int
    receipts: bool
    wait: int
    mqtt_url: str | None
    identities: Path | None
    sparkplug: str | None
    as_json: bool


@click.command()
@click.option(
    "--fleet",
    type=click.Path(path_type=Path),
    help="Fleet or registry file (YAML) with the devices to simulate.",
)
@click.option(
    "--without",
    multiple=True,
    metavar="ID",
    help="Omit this device of the file; repeatable. Default: none.",
)
@click.option(
    "--replay", type=click.Path(path_type=Path), help="Recorded power data (CSV) to send."
)
@click.option("--device", help="Id of the PV device that sends the recording.")
@click.option(
    "--column",
    help="Power column of the recording; default: the first with `ac_power` in its name.",
)
@click.option(
    "--unit",
    type=Choice(["W", "kW"]),
    help="Unit of that column; default: the one in its name, else W.",
)
@click.option("--time-column", help="Column with the times; default: the first.")
@click.option(
    "--timezone",
    help=(
        "Time zone of times without offset, such as America/Denver; required if the "
        "recording has such times."
    ),
)
@click.option(
    "--start",
    type=Start(),
    help=(
        "Time of the first reading; a recording is shifted to it. With --today: start of the "
        "registers."
    ),
)
@click.option(
    "--today",
    is_flag=True,
    help="First replay the time since midnight, then continue in real time.",
)
@click.option("--gauges-only", is_flag=True, help="Send power only, no registers.")
@click.option(
    "--silent",
    type=(str, Start()),
    multiple=True,
    metavar="ID TIME",
    help="Device that stops sending data at this time; repeatable. Default: none.",
)
@click.option(
    "--stuck",
    type=(str, Start()),
    multiple=True,
    metavar="ID TIME",
    help="Device whose register stops advancing at this time; repeatable. Default: none.",
)
@click.option(
    "--duration",
    type=Duration(),
    help="Length of the simulated time: 90s, 15m, 2h, 31d15m. Default: until Ctrl-C.",
)
@click.option(
    "--speed",
    type=Speed(),
    default="1",
    help="Speed as a multiple of real time; max: as fast as possible.",
)
@click.option(
    "--cadence", type=Duration(), help="Time between readings, if the device's entry gives none."
)
@click.option(
    "--seed",
    type=int,
    default=0,
    help="Seed of the random numbers: the same seed gives the same readings.",
)
@click.option(
    "--faults",
    default="",
    show_default=False,
    help="Transmission and meter faults with their share: duplicates=0.01,late,reset=1,...",
)
@click.option(
    "--connections",
    type=click.IntRange(1, 500),
    default=50,
    help="Maximum number of MQTT connections.",
)
@click.option(
    "--until-receipt/--no-receipts",
    "receipts",
    default=True,
    help="Resend until tonne confirms storage; otherwise rely on the broker alone.",
)
@click.option(
    "--wait",
    type=Duration(),
    default="60s",
    help="Maximum waiting time for further receipts at the end.",
)
@click.option("--mqtt-url", help="Broker; default: TONNE_MQTT_URL or the local one.")
@click.option(
    "--identities",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=(
        "Folder written by issue-credentials; default for mqtts://: TONNE_HOME/identity, if it "
        "exists."
    ),
)
@click.option(
    "--sparkplug",
    metavar="GROUP",
    help="Send as Sparkplug B edge nodes of this group; default: JSON messages.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def simulate(**given: Any) -> None:
    """
    Send readings to the MQTT broker like field devices, simulated or recorded.

    Simulated devices follow sunlight, traffic and working hours; without --duration they run until
    Ctrl-C.

    \b
    Example:
      tonne simulate --fleet deploy/catalog/demo-fleet.yaml --duration 1d --speed max
      tonne simulate --replay deploy/data/nrel_rsf2_inverter_15min.csv --device inv-001 --speed max
      tonne simulate --fleet fleet.yaml --faults duplicates=0.01,late,reset=1
      tonne simulate --fleet deploy/catalog/freiburg --today --cadence 15m
      tonne simulate --fleet fleet.yaml --today --stuck charger-3 2026-01-20T00:00:00+07:00
      tonne simulate --fleet deploy/catalog/freiburg --sparkplug city
      tonne simulate --fleet fleet.yaml --mqtt-url mqtts://mqtt.example.org --identities handed
    """
    options = _Options(**given)
    faults = parse_faults(options.faults)
    sources, span_ms, began_us, endless = _sources(options)
    sources = broken(sources, dict(options.silent), dict(options.stuck))
    if options.gauges_only:
        sources = gauges_only(sources)
    settings = Settings()
    url = options.mqtt_url or settings.require("mqtt_url")
    try:
        server_of(url, PORTS)
    except ValueError as error:
        raise SimulatorError(f"--mqtt-url {error}") from None
    if options.sparkplug is not None and (
        not options.sparkplug or set(options.sparkplug) & set("/+#")
    ):
        raise SimulatorError(f"--sparkplug {options.sparkplug!r}: pass a group without / + #")
    sender = Sender(
        url,
        [source.device for source in sources],
        connections=options.connections,
        receipts=options.receipts,
        wait_s=options.wait / 1e6,
        label=str(os.getpid()),
        sparkplug=options.sparkplug,
        identities=_identities(options, settings, url),
        trust=Tls(settings.mqtt_ca_file),
    )
    pace = Pace(options.speed, began_us, None if endless else span_ms[1] * 1_000)
    messages = outgoing(sources, options.seed, faults, span_ms)
    with _stop_on_signal() as stopped, _watching() as watch:
        sent = sender.run(messages, pace, watch=watch, stopped=lambda: bool(stopped))
    counted = {} if endless or stopped else source_truth(sources, options.seed, faults, span_ms)
    _report(options, sent, counted)


def _identities(options: _Options, settings: Settings, url: str) -> Identities | None:
    """
    Return the MQTT credentials of principals: given, or found for a broker with TLS.

    None without TLS, without the folder, or if the URL has a login.
    """
    if not url.startswith("mqtts://"):
        if options.identities is not None:
            raise SimulatorError(
                "--identities is only for mqtts://, where the broker requires an identity"
            )
        return None
    if options.identities is not None:
        return Identities(options.identities)
    folder = identity_folder(settings).path / "devices"
    return Identities(folder) if folder.is_dir() and not urlsplit(url).username else None


def _sources(options: _Options) -> tuple[Sequence[Source], tuple[int, int], int, bool]:
    """Return data sources, their span [ms], the start of sending [us], and whether endless."""
    if (options.fleet is None) == (options.replay is None):
        raise SimulatorError("use either --fleet FILE or --replay FILE.csv --device ID")
    if options.today and (options.fleet is None or options.speed != 1):
        raise SimulatorError(
            "--today needs --fleet, without --replay and --speed: it simulates today up to now, "
            "then continues in real time"
        )
    if options.fleet is None:
        replayed = _replayed(options)
        return [replayed], replayed.span_ms, replayed.span_ms[0] * 1_000, False
    cadence_s = options.cadence // 1_000_000 if options.cadence else None
    fleet = leave_out(read_fleet(options.fleet, cadence_s), options.without)
    duration = options.duration
    if options.today:
        now = now_us()
        sources, start_ms = todays_sources(fleet, now, duration, options.seed, options.start)
        return sources, (start_ms, (now + (duration or 0)) // 1_000), now, duration is None
    # unless sent in real time, the readings end now and not in the future
    past = duration if duration and options.speed != 1 else 0
    start = options.start if options.start is not None else now_us() - past
    sources = fleet_sources(fleet, start, duration, options.seed)
    end_ms = start // 1_000 + (duration // 1_000 if duration else _DAY_MS)
    return sources, (start // 1_000, end_ms), start // 1_000 * 1_000, duration is None


def _replayed(options: _Options) -> Replayed:
    if options.replay is None or not options.device:
        raise SimulatorError("--replay needs --device ID, the device that sends the recording")
    recording = read_recording(
        options.replay,
        column=options.column,
        unit=options.unit,
        time_column=options.time_column,
        timezone=options.timezone,
    )
    start_ms = None if options.start is None else options.start // 1_000
    duration_ms = options.duration // 1_000 if options.duration else None
    return Replayed(recording, options.device, start_ms, duration_ms)


@contextmanager
def _stop_on_signal() -> Iterator[list[int]]:
    """Yield a list of received signals, for a clean stop; a second signal kills the process."""
    caught: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _watching() -> Iterator[Callable[[Sent], None]]:
    """Yield a function that prints progress in a terminal, and a warning if no receipts arrive."""
    console = Console(stderr=True)
    warned = False
    with Status("connecting", console=console) if console.is_terminal else nullcontext() as status:

        def watch(sent: Sent) -> None:
            nonlocal warned
            if status is not None:
                status.update(_line(sent))
            if sent.unreceipted and not sent.receipts and sent.seconds > _QUIET_S and not warned:
                warned = True
                console.print(
                    "no receipt yet: check that `tonne run` is running. Without it, send "
                    "with --no-receipts",
                    style="yellow",
                )

        yield watch


def _line(sent: Sent) -> str:
    rate = sent.messages / sent.seconds if sent.seconds else 0.0
    return (
        f"{sent.messages:,} messages ({rate:,.0f}/s), {sent.transmissions:,} transmissions, "
        f"{sent.unreceipted:,} without receipt"
    )


def _report(options: _Options, sent: Sent, counted: dict[str, DeviceTruth]) -> None:
    """Print the number of messages sent, and for a replay the register's final values."""
    if options.as_json:
        devices = {name: asdict(device) for name, device in counted.items()}
        print(json.dumps(asdict(sent) | {"devices": devices}, indent=2))
        return
    print(f"sent {_line(sent)} in {sent.seconds:.1f} s")
    if sent.unreceipted:
        print(f"{sent.unreceipted:,} {NOT_SAFE}", file=sys.stderr)
    if sent.refused:
        print(f"the broker rejected {sent.refused:,} messages", file=sys.stderr)
    if options.replay is not None:
        for device in counted.values():
            register = device.registers[RISING]
            print(f"register from {register.first} Wh to {register.last} Wh")
            print(f"register rise {register.rise} Wh")
