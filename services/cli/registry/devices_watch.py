"""`tonne devices watch`: the commissioning check, live."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

import click

from ingest import classes, profiles
from ingest.errors import RegistryError
from ingest.model import Device
from mrv.calendar import zone
from services.cli.errors import Exit
from services.cli.options.servers import database_url
from services.cli.output.text import time_text
from services.store.postgres.pool import connect
from services.store.registry.load import load_fleet
from services.store.timeseries import recent_messages as arrivals
from services.store.timeseries.recent_messages import Arrival, Refusal

_POLL_S = 1.0
_FEW = 3


@click.command()
@click.argument("device")
@click.option(
    "--for", "seconds", type=click.FloatRange(0), help="End after this time; default: until Ctrl-C."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def watch(device: str, *, seconds: float | None, as_json: bool) -> None:
    """
    Show the incoming data of a device live: values with units, flags, refusals.

    Tells what its profile knows and has not come.  With --for it ends with 1 where
    nothing was stored.

    \b
    Example:
      tonne devices watch inv-001
      tonne devices watch inv-001 --for 60
    """
    with connect(database_url(), name="tonne devices", autocommit=True) as conn:
        fleet = load_fleet(conn)
        if device not in fleet.by_id:
            raise RegistryError(
                f"{device!r} is not registered; see `tonne devices unknown`, or"
                " `tonne registry import` it"
            )
        registered = fleet.devices[fleet.by_id[device]]
        output = _SeenReadings(registered, as_json=as_json)
        after = arrivals.last_letter(conn)
        output.begin(arrivals.newest(conn, registered))
        end_s = None if seconds is None else time.monotonic() + seconds
        while end_s is None or time.monotonic() < end_s:
            output.readings(arrivals.newest(conn, registered))
            for refusal in arrivals.refusals(conn, device, after):
                after = refusal.id
                output.refusal(refusal)
            time.sleep(_POLL_S)
    output.end()
    if not output.count:
        click.get_current_context().exit(Exit.FALSE)


class _SeenReadings:
    """What was shown already, so that each reading is shown once."""

    def __init__(self, device: Device, *, as_json: bool) -> None:
        self._device, self._as_json = device, as_json
        self._zone = zone(device.timezone)
        self._units = {n: c.unit for n, c in classes.load()[device.class_id].channels.items()}
        profile = profiles.load()[device.class_id, device.profile]
        self._paths = {source.channel: source.path for source in profile.channels.values()}
        self._told: set[object] = set()
        self._times: list[float] = []
        self._came: set[str] = set()
        self.count = 0

    def begin(self, before: list[Arrival]) -> None:
        """Print the device, and its last reading."""
        self._told = {one.time for one in before}
        device = self._device
        if self._as_json:
            when = before[-1].time.isoformat() if before else None
            click.echo(json.dumps({"watching": device.id, "last_reading": when}))
            return
        gateway = f" behind {device.gateway}" if device.gateway else ""
        last = time_text(before[-1].time, self._zone) if before else None
        heard = f"last reading {last}" if last else "never heard"
        click.echo(f"{device.id}: {device.class_id}, profile {device.profile}{gateway}; {heard}")

    def readings(self, found: list[Arrival]) -> None:
        """Print new readings."""
        for one in found:
            if one.time not in self._told:
                self._told.add(one.time)
                self.count += 1
                self._reading(one)

    def _reading(self, arrival: Arrival) -> None:
        self._times.append(arrival.time.timestamp())
        self._came |= arrival.values.keys()
        if self._as_json:
            line: dict[str, Any] = {
                "time": arrival.time.isoformat(),
                "values": arrival.values,
                "units": {n: self._units[n] for n in arrival.values},
                "flags": arrival.flags,
                "missing": self._missing(),
            }
            click.echo(json.dumps(line))
            return
        age = time.time() - arrival.time.timestamp()
        click.echo(f"{time_text(arrival.time, self._zone)}  {age:.0f} s ago")
        for name, value in arrival.values.items():
            flags = f"   ! {', '.join(arrival.flags[name])}" if name in arrival.flags else ""
            number = f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
            click.echo(f"    {name:<26} {number:>18} {self._units[name]:<6}{flags}")
        rest = {n: f for n, f in arrival.flags.items() if n not in arrival.values}
        for name, tests in rest.items():
            click.echo(f"    {name:<26} {'-':>18} {'':<6}   ! {', '.join(tests)}")

    def refusal(self, one: Refusal) -> None:
        """Print a rejected message."""
        if self._as_json:
            line = {"refused": one.reason, "detail": one.detail, "dead_letter": one.id}
            click.echo(json.dumps(line))
            return
        click.echo(f"{time_text(one.received, self._zone)}  REJECTED {one.reason}: {one.detail}")

    def _missing(self) -> list[str]:
        return sorted(self._paths[n] for n in self._paths if n not in self._came)

    def end(self) -> None:
        """Print missing channels, and the cadence of readings."""
        if self._as_json:
            return
        if not self.count:
            click.echo(
                "no data were stored meanwhile; check that the device is on, and that "
                "its topic has its name"
            )
            return
        missing = self._missing()
        click.echo(f"{self.count} readings; not seen: {', '.join(missing) or 'nothing'}")
        gaps = [b - a for a, b in zip(self._times, self._times[1:], strict=False) if b > a]
        if len(gaps) >= _FEW:
            click.echo(
                f"every {median(gaps):.0f} s; enter it in the registry if wanted: attributes: "
                f"{{cadence_s: {median(gaps):.0f}}}"
            )
