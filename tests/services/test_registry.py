"""Registry files: read exactly, held against every rule, written back unchanged."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import RegistryError
from mrv import methodologies
from services.registry import needs
from services.registry.document import document, to_yaml
from services.registry.entries import Registry
from services.registry.files import Incoming, read_files
from services.registry.located import read_yaml
from services.registry.plan import plan
from services.registry.service_times import during_us, timezone
from tests.bench import load as fleet

DEMO = Path("deploy/catalog/demo.yaml")
BASE = """
sites:
  - {id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - {id: inv, site: s, class: pv_inverter, profile: generic, rated_power_w: 100000,
     installed: 2026-01-01T00:00:00Z}
"""
PROJECT = """
projects:
  - id: pv
    name: PV
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: inv, role: generation, case: 1}]
    expected: {energy_kwh_per_year: 120000}
"""


@pytest.fixture
def load(tmp_path):
    """Plan an import of YAML (or CSV) text over a stored registry."""

    def run(text, stored=None, *, name="registry.yaml", strict=False):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return plan(stored or Registry(), read_files([file]), strict=strict)

    return run


def _messages(planned):
    return "\n".join(m for r in planned.results for m in r.messages)


def test_the_demo_registry_is_clean(load):
    """The first thing a reader runs would greet them with warnings."""
    planned = load(DEMO.read_text(encoding="utf-8"), strict=True)
    assert not planned.refused, _messages(planned)
    assert {r.result for r in planned.results} == {"created"}
    assert planned.merged.devices["nrel-rsf2-inv2"].rated_power_w == 100_000
    classes = {d.class_id for d in planned.merged.devices.values()}
    assert len(classes) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("class: pv_inverter", "class: windmill"), "'windmill' is no device class; known: air"),
        (("profile: generic", "profile: acme"), "'acme' is no profile of pv_inverter; known"),
        (("site: s,", "site: t,"), "site: 't' is not registered"),
        (("Asia/Ho_Chi_Minh", "Asia/Hanoi"), "'Asia/Hanoi' is unknown; use an IANA name"),
        (("rated_power_w: 100000", "gateway: gw"), "gateway: 'gw' is not registered"),
        (("rated_power_w: 100000", "gateway: inv"), "loop inv -> inv"),
        (("rated_power_w: 100000", 'rated_power_w: "1"'), "'1' must be a number, written without"),
        (("rated_power_w: 100000", "rated_power_w: 1.5"), "1.5 must be a whole number"),
        (("rated_power_w: 100000", "rated_power_w: -1"), "-1 must be from 1"),
        (("rated_power_w: 100000", "rated_power_w: .nan"), "'.nan' must be a number"),
        (("rated_power_w", "rated_power_kw"), "rated_power_kw: unknown key; known here: id, site"),
        (("T00:00:00Z", "T00:00:00"), "must be a time with its offset"),
        (("T00:00:00Z", ""), "must be a time with its offset"),
        (("id: inv", "id: inv/1"), "'inv/1' is no id"),
        (("id: inv, ", ""), "id: is missing; give text"),
        (("latitude: 20.9", "latitude: 209"), "209 must be from -90 to 90"),
        (("devices:", "device:"), "device: unknown key; known here: sites"),
        (("id: inv, ", "id: inv, id: inw, "), "key 'id' is given twice"),
        (("sites:", "sites: ["), "this is no YAML"),
    ],
)
def test_a_wrong_row_names_place_key_and_remedy(load, change, message):
    """A typing slip in a file of thousands of devices could not be found."""
    text = BASE.replace(*change, 1)
    try:
        planned = load(text)
    except RegistryError as error:
        said = str(error)
    else:
        assert planned.refused
        said = _messages(planned)
    assert message in said
    assert "registry.yaml:" in said


def test_a_methodology_of_documents_alone_is_refused(load, monkeypatch):
    """A project on invoices would be imported, and nothing of it ever be counted."""
    bare = replace(methodologies.find("jcm-vn-am007"), roles={}, applicability=())
    monkeypatch.setattr(needs, "find", lambda *_: bare)
    planned = load(BASE + PROJECT)
    assert planned.refused
    assert "no device class delivers what jcm-vn-am007 monitors" in _messages(planned)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("jcm-vn-am007", "jcm-vn-am999"), "methodology 'jcm-vn-am999' is unknown"),
        (('"1.0"', '"2.0"'), "jcm-vn-am007 has no version '2.0'; known versions: 1.0"),
        (("case: 1", "case: 4"), "case = 4 must be one of 1, 2, 3"),
        ((", case: 1", ""), "'case' is missing"),
        (
            ("    expected", "    parameters: {accept_factors: [x]}\n    expected"),
            "accept_factors: 'x' is no factor",
        ),
        (
            ("    expected", "    parameters: {accept_factors: x}\n    expected"),
            "accept_factors = 'x' must be a list of factor ids",
        ),
        (("case: 1", "case: 1, colour: red"), "unknown key 'colour'"),
        (("role: generation", "role: charging"), "no device has the role 'generation'"),
        (("device: inv", "device: inw"), "'inw' is not registered"),
        (("from: 2026", "from: 2037"), "2036-01-01 is not after 2037-01-01"),
        (("case: 1}", "case: 1, from: 2025-01-01}"), "is not within 2026-01-01 to 2036-01-01"),
        (("case: 1}", "case: 1}, {device: inv, role: generation, case: 2}"), "would serve twice"),
    ],
)
def test_a_project_that_cannot_be_accounted_is_refused(load, change, message):
    """A project would run for a year and its period could not be closed."""
    planned = load(BASE + PROJECT.replace(*change, 1))
    assert planned.refused
    assert message in _messages(planned)


def test_a_factor_from_memory_is_warned_of_until_it_is_accepted_by_name(load):
    """A number that nobody compared with its text would pass unseen into a statement."""
    said = load(BASE + PROJECT)
    assert not said.refused
    assert "factor jcm-vn-am007-case-1 = 0.333 tCO2/MWh is from memory" in _messages(said)
    accepting = PROJECT + "    parameters: {accept_factors: [jcm-vn-am007-case-1]}\n"
    assert "from memory" not in _messages(load(BASE + accepting))


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
    assert "never changed" in _messages(changed)
    assert "`supersedes: grid-2024`" in _messages(changed)
    planned = load(BASE + CORRECTED, stored)
    assert not planned.refused, _messages(planned)
    again = load(to_yaml(planned.merged))
    assert again.merged == planned.merged
    text = CORRECTED.replace("supersedes: grid-2024}", "supersedes: grid-2023}")
    assert "no other factor" in _messages(load(BASE + text, stored))


def test_factors_do_not_walk_away_from_the_published_one_step_by_step(load):
    """Each step of 14 % would pass, and three of them make a grid without coal."""
    first = GRID.replace("0.66", "0.57")
    stored = load(BASE + first).merged
    second = CORRECTED.replace("value: 0.66,", "value: 0.57,").replace("0.67", "0.50")
    planned = load(BASE + second, stored)
    assert planned.refused
    assert "0.50 is less than 0.85" in _messages(planned)
    # one that was stored before stops no other row
    held = replace(stored, entries={**stored.entries, **planned.merged.entries})
    other = load(BASE.replace("name: S,", "name: T,"), held)
    assert not other.refused, _messages(other)
    assert "warning" in _messages(other)


def test_a_project_older_than_its_factors_is_refused(load):
    """Its live account could not be compiled, and `tonne run` would stop."""
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
    assert "no factor of kind 'grid.vn' is valid on 2010-01-01" in _messages(planned)


def test_a_device_without_the_register_is_refused(load):
    """Buses would be credited without the electricity that charges them."""
    text = BASE.replace("class: pv_inverter", "class: air_station") + PROJECT
    planned = load(text)
    assert "role 'generation' takes a pv_inverter or energy_meter" in _messages(planned)
    meter = BASE.replace("pv_inverter, profile: generic", "energy_meter, profile: eastron-sdm630")
    assert not load(meter + PROJECT).refused


def test_two_projects_cannot_share_a_device(load):
    """The same kWh would be claimed twice."""
    stored = load(BASE + PROJECT).merged
    other = PROJECT.replace("id: pv", "id: pv-2").replace("from: 2026", "from: 2035")
    planned = load(other, stored)
    assert planned.refused
    assert "devices: inv would serve in pv too from 2035-01-01" in _messages(planned)
    assert not load(other.replace("2035", "2036").replace("to: 2036", "to: 2040"), stored).refused


def test_a_gateway_loop_of_three_is_found(load):
    """No principal could ever speak for any of them."""
    rows = [
        f"  - {{id: d{i}, site: s, class: vehicle, profile: generic, gateway: d{(i + 1) % 3}, "
        "installed: 2026-01-01T00:00:00Z}\n"
        for i in range(3)
    ]
    assert "loop d0 -> d1 -> d2 -> d0" in _messages(load(BASE + "".join(rows)))


SLIDES = (
    BASE.replace("rated_power_w: 100000", "rated_power_w: 45000000")
    + PROJECT.replace("energy_kwh_per_year: 120000", "energy_kwh_per_year: 214706580")
    + "    modules: {count: 400000, watt: 440}\n"
)


def test_the_slides_45_mw_raises_a_warning(load):
    """A plan with a slip of a factor of four would be taken for a plan."""
    planned = load(SLIDES)
    said = _messages(planned)
    assert not planned.refused
    assert "4,771 kWh/kW a year, a capacity factor of 54.5 %, implausible" in said
    assert "400,000 modules of 440 W = 176,000 kW would give 1,219.9 kWh/kW" in said
    assert "a ratio of 3.91" in said
    assert load(SLIDES, strict=True).refused


def test_more_hours_than_a_year_has_is_an_error(load):
    """A unit slip of a thousand would pass as a warning."""
    planned = load(SLIDES.replace("rated_power_w: 45000000", "rated_power_w: 45000"))
    assert planned.refused


def test_the_176_mw_reading_of_the_slides_is_plausible(load):
    """The check would cry wolf over a sound plan."""
    planned = load(SLIDES.replace("rated_power_w: 45000000", "rated_power_w: 176000000"))
    assert "implausible" not in _messages(planned)
    assert "a ratio of" not in _messages(planned)


def test_a_meter_swap_is_stored_in_whole_wh(load):
    """The last watt-hours of the old meter would be lost to a float."""
    swap = (
        "replacements: [{at: 2026-06-01T08:00:00+07:00, channel: energy_export_kwh, "
        "last: %s, first: 0.001, reason: failed}]}"
    )
    text = BASE.replace("00Z}", "00Z, " + swap)
    planned = load(text % "123456789.123")
    (found,) = planned.merged.devices["inv"].replacements
    assert (found.channel, found.last, found.first) == ("energy_export_wh", 123456789123, 1)
    assert "finer" in _messages(load(text % "1.0001"))
    assert "is no register" in _messages(load(text.replace("export_kwh", "export_wh") % "1"))


def test_ids_and_versions_keep_their_text(load):
    """Device 007 would become 7, and version 1.10 become 1.1."""
    text = (BASE + PROJECT).replace("inv", "007").replace("pv_007erter", "pv_inverter")
    assert "007" in load(text).merged.devices
    assert "has no version '1.10'" in _messages(load(text.replace('"1.0"', "1.10")))


def test_csv_devices_read_as_yaml_does(load):
    """A fleet kept in a spreadsheet could not be imported."""
    stored = load(BASE).merged
    text = (
        "id,site,class,profile,rated_power_w,installed,calibrations\n"
        "inv,s,pv_inverter,generic,100000,2026-01-01T00:00:00Z,\n"
        '007,s,vehicle,generic,,2026-01-01T00:00:00Z,"[{performed: 2026-01-01, '
        'valid_until: 2027-01-01, certificate: C}]"\n'
    )
    planned = load(text, stored, name="devices.csv")
    assert [r.result for r in planned.results] == ["unchanged", "created"]
    assert planned.merged.devices["007"].calibrations[0].certificate == "C"
    with pytest.raises(RegistryError, match=r"devices\.csv:1: column 'kind' is unknown"):
        load(text.replace("profile", "kind"), stored, name="devices.csv")


HEADER = "id,site,class,profile,rated_power_w,installed"
INV = "inv,s,pv_inverter,generic,100000,2026-01-01T00:00:00Z"
VIETNAMESE = "Mã thiết bị;Địa điểm;Loại thiết bị;Hồ sơ;Công suất (W);Ngày lắp đặt"


@pytest.mark.parametrize(
    "data",
    [
        f"\ufeff{HEADER}\r\n{INV}\r\n".encode(),
        f"{HEADER}\n{INV}\n".replace(",", ";").encode(),
        f"{HEADER}\n{INV}\n\n".replace(",", "\t").encode("utf-16"),
        f"{VIETNAMESE}\n{INV.replace(',', ';')}\n".encode("utf-8-sig"),
        f"{VIETNAMESE.upper()}\n{INV.replace(',', ';')}\n".encode(),
        f"ID,Site,Class,Profile,Rated power (W),Installed\n{INV}\n".encode(),
    ],
)
def test_csv_as_spreadsheets_write_it(load, tmp_path, data):
    """A technician would retype ten thousand rows that a spreadsheet saved in its own way."""
    file = tmp_path / "devices.csv"
    file.write_bytes(data)
    planned = plan(load(BASE).merged, read_files([file]))
    assert [(r.id, r.result) for r in planned.results] == [("inv", "unchanged")]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            f"{HEADER}\n{INV}\n".encode()
            + "trạm,s,x,y,1,z\n".encode("cp1258", "replace")
            + b"tr\xf0m",
            ":4: this is not UTF-8",
        ),
        (f"{VIETNAMESE}\n".encode("cp1258", "replace") + b"\xd0\n", "is not UTF-8"),
        (f"{VIETNAMESE}\n".encode().decode("latin-1").encode(), ":1: column"),
        (f"{HEADER}\n{INV},more\n".encode(), ":2: 7 cells"),
        (f"{HEADER}\n{INV[:-10]}\n\0".encode(), "zero byte"),
        (b"", ":1: column nothing"),
        (f"{HEADER},Mã thiết bị\n{INV},inv\n".encode(), "two columns stand for id"),
        (f'{HEADER}\n{INV},"\n'.encode(), "no CSV"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_with_its_line(tmp_path, data, told):
    """Half a fleet imported, or names with wrong letters, is found a year later by an auditor."""
    file = tmp_path / "devices.csv"
    file.write_bytes(data)
    with pytest.raises(RegistryError, match=re.escape(told)):
        read_files([file])


@pytest.mark.parametrize("nested", ["*{}", "{{a: *{}}}"])
def test_a_file_that_stands_for_more_than_it_says_is_refused(tmp_path, nested):
    """Twelve lines of aliases took all memory; a file that shares what it repeats is read."""
    lines = ["sites:", "- &a0 [x, x]"]
    for k in range(1, 19):
        part = nested.format(f"a{k - 1}")
        lines.append(f"- &a{k} [{', '.join([part] * 10)}]")
    file = tmp_path / "sites.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(RegistryError, match=r"sites.yaml:2: its aliases|nested more than"):
        read_files([file])
    assert len(read_yaml("- &one {id: s}\n" + "- *one\n" * 20_000, "x")) == 20_001


@pytest.mark.parametrize("power", ["100.000", '"100,000"', "1.000.000"])
def test_a_number_that_can_mean_two_is_refused(load, tmp_path, power):
    """100.000 W is a hundred in one office and a hundred thousand in the next."""
    file = tmp_path / "devices.csv"
    file.write_text(f"{HEADER}\n{INV.replace('100000', power)}\n")
    planned = plan(load(BASE).merged, read_files([file]))
    assert "can mean two numbers" in _messages(planned)
    assert planned.refused


def test_what_a_file_does_not_speak_of_stays(load):
    """A CSV of devices would wipe out their certificates."""
    certificate = "calibrations: [{performed: 2026-01-01, valid_until: 2027-01-01, certificate: C}]"
    stored = load(BASE.replace("00Z}", f"00Z, {certificate}}}")).merged
    planned = load(BASE, stored)
    assert [r.result for r in planned.results] == ["unchanged", "unchanged"]


def test_a_device_keeps_its_class(load):
    """Its older readings would be in a table where nobody looks for them."""
    stored = load(BASE).merged
    assert "cannot become 'energy_meter'" in _messages(
        load(BASE.replace("pv_inverter", "energy_meter"), stored)
    )


def test_moving_a_site_moves_its_projects_days(load):
    """A corrected time zone would leave crediting at the wrong midnight."""
    stored = load(BASE + PROJECT).merged
    planned = load(BASE.replace("Asia/Ho_Chi_Minh", "America/Denver"), stored)
    assert [e.id for e in planned.changes] == ["s", "pv"]
    project = planned.merged.projects["pv"]
    zone = timezone(project, planned.merged)
    assert during_us(project, project.devices[0], zone)[0] == 1_767_250_800_000_000


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
    with_attributes = registry.updated(
        Registry.of([type(device)(**{**_fields(device), "attributes": attributes})])
    )
    again = _read(folder, to_yaml(with_attributes))
    merged = with_attributes.updated(again)
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


def test_the_demo_exports_and_reads_back(tmp_path):
    """Dates, versions and decimals would change on the way through a backup."""
    registry = Registry().updated(_read(tmp_path, DEMO.read_text(encoding="utf-8")))
    assert registry.updated(_read(tmp_path, to_yaml(registry))) == registry
    assert registry.projects["cat-ba-ebus"].parameters["tdl"] == Decimal("0.0615")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topics: [{id: a, template: x/y}]", "registry.yaml:1: topic a: template: 'x/y' must hold"),
        ("topics: [{id: a, template: 'x/{device}', active: 'no'}]", "'no' must be true or false"),
        (
            "topics: [{id: a, template: 'x/{device}/+'}, {id: b, template: 'x/+/{device}'}]",
            "'x/+/{device}' and 'x/{device}/+' of a fit the same topics",
        ),
    ],
)
def test_a_template_of_topics_is_checked_on_import(load, text, message):
    """A template that means two devices would let one speak for the other."""
    planned = load(text)
    assert planned.refused
    assert message in _messages(planned)


def test_templates_go_out_as_they_came_in(load, tmp_path):
    """An export of the registry would lose a fleet's topics."""
    planned = load("topics: [{id: a, template: 'x/{site}/{device}'}]")
    assert not planned.refused, _messages(planned)
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(planned.merged), encoding="utf-8")
    assert read_files([again]).registry == planned.merged


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
    assert not apart.refused, _messages(apart)
    told = load(meters + one + other.replace("device: main", "device: check"))
    assert told.refused
    assert "its check meter check counts the same" in _messages(told)
    both = one.replace("case: 1}]", "case: 1}, {device: check, role: generation, case: 1}]")
    assert "main would serve twice" in _messages(load(meters + both))


KEY = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
ROW = "{{from: {day}T00:00:00Z, key: '{key}'}}"


def _keyed(*rows, serial="serial: A1, "):
    device = f"{serial}meter_keys: [{', '.join(rows)}], installed:"
    return BASE.replace("installed:", device)


def test_keys_of_meters_are_read_once_and_never_changed(load):
    """What verified a year ago would be refused, or what was refused verified."""
    first, second = ROW.format(day="2026-01-01", key=KEY), ROW.format(day="2026-06-01", key=KEY)
    stored = load(_keyed(first))
    assert stored.merged.devices["inv"].meter_keys[0].key == KEY
    assert not load(
        _keyed(second, first.upper().replace("FROM", "from").replace("KEY", "key")), stored.merged
    ).refused
    assert load(BASE, stored.merged).merged.devices["inv"].meter_keys  # a file that says nothing
    changed = load(_keyed(second), stored.merged)
    assert "is not changed or left out" in _messages(changed)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (_keyed(ROW.format(day="2026-01-01", key="3059")), "key"),
        (_keyed(ROW.format(day="2026-01-01", key="04" + "11" * 64)), "lies on no curve"),
        (_keyed(ROW.format(day="2026-01-01", key=KEY), serial=""), "give `serial` too"),
        (_keyed(*[ROW.format(day="2026-01-01", key=KEY)] * 2), "twice"),
    ],
)
def test_a_key_that_verifies_nothing_is_refused(load, text, what):
    """The first signed value of an honest meter would be refused a year later."""
    planned = load(text)
    assert planned.refused
    assert what in _messages(planned)


ARRAY = "dc_power_w: 120000, tilt: 10, azimuth: 180, temperature_coefficient_percent: -0.35, "


def test_modules_of_an_inverter_are_dated_and_never_changed(load):
    """A ratio of last year would change with modules that were added this year."""
    given = BASE.replace("installed:", f"{ARRAY}installed:")
    stored = load(given)
    assert not stored.refused, _messages(stored)
    first = stored.merged.devices["inv"]
    assert [(a.begins, a.dc_power_w) for a in first.arrays] == [(first.installed, 120_000)]
    # a file of before says nothing of them, and they stay; another value counts from its import
    assert load(BASE, stored.merged).merged.devices["inv"] == first
    grown = load(given.replace("120000", "180000"), stored.merged).merged.devices["inv"]
    assert [a.dc_power_w for a in grown.arrays] == [120_000, 180_000]
    assert grown.arrays[1].begins > first.installed
    assert (grown.dc_power_w, grown.tilt) == (180_000, 10)
    rewritten = BASE.replace(
        "installed:", "arrays: [{from: 2020-01-01T00:00:00Z, dc_power_w: 90000}], installed:"
    )
    assert "is not changed or left out" in _messages(load(rewritten, stored.merged))
    exported = document(grown)
    assert exported["dc_power_w"] == 180_000
    assert [a["dc_power_w"] for a in exported["arrays"]] == [120_000, 180_000]
    rows = json.dumps(exported["arrays"], default=float)
    again = BASE.replace("installed:", f"arrays: {rows}, installed:")
    assert [a.dc_power_w for a in load(again).merged.devices["inv"].arrays] == [120_000, 180_000]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("dc_power_w: 0", "dc_power_w: 0 must be from 1"),
        ("dc_power_w: -5", "-5 must be from 1"),
        ("tilt: 91", "91 must be from 0 to 90"),
        ("azimuth: 361", "361 must be from 0 to 360"),
        ("temperature_coefficient_percent: -0.0035", "write percent per kelvin, as -0.35"),
        ("temperature_coefficient_percent: 0.35", "0.35 must be from -1 to 0"),
        ("arrays: [{from: 2026-01-01T00:00:00Z}]", "says nothing; give one of dc_power_w"),
        ("class: energy_meter, dc_power_w: 5", "is of pv_inverter, and this is a energy_meter"),
    ],
)
def test_modules_that_cannot_be_are_refused(load, said, told):
    """A ratio would be a hundred times the true one, and nobody would know why."""
    given = BASE.replace("class: pv_inverter, ", "") if "class:" in said else BASE
    assert told in _messages(load(given.replace("installed:", f"{said}, installed:")))


@pytest.mark.parametrize("section", ["devices", "projects", "sites"])
def test_a_large_registry_is_gone_through_a_fixed_number_of_times(tmp_path, monkeypatch, section):
    """A change of one device among a hundred thousand would take hours, by the square of all."""
    read = getattr(Registry, section).fget
    monkeypatch.setattr(fleet, "_PER_PROJECT", 1)
    counts = []
    for devices in (2, 12):
        file = tmp_path / "many.yaml"
        file.write_text(yaml.safe_dump(fleet.registry(devices)), encoding="utf-8")
        incoming = read_files([file])
        seen = []
        monkeypatch.setattr(
            Registry, section, property(lambda self, seen=seen: seen.append(1) or read(self))
        )
        planned = plan(incoming.registry, incoming)
        assert not planned.refused
        counts.append(len(seen))
    assert counts[0] == counts[1]
