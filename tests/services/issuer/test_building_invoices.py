"""A building by public ways: it saves what its supplier and the weather service show."""

import hashlib

import numpy as np
import pytest
from click.testing import CliRunner

from services.cli.main import main
from services.store.postgres.pool import connect
from tests import registering
from tests.findings import worded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

RULE = "EVD-03"

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
REGISTRY = """
sites: [{id: hp, name: Hai Phong, latitude: 20.94, longitude: 106.60, timezone: Asia/Ho_Chi_Minh}]
devices:
  - {id: station, site: hp, class: weather_station, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: power, site: hp, class: energy_meter, profile: generic, rated_power_w: 2000000,
     installed: 2026-01-01T00:00:00+07:00}
projects:
  - id: house
    name: A building
    methodology: ams-ii-e
    version: "11.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: station, role: weather}, {device: power, role: power}]
    parameters: {ef_grid_t_per_mwh: 0.6592, intercept_mwh: 1450, slope_mwh_per_cdd: 0.62%s}
"""
RANGE = ", least_cdd_per_month: 60, most_cdd_per_month: 400, months_of_baseline: 24"
VALUES = {"intercept_mwh": 1450, "slope_mwh_per_cdd": 0.62, "least_cdd_per_month": 60,
          "most_cdd_per_month": 400, "months_of_baseline": 24}  # fmt: skip
NAMES = tuple(VALUES)
PAPER = (
    "{document: regression of 2025, by: An auditor, issued: 2025-12-01, sha256: "
    + "b2" * 32
    + ", value: %s}"
)
BILLS = """
invoices:
  - {id: b-%s, project: house, issuer: %s, number: 1, issued: 2026-03-03, devices: [power],
     from: 2026-03-02, to: 2026-03-03, amount: 6720, sha256: %s}
  - {id: w-%s, project: house, issuer: %s, number: 2, issued: 2026-03-03, devices: [station],
     quantity: degree_time, unit: K d, from: 2026-03-02, to: 2026-03-03, amount: 8.36, sha256: %s}
"""


def _building(url, folder):
    """Three days of a building: 8.356 K d and 6,720 kWh each."""
    plant.register(url, folder, REGISTRY % "")
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), 15 * 60 * 10**6)
    count = np.arange(len(times)) + 1
    plant.send(url, "station", times, cooling_degree_ks=count * 7_520)
    plant.send(url, "power", times, energy_import_wh=count * 70_000)


@pytest.fixture
def url(database_url, tmp_path):
    planted(_building, database_url, tmp_path)
    return database_url


def closed(url):
    """Close the day; tonnes, and what the conditions say that do not hold, by clause."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = close_period(conn, "house", *SPAN, "test")
    said = found.document["credentialSubject"]["applicability"]
    return float(found.result.net.reduction.t), {
        a["rule"]: worded(a) for a in said if not a["holds"]
    }


def billed(url, folder, supplier, service):
    """Import the invoice and the figures of the weather, each by its issuer."""
    file = folder / f"{supplier}-{service}.yaml"
    name = f"{supplier}-{service}".replace(" ", "-")
    files = [hashlib.sha256(f"{what} {name}".encode()).hexdigest() for what in ("power", "weather")]
    file.write_text(BILLS % (name, supplier, files[0], name, service, files[1]), "utf-8")
    done = CliRunner().invoke(
        main, ["invoice", "import", str(file)], env={"TONNE_DATABASE_URL": url}
    )
    assert done.exit_code == 0, done.output


def test_a_building_saves_once_documents_and_invoices_are_there(url, tmp_path):
    """An owner would not know which papers to bring before the close, or bring his own."""
    whole = (
        REGISTRY % RANGE
        + f"    documents: {{{', '.join(f'{n}: {PAPER % v}' for n, v in VALUES.items())}}}\n"
    )
    told = registering.told(url, tmp_path, whole, "owner")
    assert "invoices" not in "".join(m for r in told.results for m in r.messages)
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "corroborates power" in unmet[RULE]
    # the owner's own station is no weather service
    logged.signers(url, tmp_path)
    billed(url, tmp_path, "EVN Hai Phong", "the-operator")
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "corroborates power" not in unmet[RULE]
    assert "(the-operator, 2) is by an operator of the plant" in unmet["EVD-08"]
    billed(url, tmp_path, "EVN Hai Phong again", "Hydrometeorological service")
    tonnes, unmet = closed(url)
    assert tonnes > 1
    assert RULE not in unmet
    # without its line's documents it was warned at the import, and saves nothing
    bare = registering.told(url, tmp_path, REGISTRY % "", "owner")
    said = "".join(m for r in bare.results for m in r.messages)
    assert "report of the regression" in said
    assert "until invoices of what station, power tells" in said
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "months_of_baseline" in unmet[RULE]
