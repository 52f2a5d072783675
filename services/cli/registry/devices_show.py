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
from ingest.errors import RegistryError, did_you_mean
from ingest.model import Device
from mrv import calendar
from mrv.calendar import zone
from services.cli import json_option
from services.cli.output import Exit, amount_text, print_json, table, time_text
from services.cli.server_options import database_url
from services.store.postgres.pool import connect
from services.store.registry import names, require
from services.store.registry.load import load_fleet
from services.store.timeseries import queries as arrivals
from services.store.timeseries.queries import Arrival, Refusal
from services.store.views.device_page import device_page

_POLL_S = 1.0
_FEW = 3


@click.command()
@click.argument("device")
@click.option(
    "--for",
    "seconds",
    type=click.FloatRange(0),
    help="End after this number of seconds; default: until Ctrl-C.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def watch(device: str, *, seconds: float | None, as_json: bool) -> None:
    """
    Show the incoming data of a device live: values with units, flags, rejections.

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
        output = _ReadingPrinter(registered, as_json=as_json)
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


class _ReadingPrinter:
    """Prints each new reading of a device once."""

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
        self._printed = {reading.time for reading in before}
        device = self._device
        if self._as_json:
            when = before[-1].time.isoformat() if before else None
            click.echo(json.dumps({"watching": device.id, "last_reading": when}))
            return
        gateway = f" behind {device.gateway}" if device.gateway else ""
        last = time_text(before[-1].time, self._zone) if before else None
        contact = f"last reading {last}" if last else "never heard"
        click.echo(f"{device.id}: {device.class_id}, profile {device.profile}{gateway}; {contact}")

    def readings(self, arrivals: list[Arrival]) -> None:
        """Print new readings."""
        for reading in arrivals:
            if reading.time not in self._printed:
                self._printed.add(reading.time)
                self.count += 1
                self._reading(reading)

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

    def refusal(self, refused: Refusal) -> None:
        """Print a rejected message."""
        if self._as_json:
            line = {"refused": refused.reason, "detail": refused.detail, "dead_letter": refused.id}
            click.echo(json.dumps(line))
            return
        click.echo(
            f"{time_text(refused.received, self._zone)}  REJECTED {refused.reason}: "
            f"{refused.detail}"
        )

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
    "will": "the broker lost its connection",
    "not commissioned": "no reading has arrived on time yet",
    "never heard": "no data yet", "silence": "no data from the device itself",
}  # fmt: skip


@click.command()
@click.argument("device")
@json_option
def show(device: str, *, as_json: bool) -> None:
    """
    Show one device: state and cause, registers, days, flags, rejected messages, credentials.

    For an unregistered device its rejected messages are shown.

    \b
    Example:
      tonne devices show inv-001
    """
    with connect(database_url(), role="tonne_mrv", name="tonne devices", autocommit=True) as conn:
        page = device_page(conn, None, device)
        if page is None:
            require(conn, "device", device)
            raise RegistryError(
                f"no data of {device!r} are stored; check its id, or wait for its first reading"
            )
        similar = "" if page["registered"] else did_you_mean(device, names(conn, "device"))
    if as_json:
        print_json(page)
        return
    for line in _lines(page):
        click.echo(line)
    if similar:
        click.echo(
            f"\n{device} is not registered; {similar} Then correct the id where the device"
            " or its gateway is configured."
        )


def _lines(page: dict[str, Any]) -> Iterator[str]:
    zone = calendar.zone(page.get("timezone", "UTC"))
    for name, value in _head(page, zone):
        if value not in (None, "", "-"):
            yield f"{name:<13} {value}"
    if page["registered"]:
        yield from _part("alarms", _alarms(page, zone))
        yield from _part("registers", _registers(page, zone))
        yield from _part("last days", _days(page))
        yield from _part("PV", _pv(page))
        yield from _part("flags of a week", _flags(page, zone))
    yield from _part("refused", _refused(page, zone))
    yield from _part("credentials", _credentials(page, zone))


def _head(page: dict[str, Any], zone: tzinfo) -> Iterator[tuple[str, Any]]:
    yield "device", page["id"]
    yield "state", page["state"] or "removed"
    if page["cause"]:
        yield "cause", _CAUSES[page["cause"]]
        yield "since", time_text(page["since"], zone) if page["since"] else None
        yield "what to do", page["what_to_do"]
        yield "runbook", page["runbook"]
    if not page["registered"]:
        return
    if page["cost_t"] is not None:
        yield "silence costs", f"{page['cost_t']:.6f} t so far, by the rule of its project"
    yield "class", f"{page['class']}, profile {page['profile']}"
    yield "site", f"{page['site']} ({page['timezone']})"
    yield "gateway", page["gateway"]
    if behind := page["behind"]["devices"]:
        yield "behind it", f"{page['behind']['online']} of {behind} devices reporting"
    yield "serial", " ".join(filter(None, (page["maker"], page["model"], page["serial"])))
    yield "commissioned", page["commissioned"] and page["commissioned"].isoformat()
    yield "last reading", time_text(page["last_reading"], zone)
    yield "clock", _clock(page)
    yield "firmware", page["firmware"]
    for project in page["projects"]:
        yield (
            "project",
            f"{project['project']} as {project['role']}, until {time_text(project['to'], zone)}",
        )
    for calibration in page["calibrations"]:
        of = (
            f" ({profiles.register_name(calibration['channel'])})" if calibration["channel"] else ""
        )
        validity = (
            "test after removal"
            if calibration["last_test"]
            else f"valid until {calibration['valid_until']}"
        )
        error = calibration["found_error_percent"]
        more = "" if error is None else f", found error {error} %"
        by = ", ".join(filter(None, (calibration["laboratory"], calibration["accreditation"])))
        more += f", by {by}" if by else ""
        yield "certificate", f"{calibration['certificate']}{of}, {validity}{more}"
    yield from _pv_head(page)
    yield from page["newest"].items()


def _clock(page: dict[str, Any]) -> str | None:
    offset = page["clock_offset_s"]
    return (
        page["clock"]
        if offset is None
        else f"{page['clock'] or 'as stated by the device'}, off by {offset:+.1f} s"
    )


def _part(title: str, content: tuple[Sequence[str], list[Sequence[object]]]) -> Iterator[str]:
    head, rows = content
    if rows:
        yield ""
        yield f"{title}:"
        yield table(list(head), rows, empty="")


def _alarms(page: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (alarm["id"], alarm["severity"], f"{alarm['kind']} {alarm['part']}".rstrip(),
         alarm["state"], time_text(alarm["since"], zone),
         alarm["what_to_do"] if alarm["cleared"] is None else None)
        for alarm in page["alarms"]
    ]  # fmt: skip
    return ("number", "severity", "kind", "state", "since", "what to do"), rows


def _registers(page: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (register["quantity"], amount_text(register["stands_at"], register["unit"]),
         time_text(register["read"], zone), time_text(register["rose"], zone), _waiting(register))
        for register in page["registers"]
    ]  # fmt: skip
    return ("quantity", "stands at", "read", "last rose", "waits for readings"), rows


def _waiting(register: dict[str, Any]) -> str | None:
    if not register["waiting"]:
        return None
    return f"{amount_text(register['waiting_at'], register['unit'])} ({register['waiting']})"


def _days(page: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[object]]]:
    last = sorted({day["day"] for day in page["days"]})[-_WEEK:]
    rows: list[Sequence[object]] = [
        (day["day"], day["quantity"], amount_text(day["value"], day["unit"]),
         f"{day['measured_h']:.2f} h", f"{day['unknown_h']:.2f} h")
        for day in page["days"] if day["day"] in last
    ]  # fmt: skip
    return ("day", "quantity", "metered", "measured", "unknown"), rows


def _pv(page: dict[str, Any]) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (day["day"], f"{day['energy_kwh']:.1f} kWh", _number(day["yield_h"], ".2f", " kWh/kW"),
         _share(day["performance_ratio"]) or day["no_ratio"], _share(day["performance_ratio_25"]),
         _share(day["availability"]), _number(day["expected_kwh"], ".1f", " kWh"),
         _number(day["standing_kwh"], ".1f", " kWh"), _number(day["clipped_kwh"], ".1f", " kWh"),
         _number(day["other_kwh"], ".1f", " kWh"))
        for day in (page["pv"] or {"days": []})["days"][-_WEEK:]
    ]  # fmt: skip
    names = (
        "day", "energy", "yield", "performance ratio", "at 25 C", "availability", "expected",
        "stood still", "clipped", "other loss",
    )  # fmt: skip
    return names, rows


def _pv_head(page: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the lines of a PV inverter: modules, trend, comparison with neighbours."""
    pv = page["pv"]
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


def _flags(page: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (flag["channel"], flag["test"], flag["readings"], time_text(flag["last"], zone))
        for flag in page["flags"]
    ]
    return ("channel", "test", "readings", "last"), rows


def _refused(page: dict[str, Any], zone: tzinfo) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (letter["id"], time_text(letter["received"], zone), letter["reason"],
         f"{letter['topic']}: {letter['detail']}"[:_WIDE])
        for letter in page["refused"]
    ]  # fmt: skip
    return ("number", "received", "reason", "topic and detail"), rows


def _credentials(
    page: dict[str, Any], zone: tzinfo
) -> tuple[Sequence[str], list[Sequence[object]]]:
    rows: list[Sequence[object]] = [
        (credential["kind"], credential["serial"], time_text(credential["issued"], zone),
         time_text(credential["expires"], zone), time_text(credential["revoked"], zone),
         credential["reason"])
        for credential in page["credentials"]
    ]  # fmt: skip
    return ("kind", "serial", "issued", "expires", "revoked", "why"), rows
