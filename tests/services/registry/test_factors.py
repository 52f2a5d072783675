"""Factors of a registry file: corrected by another row, never edited, accepted by id."""

from dataclasses import replace

import pytest
import yaml

from mrv import factors
from mrv.factors.ledger import factor_of, from_record, to_record
from mrv.methodologies._tools import calculated
from services.registry.files import to_yaml
from tests.docket import world
from tests.services.registry.texts import BASE, PROJECT, messages


def test_a_factor_from_memory_is_warned_of_until_it_is_accepted_by_name(load):
    """A number that no one compared with its text would pass unseen into a statement."""
    said = load(BASE + PROJECT)
    assert not said.refused
    assert "factor jcm-vn-am007-case-1 = 0.333 tCO2/MWh is unverified" in messages(said)
    accepting = PROJECT + "    parameters: {accept_factors: [jcm-vn-am007-case-1]}\n"
    assert "unverified" not in messages(load(BASE + accepting))


def test_a_default_of_banks_and_a_factor_typed_beside_it_are_warned_of(load):
    """Half a tonne too much in a MWh would be typed, and the import would be silent."""
    thai = BASE.replace("country: VN", "country: TH")
    grid = PROJECT.replace("jcm-vn-am007", "ams-i-d").replace('"1.0"', '"18.0"')
    grid = grid.replace(", case: 1", "")
    values = "    parameters: {ef_grid_t_per_mwh: 0.5, capacity_mw: 1}\n"
    said = messages(load(thai + grid + values))
    assert "ef_grid_t_per_mwh = 0.5, and ifi-2021-grid.th = 0.351 tCO2/MWh is published" in said
    assert "ifi-2021-grid.th = 0.351 tCO2/MWh is a default of development banks" in said
    taken = values.replace("0.5", "0.351").replace("}", ", accept_factors: [ifi-2021-grid.th]}")
    said = messages(load(thai + grid + taken))
    assert "ifi-2021-grid.th" not in said


GRID = """
factors:
  - {id: grid-2024, kind: grid.vn, value: 0.66, unit: tCO2/MWh, direction: consumed,
     valid_from: 2024-01-01, source: letter 1, certainty: R, verified: true}
"""
CORRECTED = (
    GRID
    + """
  - {id: grid-2024-b, kind: grid.vn, value: 0.67, unit: tCO2/MWh, direction: consumed,
     valid_from: 2024-01-01, source: letter 2, certainty: R, verified: true,
     supersedes: grid-2024}
"""
)


def test_a_factor_is_corrected_by_another_that_names_it(load):
    """A value would be edited, and the statements that used it would rest on nothing."""
    stored = load(BASE + GRID).merged
    changed = load(BASE + GRID.replace("0.66", "0.67"), stored)
    assert changed.refused
    assert "never changed" in messages(changed)
    assert "`supersedes: grid-2024`" in messages(changed)
    planned = load(BASE + CORRECTED, stored)
    assert not planned.refused, messages(planned)
    again = load(to_yaml(planned.merged))
    assert again.merged == planned.merged
    text = CORRECTED.replace("supersedes: grid-2024}", "supersedes: grid-2023}")
    assert "not another factor" in messages(load(BASE + text, stored))


def test_factors_do_not_walk_away_from_the_published_one_step_by_step(load):
    """Three permitted steps of 14 % would turn a factor into that of a grid without coal."""
    first = GRID.replace("0.66", "0.57")
    stored = load(BASE + first).merged
    second = CORRECTED.replace("value: 0.66,", "value: 0.57,").replace("0.67", "0.50")
    planned = load(BASE + second, stored)
    assert planned.refused
    assert "0.50 is less than 0.85" in messages(planned)
    # one that was stored before stops no other row
    held = replace(stored, entries={**stored.entries, **planned.merged.entries})
    other = load(BASE.replace("name: S,", "name: T,"), held)
    assert not other.refused, messages(other)
    assert "warning" in messages(other)


def test_a_project_older_than_its_factors_is_refused(load):
    """A project's live account could not be compiled, and `tonne run` would stop."""
    buses = """
  - {id: bus, site: s, class: vehicle, profile: generic, installed: 2010-01-01T00:00:00Z}
  - {id: ch, site: s, class: ev_charger, profile: generic, installed: 2010-01-01T00:00:00Z}
projects:
  - id: bus
    name: Buses
    methodology: ams-iii-c
    version: "16.0"
    crediting_period: {from: 2010-01-01, to: 2020-01-01}
    devices: [{device: ch, role: charging}, {device: bus, role: vehicle}]
    parameters: {sfc_l_per_100km: 34, baseline_year: 2009}
"""
    planned = load(BASE + buses.lstrip("\n"))
    assert planned.refused
    assert "no factor of the grid of VN is known for 2010-01-01" in messages(planned)


GERMAN = """
factors:
  - {id: de-2025, kind: grid.de, value: 0.363, unit: tCO2/MWh, direction: consumed,
     valid_from: 2025-01-01, source: list of 2025, certainty: R, verified: true,
     document: {document: List 2025, by: Agency, issued: 2025-04-01, sha256: HASH}}
""".replace("HASH", "a" * 64)


def test_a_factor_without_its_document_needs_a_published_one_beside_it(load):
    """An owner would type the grid of a country for which no one publishes a factor."""
    bare = GERMAN[: GERMAN.index(",\n     document")] + "}\n"
    later = bare.replace("0.363", "0.313").replace("2025-01-01", "2026-01-01")
    assert not load(BASE + later).refused
    assert "`de-grid-2025` and `de-2025`".replace("`", "'") in messages(load(BASE + bare))
    planned = load(BASE + bare.replace("grid.de", "grid.np"))
    assert "tonne publishes no grid.np; enter the document" in messages(planned)
    assert planned.refused


ISLANDS = """
sites:
  - {id: s, name: S, latitude: 7.07, longitude: 125.61, timezone: Asia/Manila, country: PH}
devices:
  - {id: bus, site: s, class: vehicle, profile: generic, installed: 2024-01-01T00:00:00Z}
  - {id: ch, site: s, class: ev_charger, profile: generic, installed: 2024-01-01T00:00:00Z}
projects:
  - id: bus
    name: Buses
    methodology: ams-iii-c
    version: "16.0"
    crediting_period: {from: 2024-01-01, to: 2030-01-01}
    devices: [{device: ch, role: charging}, {device: bus, role: vehicle}]
    parameters: {sfc_l_per_100km: 34, baseline_year: 2023}
"""
OWN_GRID = GERMAN.replace("grid.de", "grid.ph.sulu").replace("from: 2025", "from: 2024")


@pytest.mark.parametrize(
    ("grid", "more", "said"),
    [
        ("", "", "enter `grid` of the site: luzon-visayas (Luzon, Visayas), mindanao (Mindanao)"),
        (", grid: mindanao", "", None),
        (", grid: luzon-visayas", "", "does not reach 7.07, 125.61"),
        (", grid: mindanoa", "", "mindanao (Mindanao); enter one of these, or add its factor"),
        (", grid: sulu", "", "kind: grid.ph.sulu, value: .."),
        (", grid: sulu", OWN_GRID, None),
        (", grid: mindanao", OWN_GRID, "no site is of this grid; write `grid: sulu`"),
    ],
)
def test_a_site_is_of_one_of_its_countrys_grids(load, grid, more, said):
    """Buses of Davao would be charged with the mean of all islands, a third too little."""
    planned = load(ISLANDS.replace("country: PH", f"country: PH{grid}") + more)
    text = messages(planned)
    assert planned.refused == (said is not None and ("reach" in said or "add its" in said
                                                     or "value: .." in said)), text  # fmt: skip
    assert said is None or said in text
    assert said is not None or "grid" not in text
    if grid and not planned.refused:
        assert load(to_yaml(planned.merged)).merged == planned.merged


MARGIN = """
factors:
  - id: cm-2026
    kind: grid.vn
    value: 0.5109
    unit: tCO2/MWh
    direction: consumed
    valid_from: 2026-01-01
    source: own calculation
    certainty: R
    verified: true
    calculation:
      tool: tool07
      result: ef_cm_t_per_mwh
      inputs:
        fuels: [{fuel: bituminous, mass_t: 4000000}, {fuel: natural_gas, mass_t: 900000}]
        generation_mwh: 16500000
        ef_bm_t_per_mwh: 0.335
        technology: wind
    document: {document: spreadsheet, by: Consultant, issued: 2026-01-10, sha256: SHA}
""".replace("SHA", "ab" * 32)


def test_a_factor_is_what_its_calculation_gives(load):
    """A factor that differs from its calculation is rejected."""
    planned = load(BASE + MARGIN)
    assert not planned.refused, messages(planned)
    again = load(to_yaml(planned.merged))
    assert again.merged == planned.merged
    (factor,) = planned.merged.factors.values()
    held = from_record(to_record(factor_of(factor.record)))
    assert held.calculation.inputs["generation_mwh"] == "16500000"
    book = factors.load().within("VN")
    assert float(calculated(held.calculation, book, "x")) == pytest.approx(0.510871, abs=1e-6)
    # of what is consumed the value is rounded up
    wrong = load(BASE + MARGIN.replace("0.5109", "0.5108"))
    assert wrong.refused
    assert "tool07 gives 0.51087" in messages(wrong)
    assert "which is 0.5109 for the direction consumed; 0.5108 is" in messages(wrong)
    for old, new, said in (
        ("tool: tool07", "tool: tool99", "no tool 'tool99'"),
        ("ef_cm_t_per_mwh", "ef_t", "no result 'ef_t'"),
        ("fuel: bituminous", "fuel: peat", "peat"),
        # an empty cell is no zero
        (", mass_t: 900000", "", "mass_t"),
        ("      result: ef_cm_t_per_mwh\n", "", "must have `tool`"),
    ):
        wrong = load(BASE + MARGIN.replace(old, new))
        assert wrong.refused, old
        assert said in messages(wrong)


@pytest.mark.parametrize(("country", "climate", "said"), [
    ("VN", None, None), ("VN", 1, None), ("CO", 4, None),
    ("CO", 1, "without a third party's document"), ("CO", None, "climate is not entered"),
])  # fmt: skip
def test_a_climate_that_costs_is_named_at_the_import(load, country, climate, said):
    """A plant abroad would count the slowest decay, and its operator hear of it from no one."""
    document = world.begin("compost", "climate").document
    if country == "CO":
        place = {"country": "CO", "timezone": "America/Bogota", "latitude": 4.6, "longitude": -74.1}
        document["sites"][0] |= place
    document["projects"][0]["parameters"] |= {} if climate is None else {"climate": climate}
    found = [
        m
        for m in messages(load(yaml.safe_dump(document))).split("\n")
        if "parameters: climate" in m
    ]
    assert len(found) == (said is not None), found
    assert said is None or said in found[0]
