"""
Class files and profiles: they agree with each other, and contradictions are rejected with file and
line.

Each device model has cases: its payload, and the readings.  Units are converted to base units once
and exactly.  tests/services/store/test_schema.py checks the tables.
"""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import classes, columns, intervals, profiles
from ingest.errors import ProfileError
from ingest.model import Device, Fleet
from ingest.pipeline import Bounds
from ingest.pipeline.admit import admit
from ingest.reading import SIGNED_VALUE
from tests.every import every
from tests.ingest.metering import read, reasons, rows
from tests.ingest.test_decode import FLEET, NOW_US, TOPICS, text


def converted(value, wire, base):
    numerator, denominator, offset = classes.factor(wire, base)
    return value * numerator / denominator + offset


@pytest.mark.parametrize(
    ("value", "wire", "base", "wanted"),
    [
        (1.5, "kWh", "Wh", 1_500),
        (1.5, "MWh", "Wh", 1_500_000),
        (7_200_000, "J", "Wh", 2_000),
        (7_200, "kJ", "Wh", 2_000),
        (2.5, "MW", "W", 2_500_000),
        (0.25, "m3", "mL", 250_000),
        (1.25, "L", "mL", 1_250),
        (12.345, "km", "m", 12_345),
        (0.05, "mg/m3", "ug/m3", 50),
        (300, "K", "Cel", 26.85),
        (212, "degF", "Cel", 100),
        (0.5, "1", "%", 50),
        (10, "m/s", "km/h", 36),
        (36, "km/h", "m/s", 10),
        (7, "Wh", "Wh", 7),
    ],
)
def test_conversions(value, wire, base, wanted):
    """A factor that is off by a thousand is a thousand times the tonnes."""
    assert converted(value, wire, base) == pytest.approx(wanted, rel=1e-12)


def test_what_cannot_be_converted_is_refused():
    """A profile that reads kilograms as watt-hours must not load."""
    with pytest.raises(ProfileError, match="kWh"):
        classes.factor("kg", "Wh")


@given(st.integers(0, 876_000_000))
def test_a_register_in_kwh_is_exact_to_the_watt_hour(wh):
    """Decimal kilowatt-hours in JSON must come back as the meter's whole watt-hours."""
    payload = text(energy_export_kwh=wh / 1000)
    found = admit(FLEET, lambda _: 1, [TOPICS[1]], [payload], [None], NOW_US)
    assert found.frames[0].columns["energy_export_wh"].tolist() == [wh]


_LINES = (Path(__file__).parents[1] / "golden_profiles/cases.jsonl").read_text("utf-8")
CASES = [json.loads(line) for line in _LINES.splitlines()]


def test_a_device_is_read_as_its_maker_says():
    """A technician's device would be stored in a wrong unit, or from a wrong register."""

    @every(CASES)
    def _(case):
        decoded = read(
            json.dumps(case["payload"]),
            device_class=case["class"],
            profile=case["profile"],
            content_type=case.get("content_type"),
        )
        found = rows(decoded)
        assert [row.keys() for row in found] == [row.keys() for row in case["readings"]]
        for row, expected in zip(found, case["readings"], strict=True):
            assert row == pytest.approx(expected, rel=1e-12, abs=0)
            assert {type(v) for v in row.values()} <= {int, float}
        told = reasons(decoded)
        assert [reason for reason in told if reason != SIGNED_VALUE] == case.get("rejected", [])
        assert told.count(SIGNED_VALUE) == case.get("signed", 0)


def test_every_profile_has_a_case():
    """A profile without a tested payload would be unproven."""
    held = {(case["class"], case["profile"]) for case in CASES}
    # the profiles of our own payload follow from the classes, and test_classes sends each channel
    made = {key for key in profiles.load() if key[1] == profiles.OWN}
    assert held | made == profiles.load().keys()


def test_every_profile_speaks_of_channels_and_units_that_there_are():
    """A slip in a profile would stop the pipeline when its first device sends."""

    @every((key,) for key in profiles.load())
    def _(key):
        assert columns.slots(*key)
        assert profiles.load()[key].source


WHOLE = """\
id = "m"
class = "energy_meter"
title = "M"
source = "M's manual"
certainty = "document"
checked = "M's manual, page 1"

[channel.energy_import_wh]
path = "import"
unit = "kWh"
moduli = [1_000, 10_000]
register = { address = 10, type = "uint32" }

[channel.active_power_w]
path = "power"
unit = "W"
register = { address = 12, type = "int16" }
"""


def test_a_whole_file_is_read():
    """The invalid profiles of this test would be refused for another reason than the tested one."""
    assert profiles.read("m.toml", WHOLE).channels.keys() == {"import", "power"}


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        (
            'path = "power"',
            'path = "import"',
            "m.toml:14: .* another channel also reads path 'import'",
        ),
        ("address = 12", "address = 11", "m.toml:14: .* 11 to 11 is also used by energy_import_wh"),
        (
            "address = 12",
            'address = 10, table = "either"',
            "m.toml:14: .* 10 to 10 is also used by",
        ),
        ("moduli = [1_000, 10_000]", "moduli = [10_000, 1_000]", "m.toml:8: .*ascending"),
        ("moduli = [1_000, 10_000]", "moduli = [1]\nmodulus = 2", "m.toml:8: .*contradict"),
        ('type = "int16"', 'type = "int17"', "m.toml:14: .*must be one of"),
        ('type = "int16"', 'type = "int16", divide = 0', "m.toml:14: .*divide 0 at least 1"),
        ('unit = "W"', 'unit = "W"\nspan = 1', "m.toml:14: .*span"),
        ('unit = "W"', "", "m.toml:14: .*unit"),
        ('certainty = "document"', 'certainty = "sure"', "m.toml:1: .*certainty 'sure'"),
        ('checked = "M\'s manual, page 1"', "", "m.toml:1: .*'checked' names the document"),
        ('source = "M\'s manual"', "", "m.toml:1: .*'source' is required"),
        ('title = "M"', 'title = "M"\ntitel = "M"', "m.toml:1: .*unknown key 'titel'"),
        ('unit = "W"', "unit = W", "m.toml: Invalid value .at line 16"),
    ],
)
def test_a_contradiction_is_named_with_its_line(was, becomes, said):
    """A technician would look through a file of a hundred registers for a slip."""
    assert was in WHOLE
    with pytest.raises(ProfileError) as caught:
        profiles.read("m.toml", WHOLE.replace(was, becomes))
    assert re.match(said, str(caught.value)), str(caught.value)


UNIT_IN_NAME = {
    "wh": "Wh", "w": "W", "v": "V", "a": "A", "hz": "Hz", "c": "Cel", "m": "m", "ml": "mL",
    "nml": "mL", "percent": "%", "dba": "dB",
}  # fmt: skip


def test_a_class_is_whole():
    """A register without a quantity makes no intervals; a unit unlike the name misleads."""

    @every(classes.load().values())
    def _(device_class):
        quantities = [c.quantity for c in device_class.registers]
        assert len(set(quantities)) == len(quantities)
        for channel in device_class.channels.values():
            wanted = UNIT_IN_NAME.get(channel.name.rsplit("_", 1)[-1])
            assert wanted in {None, channel.unit}
            if channel.kind == "register":
                quantity = classes.QUANTITIES[classes.QUANTITY_INDEX[channel.quantity]]
                assert quantity.unit == channel.unit
            if channel.power is not None:
                assert device_class.channels[channel.power].unit == "W"
        assert ("generic" in {p for c, p in profiles.load() if c == device_class.id}) is True


def test_every_quantity_has_room_in_the_key_of_an_interval():
    """Two quantities of two devices would fall into one row, and be added up."""
    assert len(classes.QUANTITIES) <= intervals._QUANTITIES


def test_a_profile_points_at_channels_of_its_class():
    """A profile that names a channel which is not there loses it without a message."""

    @every(profiles.load().values())
    def _(profile):
        device_class = classes.load()[profile.class_id]
        for path, source in profile.channels.items():
            assert path == source.path
            channel = device_class.channels[source.channel]
            classes.factor(source.unit, channel.unit)
            assert not source.moduli or channel.kind == "register"
            assert list(source.moduli) == sorted(source.moduli)
        assert columns.slots(profile.class_id, profile.id).keys() >= profile.channels.keys()
        bounds = Bounds(Fleet([Device("d", "s", profile.class_id, profile.id)]))
        for channel in device_class.registers:
            assert all(m > 0 for m in bounds.meter(0, channel).moduli)


def test_every_generic_channel_can_be_sent():
    """A documented channel that no profile fills would stay missing for years."""

    @every(classes.load().values())
    def _(device_class):
        profile = profiles.load()[device_class.id, "generic"]
        assert {s.channel for s in profile.channels.values()} == device_class.channels.keys()
        fleet = Fleet([Device("d", "s", device_class.id)])
        values = ", ".join(f'"{path}": 1' for path in profile.channels)
        payload = f'{{"ts": 1767225600000, "values": {{{values}}}}}'.encode()
        found = admit(fleet, lambda _: 0, ["t"], [payload], [None], 1_767_225_600_000_000)
        assert not found.rejected
        assert not found.ignored


def test_a_wrong_class_file_is_refused():
    """A mistake in a class file must stop the start, and say where it is."""
    good = {"id": "x", "title": "X"}
    for channel, words in (
        ({"kind": "counter", "unit": "Wh"}, "kind"),
        ({"kind": "register", "unit": "Wh"}, "quantity"),
        ({"kind": "register", "unit": "Wh", "quantity": "flow", "power": "p"}, "not a channel"),
        ({"kind": "gauge", "unit": "W", "colour": "red"}, "colour"),
    ):
        with pytest.raises(ProfileError, match=words):
            classes.parse({**good, "channel": {"energy_wh": channel}})
