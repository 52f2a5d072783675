"""
A project of every methodology over simulated weeks: Hai Phong's catalog, and the missing ones.

Readings are stored as by `tonne run`, invoices state the meters' quantities, and periods are closed
by the command, so that displayed figures can be compared with closed ones.
"""

import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from ingest.classes import QUANTITY_INDEX
from mrv import methodologies
from mrv.calendar import period_us
from mrv.methodologies import find
from mrv.registry.project import Invoice
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import invoices
from services.store.registry import load as registry
from services.store.timeseries.interval_rows import intervals_of
from tests.bench.year import frames
from tests.registering import imported
from tests.services.issuer.plant import store_of
from tests.soak import SOAK

ZONE = "Asia/Ho_Chi_Minh"
CATALOG = Path("deploy/catalog/haiphong")
# ended, and long enough for some days of everything; a week and more in the soak
FIRST, LAST = date(2026, 1, 1), date(2026, 1, 9 if SOAK else 3)
BEGIN_US, END_US = period_us(FIRST, LAST, ZONE)
_DOCUMENT = {"document": "Example report", "by": "Example office", "issued": date(2025, 11, 20),
             "sha256": "ab" * 32}  # fmt: skip
# methodologies of which the catalog has no project: like which device each role's meter is
MORE: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ams-ii-d-cupola": (
        "my-dong",
        {"production": ("md-castings", {}), "power": ("md-furnace", {})},
        {"production_hist_t": 12_000, "coke_t_per_t": Decimal("0.14"), "tdl": Decimal("0.0615"),
         "limestone_t_per_t": Decimal("0.03"), "design_mass_t_per_d": 28,
         "design_mwh_per_t": Decimal("0.6"), "leakage_t_per_year": 120},
    ),
    "ams-iii-f-monthly": (
        "trang-cat",
        {"waste": ("tc-weigh", {}), "power": ("tc-power", {}), "fuel": ("tc-fuel", {})},
        {"first_year": 2026, "share_food": Decimal("0.75"), "share_garden": Decimal("0.2"),
         "share_paper": Decimal("0.05"), "phi": Decimal("0.85"), "f_captured": 0, "mcf": 1,
         "tdl": Decimal("0.0615"), "design_mass_t_per_d": 130, "design_kwh_per_t": 17},
    ),
    "jcm-id-am009": (
        "trang-cat",
        {"lpg": ("tc-fuel", {"density_kg_per_m3": 540}), "power": ("tc-power", {})},
        {"eta_reference": Decimal("0.38"), "eta_project": Decimal("0.55")},
    ),
    "jcm-whr": (
        "thuy-nguyen",
        {"turbine": ("tn-turbine", {})},
        {"captive_load_kw": 180, "ef_grid_t_per_mwh": Decimal("0.6592")},
    ),
}  # fmt: skip


def more_projects(catalog: Path) -> dict[str, Any]:
    """Return registry entries for methodologies without a project in the catalog."""
    known = {}
    for file in sorted(catalog.glob("*.yaml")):
        for one in yaml.load(file.read_text("utf-8"), yaml.CSafeLoader).get("devices", []):
            known[one["id"]] = one
    devices, projects = [], []
    for name, (_, roles, parameters) in MORE.items():
        method = find(name)
        bound = []
        for role, (like, more) in roles.items():
            id_ = f"{name}-{role}"
            text = yaml.safe_dump(known[like]).replace(known[like]["serial"], f"EX-{id_}")
            devices.append({**yaml.load(text, yaml.CSafeLoader), "id": id_})
            bound.append({"device": id_, "role": role, **more})
        documents = dict.fromkeys({*method.documented} & {*parameters}, _DOCUMENT)
        projects.append(
            {"id": name, "name": name, "methodology": name, "version": method.version,
             "crediting_period": {"from": FIRST, "to": date(2036, 1, 1)}, "devices": bound,
             "parameters": parameters, "documents": documents}
        )  # fmt: skip
    return {"devices": devices, "projects": projects}


def fill(url: str, home: Path) -> dict[str, str]:
    """Store the weeks of every project; return methodologies by project."""
    catalog = home / "catalog"
    shutil.copytree(CATALOG, catalog)
    for file in catalog.glob("*.yaml"):  # samples are of these weeks
        text = file.read_text("utf-8")
        file.write_text(re.sub(r"taken: 2026-\d\d-\d\d", "taken: 2026-01-04", text), "utf-8")
    (catalog / "more.yaml").write_text(_dumped(more_projects(catalog)), "utf-8")
    planned = imported(url, catalog)
    assert not planned.refused, [r.messages for r in planned.results if r.messages]
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = store_of(conn)
        store.remake_requested(conn)  # not again, with their readings
        index = store.plan.fleet.by_id
        for some in frames(catalog, index, BEGIN_US, END_US, 1):
            store.commit(conn, some, [], Letters([], [], [], [], 0))
        store.remake_requested(conn)  # what was too much for one commit
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        rows = conn.execute("SELECT id, methodology FROM project WHERE id <> 'nrel-pv'").fetchall()
    found = dict(rows)
    assert set(found.values()) == {m.id for m in methodologies.load().values() if m.roles}
    return found


def _dumped(entries: Any) -> str:
    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        Decimal, lambda d, v: d.represent_scalar("tag:yaml.org,2002:float", str(v))
    )
    return yaml.dump(entries, Dumper=Dumper)


def bills(conn: Any, name: str, from_us: int = BEGIN_US, to_us: int = END_US) -> list[Invoice]:
    """
    Return invoices of a project's delivery and of its electricity, with
    the meters' quantities.
    """
    project, fleet = registry.load_project(conn, name), registry.load_fleet(conn)
    method = find(project.methodology, project.version)
    found = []
    for bound in project.devices:
        if bound.role not in {*method.invoiced, *method.powering}:
            continue
        quantity = method.roles[bound.role].quantity
        with conn.cursor() as cursor:
            rows = intervals_of(cursor, fleet, from_us, to_us, [bound.device], marks=False)
        value = int(rows.value[rows.quantity == QUANTITY_INDEX[quantity]].sum())
        found.append(
            Invoice(f"{name}-{bound.device}", "A supplier", "1", date(2026, 2, 1),
                    (bound.device,), quantity, from_us, to_us, value, Decimal(2), "c3" * 32)
        )  # fmt: skip
    return found


def invoice(conn: Any, name: str) -> None:
    """Enter the invoices of a project."""
    invoices.insert(conn, [(name, one, None, None) for one in bills(conn, name)], "test")
