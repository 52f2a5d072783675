"""Commands `tonne devices show` (state, faults, remedies) and `tonne devices watch` (live data)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from statistics import median
from typing import Any

import click

from ingest import classes, profiles
from ingest.errors import RegistryError
from ingest.model import Device
from ingest.profiles import file_registers
from mrv import calendar
from mrv.calendar import zone
from services.cli.errors import Exit
from services.cli.options.common import json_option
from services.cli.options.servers import database_url
from services.cli.output.text import amount_text, print_json, table, time_text
from services.store.postgres.pool import connect
from services.store.registry.known import require
from services.store.registry.load import load_fleet
from services.store.timeseries import recent_messages as arrivals
from services.store.timeseries.recent_messages import Arrival, Refusal
from services.store.views.device_page import device_page

_POLL_S = 1.0
_FEW = 3


@click.command()
@click.argument("device")
@click.option(
    "--for", "seconds", type=click.FloatRange(0), help="End after this time; default: until Ctrl-C."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def watch(device: str, *, seconds: float | None, as_json: bool) -> None:
    """
    Show the incoming data of a device live: values with units, flags, refusals.

    Also lists channels of its profile that have not arrived.  With --for exit status 1 if nothing
    was stored.

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
    """Readings already printed, so that each is printed once."""

    def __init__(self, device: Device, *, as_json: bool) -> None:
        self._device, self._as_json = device, as_json
        self._zone = zone(device.timezone)
        self._units = {n: c.unit for n, c in classes.load()[device.class_id].channels.items()}
        profile = profiles.load()[device.class_id, device.profile]
        self._paths = {source.channel: source.path for source in profile.channels.values()}
        self._printed: set[object] = set()
        self._times: list[float] = []
        self._came: set[str] = set()
        self.count = 0

    def begin(self, before: list[Arrival]) -> None:
        """Print the device and its last reading."""
        self._printed = {one.time for one in before}
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
            if one.time not in self._printed:
                self._printed.add(one.time)
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
        """Print missing channels, and the time between readings."""
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


_WEEK, _WIDE = 7, 100
_NO_SOILING = {
    "short": "less than one year between the first and the last ratio",
    "gaps": "half of the days or more have no ratio",
    "unclear": "no clear rate of soiling",
}
_CAUSES = {
    "removed": "removed", "unknown": "not registered",
    "gateway": "no current data from its gateway",
    "refused": "its messages are rejected", "credential": "no valid credential",
    "will": "the broker lost its connection", "not commissioned": "it has not reported yet",
    "never heard": "never heard", "silence": "silent by itself",
}  # fmt: skip


@click.command()
@click.argument("device")
@json_option
def show(device: str, *, as_json: bool) -> None:
    """
    Show one device: state and cause, registers, days, flags, refused messages, credentials.

    For an unregistered device its rejected messages are shown.

    \b
    Example:
      tonne devices show inv-001
    """
    with connect(database_url(), role="tonne_mrv", name="tonne devices", autocommit=True) as conn:
        found = device_page(conn, None, device)
        if found is None:
            require(conn, "device", device)
            raise RegistryError(f"no data of {device!r} are stored")
    if as_json:
        print_json(found)
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    zone = calendar.zone(found.get("timezone", "UTC"))
    for name, value in _head(found, zone):
        if value not in (None, "", "-"):
            yield f"{name:<13} {value}"
    if found["registered"]:
        yield from _part("alarms", _alarms(found, zone))
        yield from _part("registers", _registers(found, zone))
        yield from _part("last days", _days(found))
        yield from _part("PV", _pv(found))
        yield from _part("flags of a week", _flags(found, zone))
    yield from _part("refused", _refused(found, zone))
    yield from _part("credentials", _credentials(found, zone))


def _head(found: dict[str, Any], zone: tzinfo) -> Iterator[tuple[str, Any]]:
    yield "device", found["id"]
    yield "state", found["state"] or "removed"
    if found["cause"]:
        yield "cause", _CAUSES[found["cause"]]
        yield "since", time_text(found["since"], zone) if found["since"] else None
        yield "what to do", found["what_to_do"]
        yield "runbook", found["runbook"]
    if not found["registered"]:
        return
    if found["cost_t"] is not None:
        yield "silence costs", f"{found['cost_t']:.6f} t so far, by the rule of its project"
    yield "class", f"{found['class']}, profile {found['profile']}"
    yield "site", f"{found['site']} ({found['timezone']})"
    yield "gateway", found["gateway"]
    if behind := found["behind"]["devices"]:
        yield "behind it", f"{found['behind']['online']} of {behind} devices reporting"
    yield "serial", " ".join(filter(None, (found["maker"], found["model"], found["serial"])))
    yield "commissioned", found["commissioned"] and found["commissioned"].isoformat()
    yield "last reading", time_text(found["last_reading"], zone)
    yield "clock", _clock(found)
    yield "firmware", found["firmware"]
    for one in found["projects"]:
        yield "project", f"{one['project']} as {one['role']}, until {time_text(one['to'], zone)}"
    for one in found["calibrations"]:
        of = f" ({file_registers.named(one['channel'])})" if one["channel"] else ""
        said = "test after removal" if one["last_test"] else f"valid until {one['valid_until']}"
        error = one["found_error_percent"]
        more = "" if error is None else f", found error {error} %"
        by = ", ".join(filter(None, (one["laboratory"], one["accreditation"])))
        more += f", by {by}" if by else ""
        yield "certificate", f"{one['certificate']}{of}, {said}{more}"
    yield from _pv_head(found)
    yield from found["newest"].items()


def _clock(found: dict[str, Any]) -> str | None:
    offset = found["clock_offset_s"]
    return (
        found["clock"]
        if offset is None
        else f"{found['clock'] or 'as stated by the device'}, off by {offset:+.1f} s"
    )


def _part(title: str, shown: tuple[Sequence[str], list[Sequence[object]]]) -> Iterator[str]:
    head, rows = shown
    if rows:
        yield ""
        yield f"{title}:"
        yield table(list(head), rows, empty="")


def _alarms(found: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["id"], one["severity"], f"{one['kind']} {one['part']}".rstrip(), one["state"],
         time_text(one["since"], zone), one["what_to_do"] if one["cleared"] is None else None)
        for one in found["alarms"]
    ]  # fmt: skip
    return ("number", "severity", "kind", "state", "since", "what to do"), rows


def _registers(found: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["quantity"], amount_text(one["stands_at"], one["unit"]),
         time_text(one["read"], zone), time_text(one["rose"], zone), _waiting(one))
        for one in found["registers"]
    ]  # fmt: skip
    return ("quantity", "stands at", "read", "last rose", "waits for readings"), rows


def _waiting(one: dict[str, Any]) -> str | None:
    if not one["waiting"]:
        return None
    return f"{amount_text(one['waiting_at'], one['unit'])} ({one['waiting']})"


def _days(found: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[object]]]:
    last = sorted({one["day"] for one in found["days"]})[-_WEEK:]
    rows: list[Sequence[object]] = [
        (one["day"], one["quantity"], amount_text(one["value"], one["unit"]),
         f"{one['measured_h']:.2f} h", f"{one['unknown_h']:.2f} h")
        for one in found["days"] if one["day"] in last
    ]  # fmt: skip
    return ("day", "quantity", "metered", "measured", "unknown"), rows


def _pv(found: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["day"], f"{one['energy_kwh']:.1f} kWh", _number(one["yield_h"], ".2f", " kWh/kW"),
         _share(one["performance_ratio"]) or one["no_ratio"], _share(one["performance_ratio_25"]),
         _share(one["availability"]), _number(one["expected_kwh"], ".1f", " kWh"),
         _number(one["standing_kwh"], ".1f", " kWh"), _number(one["clipped_kwh"], ".1f", " kWh"),
         _number(one["other_kwh"], ".1f", " kWh"))
        for one in (found["pv"] or {"days": []})["days"][-_WEEK:]
    ]  # fmt: skip
    names = (
        "day", "energy", "yield", "performance ratio", "at 25 C", "availability", "expected",
        "stood still", "clipped", "other loss",
    )  # fmt: skip
    return names, rows


def _pv_head(found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the lines of a PV inverter: modules, trend, comparison with neighbours."""
    pv = found["pv"]
    if pv is None:
        return
    array = pv["array"]
    if array is None or array["dc_power_w"] is None:
        yield "modules", "no dc_power_w in the registry: no performance ratio, no expected energy"
    else:
        angles = [
            _number(array["tilt"], "g", " deg tilt"),
            _number(array["azimuth"], "g", " deg azimuth"),
            _number(array["temperature_coefficient_percent"], "g", " %/K"),
        ]
        yield "modules", ", ".join([f"{array['dc_power_w'] / 1000:g} kW", *filter(None, angles)])
    if pv["against_site"] is not None:
        yield "in its plant", f"{pv['against_site']:+.1%} of the median inverter, last week"
    trend = pv["trend"]
    if trend is not None:
        yield (
            "year to year",
            f"{trend['percent_per_year']:+.2f} % ({trend['low']:+.2f} to {trend['high']:+.2f})",
        )

    yield "soiling", _soiling(pv["soiling"])


def _soiling(dust: dict[str, Any]) -> str:
    if dust["percent"] is None:
        return f"not determined: {_NO_SOILING.get(dust['missing'], 'not calculated yet')}"
    return (
        f"{dust['percent']:.2f} % of the energy ({dust['low']:.2f} to {dust['high']:.2f}),"
        f" {dust['intervals']} intervals between cleanings"
    )


def _share(value: float | None) -> str | None:
    return None if value is None else f"{value:.1%}"


def _number(value: float | None, form: str, unit: str) -> str | None:
    return None if value is None else f"{value:{form}}{unit}"


def _flags(found: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["channel"], one["test"], one["readings"], time_text(one["last"], zone))
        for one in found["flags"]
    ]
    return ("channel", "test", "readings", "last"), rows


def _refused(found: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["id"], time_text(one["received"], zone), one["reason"],
         f"{one['topic']}: {one['detail']}"[:_WIDE])
        for one in found["refused"]
    ]  # fmt: skip
    return ("number", "received", "reason", "topic and detail"), rows


def _credentials(
    found: dict[str, Any], zone: tzinfo
) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (one["kind"], one["serial"], time_text(one["issued"], zone),
         time_text(one["expires"], zone), time_text(one["revoked"], zone), one["reason"])
        for one in found["credentials"]
    ]  # fmt: skip
    return ("kind", "serial", "issued", "expires", "revoked", "why"), rows
