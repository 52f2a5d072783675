"""
Registry files: each row is checked by every rule, and rejected with its place and key.

One meter with two ids, whose serial number is written in two ways, must not be credited twice.
"""

import pytest
import yaml

from ingest.errors import RegistryError
from services.registry.entries import Registry
from services.registry.files import read_files
from services.registry.located import read_yaml
from services.registry.plan import plan
from tests.bench import load as fleet
from tests.services.registry.texts import BASE, DEMO, PROJECT, messages

SITE = """
sites:
  - {id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh, country: VN}
devices:
"""


def _device(name, serial, maker, installed="2026-01-01", removed=""):
    end = f", removed: {removed}T00:00:00Z" if removed else ""
    return (
        f"  - {{id: {name}, site: s, class: pv_inverter, profile: generic, rated_power_w: 100000,"
        f' serial: "{serial}", maker: "{maker}", installed: {installed}T00:00:00Z{end}}}\n'
    )


@pytest.mark.parametrize(
    ("serial", "maker", "refused", "says"),
    [
        ("OB0012-34", "Acme", True, "b has the serial number OB0012-34 of a"),
        (" ob 0012-34 ", "ACME Ltd", True, "; one meter shall have"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER O}B0012-34", "Acme", True, "; one meter shall have"),
        ("0B0012-34", "Acme", False, "The serial number 0B0012-34 of b resembles OB0012-34 of a"),
        ("OBOO12-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB-0012/34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB12-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("000OB0012-34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB0012-0O34", "Acme", False, "of b resembles OB0012-34 of a"),
        ("OB0012-34", "Other", False, "of b resembles OB0012-34 of a"),
        ("OB0012-35", "Acme", False, ""),
        ("OB0012-340", "Acme", False, ""),
    ],
)
def test_a_serial_that_is_written_otherwise_is_seen(load, serial, maker, refused, says):
    """A blank, a dash or O for 0 would make a second meter of one."""
    planned = load(SITE + _device("a", "OB0012-34", "Acme") + _device("b", serial, maker))
    assert planned.refused is refused
    said = "\n".join(line for line in messages(planned).splitlines() if "serial" in line)
    assert says in said if says else not said


def test_meters_of_other_times_and_short_numbers_of_other_makers_are_others(load):
    """A meter that moved, or a small number that two makers gave, would be taken for one."""
    planned = load(
        SITE
        + _device("a", "17", "Acme", removed="2026-02-01")
        + _device("b", "017", "Acme", installed="2026-02-01")
        + _device("c", "17", "Other")
        + _device("d", "0", "Third")
    )
    assert not planned.refused
    assert "resembles" not in messages(planned)


def test_the_demo_registry_is_clean(load):
    """The first thing a reader runs would greet them with warnings."""
    planned = load(DEMO.read_text(encoding="utf-8"))
    assert not planned.refused, messages(planned)
    # its one replayed plant is of another country, and of no action, as its comment says
    elsewhere, apart = messages(planned).splitlines()
    assert (
        "nrel-pv: methodology: jcm-vn-am007 is of JCM Viet Nam: the project is in US" in elsewhere
    )
    assert "nrel-pv" in apart
    assert "action" in apart
    assert {r.result for r in planned.results} == {"created"}
    assert planned.merged.devices["nrel-rsf2-inv2"].rated_power_w == 100_000
    classes = {d.class_id for d in planned.merged.devices.values()}
    assert len(classes) == 7


def test_a_name_that_no_pdf_can_print_is_warned_of(load):
    """A city's own name would appear in its statements as a row of numbers."""
    planned = load(BASE.replace("name: S,", "name: กรุงเทพ,"))
    assert not planned.refused
    assert "PDFs have no letters of 'กรุงเทพ' and print '[U+0E01]" in messages(planned)


def test_swapped_coordinates_are_warned_of(load):
    """A plant would lie in the sea, and its sun be that of another place."""
    swapped = "latitude: 9.5, longitude: 51.3, timezone: Europe/Berlin, country: DE"
    at = "latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh, country: VN"
    assert "may be swapped" in messages(load(BASE.replace(at, swapped)))
    right = swapped.replace("9.5, longitude: 51.3", "51.3, longitude: 9.5")
    assert "may be swapped" not in messages(load(BASE.replace(at, right)))


def test_a_gateway_loop_of_three_is_found(load):
    """No principal could publish for these devices."""
    rows = [
        f"  - {{id: d{i}, site: s, class: vehicle, profile: generic, gateway: d{(i + 1) % 3}, "
        "installed: 2026-01-01T00:00:00Z}\n"
        for i in range(3)
    ]
    assert "loop d0 -> d1 -> d2 -> d0" in messages(load(BASE + "".join(rows)))


def test_ids_and_versions_keep_their_text(load):
    """Device 007 would become 7, and version 1.10 become 1.1."""
    text = (BASE + PROJECT).replace("inv", "007").replace("pv_007erter", "pv_inverter")
    assert "007" in load(text).merged.devices
    assert "has no version '1.10'" in messages(load(text.replace('"1.0"', "1.10")))


@pytest.mark.parametrize("nested", ["*{}", "{{a: *{}}}"])
def test_a_file_that_stands_for_more_than_it_says_is_refused(tmp_path, nested):
    """A file with excessive aliases is rejected."""
    lines = ["sites:", "- &a0 [x, x]"]
    for k in range(1, 19):
        part = nested.format(f"a{k - 1}")
        lines.append(f"- &a{k} [{', '.join([part] * 10)}]")
    file = tmp_path / "sites.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(RegistryError, match=r"sites.yaml:2: its aliases|nested more than"):
        read_files([file])
    assert len(read_yaml("- &one {id: s}\n" + "- *one\n" * 20_000, "x")) == 20_001


def test_what_a_file_does_not_speak_of_stays(load):
    """A CSV of devices would wipe out their certificates."""
    certificate = "calibrations: [{performed: 2026-01-01, valid_until: 2027-01-01, certificate: C}]"
    stored = load(BASE.replace("00Z}", f"00Z, {certificate}}}")).merged
    planned = load(BASE, stored)
    assert [r.result for r in planned.results] == ["unchanged", "unchanged"]


def test_a_device_keeps_its_class(load):
    """Its older readings would be in a table where no one looks for them."""
    stored = load(BASE).merged
    assert "cannot become 'energy_meter'" in messages(
        load(BASE.replace("pv_inverter", "energy_meter"), stored)
    )


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


def test_a_wrong_time_zone_is_not_taken_for_swapped_coordinates(load):
    """An operator who mistyped the zone would be asked to correct right coordinates."""
    far = BASE.replace("Asia/Ho_Chi_Minh", "America/Lima")
    said = messages(load(far))
    assert "country: VN, but time zone America/Lima is of PE" in said
    assert "may be swapped" not in said
    said = messages(load(BASE.replace("Asia/Ho_Chi_Minh", "Asia/Ho_Chi_Min") + PROJECT))
    assert "use an IANA name such as Asia/Ho_Chi_Minh" in said
    assert "country of the project is not known" not in said


@pytest.mark.parametrize(("serial", "warned"), [("A1", False), ("A7", True)])
def test_a_certificate_of_another_serial_is_reported_when_it_is_entered(load, serial, warned):
    """A mistyped serial number would be found a month later, by a deduction."""
    more = (
        f", maker: M, serial: A1, calibrations: [{{performed: 2026-01-02, valid_until:"
        f" 2028-01-02, certificate: C-1, max_error_percent: 0.5, serial: {serial}}}]}}"
    )
    planned = load(BASE.rstrip().removesuffix("}") + more + "\n" + PROJECT)
    assert not planned.refused
    assert ("inv (C-1: A7, meter: A1)" in messages(planned)) is warned


def test_a_part_of_a_device_is_told_to_be_entered_whole(load):
    """Four keys are missing, and no message would say what the row is for."""
    said = messages(load("devices:\n  - {id: inv, maker: M}\n"))
    assert "enter the new ones in its whole entry, which `tonne registry export` prints" in said
