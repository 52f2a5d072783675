"""An implausible value of a device, from the registry file to the verified pack."""

from mrv.packs.reader import read_pack
from mrv.rules.plausible_values import RANGE as RULE
from mrv.verify import verify
from services.issuer.pack import export
from services.store.postgres.pool import connect
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

BURNERS = """
devices:
  - {id: gas, site: hp, class: fuel_meter, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: fans, site: hp, class: energy_meter, profile: generic, rated_power_w: 50000,
     installed: 2026-01-01T00:00:00+07:00}
projects:
  - id: burners
    name: Regenerative burners
    methodology: jcm-id-am009
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices:
      - {device: gas, role: natural_gas, density_kg_per_m3: 1.05}
      - {device: fans, role: power}
    parameters: {eta_reference: 0.35, eta_project: 0.5, design_fuel_m3_per_d: 4000}
    documents:
      eta_reference: &paper {document: report 7, by: Energy auditor, issued: 2025-12-01, sha256: %s}
      eta_project: *paper
      density_kg_per_m3: *paper
      design_fuel_m3_per_d: *paper
""" % ("e5" * 32)


def test_a_density_beyond_its_fuel_counts_by_the_bound_and_verifies(database_url, tmp_path):
    """A pack whose registry says 1.05 kg/m3 and whose statement 0.65 would be a contradiction."""
    plant.register(database_url, tmp_path)
    plant.register(database_url, tmp_path, BURNERS)
    times = range(plant.us("2026-03-01"), plant.us("2026-03-03") + 1, 15 * plant.MINUTE_US)
    for device, column, step in (
        ("gas", "fuel_total_ml", 30_000_000),
        ("fans", "energy_import_wh", 5_000),
    ):
        steps = [step * i for i in range(len(times))]
        plant.send(database_url, device, list(times), **{column: steps})
    who, days = logged.signers(database_url, tmp_path), ("2026-03-01", "2026-03-02", "2026-03-03")
    first = logged.issue(database_url, who, *days[:2], project="burners")
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        closed = close_period(conn, "burners", *map(plant.us, days[1:]), "test")
        folder = export(conn, first, tmp_path / "pack")
    used = {p.device: p.value for p in closed.result.parameters if p.name == "density_kg_per_m3"}
    assert used == {"gas": "0.65"}
    (said,) = [f.detail for f in closed.result.applicability if f.rule == RULE and not f.holds]
    assert (
        said.count(
            "density_kg_per_m3 of gas = 1.05 kg/m3 is outside the plausible range 0.65 to 0.85"
        )
        == 1
    )
    report = verify(read_pack(folder))
    assert report.failure is None, report.failure
    assert report.consistent
