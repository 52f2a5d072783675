"""A city of another country, from its registry file to its statements, with its own grid factor."""

import json
import re
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import pytest
from openpyxl import load_workbook

from mrv.packs.reader import read_pack
from mrv.report import make, make_programme
from mrv.report.page.basis import basis
from mrv.report.words import Words
from mrv.verify import verify
from services.issuer.live_accounts import refresh
from services.issuer.pack import export
from services.issuer.report import facts_of_pack
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.registry.load import load_published
from services.store.statements import statements
from services.store.views.programme_report import report_document
from tests import holders, registering
from tests.services.issuer import plant
from tests.services.issuer.logged import issuer
from tests.services.issuer.sealed import close_period

SHA = "a" * 64
_VIETNAMESE = re.compile(r"viet|\bvn\b|vn-|decree|hai ?phong|ho_chi_minh", re.IGNORECASE)
DAY = ("2026-06-02", "2026-06-03")
CITY = """
sites:
  - {{id: roof, name: City hall, latitude: {latitude}, longitude: {longitude}, timezone: {zone},
     country: {country}}}
devices:
  - id: inv-1
    site: roof
    class: pv_inverter
    profile: generic
    rated_power_w: 1000000
    installed: 2026-01-01T00:00:00Z
    calibrations:
      - {{performed: 2025-12-20, valid_until: 2027-12-20, certificate: C-1, accuracy_class: "0.5S"}}
  - {{id: ch-1, site: roof, class: ev_charger, profile: generic, rated_power_w: 60000,
     installed: 2026-01-01T00:00:00Z}}
  - {{id: bus-1, site: roof, class: vehicle, profile: generic, installed: 2026-01-01T00:00:00Z}}
projects:
  - id: pv
    name: Roof
    methodology: ams-i-d
    version: "18.0"
    crediting_period: {{from: 2026-01-01, to: 2036-01-01}}
    devices: [{{device: inv-1, role: generation}}]
    parameters: {{ef_grid_t_per_mwh: {ef}, capacity_mw: 1}}
  - id: bus
    name: Electric buses
    methodology: ams-iii-c
    version: "16.0"
    crediting_period: {{from: 2026-01-01, to: 2036-01-01}}
    devices: [{{device: ch-1, role: charging}}, {{device: bus-1, role: vehicle}}]
    parameters: {{sfc_l_per_100km: 34.0, baseline_year: 2025}}
"""
GERMANY = {"latitude": 52.5, "longitude": 13.4, "zone": "Europe/Berlin", "country": "DE"}
INDONESIA = {"latitude": -6.9, "longitude": 107.6, "zone": "Asia/Jakarta", "country": "ID"}
JAVA = INDONESIA | {"country": "ID, grid: jamali"}
# figures of documents that are made up for this test
STATED = """
factors:
  - {{id: own-grid, kind: grid.{country}, value: {grid}, unit: tCO2/MWh, direction: consumed,
     valid_from: 2025-01-01, source: "list of 2025, table 1", certainty: R, verified: true,
     document: {{document: List of factors 2025, by: {by}, issued: 2025-04-01, sha256: {sha}}}}}
  - {{id: own-losses, kind: grid.losses.{country}, value: {losses}, unit: "1",
     direction: consumed, valid_from: 2025-01-01, source: "list of 2025, table 2", certainty: R,
     verified: true,
     document: {{document: List of factors 2025, by: {by}, issued: 2025-04-01, sha256: {sha}}}}}
"""


def _city(place, ef):
    return CITY.format(**place, ef=ef)


def _stated(country, grid, losses, by="Federal agency"):
    return STATED.format(country=country, grid=grid, losses=losses, by=by, sha=SHA)


def _closed(url, home, text):
    """
    Import a city, store a day of it, and close the day; return both
    results and their documents.
    """
    registering.register(url, home, text)
    begin, end = (plant.instant_us(day, "UTC") for day in ("2026-06-01", "2026-06-04"))
    times = list(range(begin, end, 10 * plant.MINUTE_US))
    ahead = round(float(re.search(r"longitude: (\S+?),", text)[1]) / 15)
    hours = [(us // 3_600_000_000 + ahead) % 24 for us in times]
    made, drawn, way = [0], [0], [0]
    for hour in hours:
        made.append(made[-1] + (40_000 if 6 <= hour < 18 else 0))
        drawn.append(drawn[-1] + (8_000 if hour < 5 else 0))
        way.append(way[-1] + (3_000 if hour >= 6 else 0))
    power = [240_000.0 if 6 <= hour < 18 else 0.0 for hour in hours]
    plant.send(url, "inv-1", times, energy_export_wh=made[1:], energy_import_wh=[0] * len(times),
               active_power_w=power)  # fmt: skip
    plant.send(url, "ch-1", times, energy_import_wh=drawn[1:])
    plant.send(url, "bus-1", times, odometer_m=way[1:])
    return _close(url, home, text, ("pv", "bus"))


def _close(url, home, text, projects):
    """Close the day of a registered city; return results and their documents."""
    found = {}
    with issuer(url) as conn:
        refresh(conn)
        zone = re.search(r"timezone: (\S+?),", text)[1]
        span = [plant.instant_us(day, zone) for day in DAY]
        for project in projects:
            one = close_period(conn, project, *span, "test")
            stored = statements.find(conn, one.statement)
            found[project] = one.result, json.loads(stored.body)
            export(conn, one.statement, home / project)
            assert verify(read_pack(home / project)).consistent, project
    return found


def _used(result, kind):
    (found,) = [f for f in result.factors if f.kind == kind]
    return found


def _per_mwh(result, role):
    """Return the applied emissions of a megawatt-hour of a role. [tCO2]"""
    (one,) = [d for d in result.devices if d.role == role]
    assert float(one.counted) > 0
    return float(one.emissions_t) / (float(one.counted) / 10**6)


@pytest.mark.parametrize(
    ("place", "country", "grid", "losses"),
    [(GERMANY, "de", "0.363", "0.05"), (JAVA, "id.jamali", "0.87", "0.09")],
)
def test_a_city_counts_by_what_its_own_authority_states(
    database_url, tmp_path, place, country, grid, losses
):
    """Buses of another country would be charged with Viet Nam's grid, and roofs credited by it."""
    text = _city(place, grid) + _stated(country, grid, losses)
    found = _closed(database_url, tmp_path, text)
    bus, _ = found["bus"]
    assert _used(bus, f"grid.{country}").value == grid
    assert _used(bus, f"grid.losses.{country}").value == losses
    ef, tdl = Fraction(grid), Fraction(losses)
    assert _per_mwh(bus, "charging") == pytest.approx(float(ef / (1 - tdl)), rel=1e-4)
    assert _per_mwh(found["pv"][0], "generation") == pytest.approx(float(ef), rel=1e-4)
    for result, document in found.values():
        shown = json.dumps(document)
        assert not _VIETNAMESE.search(shown), shown
        official = [a for a in result.applicability if a.rule == "FAC-01"]
        assert all(one.holds for one in official), official


def test_each_report_names_the_factor_behind_a_typed_value(database_url, tmp_path):
    """A Kenyan verifier would find a number, and neither its source nor how old it is."""
    pv, _ = _closed(database_url, tmp_path, _city(KENYA, "0.274"))["pv"]
    assert _per_mwh(pv, "generation") == pytest.approx(0.274, rel=1e-4)
    facts = facts_of_pack(read_pack(tmp_path / "pv"))
    words = Words("en")
    tables = [block for block in basis(facts, words) if block["kind"] == "table"]
    printed = json.dumps([block for block in tables if "ifi-2021-grid.ke" in str(block)])
    said = (
        "0.274",
        "tCO2/MWh",
        "1 January 2021 \\u2013 1 January 2022",
        "IFI TWG",
        "Provisional",
        "T: ",
    )
    for text in said:
        assert text in printed, (text, printed)
    sheet = load_workbook(BytesIO(make(facts, "xlsx", "en")))["Factors"]
    row = next([*row] for row in sheet.values if row[0] == "ifi-2021-grid.ke")
    assert {"2021-01-01", "2022-01-01", "tCO2/MWh"} <= {str(cell) for cell in row}


def test_a_document_of_the_operator_itself_states_nothing(database_url, tmp_path):
    """An operator would write the list of factors that its own tonnes rest on."""
    registering.register(
        database_url,
        tmp_path,
        _city(GERMANY, "0.363") + _stated("de", "0.30", "0.05", "The Operator Ltd."),
    )
    with connect(database_url) as conn:
        assert all(f.documented for f in load_published(conn))
        enrolled.enroll(conn, holders.create(tmp_path, "the-operator", "operator"))
        assert not any(f.documented for f in load_published(conn))


def test_a_country_without_a_factor_is_told_the_row_to_write(database_url, tmp_path):
    """
    Another country's factor would count without a message, or no one
    would know what is missing.
    """
    nepal = {"latitude": 27.7, "longitude": 85.3, "zone": "Asia/Kathmandu", "country": "NP"}
    planned = registering.told(database_url, tmp_path, _city(nepal, "0.3"))
    said = [m for r in planned.results for m in r.messages if "error" in m or "grid.np" in m]
    for project in ("pv", "bus"):
        assert any(project in m and "kind: grid.np" in m and "document:" in m for m in said), said
    bare = re.sub(r",\s+document: \{.*\}\}", "}", _stated("np", "0.3", "0.1"))
    planned = registering.told(database_url, tmp_path, _city(nepal, "0.3") + bare)
    assert any("tonne publishes no grid.np" in m for r in planned.results for m in r.messages)
    assert not registering.told(
        database_url, tmp_path, _city(nepal, "0.3") + _stated("np", "0.3", "0.1")
    ).refused


def _by_am007(place):
    text = _city(place, "0.3").replace("ams-i-d", "jcm-vn-am007").replace('"18.0"', '"1.0"')
    return text.replace("role: generation", "role: generation, case: 1").replace(
        "    parameters: {ef_grid_t_per_mwh: 0.3, capacity_mw: 1}\n", ""
    )


KENYA = {"latitude": -1.3, "longitude": 36.8, "zone": "Africa/Nairobi", "country": "KE"}
BURNERS = """
sites:
  - {{id: works, name: Works, latitude: {latitude}, longitude: {longitude}, timezone: {zone},
     country: {country}}}
devices:
  - {{id: gas, site: works, class: fuel_meter, profile: generic, rated_power_w: 4000000,
     installed: 2026-01-01T00:00:00Z}}
  - {{id: fans, site: works, class: energy_meter, profile: generic, rated_power_w: 20000,
     installed: 2026-01-01T00:00:00Z}}
projects:
  - id: burners
    name: Burners
    methodology: jcm-id-am009
    version: "1.0"
    crediting_period: {{from: 2026-01-01, to: 2036-01-01}}
    devices: [{{device: gas, role: lpg, density_kg_per_m3: 540}}, {{device: fans, role: power}}]
    parameters: {{design_fuel_m3_per_d: 15, eta_reference: 0.38, eta_project: 0.55}}
"""


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        (KENYA, "jcm-vn-am007", "jcm-vn-am007 is of JCM Viet Nam: the project is in KE"),
        (KENYA, "jcm-id-am009", "jcm-id-am009 is of JCM Indonesia: the project is in KE"),
        (INDONESIA, "jcm-id-am009", None),
        (KENYA, "ams-i-d", None),
    ],
)
def test_a_methodology_of_a_programme_is_for_its_countries(
    database_url, tmp_path, place, text, said
):
    """A city would build a plant by a methodology whose programme takes no project from there."""
    solar = {"ams-i-d": _city(place, "0.3"), "jcm-vn-am007": _by_am007(place)}
    file = solar[text] if text in solar else BURNERS.format(**place)
    planned = registering.told(database_url, tmp_path, file)
    messages = [m for r in planned.results for m in r.messages if "the project is in" in m]
    assert len(messages) == (said is not None), messages
    assert all(said in one for one in messages)


UNLIKELY = {
    # a site's text: what the import says of it, and whether it refuses it
    "no country": (_city(GERMANY, "0.3").replace(",\n     country: DE", ""), False,
                   "Write `country: DE`"),
    "far from its clock": (
        _city({**KENYA, "zone": "Asia/Ho_Chi_Minh", "country": "VN"}, "0.3"), False,
        "longitude: 36.8 is 4.5 hours of solar time from time zone Asia/Ho_Chi_Minh",
    ),
    "on another clock": (_city({**GERMANY, "country": "ZA"}, "0.9"), True,
                         "but time zone Europe/Berlin is of DE"),
    "across a border": (_city({**GERMANY, "country": "PL"}, "0.9"), False, "is of DE"),
    **{place["country"]: (_city(place, "0.9"), False, None)
       for place in (GERMANY, INDONESIA, KENYA)},
}  # fmt: skip


@pytest.mark.parametrize(("text", "refused", "said"), UNLIKELY.values(), ids=UNLIKELY)
def test_country_clock_and_place_of_a_site_agree(database_url, tmp_path, text, refused, said):
    """A roof would gain by the grid of whichever country burns the most coal."""
    planned = registering.told(database_url, tmp_path, text)
    told = [m for r in planned.results for m in r.messages]
    assert planned.refused == refused, told
    told = [m for m in told if "of solar time" in m or "country: " in m or "is of DE" in m]
    assert any(said in m for m in told) if said else not told


def test_the_programme_of_a_german_city_speaks_of_no_vietnamese_rules(database_url):
    """A planner would read what a Vietnamese decree lets go abroad of German tonnes."""
    planned = registering.imported(database_url, Path("deploy/catalog/freiburg"))
    assert not planned.refused, [r.messages for r in planned.results]
    assert not [m for r in planned.results for m in r.messages]
    with connect(database_url) as conn:
        document = report_document(conn, 2026)
    assert document["transfer"] is None
    book = load_workbook(BytesIO(make_programme(document, "xlsx", "en")))
    cells = [str(cell.value) for sheet in book for row in sheet for cell in row]
    assert any("Quartierbusse" in one for one in cells)
    assert not [one for one in cells if _VIETNAMESE.search(one)]
