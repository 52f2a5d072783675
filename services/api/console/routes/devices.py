"""
Device page (faults, today's and recent data, remedies), and alarm pages.

Alarm pages show current alarms by severity, and one with history, acknowledgement and comments.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from psycopg import Connection
from starlette.responses import RedirectResponse, Response

from ingest import classes
from mrv.calendar import local_date, period_us
from mrv.report.blocks import unit_for
from services.api.answers import ProblemError
from services.api.console.charts import (
    QUARTER_US,
    Amount,
    apart,
    cumulative_chart,
    day_chart,
    days_chart,
    hours_chart,
    hours_title,
)
from services.api.console.render import (
    Language,
    View,
    language_of,
    refuse_foreign,
    render,
    signed_in,
)
from services.api.console.routes.overview import MAX_ALARMS, loss_causes, recalled
from services.api.console.translations import Words
from services.api.principals import refuse
from services.api.request_context import RequestContext
from services.api.routes.administration import AlarmId
from services.api.routes.registry import Form, IdPath, reading_file, unknown
from services.clock import now_us
from services.store import alarm_contacts
from services.store.timeseries.queries import quantities
from services.store.views import alarms as stored
from services.store.views import device_page as health
from services.store.views import listing
from services.store.views.coverage import added
from services.store.views.device_page import device_hours, device_page
from services.store.views.parks import of_device

router = APIRouter(include_in_schema=False)
# Grafana board by device class; other classes share the board `works`
BOARDS = {
    "pv_inverter": "pv", "wind_turbine": "wind", "ev_charger": "ev", "vehicle": "ev",
    "air_station": "air", "noise_station": "air", "wastewater_plant": "water",
    "water_station": "water",
    **dict.fromkeys(
        ("energy_meter", "chiller", "pump", "furnace", "lamp_controller", "weighbridge",
         "recycling_line"), "factories",
    ),
}  # fmt: skip


# number of days in the charts of money
_MONEY_DAYS = 35
DAY_US = 86_400_000_000


@router.get("/devices/{device}")
def lead_to_device(request: Request, device: IdPath) -> Response:
    """Redirect from a dashboard to the device's page in the browser's language."""
    address = f"/console/{language_of(request)}/devices/{device}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/projects/{project}")
def lead_to_project(request: Request, project: IdPath) -> Response:
    """Redirect from a dashboard to the project's page in the browser's language."""
    address = f"/console/{language_of(request)}/projects/{project}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/devices/{device}")
def page(ask: View, language: Language, device: IdPath) -> Response:
    """Return the page of a device, also of one known only by its rejected messages."""
    signed_in(ask, "a device")
    with ask.reading() as conn:
        result = device_page(conn, ask.who.projects, device)
        today = datetime.now(UTC).date()
        begin = today - timedelta(days=_MONEY_DAYS)
        money = of_device(conn, device, begin, today) if result and result["registered"] else []
        if result and result["registered"]:
            result["hours"] = device_hours(conn, device, result["timezone"])
    if result is None:
        raise unknown("device", device)
    channels = classes.load()[result["class"]].channels.values() if result["registered"] else ()
    return render(
        ask,
        language,
        "device.html",
        page=result,
        money=money,
        board=_board(ask.request.app.state.grafana, result),
        main=_quantities(result.get("registers", []), result.get("days", [])),
        counts={channel.name: channel.quantity for channel in channels},
        units={channel.name: channel.unit for channel in channels},
        charts=_charts(result, Words(language)) if result["registered"] else {},
        expected=_expected(result, Words(language)),
        apart=_apart(result, Words(language)),
        made=_made(result, Words(language)),
    )


@router.get("/console/{language}/devices/{device}/readings.{form}")
def readings(ask: View, language: Language, device: IdPath, form: Form) -> Response:
    """Return the 15-minute intervals of the weeks on a device's page, as a file."""
    del language
    signed_in(ask, "readings")
    end_us = now_us()
    with ask.reading() as conn:
        if listing.device(conn, ask.who.projects, device) is None:
            raise unknown("device", device)
        rows = quantities(conn, device, end_us - _MONEY_DAYS * DAY_US, end_us)
    return reading_file(device, f"{datetime.now(UTC):%Y-%m-%d}", rows, form)


def _charts(result: dict[str, Any], t: Words) -> dict[str, dict[str, Any]]:
    """Return by quantity the charts and sums of today and of the last weeks."""
    charts: dict[str, dict[str, Any]] = {}
    today = local_date(now_us(), result["timezone"])
    for name in _quantities([], result["days"]):
        title = t.or_as_is(f"quantity.{name}", name)
        days = [day for day in result["days"] if day["quantity"] == name]
        quarters = [row for row in result["today"] if row["quantity"] == name]
        by_day = {
            day["day"]: Amount(day["value"], *_times_us(day["measured_h"], day["unknown_h"]))
            for day in days
        }
        charts[name] = {
            **dict.fromkeys(("hours", "most", "today", "so_far")),
            "days": days_chart(by_day, today, days[0]["unit"], title, t),
            "sum": t.amount(sum(day["value"] for day in days), days[0]["unit"]),
            "lacking": _lacking(by_day, today, t),
        }
        hours = [row for row in result["hours"] if row["quantity"] == name]
        if hours:
            cells, unit = _cells(hours, days[0]["unit"], t)
            of = f"{result['id']}-{name}-hours"
            charts[name] |= {
                "hours": hours_chart(
                    cells, _days(hours, today), unit, (t("device.hours"), title), t, of
                ),
                "most": hours_title(cells, t),
            }
        if quarters:
            unit = quarters[0]["unit"]
            charts[name]["so_far"] = t.amount(sum(row["value"] for row in quarters), unit)
        if any(quarter["value"] for quarter in quarters):
            amounts = {
                int(quarter["start"].timestamp()) * 1_000_000: Amount(
                    quarter["value"], QUARTER_US, 0, 0
                )
                for quarter in quarters
            }
            edges = period_us(today, today + timedelta(days=1), result["timezone"])
            end = max(amounts) + QUARTER_US
            charts[name]["today"] = day_chart(
                amounts, edges, end, result["timezone"], unit, title, t
            )
    return charts


def _lacking(days: dict[date, Amount], today: date, t: Words) -> str | None:
    """Return a text with the number of past days with incomplete data; None without any."""
    count = (today - min(days)).days
    lacking = count - sum(day < today and not of.unknown_us for day, of in days.items())
    return t("coverage.lacking", count=lacking, all=count) if lacking else None


def _cells(
    hours: list[dict[str, Any]], base: str, t: Words
) -> tuple[list[tuple[datetime, Fraction]], str]:
    """Return (local hour, value) of each hour, in a unit that fits the largest, and this unit."""
    unit, size = unit_for(base, Fraction(max(abs(hour["value"]) for hour in hours)), t.number)
    return [(hour["hour"], Fraction(hour["value"], size)) for hour in hours], unit


def _days(hours: list[dict[str, Any]], today: date) -> list[date]:
    first = min(hour["hour"] for hour in hours).date()
    return [first + timedelta(days=k) for k in range((today - first).days + 1)]


def _apart(result: dict[str, Any], t: Words) -> str | None:
    """Return a text: an inverter's energy less that expected from irradiance; None if unknown."""
    known = result["pv"]["days"] if result.get("pv") else []
    pairs = [
        (Decimal(str(day["energy_kwh"])), Decimal(str(day["expected_kwh"])))
        for day in known
        if day["energy_kwh"] is not None and day["expected_kwh"]
    ]
    return apart(pairs, lambda kwh: t.amount(kwh * 1000, "Wh"), t)


def _expected(result: dict[str, Any], t: Words) -> Markup | None:
    """
    Return the chart of an inverter's energy and that expected from irradiance.

    None without an expectation.
    """
    known = result["pv"]["days"] if result.get("pv") else []
    rows = [
        (
            str(item["day"].day),
            t.day(item["day"]),
            _kwh(item["energy_kwh"]),
            _kwh(item["expected_kwh"]),
        )
        for item in known
        if item["expected_kwh"] is not None
    ]
    return cumulative_chart(rows, "kWh", t("measured"), t, f"{result['id']}-expected")


def _kwh(value: float | None) -> Fraction | None:
    return None if value is None else Fraction(value)


def _times_us(measured_h: float, unknown_h: float) -> tuple[int, int, int]:
    return round(measured_h * 3.6e9), 0, round(unknown_h * 3.6e9)


def _made(result: dict[str, Any], t: Words) -> str | None:
    """Return the total of the device's first quantity in the displayed weeks, as text, or None."""
    days = result.get("days")
    if not days:
        return None
    name = _quantities([], days)[0]
    own = [day for day in days if day["quantity"] == name]
    amount = t.amount(sum(row["value"] for row in own), own[0]["unit"])
    title = t.or_as_is(f"quantity.{name}", name)
    return t(
        "device.made", amount=amount, quantity=title, period=t.days(own[0]["day"], own[-1]["day"])
    )


def _board(grafana: str | None, result: dict[str, Any]) -> str | None:
    """Return the URL of a device's Grafana board; None without Grafana."""
    if grafana is None or not result["registered"]:
        return None
    name = BOARDS.get(result["class"], "works")
    return f"{grafana}/d/tonne-{name}/{name}?var-device={result['id']}&var-site={result['site']}"


def _quantities(registers: list[dict[str, Any]], days: list[dict[str, Any]]) -> list[str]:
    """Return the sorted quantities that have a register or daily values."""
    return sorted({row["quantity"] for row in [*registers, *days]})


_ROLE = "operator"
_FIELDS, _ELSEWHERE = 4, 303
_DAYS_FROM_H = 48


@router.get("/alarms/{alarm}")
def lead_to_alarm(request: Request, alarm: AlarmId) -> Response:
    """Redirect from a dashboard to the alarm's page in the browser's language."""
    address = f"/console/{language_of(request)}/alarms/{alarm}"
    return RedirectResponse(address, 303, {"Vary": "Accept-Language"})


@router.get("/console/{language}/alarms")
def alarm_page(
    ask: View, language: Language, state: Annotated[Literal["now", "all"], Query()] = "now"
) -> Response:
    """Return the page of alarms that are not cleared, or of the newest ones."""
    signed_in(ask, "alarms")
    with ask.reading() as conn:
        standing, count = stored.standing(conn, ask.who.projects, MAX_ALARMS)
        result = standing
        if state == "all":
            result = stored.listed(conn, ask.who.projects, MAX_ALARMS, states=None)
        waiting = health.not_commissioned(conn, ask.who.projects)
        # contacts and silences concern the whole city
        whole = ask.who.projects is None
        contacts = alarm_contacts.contacts(conn) if whole else []
        silences = alarm_contacts.silences(conn) if whole else []
    t = Words(language)
    faults = loss_causes(ask, recalled(ask), t, standing)
    groups = [fault.group for fault in faults if fault.group is not None]
    return render(
        ask, language, "alarms.html", alarm_list=result, count=count, every=state == "all",
        waiting=waiting, faults=faults, groups=groups, lasted=lambda group: _lasted(group, t),
        a_day=added(group.cost_t_per_day for group in groups),
        short=added(fault.lost_t for fault in faults if fault.group is None),
        contacts=contacts, silences=silences,
        on_duty=[contact for contact in contacts if contact.on_duty],
    )  # fmt: skip


def _lasted(group: stored.Group, t: Words) -> str:
    """Return how long a cause has lasted."""
    hours = int((datetime.now(UTC) - group.since).total_seconds() // 3600)
    if hours < _DAYS_FROM_H:
        return t("lasted.hours", count=t.number(hours))
    return t("lasted.days", count=t.number(hours // 24))


@router.get("/console/{language}/alarms/{alarm}")
def alarm_detail(ask: View, language: Language, alarm: AlarmId) -> Response:
    """Return the page of an alarm with its history."""
    signed_in(ask, "an alarm")
    with ask.reading() as conn:
        result = stored.by_id(conn, ask.who.projects, alarm)
    if result is None:
        raise ProblemError(
            404, f"there is no alarm {alarm} that you may see; choose one in the list of alarms"
        )
    return render(ask, language, "alarm.html", alarm=result, may=ask.who.role == _ROLE)


async def _form_text(request: Request) -> str:
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError:
        raise ProblemError(422, "the form cannot be read; send its text in UTF-8") from None
    return fields.get("text", [""])[0]


Text = Annotated[str, Depends(_form_text)]


@router.post("/console/{language}/alarms/{alarm}/acknowledge")
def acknowledge(ask: View, language: Language, alarm: AlarmId, text: Text) -> Response:
    """Record the signed-in user's acknowledgement of an alarm."""
    _write(ask, alarm, text, stored.acknowledge)
    return RedirectResponse(f"/console/{language}/alarms/{alarm}", _ELSEWHERE)


@router.post("/console/{language}/alarms/{alarm}/comment")
def comment(ask: View, language: Language, alarm: AlarmId, text: Text) -> Response:
    """Add a comment of the signed-in user to an alarm."""
    _write(ask, alarm, text, stored.comment)
    return RedirectResponse(f"/console/{language}/alarms/{alarm}", _ELSEWHERE)


def _write(ask: RequestContext, alarm: int, text: str, write_event: Any) -> None:
    signed_in(ask, "an alarm")
    refuse_foreign(ask)
    if ask.who.role != _ROLE:
        with ask.reading() as conn:
            ask.noted(conn, 403)
        refuse(ask.who, (_ROLE,))

    def work(conn: Connection) -> tuple[int, Any]:
        if stored.by_id(conn, ask.who.projects, alarm) is None:
            raise ProblemError(
                404, f"there is no alarm {alarm} that you may see; choose one in the list of alarms"
            )
        write_event(conn, alarm, ask.who.name, text, ask.who.id)
        return _ELSEWHERE, {}

    ask.write(text, work)
