"""Values entered by an owner: factors beside official ones, constants in place of meters."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.factors.ledger import book_of, factor_of, records_of, unmarked
from mrv.methodologies import find
from mrv.registry import Sample
from mrv.registry.project import ACCOUNTING, Project, ProjectDevice, SupportingData
from mrv.rules.closing import close
from tests.mrv import plant

BOOK = factors.load()
WEEK = 7 * plant.DAY
END = plant.FROM + WEEK * INTERVAL_US
PLANT = Fleet(
    [
        Device("in", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("gas", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**5, installed_us=plant.FROM),
    ]
)
COD = {
    "cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": Decimal("0.15"),
    "eta_cod_baseline": Decimal("0.85"), "eta_cod_project": Decimal("0.8"),
    "mcf_baseline": Decimal("0.8"), "mcf_project": Decimal("0.8"),
    "mcf_discharge": Decimal("0.1"), "ch4_fraction": Decimal("0.62"),
    "flare_efficiency": Decimal("0.9"), "tdl": Decimal("0.0615"),
}  # fmt: skip


# what each plant was built for, which bounds nothing that these tests ask about
BUILT = {
    "am0020": {"design_flow_m3_per_d": 120_000, "design_kwh_per_m3": Decimal("0.18")},
    "ams-iii-h": {"design_flow_m3_per_d": 600, "design_cod_kg_per_d": 36_000,
                  "design_kwh_per_m3": Decimal("0.8")},
}  # fmt: skip


def closed(
    fleet, methodology, version, roles, parameters, rows, supporting, book=BOOK, built=BUILT,
    *, certified=True,
):  # fmt: skip
    """Close a week of a project in which each device has a role."""
    built = built.get(methodology, {})
    parameters = {**built, **parameters}
    bills = plant.bills(rows, "power")
    # the losses stand in a publication of the operator of the grid
    papers = (*plant.papers(*built, *find(methodology).baseline_documents), *plant.LOSSES)
    supporting = replace(supporting, documents=papers, invoices=bills)
    bound = tuple(ProjectDevice(device, role) for device, role in roles.items())
    one = Project(
        "p", "P", methodology, version, plant.ZONE, plant.FROM, plant.TO,
        parameters=parameters, devices=bound,
    )  # fmt: skip
    papers = {d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices if certified}
    given = plant.laid_out(fleet, rows)
    return close(one, fleet, papers, given, plant.FROM, END, book, supporting=supporting)


def treated(samples=(), channels=None, accounting=ACCOUNTING, book=BOOK, **parameters):
    """Close a week of a wastewater plant."""
    rows = {
        ("in", "flow"): [5 * 10**6] * WEEK,
        ("gas", "biogas"): [12 * 10**6] * WEEK,
        ("power", "energy_import"): [4_000] * WEEK,
    }
    roles = {"in": "inflow", "gas": "biogas", "power": "power"}
    supporting = SupportingData(accounting=accounting, samples=samples, channels=channels or {})
    return closed(PLANT, "ams-iii-h", "19.0", roles, {**COD, **parameters}, rows, supporting, book)


def lab(sha256="a1" * 32, **found):
    """Return one sample of each parameter, in the period."""
    told = "ISO 6060", "Lab, ISO 17025", sha256
    return tuple(
        Sample(name, f"S-{name}", date(2026, 1, 3), Decimal(str(value)), *told)
        for name, value in found.items()
    )


def used(result):
    """Return the applied values of the parameters."""
    return {p.name: p.value for p in result.parameters}


def detail(result, clause):
    """Return the conditions of a clause: whether each is met, and its text."""
    return [(f.holds, f.detail) for f in result.applicability if f.rule == clause]


def _with(value, direction="consumed"):
    """Return the factors with a grid factor from a registry file."""
    record = {
        "id": "own-grid", "kind": "grid.vn", "value": value, "unit": "tCO2/MWh",
        "direction": direction, "valid_from": "2026-01-01", "source": "the owner",
        "certainty": "R", "verified": True,
    }  # fmt: skip
    return BOOK.with_more([replace(factor_of(record), brought=True)])


def test_a_pack_marks_brought_factors_and_others_are_refused():
    """A pack could call an owner's own factor published, and a newer tonne believe it."""
    book = _with("0.75")
    records = records_of({"grid.vn"}, book)
    again = list(book_of(records))
    assert [f.id for f in again if f.brought] == ["own-grid"]
    assert unmarked(again) == []
    bare = [{k: v for k, v in one.items() if k != "brought"} for one in records]
    assert unmarked(book_of(bare)) == ["own-grid"]


def test_live_rates_leave_out_a_brought_factor_that_would_earn():
    """A dashboard would show tonnes that no statement says."""

    def sources(book):
        return compile_bindings([plant.BUS], plant.FLEET, book).sources

    assert sources(_with("0.57")) == sources(BOOK)
    assert "own-grid" in str(sources(_with("0.75")))


def test_live_rows_of_a_plant_claim_nothing_by_typed_constants():
    """A live board would show tonnes by a COD that no one measured, and the close take them."""
    bound = (
        ProjectDevice("in", "inflow"),
        ProjectDevice("gas", "biogas"),
        ProjectDevice("power", "power"),
    )
    one = Project(
        "p", "P", "ams-iii-h", "19.0", plant.ZONE, plant.FROM, plant.TO, parameters=COD,
        devices=bound,
    )  # fmt: skip
    given = plant.laid_out(PLANT, {("in", "flow"): [5 * 10**6], ("gas", "biogas"): [12 * 10**6],
                                   ("power", "energy_import"): [4_000]})  # fmt: skip
    live = account(given, compile_bindings([one], PLANT, BOOK))
    assert live.reduction_ug.tolist() == [], "its open time is accounted as the close does"


MONITORED = (
    "cod_in_kg_per_m3",
    "cod_out_kg_per_m3",
    "ch4_fraction",
    "eta_cod_project",
    "flare_efficiency",
)


ALL = {name: COD[name] for name in MONITORED}
