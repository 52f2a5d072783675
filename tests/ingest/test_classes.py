"""Class files and profiles say the same; tests/services/store/test_schema.py adds the tables."""

import pytest

from ingest import classes, columns, intervals, profiles, units
from ingest.errors import ProfileError
from ingest.model import Device, Fleet
from ingest.pipeline import Bounds
from ingest.pipeline.admit import admit
from tests.every import every

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
    """A profile that names a channel which is not there loses it in silence."""

    @every(profiles.load().values())
    def _(profile):
        device_class = classes.load()[profile.class_id]
        for path, source in profile.channels.items():
            assert path == source.path
            channel = device_class.channels[source.channel]
            units.factor(source.unit, channel.unit)
            assert not source.moduli or channel.kind == "register"
            assert list(source.moduli) == sorted(source.moduli)
        assert columns.slots(profile.class_id, profile.id).keys() >= profile.channels.keys()
        bounds = Bounds(Fleet([Device("d", "s", profile.class_id, profile.id)]))
        for channel in device_class.registers:
            assert all(m > 0 for m in bounds.meter(0, channel).moduli)


def test_every_generic_channel_can_be_sent():
    """A channel that the interface promises and nobody reads would be missed for years."""

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
