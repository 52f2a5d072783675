"""
Registry data of a statement other than those shown in it, under fixed names.

A correction names each input that is another one than in the statement that it replaces.
Meters, ratings, certificates and what was fixed ex ante stand in the statement itself; when
a device was installed and served, its replacements, its place, typed constants, laboratory
results, invoices and check meters stand in the plan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mrv.registry.monitoring_plan import REGISTERED
from mrv.signatures import canonical
from mrv.statement.plan_extract import PREFIX, MonitoringPlan

# what the statement itself tells of a device
_SHOWN = ("id", "serial", "maker", "model", "ratings", "calibrations")
_LISTS = {
    "laboratory": "sample",
    "invoices": "id",
    "checkMeters": "check",
    "designDocuments": "parameter",
}


def registry_inputs(plan: MonitoringPlan) -> dict[str, str]:
    """Return the data of a plan, by name."""
    record = plan.to_json()
    return {f"{PREFIX}{name}": value for name, value in _named(record)}


def _named(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    project = record["project"]
    keys = ("from", "to", "timezone", "country", "grid", "methodology", "version")
    yield from ((f"project {key}", project[key]) for key in keys if key in project)
    for name, value in project["parameters"].items():
        yield f"parameter {name}", _text(value)
    for bound in project["devices"]:
        yield (
            f"{bound['device']} as {bound['role']} from {bound['from']}",
            _text({"to": bound["to"], **bound["params"]}),
        )
    for device in record["devices"]:
        for key, value in device.items():
            if key not in _SHOWN:
                yield f"{device['id']} {key}", _text(value)
    yield from map(_of_version, record.get("monitoring", ()))
    for what, by in _LISTS.items():
        for one in record.get(what, ()):
            yield f"{what} {one[by]}", _text(one)
    for one in record.get("outsidePeriod", ()):
        yield f"{one['device']} {one['quantity']} {one['from']} to {one['to']}", one["metered"]
    said = record.get("declared", {})
    yield from ((f"declared {key}", _text(value)) for key, value in said.items() if value)
    for one in record.get("certified", ()):
        energy = sum(int(wh) for run in one["runs"] for wh in run["energy_Wh"])
        yield f"{one['device']} certificate {one['certificate']}", f"{energy} Wh, {one['scheme']}"


def _of_version(one: Mapping[str, Any]) -> tuple[str, str]:
    name = f"monitoring plan from {one['from']}, version {one['version']}"
    digest = canonical.sha256_hex(canonical.encode(one))
    entered = one.get("entered", "before 0.2.0")
    kind = one.get("kind", REGISTERED)
    return name, f"{kind}, entered {entered}: {one['reason']} (SHA-256 {digest})"


def _text(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"$decimal"}:
        return str(value["$decimal"])
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
