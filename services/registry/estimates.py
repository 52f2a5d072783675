"""What the design of a project lets expect, as registry files write it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.registry.fields import Row
from services.registry.located import native

# the most that any number of an estimate may be
MAX_EXPECTED = 10**15
_ESTIMATED = ("energy_kwh_per_year", "reduction_t_per_year")
_MONTHS = 12


def expected(row: Row) -> dict[str, Any]:
    """Read what the design lets expect of a year, and of phases from a day on."""
    if not row.has("expected"):
        return {}
    inner = row.row("expected")
    inner.only(*_ESTIMATED, "by_month", "dated")
    found = _estimate(inner)
    rows = inner.rows("dated") or []
    dated = [_phase(one) for one in rows]
    for one in rows:
        inner.problems.extend(one.problems)
    begins = [one["from"] for one in dated if "from" in one]
    if begins != sorted(set(begins)):
        inner.problem("dated", f"{', '.join(begins)}: give each day once, the earliest first")
    row.problems.extend(inner.problems)
    return {**found, **({"dated": dated} if dated else {})}


def _estimate(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {key: row.number(key, 0, MAX_EXPECTED) for key in _ESTIMATED}
    found["by_month"] = _months(row)
    return {key: one for key, one in found.items() if one is not None}


def _phase(row: Row) -> dict[str, Any]:
    """Read the estimate of a design from a day on, such as that of a phase."""
    row.only("from", "capacity_kw", *_ESTIMATED, "by_month")
    begins = row.required("from", row.day("from"), "the first local day that it is of")
    capacity = row.number("capacity_kw", 0, MAX_EXPECTED)
    found = _estimate(row)
    if not row.problems and not found.keys() & set(_ESTIMATED):
        row.problem(None, f"gives neither {' nor '.join(_ESTIMATED)}")
    return {
        **({"from": begins.isoformat()} if begins else {}),
        **({} if capacity is None else {"capacity_kw": capacity}),
        **found,
    }


def _months(row: Row) -> list[Any] | None:
    if not row.has("by_month"):
        return None
    value = row.table.cells["by_month"]
    found = native(value) if isinstance(value, list) else []
    numbers = [
        one
        for one in found
        if isinstance(one, int | Decimal) and not isinstance(one, bool) and 0 <= one <= MAX_EXPECTED
    ]
    if len(found) == len(numbers) == _MONTHS and sum(numbers) > 0:
        return numbers
    row.problem(
        "by_month",
        f"{native(value)!r} must be twelve numbers from 0 on, January first, in proportion to what"
        " each month brings, such as kWh",
    )
    return None
