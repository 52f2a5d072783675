"""
What metered energy cost, saved and earned, by the tariffs of its site.

Money stands by itself: it is added to no tonnes, and one currency to no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from psycopg import Connection

# currencies whose amounts have no smaller unit in use (ISO 4217: exponent 0, and IDR by habit)
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
    """An amount: `kind` is cost, earned or saved; days are the first and last that have one."""

    kind: str
    currency: str
    energy_kwh: Decimal
    amount: Decimal
    first: date
    last: date


def of_device(conn: Connection, device: str, first: date, end: date) -> list[Money]:
    """Return what a device cost, saved and earned on the local days from first to before end."""
    return [_money(*row) for row in conn.execute(_OF_DEVICE, [device, first, end]).fetchall()]


def of_project(conn: Connection, project: str, first: date, end: date) -> list[Money]:
    """Return what the devices of a project cost, saved and earned while they served it."""
    return of_projects(conn, [project], first, end).get(project, [])


def of_projects(
    conn: Connection, projects: Sequence[str] | None, first: date, end: date
) -> dict[str, list[Money]]:
    """Return the same of several projects, or of all."""
    names = None if projects is None else list(projects)
    found: dict[str, list[Money]] = {}
    for name, *row in conn.execute(_OF_PROJECTS, [names, names, first, end]).fetchall():
        found.setdefault(name, []).append(_money(*row))
    return found


def _money(
    kind: str, currency: str, energy: Decimal, amount: Decimal, first: date, last: date
) -> Money:
    unit = Decimal(1) if currency in _WHOLE else Decimal("0.01")
    return Money(
        kind, currency, energy.quantize(Decimal("0.001")),
        amount.quantize(unit, ROUND_HALF_EVEN), first, last,
    )  # fmt: skip
