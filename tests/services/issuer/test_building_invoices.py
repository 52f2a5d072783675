"""
A building's reduction from the invoices of its supplier and the weather service.

A complete project, from the registry to the issue.

Each required entry must be possible: a requirement that no project can meet would be wrong.
"""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from mrv.documents.verification import PersonNamed, SiteVisit
from mrv.packs.reader import read_pack
from mrv.statement.sampling import Size
from mrv.verify import verify
from services.issuer import transitions as life
from services.issuer.export_files import submission
from services.issuer.pack import export
from tests import registering
from tests.findings import worded
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.test_as_registered import DESIGN, TEAM

FORMS = """
registrations:
  - project: pv
    programme: JCM
    project_id: VN900
    registered: 2025-12-01
    negative_impacts: none
    consultation: {date: 2025-09-30, document: minutes}
    validation: {body: VKU, date: 2025-11-01, report: V-7}
    rights: {document: agreement of the participants, by: notary, date: 2025-10-01}
    other_programmes: none
    methodologies: [{name: jcm-vn-am007, version: "1.0", since: 2025-12-01}]
    designs: [{name: PDD, version: "1.1", since: 2025-12-01}]
    forms: [{name: JCM_VN_F_MR, version: "02.0", since: 2023-01-01}]
    verifications: [{statement: TN-pv-20260302-20260303-1, id: V-1}]
    participants: [{name: A, side: JPN, share_percent: "100", account: J-1}]
"""
EVENTS = """\
    events:
      - {from: 2026-03-02, to: 2026-03-03, what: anomaly, devices: [inv-2], by: shift engineer,
         resolved: 2026-03-03, found: the data logger was started again, document: log 7}
"""
MADE = """\
    serial: {serial}
    maker: Maker
    model: M-1
    attributes: {{point: "{point}, 0.4 kV side", feeds: [grid]}}
"""


def _registry():
    """Return the plant with everything that statement and checks require."""
    given = {
        "    serial: A1\n": MADE.format(serial="A1", point="M1"),
        "  - id: inv-2\n    site: hp\n": "  - id: inv-2\n    site: hp\n"
        + MADE.format(serial="A2", point="M2"),
        'C-1, accuracy_class: "0.5S"}': 'C-1, accuracy_class: "0.5S", serial: A1,'
        " laboratory: Quatest 1, accreditation: VILAS 001}",
        "C-2, max_error_percent: 0.5}": (
            "C-2, max_error_percent: 0.5, serial: A2, laboratory: Quatest 1,"
            " accreditation: VILAS 001}"
        ),
        "    expected: {energy_kwh_per_year: 2400000, reduction_t_per_year: 799.2}": (
            "    parameters: {accept_factors: [jcm-vn-am007-case-1, jcm-vn-am007-case-3]}\n"
            "    expected: {energy_kwh_per_year: 5000000, reduction_t_per_year: 5000,"
            " by_month: [6, 7, 9, 9, 9, 9, 9, 9, 9, 9, 8, 7]}"
        ),
        "    monitoring:\n": DESIGN.replace(
            "      phases:",
            "      devices: [{make: Maker, model: M-1, number: 2}]\n"
            "      sources: [{name: grid, gas: CO2, side: baseline, counted_by: generation}]\n"
            "      phases:",
        ).replace("commissioned: 2026-01-20}", "commissioned: 2026-01-20, document: protocol 7}")
        + EVENTS
        + "    monitoring:\n",
    }
    text = plant.documented()
    for old, new in given.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_an_exemplary_project_lacks_nothing(database_url, tmp_path):
    """An operator who gives all that is asked for would be asked again, or suspected."""
    plant.register(database_url, tmp_path, _registry())
    plant.fill_pv(database_url, minutes=15)
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    name = logged.submitted(database_url, who)
    visit = SiteVisit(day="2026-03-04", place="Hai Phong", text="the meters were seen")
    with logged.issuer(database_url) as conn:
        life.sample(conn, name, who["verifier"], Size())
        said = replace(
            concluded("unqualified", of=(conn, name)),
            procedure="registers read on site",
            team=TEAM,
            signatory=PersonNamed(name="Pham Van Duc", function="director"),
            reviewer=PersonNamed(name="Le Van Minh", function="technical reviewer"),
            site_visits=(visit,),
            accreditation="VN-017",
        )
        life.verify(conn, name, who["verifier"], said)
        life.issue(conn, name, who["log"], "test")
    registering.register(database_url, tmp_path, FORMS)
    with logged.issuer(database_url) as conn:
        facts, lines = submission(conn, name, "en")
        report = verify(read_pack(export(conn, name, tmp_path / "pack")))
    assert [(one.check, one.lacking) for one in lines if not one.holds] == []
    assert report.consistent, report.failure
    assert [one for one in facts.subject.applicability if not one.holds] == []


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
    """Store three days of a building: 8.356 K d and 6,720 kWh each."""
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
    """Preview the day; return tonnes, and the texts of the conditions not met, by clause."""
    found = logged.previewed(url, *SPAN, project="house")
    said = found.document["credentialSubject"]["applicability"]
    return float(found.result.net.reduction.t), {
        a["rule"]: worded(a) for a in said if not a["holds"]
    }


def billed(url, folder, supplier, service):
    """Import the invoice and the weather data, each by its issuer."""
    name = f"{supplier}-{service}".replace(" ", "-")
    files = [hashlib.sha256(f"{what} {name}".encode()).hexdigest() for what in ("power", "weather")]
    registering.billed(url, folder, BILLS % (name, supplier, files[0], name, service, files[1]))


def test_a_building_saves_once_documents_and_invoices_are_there(url, tmp_path):
    """An owner would not know which documents to bring before the close, or bring his own."""
    whole = (
        REGISTRY % RANGE
        + f"    documents: {{{', '.join(f'{n}: {PAPER % v}' for n, v in VALUES.items())}}}\n"
    )
    assert "invoices" not in registering.said(url, tmp_path, whole)[1]
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "corroborates power" in unmet[RULE]
    # the owner's own station is no weather service
    logged.signers(url, tmp_path)
    billed(url, tmp_path, "EVN Hai Phong", "the-operator")
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "corroborates power" not in unmet[RULE]
    assert "(the-operator, 2) was issued by an operator of the plant" in unmet["EVD-08"]
    billed(url, tmp_path, "EVN Hai Phong again", "Hydrometeorological service")
    tonnes, unmet = closed(url)
    assert tonnes > 1
    assert RULE not in unmet
    # without its line's documents it was warned at the import, and saves nothing
    _, said = registering.said(url, tmp_path, REGISTRY % "")
    assert "report of the regression" in said
    assert "the quantity of station, power is credited only if invoices" in said
    tonnes, unmet = closed(url)
    assert tonnes == 0
    assert "months_of_baseline" in unmet[RULE]
