"""
What a plan extract holds beside the registry's devices, as JSON and back.

Check meters, versions of the project's monitoring plan, invoices, the figures of
other statements, whose energy is compared with theirs and the design's, the time
between them that nobody claimed, and what was fixed and changed since.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mrv.calendar import instant_us, utc_text
from mrv.registry.monitoring_plan import version_in, version_out
from mrv.registry.project import CheckMeter, Earlier, Invoice
from mrv.rounding import UG_PER_T

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mrv.statement.plan_extract import MonitoringPlan


def besides_out(plan: MonitoringPlan) -> dict[str, Any]:
    """Write them as canonical JSON can hold them."""
    return {
        "checkMeters": [
            {"meter": c.check, "of": c.main, "tolerance_percent": str(c.percent)}
            for c in plan.checks
        ],
        "monitoring": [version_out(version) for version in plan.versions],
        "invoices": [invoice_out(invoice) for invoice in plan.invoices],
        "earlier": [dict(one) for one in plan.earlier],
        "corrected": None if plan.corrected is None else dict(plan.corrected),
        "energyRoles": list(plan.energy),
        "unclaimed": [
            {"from": utc_text(begin), "to": utc_text(end)} for begin, end in plan.unclaimed
        ],
        "changedParameters": list(plan.changed),
    }


def besides_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `besides_out` wrote; KeyError or ValueError if it is something else."""
    return {
        "checks": tuple(
            CheckMeter(c["of"], c["meter"], Decimal(c["tolerance_percent"]))
            for c in record.get("checkMeters", ())
        ),
        "versions": tuple(map(version_in, record.get("monitoring", ()))),
        "invoices": tuple(map(invoice_in, record.get("invoices", ()))),
        "earlier": tuple(record.get("earlier", ())),
        "corrected": record.get("corrected"),
        "energy": tuple(record.get("energyRoles", ())),
        "unclaimed": tuple(
            (_time(span["from"]), _time(span["to"])) for span in record.get("unclaimed", ())
        ),
        "changed": tuple(map(str, record.get("changedParameters", ()))),
    }


def earlier_in(record: Mapping[str, Any]) -> Earlier:
    """Read the figures of another statement."""
    return Earlier(
        record["statement"],
        _time(record["from"]),
        _time(record["to"]),
        int(record["energy_Wh"]),
        Fraction(int(record["reduction_ug"]), UG_PER_T),
    )


def invoice_out(one: Invoice) -> dict[str, Any]:
    """Write an invoice as canonical JSON can hold it."""
    return {
        "id": one.id,
        "issuer": one.issuer,
        "number": one.number,
        "issued": one.issued.isoformat(),
        "devices": list(one.devices),
        "quantity": one.quantity,
        "from": utc_text(one.from_us),
        "to": utc_text(one.to_us),
        "value": str(one.value),
        "tolerance_percent": str(one.percent),
        "sha256": one.sha256,
    }


def invoice_in(record: Mapping[str, Any]) -> Invoice:
    """Read what `invoice_out` wrote; KeyError or ValueError if it is something else."""
    return Invoice(
        id=record["id"],
        issuer=record["issuer"],
        number=record["number"],
        issued=date.fromisoformat(record["issued"]),
        devices=tuple(record["devices"]),
        quantity=record["quantity"],
        from_us=_time(record["from"]),
        to_us=_time(record["to"]),
        value=int(record["value"]),
        percent=Decimal(record["tolerance_percent"]),
        sha256=record["sha256"],
    )


def _time(text: str) -> int:
    return instant_us(text, "UTC")
