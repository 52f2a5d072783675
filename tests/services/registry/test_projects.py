"""
Projects of a registry file: those that cannot be accounted are rejected at import.

An export of the registry reads back as it was exported.
"""

from dataclasses import replace

import yaml
from hypothesis import given
from hypothesis import strategies as st

from mrv import methodologies
from services.registry import needs
from services.registry.entries import Registry
from services.registry.files import Incoming, read_files, to_yaml, updated
from services.registry.ratings import during_us, timezone
from tests.services.registry.texts import BASE, PROJECT, messages

numbers = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.decimals(
        allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6
    ),
)
plain = st.one_of(
    numbers,
    st.booleans(),
    st.sampled_from(["1e5", "007", "null", "~", "yes", "1_0", "", " x", "0x1F"]),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=12),
)


@given(st.dictionaries(st.text("abcdef_", min_size=1, max_size=6), plain, max_size=5))
def test_an_export_reads_back_unchanged(tmp_path_factory, attributes):
    """An export would not be a backup."""
    folder = tmp_path_factory.mktemp("export")
    document = yaml.safe_load(BASE)
    registry = _read(folder, BASE)
    device = registry.devices["inv"]
    assert document["devices"][0]["id"] == device.id
    with_attributes = updated(
        registry, Registry.of([type(device)(**{**_fields(device), "attributes": attributes})])
    )
    again = _read(folder, to_yaml(with_attributes))
    merged = updated(with_attributes, again)
    assert merged == with_attributes
    assert all(
        isinstance(v, bool) == isinstance(attributes[k], bool)
        for k, v in merged.devices["inv"].attributes.items()
    )


def _fields(entry):
    return {name: getattr(entry, name) for name in type(entry).__slots__}


def _read(folder, text):
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    incoming: Incoming = read_files([file])
    assert not incoming.problems
    return incoming.registry


def test_templates_go_out_as_they_came_in(load, tmp_path):
    """An export of the registry would lose a fleet's topics."""
    planned = load("topics: [{id: a, template: 'x/{site}/{device}'}]")
    assert not planned.refused, messages(planned)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(planned.merged), encoding="utf-8")
    assert read_files([again]).registry == planned.merged


def test_a_methodology_of_documents_alone_is_refused(load, monkeypatch):
    """A project on invoices would be imported, and nothing of it ever be counted."""
    bare = replace(methodologies.find("jcm-vn-am007"), roles={}, applicability=())
    monkeypatch.setattr(needs, "find", lambda *_: bare)
    planned = load(BASE + PROJECT)
    assert planned.refused
    assert "no device class measures the quantities that jcm-vn-am007 monitors" in messages(planned)


def test_a_device_without_the_register_is_refused(load):
    """Buses would be credited without the electricity that charges them."""
    text = BASE.replace("class: pv_inverter", "class: air_station") + PROJECT
    planned = load(text)
    assert "role 'generation' requires a pv_inverter or energy_meter" in messages(planned)
    meter = BASE.replace("pv_inverter, profile: generic", "energy_meter, profile: eastron-sdm630")
    assert not load(meter + PROJECT).refused


def test_a_solar_plant_is_held_against_the_sun_whatever_class_its_meter_has(load):
    """Energy that no sun makes would be expected of a plant, for a revenue meter counts it."""
    meter = BASE.replace("pv_inverter", "energy_meter")
    planned = load(meter + PROJECT.replace("120000", "480000"))
    assert "a capacity factor of 54.8 %, implausible for PV" in messages(planned)
    assert not planned.refused
    assert load(meter + PROJECT.replace("120000", "480000"), strict=True).refused
    in_mwh = load(meter + PROJECT.replace("120000", "120"))
    assert "1.2 kWh/kW a year, less than any PV plant gives" in messages(in_mwh)


def test_a_meter_at_the_grid_has_to_say_what_makes_its_electricity(load):
    """The owner of a hydropower plant would learn of it when its first period is not credited."""
    meter = BASE.replace("pv_inverter", "energy_meter")
    grid = PROJECT.replace("jcm-vn-am007", "ams-i-d").replace('"1.0"', '"18.0"')
    grid = grid.replace("expected", "parameters: {ef_grid_t_per_mwh: 0.6592, capacity_mw: 1}\n#", 1)
    silent = load(meter + grid.replace(", case: 1", ""))
    assert not silent.refused
    assert (
        "devices[inv]: no document states a source of its electricity other than the sun"
        in messages(silent)
    )
    water = load(meter + grid.replace("case: 1", "technology: 2"))
    assert "technology without a third party's document" in messages(water)
    turbine = BASE.replace("pv_inverter", "wind_turbine")
    assert "technology" not in messages(load(turbine + grid.replace(", case: 1", "")))


def test_two_projects_cannot_share_a_device(load):
    """The same kWh would be claimed twice."""
    stored = load(BASE + PROJECT).merged
    other = PROJECT.replace("id: pv", "id: pv-2").replace("from: 2026", "from: 2035")
    planned = load(other, stored)
    assert planned.refused
    assert "devices: inv would be assigned to pv too from 2035-01-01" in messages(planned)
    assert not load(other.replace("2035", "2036").replace("to: 2036", "to: 2040"), stored).refused


def test_a_check_meter_claims_no_energy_of_its_own(load):
    """The same kilowatt hours would be claimed by two projects, once from each meter."""
    meter = (
        "  - {id: NAME, site: s, class: energy_meter, profile: generic,"
        " installed: 2026-01-01T00:00:00Z}\n"
    )
    meters = BASE + meter.replace("NAME", "main") + meter.replace("NAME", "check, check_of: main")
    one = PROJECT.replace("device: inv", "device: main")
    other = one.replace("projects:\n", "").replace("id: pv", "id: pv2")
    apart = load(meters + one + other.replace("device: main", "device: inv"))
    assert not apart.refused, messages(apart)
    told = load(meters + one + other.replace("device: main", "device: check"))
    assert told.refused
    assert "its check meter check measures the same" in messages(told)
    both = one.replace("case: 1}]", "case: 1}, {device: check, role: generation, case: 1}]")
    assert "main would be assigned twice" in messages(load(meters + both))


def test_moving_a_site_moves_its_projects_days(load):
    """A corrected time zone would leave crediting at the wrong midnight."""
    stored = load(BASE + PROJECT).merged
    planned = load(BASE.replace("Asia/Ho_Chi_Minh", "America/Denver"), stored)
    assert [e.id for e in planned.changes] == ["s", "pv"]
    project = planned.merged.projects["pv"]
    zone = timezone(project, planned.merged)
    assert during_us(project, project.devices[0], zone)[0] == 1_767_250_800_000_000


SLIDES = (
    BASE.replace("rated_power_w: 100000", "rated_power_w: 45000000")
    + PROJECT.replace("energy_kwh_per_year: 120000", "energy_kwh_per_year: 214706580")
    + "    modules: {count: 400000, watt: 440}\n"
)


def test_more_hours_than_a_year_has_is_an_error(load):
    """A unit slip of a thousand would pass as a warning."""
    planned = load(SLIDES.replace("rated_power_w: 45000000", "rated_power_w: 45000"))
    assert planned.refused
