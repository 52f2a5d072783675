"""
All data of one device's page, and the list of devices with their state.

A page has the state with cause, start, lost reduction and remedy; registers and metering; flags,
rejected messages, certificates, credentials, clock.  The page of an unregistered device has only
rejected messages and credentials.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from psycopg import Connection, sql

from ingest.classes import QUANTITIES
from services.registry.limits import kinds
from services.store.views import alarms
from services.store.views.alarms import TO_DO
from services.store.views.listing import registered

NAMES = (
    "device", "site", "class", "gateway", "state", "last_reading", "expected_s",
    "completeness_today", "clock_offset_s", "firmware", "alarm", "credential_until",
)  # fmt: skip
_QUERY = (
    "SELECT h.device_id, h.site, h.class, h.gateway, h.state, h.last_reading, h.expected_s,"
    " h.completeness_today, coalesce(p.clock_ahead_s, h.clock_offset_s), h.firmware, h.alarm,"
    " c.until FROM v_device_health h LEFT JOIN principal_status p ON p.principal = h.device_id"
    " LEFT JOIN (SELECT principal, max(expires) AS until FROM credential"
    " WHERE revoked IS NULL GROUP BY principal) c ON c.principal = h.device_id"
    " WHERE (%(state)s::text IS NULL OR h.state = %(state)s)"
    " AND (%(site)s::text IS NULL OR h.site = %(site)s)"
    " AND (%(gateway)s::text IS NULL OR %(gateway)s IN (h.gateway, h.device_id))"
    " AND (NOT %(alarm)s OR h.alarm) ORDER BY h.device_id"
)


def devices(
    conn: Connection,
    *,
    state: str | None = None,
    site: str | None = None,
    gateway: str | None = None,
    alarm: bool = False,
) -> list[dict[str, Any]]:
    """
    Return devices by id, as mappings with the keys `NAMES`.
    `alarm`: only devices whose state is to be alarmed.  The clock offset that a gateway reports
    takes precedence over that of its readings, as it corrects their times.
    """
    arguments = {"state": state, "site": site, "gateway": gateway, "alarm": alarm}
    return [
        dict(zip(NAMES, row, strict=True)) for row in conn.execute(_QUERY, arguments).fetchall()
    ]


class NotCommissioned(NamedTuple):
    """
    Device from which no data are expected yet.
    `stored`: time of its newest reading, from a file of earlier days.  `commissioned`: a future
    day.
    """

    device: str
    site: str
    class_id: str
    project: str | None
    stored: datetime | None
    commissioned: date | None
    timezone: str


def not_commissioned(conn: Connection, scope: Sequence[str] | None) -> list[NotCommissioned]:
    """Return devices that are not commissioned, by id; only of the projects in `scope` if given."""
    rows = conn.execute(
        "SELECT h.device_id, h.site, h.class, m.project_id, h.last_reading, d.commissioned,"
        " s.timezone FROM v_device_health h JOIN device d ON d.id = h.device_id"
        " JOIN site s ON s.id = h.site LEFT JOIN LATERAL (SELECT project_id FROM project_device m"
        "   WHERE m.device_id = h.device_id AND m.during @> now() LIMIT 1) m ON true"
        " WHERE h.state = 'not commissioned' AND (%(scope)s::text[] IS NULL"
        "   OR m.project_id = ANY (%(scope)s)) ORDER BY h.device_id",
        {"scope": None if scope is None else list(scope)},
    )
    return [NotCommissioned(*row) for row in rows]


_UNITS = {q.name: q.unit for q in QUANTITIES}
_DAYS, _LETTERS, _FLAG_DAYS, _ALARMS = 28, 20, 7, 20
# one query for the whole fleet, since the state of a gateway depends on its devices
_HEALTH = (
    "WITH fleet AS MATERIALIZED (SELECT device_id, gateway, state, gateway_dark, last_reading,"
    "   received, expected_s, said, said_at, firmware, completeness_today, spoke, expected_since"
    "   FROM v_device_health), behind AS ("
    "   SELECT count(*) AS devices, count(*) FILTER (WHERE state = 'online') AS online,"
    "   max(last_reading) AS spoke FROM fleet WHERE gateway = %(id)s)"
    " SELECT h.state, h.gateway_dark, h.last_reading, h.received, h.expected_s, h.said, h.said_at,"
    " h.firmware, h.completeness_today, c.clock, coalesce(p.clock_ahead_s, c.offset_s),"
    " c.drift_s_per_day, h.spoke, h.expected_since, (SELECT max(last_reading) FROM fleet g"
    "   WHERE h.gateway IN (g.gateway, g.device_id)), b.devices, b.online, b.spoke"
    " FROM behind b LEFT JOIN fleet h ON h.device_id = %(id)s"
    " LEFT JOIN v_device_clock c ON c.device_id = h.device_id"
    " LEFT JOIN principal_status p ON p.principal = h.device_id"
)
_HEALTH_NAMES = (
    "state", "gateway_dark", "last_reading", "received", "expected_s", "said", "said_at",
    "firmware", "completeness_today", "clock", "clock_offset_s", "clock_drift_s_per_day",
    "reported", "expected_since", "gateway_heard", "devices", "online", "spoke",
)  # fmt: skip
# queried only for devices without data, as it calculates the costs of the whole project
_COST = (
    "SELECT cost_t, cost_t_per_day, side FROM v_silence_cost"
    " WHERE device_id = %s AND project_id = %s"
)
_COST_NAMES = ("cost_t", "cost_t_per_day", "side")
_MORE = (
    "SELECT d.maker, d.model, s.name, s.timezone, d.attributes FROM device d"
    " JOIN site s ON s.id = d.site WHERE d.id = %s"
)
_SERVES = (
    "SELECT project_id, role, lower(during), upper(during) FROM project_device"
    " WHERE device_id = %s ORDER BY lower(during) DESC"
)
_REGISTERS = (
    "SELECT q.quantity, i.start, i.register_value, i.register_read, i.register_changed,"
    " i.other_value, i.other_count FROM unnest(%(names)s::text[]) AS q (quantity)"
    " CROSS JOIN LATERAL (SELECT * FROM interval_quantity WHERE device_id = %(id)s"
    "   AND quantity = q.quantity AND register_value IS NOT NULL ORDER BY start DESC LIMIT 1) i"
)
_REGISTER_NAMES = ("quantity", "interval", "stands_at", "read", "rose", "waiting_at", "waiting")
_DAY_ROWS = (
    "SELECT tonne_clock(%(zone)s, start)::date AS day, quantity, sum(value)::bigint,"
    " sum(measured_us)::bigint, sum(unknown_us)::bigint FROM interval_quantity"
    " WHERE device_id = %(id)s AND measured_us + estimated_us + unknown_us > 0"
    " AND start >= tonne_clock(%(zone)s,"
    "   (tonne_clock(%(zone)s, now())::date - %(days)s)::timestamp)"
    " GROUP BY 1, 2 ORDER BY 2, 1"
)
_HOURS = (
    "SELECT date_trunc('hour', tonne_clock(%(zone)s, start)) AS hour, quantity,"
    " sum(value)::bigint FROM interval_quantity"
    " WHERE device_id = %(id)s AND measured_us + estimated_us > 0"
    " AND start >= tonne_clock(%(zone)s,"
    "   (tonne_clock(%(zone)s, now())::date - %(days)s)::timestamp)"
    " GROUP BY 1, 2 ORDER BY 2, 1"
)
_TODAY = (
    "SELECT start, quantity, value FROM interval_quantity WHERE device_id = %(id)s"
    " AND start >= tonne_clock(%(zone)s, tonne_clock(%(zone)s, now())::date::timestamp)"
    " AND measured_us + estimated_us + unknown_us > 0 ORDER BY 2, 1"
)
# for inverters: current modules, last days, annual trend
_ARRAY = (
    "SELECT dc_power_w, tilt, azimuth, temperature_coefficient_percent, begins"
    " FROM v_device_array WHERE device_id = %s AND begins <= now() AND ends > now()"
)
_ARRAY_NAMES = ("dc_power_w", "tilt", "azimuth", "temperature_coefficient_percent", "since")
_PV_NAMES = (
    "day", "energy_kwh", "yield_h", "performance_ratio", "performance_ratio_25", "availability",
    "energy_availability", "expected_kwh", "standing_kwh", "clipped_kwh", "other_kwh", "no_ratio",
)  # fmt: skip
_PV_DAYS = (
    f"SELECT {', '.join(_PV_NAMES)} FROM v_day_pv WHERE device_id = %s"
    f" AND time > now() - INTERVAL '{_DAYS} days' ORDER BY day"
)
_TREND = (
    "SELECT percent_per_year, low, high, first_day, last_day FROM pv_trend"
    " WHERE device_id = %s AND percent_per_year IS NOT NULL"
)
_TREND_NAMES = ("percent_per_year", "low", "high", "first_day", "last_day")
_SOILING = (
    "SELECT soiling_percent, soiling_low, soiling_high, soiling_intervals, soiling_missing"
    " FROM pv_trend WHERE device_id = %s"
)
_SOILING_NAMES = ("percent", "low", "high", "intervals", "missing")
# soiling of an inverter with less than a year of data
_NO_SOILING = dict.fromkeys(_SOILING_NAMES) | {"missing": "short"}
_AGAINST = (
    "SELECT mine.h / nullif(typical.h, 0) - 1 FROM ("
    "  SELECT site, dc_known, avg(peer_yield_h) AS h FROM v_day_pv WHERE device_id = %(id)s"
    "  AND time > now() - INTERVAL '8 days' GROUP BY 1, 2) mine"
    " CROSS JOIN LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY o.h) AS h,"
    "  count(*) AS inverters FROM (SELECT p.device_id, avg(p.peer_yield_h) AS h FROM v_day_pv p"
    "   WHERE p.site = mine.site AND p.dc_known = mine.dc_known"
    "   AND p.time > now() - INTERVAL '8 days' GROUP BY 1) o) typical"
    " WHERE typical.inverters >= 3"
)
_FLAGS = (
    "SELECT channel, test, count(*), max(time) FROM quality_flag WHERE device_id = %s"
    f" AND time > now() - INTERVAL '{_FLAG_DAYS} days' GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
)
# an unregistered device is found by principal or topic, as its letters have no device id
_LETTER = "SELECT id, received, reason, detail, topic, principal FROM dead_letter"
_REFUSED = (
    "SELECT * FROM ("
    f" ({_LETTER} WHERE device_id = %(id)s ORDER BY id DESC LIMIT %(most)s)"
    f" UNION ({_LETTER} WHERE principal = %(id)s ORDER BY id DESC LIMIT %(most)s)"
    f" UNION (SELECT * FROM ({_LETTER} WHERE reason = 'unknown_device' ORDER BY id DESC"
    "   LIMIT 20000) unnamed WHERE %(id)s = ANY (string_to_array(topic, '/')) ORDER BY id DESC"
    "   LIMIT %(most)s)) found ORDER BY id DESC LIMIT %(most)s"
)
_REFUSED_NAMES = ("id", "received", "reason", "detail", "topic", "principal")
_CREDENTIALS = (
    "SELECT kind, serial, issued, expires, revoked, reason FROM credential WHERE principal = %s"
    " ORDER BY issued DESC LIMIT 20"
)
_CREDENTIAL_NAMES = ("kind", "serial", "issued", "expires", "revoked", "reason")


def device_page(conn: Connection, scope: Sequence[str] | None, id_: str) -> dict[str, Any] | None:
    """
    Return all data of a device's page; None outside the scope.
    `scope`: projects of the caller; None for all, and also for unregistered devices.
    """
    known = registered(conn, scope, id_)
    if known is None:
        return _unknown(conn, id_) if scope is None else None
    (health,) = _rows(conn, _HEALTH, {"id": id_}, _HEALTH_NAMES)
    behind = {name: health.pop(name) for name in ("devices", "online")}
    spoke = health.pop("spoke")
    silent = health["state"] not in {None, "online"}
    projects = _rows(conn, _SERVES, [id_], ("project", "role", "from", "to"))
    served = _served_now(projects) if silent else None
    cost = None if served is None else _row(conn, _COST, [id_, served], _COST_NAMES)
    health |= dict.fromkeys(_COST_NAMES) if cost is None else cost
    health["said_at"] = health["said_at"] if health["said"] == "offline" else None
    more = conn.execute(_MORE, [id_]).fetchone()
    maker, model, site_name, zone, attributes = more or (None, None, "", "UTC", {})
    refused = _refused(conn, id_)
    credentials = _rows(conn, _CREDENTIALS, [id_], _CREDENTIAL_NAMES)
    cause, since = _cause(known, health, refused, credentials)
    del health["reported"], health["expected_since"]
    if cause == "never heard" and spoke is not None:
        # the last data of a gateway without own readings are those of its devices
        cause, since = "silence", spoke
    runbook, to_do = TO_DO[cause]
    if cause in {"will", "silence"} and behind["devices"] and not behind["online"]:
        dark = kinds()["gateway_silent"]
        runbook, to_do = dark.runbook, dark.what_to_do
    days = conn.execute(_DAY_ROWS, {"id": id_, "zone": zone, "days": _DAYS - 1}).fetchall()
    return {
        **known, **health,
        "behind": behind,
        "registered": True, "maker": maker, "model": model, "site_name": site_name,
        "timezone": zone, "attributes": attributes,
        "cause": cause, "since": since, "what_to_do": to_do, "runbook": runbook,
        "projects": projects,
        "newest": _newest(conn, known["class"], id_),
        "registers": [
            {**row, "unit": _UNITS[row["quantity"]]}
            for row in _rows(conn, _REGISTERS, {"id": id_, "names": list(_UNITS)}, _REGISTER_NAMES)
        ],
        "days": [
            {"day": day, "quantity": quantity, "value": value, "unit": _UNITS[quantity],
             "measured_h": measured / 3.6e9, "unknown_h": lost / 3.6e9}
            for day, quantity, value, measured, lost in days
        ],
        "today": [
            {"start": start, "quantity": quantity, "value": value, "unit": _UNITS[quantity]}
            for start, quantity, value in conn.execute(_TODAY, {"id": id_, "zone": zone})
        ],
        "flags": _rows(conn, _FLAGS, [id_], ("channel", "test", "readings", "last")),
        "refused": refused,
        "credentials": credentials,
        "pv": _pv(conn, id_) if known["class"] == "pv_inverter" else None,
        "alarms": alarms.listed(conn, scope, _ALARMS, states=None, subject=id_),
    }  # fmt: skip


def _served_now(projects: Sequence[dict[str, Any]]) -> str | None:
    """Return the project to which a device is assigned now; None if none."""
    now = datetime.now(UTC)
    return next((row["project"] for row in projects if row["from"] <= now < row["to"]), None)


def device_hours(conn: Connection, id_: str, zone: str) -> list[dict[str, Any]]:
    """Return hourly sums of the page's days; an hour repeated by a clock change is one hour."""
    return _rows(
        conn, _HOURS, {"id": id_, "zone": zone, "days": _DAYS - 1}, ("hour", "quantity", "value")
    )


def _unknown(conn: Connection, id_: str) -> dict[str, Any] | None:
    refused = _refused(conn, id_)
    if not refused:
        return None
    runbook, to_do = TO_DO["unknown"]
    return {
        "id": id_, "registered": False, "state": "unknown", "cause": "unknown",
        "since": refused[-1]["received"], "what_to_do": to_do, "runbook": runbook,
        "refused": refused,
        "credentials": _rows(conn, _CREDENTIALS, [id_], _CREDENTIAL_NAMES),
    }  # fmt: skip


def _cause(
    known: dict[str, Any],
    health: dict[str, Any],
    refused: list[dict[str, Any]],
    credentials: list[dict[str, Any]],
) -> tuple[str, Any]:
    """Return the cause of missing data, and its start; the most general cause precedes others."""
    last_reading = health["last_reading"]
    if health["state"] is None:
        return "removed", known["removed"]
    if health["state"] == "online":
        return "", None
    if health["gateway_dark"]:
        return "gateway", health["gateway_heard"] or last_reading
    own = _own_cause(health, refused, credentials)
    new = health["state"] == "not commissioned"
    # earlier readings came from another sender, whose disconnection is not the device's
    if own is not None and not (new and last_reading is not None and own[0] == "will"):
        return own
    if new:
        return "not commissioned", None
    # late readings count as data
    begins = health["expected_since"]
    late = last_reading is not None and begins is not None and last_reading >= begins
    return ("silence", last_reading) if health["reported"] or late else ("never heard", begins)


def _own_cause(
    health: dict[str, Any], refused: list[dict[str, Any]], credentials: list[dict[str, Any]]
) -> tuple[str, Any] | None:
    """
    Return the device's own cause since its last data, and the start of the cause: rejection,
    revoked credential, reported offline; None if none.
    """
    last_reading, received = health["last_reading"], health["received"]
    since = [r["received"] for r in refused if received is None or r["received"] > received]
    if since:
        return "refused", since[-1]
    revoked = [c["revoked"] for c in credentials if c["revoked"] is not None]
    if credentials and len(revoked) == len(credentials):
        return "credential", max(revoked)
    if health["said_at"] is not None and (
        last_reading is None or health["said_at"] >= last_reading
    ):
        return "will", health["said_at"]
    return None


def _refused(conn: Connection, id_: str) -> list[dict[str, Any]]:
    return _rows(conn, _REFUSED, {"id": id_, "most": _LETTERS}, _REFUSED_NAMES)


def _pv(conn: Connection, id_: str) -> dict[str, Any]:
    against = conn.execute(_AGAINST.encode(), {"id": id_}).fetchone()
    return {
        "array": _row(conn, _ARRAY, [id_], _ARRAY_NAMES),
        "days": _rows(conn, _PV_DAYS, [id_], _PV_NAMES),
        # yield of the last week relative to the median inverter of the same plant
        "against_site": None if against is None else against[0],
        "trend": _row(conn, _TREND, [id_], _TREND_NAMES),
        "soiling": _row(conn, _SOILING, [id_], _SOILING_NAMES) or _NO_SOILING,
    }


def _newest(conn: Connection, class_id: str, id_: str) -> dict[str, Any]:
    """Return the values of a device's newest reading, without empty channels."""
    query = sql.SQL("SELECT * FROM {} WHERE device_id = %s ORDER BY time DESC LIMIT 1")
    cursor = conn.execute(query.format(sql.Identifier(f"reading_{class_id}")), [id_])
    row, names = cursor.fetchone(), [c.name for c in cursor.description or ()]
    result = {} if row is None else dict(zip(names, row, strict=True))
    left_out = {"device_id", "time", "flags"}
    return {k: v for k, v in result.items() if v is not None and k not in left_out}


def _row(conn: Connection, query: str, values: Any, names: Sequence[str]) -> dict[str, Any] | None:
    return next(iter(_rows(conn, query, values, names)), None)


def _rows(conn: Connection, query: str, values: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    rows = conn.execute(query.encode(), values).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]
