"""
Balance of an eco-industrial park, and cost, savings and revenue of metered energy.

A device's `attributes.flow` names the measured flow, its source and its destination: members of the
park, or `grid`, `mains`, `sewer`, `outside`.

Amounts of money are by the site's tariffs, in each currency, and separate from tonnes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.errors import RegistryError

# currencies without decimals (ISO 4217: exponent 0; IDR in practice)
_WHOLE = frozenset(
    [
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "IDR",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "VND",
        "VUV",
        "XAF",
        "XOF",
        "XPF",
    ]
)
_OF_DEVICE = """
SELECT m.kind, m.currency, sum(m.energy_kwh), sum(m.amount), min(m.day), max(m.day)
FROM v_day_money m WHERE m.device_id = %s AND m.day >= %s AND m.day < %s
GROUP BY 1, 2 ORDER BY 2, 1
"""
_OF_PROJECTS = """
SELECT s.project_id::text, m.kind, m.currency, sum(m.energy_kwh), sum(m.amount),
       min(m.day), max(m.day)
FROM project_device s
JOIN v_day_money m ON m.device_id = s.device_id AND s.during @> m.time
WHERE (%s::text[] IS NULL OR s.project_id = ANY (%s)) AND m.day >= %s AND m.day < %s
GROUP BY 1, 2, 3 ORDER BY 1, 3, 2
"""


class Money(NamedTuple):
    """
    Amount of money in `currency`, and the energy to which it belongs.

    `kind`: cost, earned or saved.  `first`, `last`: first and last day with an amount.
    """

    kind: str
    currency: str
    energy_kwh: Decimal
    amount: Decimal
    first: date
    last: date


def of_device(conn: Connection, device: str, first: date, end: date) -> list[Money]:
    """Return cost, savings and revenue of a device on local days, end excluded."""
    return [_money(*row) for row in conn.execute(_OF_DEVICE, [device, first, end]).fetchall()]


def of_project(conn: Connection, project: str, first: date, end: date) -> list[Money]:
    """Return cost, savings and revenue of a project's devices during their assignment."""
    return of_projects(conn, [project], first, end).get(project, [])


def of_projects(
    conn: Connection, projects: Sequence[str] | None, first: date, end: date
) -> dict[str, list[Money]]:
    """Return cost, savings and revenue of several projects, or of all, by project."""
    names = None if projects is None else list(projects)
    moneys: dict[str, list[Money]] = {}
    for name, *row in conn.execute(_OF_PROJECTS, [names, names, first, end]).fetchall():
        moneys.setdefault(name, []).append(_money(*row))
    return moneys


def _money(
    kind: str, currency: str, energy: Decimal, amount: Decimal, first: date, last: date
) -> Money:
    unit = Decimal(1) if currency in _WHOLE else Decimal("0.01")
    return Money(
        kind, currency, energy.quantize(Decimal("0.001")),
        amount.quantize(unit, ROUND_HALF_EVEN), first, last,
    )  # fmt: skip


# unit for display, and number of base units in it, by kind of flow
UNITS = {
    "energy": ("kWh", 1_000),
    "heat": ("kWh", 1_000),
    "water": ("m3", 1_000_000),
    "waste": ("t", 1_000_000),
}
_QUANTITIES = {
    "energy": ("energy_export", "energy_import"),
    "heat": ("heat",),
    "water": ("flow",),
    "waste": ("mass",),
}
# classes of generators: the flow is their export, not their own consumption
_GENERATORS = ("pv_inverter", "wind_turbine", "waste_heat_turbine")
Sums = dict[str, int | None]


def park_ids(conn: Connection) -> list[str]:
    """Return the parks of the sites."""
    rows = conn.execute("SELECT DISTINCT park FROM site WHERE park IS NOT NULL ORDER BY 1")
    return [str(row[0]) for row in rows.fetchall()]


def balance(conn: Connection, park: str, begin: datetime, end: datetime) -> dict[str, Any]:
    """
    Return a park's flows and its members' balance in a time span, end excluded.

    Amounts are decimal text with their unit.

    Raises RegistryError if no site belongs to the park.
    """
    members = _members(conn, park)
    if not members:
        known = ", ".join(park_ids(conn)) or "none"
        raise RegistryError(
            f"park {park!r} has no site; known parks: {known}; enter `park` of a site in"
            f" the registry file"
        )
    flows = _flows(conn, list(members), begin, end)
    return {
        "park": park,
        "from": begin.isoformat(),
        "to": end.isoformat(),
        "members": [
            {"site": site, "name": name, "balance": _of_member(site, flows)}
            for site, name in members.items()
        ],
        "park_balance": _of_park(set(members), flows),
        "flows": [{k: v for k, v in f.items() if k != "base"} for f in flows],
        "monitored_t": _tonnes(conn, list(members), begin, end),
        "not_accounted": _not_accounted(conn, list(members), begin, end),
    }


def _members(conn: Connection, park: str) -> dict[str, str]:
    rows = conn.execute("SELECT id, name FROM site WHERE park = %s ORDER BY id", [park])
    return {site: name for site, name in rows.fetchall()}  # noqa: C416 - rows are of any width


def _flows(
    conn: Connection, sites: Sequence[str], begin: datetime, end: datetime
) -> list[dict[str, Any]]:
    rows = conn.execute(
        "SELECT d.id, d.class, d.attributes->'flow'->>'of', d.attributes->'flow'->>'from',"
        " d.attributes->'flow'->>'to', i.quantity, sum(i.value)::text, sum(i.measured_us)::text"
        " FROM device d LEFT JOIN interval_quantity i"
        " ON i.device_id = d.id AND i.start >= %(begin)s AND i.start < %(end)s"
        " WHERE d.site = ANY(%(sites)s) AND d.attributes ? 'flow'"
        " GROUP BY d.id, i.quantity ORDER BY d.id, i.quantity",
        {"begin": begin, "end": end, "sites": list(sites)},
    ).fetchall()
    whole = (end - begin).total_seconds() * 1_000_000
    result: dict[str, dict[str, Any]] = {}
    for device, class_id, of, source, target, quantity, value, measured in rows:
        item = result.setdefault(
            device,
            {"device": device, "of": of, "from": source, "to": target, "amount": None,
             "unit": UNITS[of][0], "measured_share": "0", "base": 0},
        )  # fmt: skip
        if quantity == _counted(of, class_id):
            item["base"] = int(value)
            item["amount"] = amount_text(of, int(value))
            item["measured_share"] = f"{int(measured) / whole:.4f}"
    return list(result.values())


def _counted(of: str, class_id: str) -> str:
    quantities = _QUANTITIES[of]
    return quantities[0] if class_id in _GENERATORS else quantities[-1]


def amount_text(of: str, base: int) -> str:
    """
    Return an amount in its display unit with three decimals, rounded down, as text.

    `of`: key of `UNITS`, a kind of flow.  `base`: amount in its base unit.
    """
    _, per = UNITS[of]
    thousandths = base * 1_000 // per
    return f"{thousandths // 1_000}.{thousandths % 1_000:03d}"


def _of_member(site: str, flows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return generated, received and supplied amounts of a member, by kind of flow."""
    sums: defaultdict[str, Sums] = defaultdict(lambda: {"made": 0, "got": 0, "given": 0})
    for group in _by_side(flows, lambda f: _side_of_member(f, site)).items():
        _add(sums, *group)
    return {of: _amount_texts(of, values) for of, values in sorted(sums.items())}


def _side_of_member(flow: dict[str, Any], site: str) -> str | None:
    if flow["to"] == site:
        return "made" if flow["from"] == site else "got"
    return "given" if flow["from"] == site else None


def _of_park(members: set[str], flows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the park's import, export, generation and internal exchange, by kind of flow."""
    sums: defaultdict[str, Sums] = defaultdict(
        lambda: {"made": 0, "drawn": 0, "released": 0, "exchanged": 0}
    )
    for group in _by_side(flows, lambda f: _side_of_park(f, members)).items():
        _add(sums, *group)
    return {of: _amount_texts(of, values) for of, values in sorted(sums.items())}


def _side_of_park(flow: dict[str, Any], members: set[str]) -> str:
    inside, into = flow["from"] in members, flow["to"] in members
    if inside and into:
        return "made" if flow["from"] == flow["to"] else "exchanged"
    return "drawn" if into else "released"


def _by_side(
    flows: Sequence[dict[str, Any]], side_of: Callable[[dict[str, Any]], str | None]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    result: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for flow in flows:
        side = side_of(flow)
        if side is not None:
            result[flow["of"], side].append(flow)
    return result


def _add(
    sums: defaultdict[str, Sums], where: tuple[str, str], flows: Sequence[dict[str, Any]]
) -> None:
    """
    Add the known amounts of a side to `sums`; without any meter data the sum is None.

    `where`: kind of the flows, and key of the side in its sums.
    """
    of, side = where
    known = [f["base"] for f in flows if f["amount"] is not None]
    sums[of][side] = sum(known) if known else None


def _amount_texts(of: str, values: Sums) -> dict[str, str | None]:
    amounts = {
        key: None if value is None else amount_text(of, value) for key, value in values.items()
    }
    return {**amounts, "unit": UNITS[of][0]}


# projects whose devices are all at the sites
_WITHIN = (
    "SELECT m.project_id FROM project_device m JOIN device d ON d.id = m.device_id"
    " GROUP BY m.project_id HAVING bool_and(d.site = ANY(%(sites)s))"
)


def _not_accounted(
    conn: Connection, sites: Sequence[str], begin: datetime, end: datetime
) -> list[str]:
    """Return the projects of the park that have data in the time, but no account."""
    rows = conn.execute(
        f"SELECT w.project_id FROM ({_WITHIN}) w"
        " WHERE EXISTS (SELECT FROM project_device m JOIN interval_quantity i"
        "     ON i.device_id = m.device_id AND m.during @> i.start"
        "     WHERE m.project_id = w.project_id AND i.start >= %(begin)s AND i.start < %(end)s)"
        " AND NOT EXISTS (SELECT FROM v_account_day e WHERE e.project_id = w.project_id"
        "     AND e.day >= (%(begin)s AT TIME ZONE 'UTC')::date"
        "     AND e.day < (%(end)s AT TIME ZONE 'UTC')::date)"
        " ORDER BY 1",
        {"sites": list(sites), "begin": begin, "end": end},
    ).fetchall()
    return [str(name) for (name,) in rows]


def _tonnes(conn: Connection, sites: Sequence[str], begin: datetime, end: datetime) -> str | None:
    """
    Return the monitored tonnes of projects in the park, as text; None without account.
    A project with a device outside the park is omitted, as parts of a project have no account.
    """
    row = conn.execute(
        "SELECT (sum(e.reduction_ug) * 0.000000000001)::text FROM v_account_day e"
        " WHERE e.day >= (%(begin)s AT TIME ZONE 'UTC')::date"
        f" AND e.day < (%(end)s AT TIME ZONE 'UTC')::date AND e.project_id IN ({_WITHIN})",
        {"sites": list(sites), "begin": begin, "end": end},
    ).fetchone()
    return None if row is None else row[0]
