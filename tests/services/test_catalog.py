"""The catalog of Hai Phong, and the errors that `registry check` finds in a wrong one."""

from pathlib import Path

import pytest

from mrv.registry import programme_systems as systems
from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.plan import plan

CATALOG = Path(__file__).parents[2] / "deploy" / "catalog" / "haiphong"
# Indicators and asset data; buses and PV of Cat Ba stand beside the lamps.
WITHOUT_PROJECT = {"sewerage-registry", "tay-nam-canal", "air-and-noise"}


def _check(*files):
    return plan(Registry(), read_files(files))


def _told(found):
    return "\n".join(m for result in found.results for m in result.messages)


def test_the_catalog_is_whole_and_warns_of_the_45_mw():
    """A figure that no plant can make would appear in the programme unquestioned."""
    found = _check(CATALOG)
    assert not found.refused
    warned = {result.id for result in found.results if result.messages}
    assert warned == {"dinh-vu-pv", "nrel-pv"}  # a replay of another country is of no action
    told = _told(found)
    assert "energy.yaml" in told
    assert "4,771 kWh/kW a year, a capacity factor of 54.5 %" in told
    assert "400,000 modules of 440 W = 176,000 kW would give 1,219.9 kWh/kW" in told


def test_every_system_has_its_place():
    """A pilot of the programme would be missing from the city's account without a message."""
    registry = read_files([CATALOG]).registry
    projects = {p.system for p in registry.projects.values()} - {None}
    assert projects == systems.load().keys() - WITHOUT_PROJECT
    devices = {d.attributes.get("system") for d in registry.devices.values()}
    assert devices >= systems.load().keys()
    programme = registry.programme
    assert sum(a.target_kt for a in programme.actions if "-" not in a.id) == 4643


WRONG = """
sites:
  - {id: s, name: S, latitude: %s, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: d, site: s, class: wind_turbine, profile: generic, installed: 2026-01-01T00:00:00Z}
projects:
  - id: p
    name: P
    methodology: ams-i-d
    version: "18.0"
    crediting_period: {from: 2026-01-01, to: 2027-01-01}
    devices: [{device: %s, role: generation}]
    parameters: {ef_grid_t_per_mwh: 0.6592, capacity_mw: 6}
    system: %s
    action: "%s"
programme:
  name: City
  target_kt: %s
  area: {south: 20, north: 21, west: 106, east: 107}
  actions: [{id: "1", name: One, target_kt: 5}, {id: "1-01", name: Part, target_kt: %s}]
"""
RIGHT = ("20.5, longitude: 106.5", "d", "wind", "1", 5, 2)


@pytest.mark.parametrize(
    ("at", "value", "line", "says"),
    [
        (1, "gone", 7, "'gone' is not registered"),
        (2, "windy", 7, "'windy' is not a system; known: household-waste"),
        (2, "tay-nam-canal", 7, "calculated by none, because its result is water quality"),
        (3, "9", 7, "action: '9' is not in the programme; known: 1, 1-01"),
        (4, 6, 17, "target_kt: 6 kt, but the actions' targets sum to 5 = 5 kt"),
        (5, 9, 17, "its parts 1-01 add up to 9 kt, more than its own 5"),
        (0, "106.5, longitude: 20.5", 3, "106.5 must be from -90 to 90"),
        (0, "20.5, longitude: 108.5", 3, "warning: "),
    ],
)
def test_what_does_not_hold_together_is_named_with_its_line(tmp_path, at, value, line, says):
    """A wrong catalog of a city would be found when its first statement is."""
    given = [*RIGHT]
    given[at] = value
    file = tmp_path / "city.yaml"
    file.write_text(WRONG % tuple(given), encoding="utf-8")
    told = _told(_check(file))
    assert says in told
    assert f"{file}:{line}: " in told


def test_a_project_without_an_action_is_warned_of(tmp_path):
    """Its tonnes would be missing from the programme's totals, and its officer would not know."""
    file = tmp_path / "city.yaml"
    file.write_text((WRONG % RIGHT).replace('    action: "1"\n', ""), encoding="utf-8")
    found = _check(file)
    assert not found.refused
    assert (
        f"warning: {file}:7: project p: action: is missing, and its tonnes are in no total of City;"
        ' write `action: "1"`, or another of 1, 1-01;' in _told(found)
    )


def test_a_country_of_several_grids_is_warned_of(tmp_path):
    """A plant of Sumatra would count by a mean of Indonesia, and its owner would not know."""
    file = tmp_path / "city.yaml"
    text = (WRONG % ("-2.9, longitude: 104.7", *RIGHT[1:])).replace(
        "timezone: Asia/Ho_Chi_Minh", "country: ID, timezone: Asia/Jakarta"
    )
    file.write_text(text, encoding="utf-8")
    told = _told(_check(file))
    assert (
        f"warning: {file}:7: project p: ifi-2021-grid.id = 0.675 tCO2/MWh is the factor of the"
        " whole country ID, which has several grids" in told
    )
    assert "enter `grid` of the site: jamali (Java, Madura, Bali), sumatera (Sumatra)" in told
    file.write_text(text.replace("country: ID,", "country: ID, grid: sumatera,"), encoding="utf-8")
    mended = _check(file)
    assert not mended.refused, _told(mended)
    assert "several grids" not in _told(mended)


def test_a_folder_is_one_catalog_and_a_device_serves_one_project(tmp_path):
    """The same kWh would be claimed by two projects of two files."""
    (tmp_path / "a.yaml").write_text(WRONG % RIGHT, encoding="utf-8")
    second = WRONG % RIGHT
    second = second[second.index("projects:") : second.index("programme:")]
    (tmp_path / "b.yaml").write_text(second.replace("id: p", "id: q"), encoding="utf-8")
    assert "d would be assigned to p too" in _told(_check(tmp_path))


def test_a_value_without_its_document_is_named_before_any_period_is_closed(tmp_path):
    """An operator would learn from a lost month which document the programme asks for."""
    for file in CATALOG.glob("*.yaml"):
        text = file.read_text("utf-8")
        kept = [x for x in text.splitlines() if not x.strip().startswith(("phi: {", "mcf: {"))]
        (tmp_path / file.name).write_text("\n".join(kept), "utf-8")
    told = _told(_check(tmp_path))
    assert (
        "trang-cat-compost: parameters: phi (100 % of the reduction of role waste depends on it),"
        " mcf (100 % of the reduction of role waste depends on it) without a third party's document"
    ) in told
    assert "more than 5 % of the reduction depends on such a value" in told
    row = "issued: 2026-01-31, sha256: 64 digits, value: 0.85}"
    assert f"phi: {{document: title and number, by: issuer, {row}" in told
    # PV plants feed the grid, which gives the least of all cases
    assert "case without" not in told


def test_each_meter_of_the_catalog_says_where_it_measures():
    """No single-line diagram could be drawn of the example that everyone starts from."""
    registry = read_files([CATALOG]).registry
    bound = {one.device for p in registry.projects.values() for one in p.devices}
    assert len(bound) > 70
    for name in bound:
        said = registry.devices[name].attributes
        assert said.get("point"), name
        assert said.get("feeds"), name
