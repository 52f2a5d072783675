"""Dated properties of a device: meters, their keys, modules."""

import json

from services.registry.files import document
from tests.services.registry.texts import BASE, messages


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
    assert "finer" in messages(load(text % "1.0001"))
    assert "is not a register" in messages(load(text.replace("export_kwh", "export_wh") % "1"))


KEY = "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
ROW = "{{from: {day}T00:00:00Z, key: '{key}'}}"


def _keyed(*rows, serial="serial: A1, "):
    device = f"{serial}meter_keys: [{', '.join(rows)}], installed:"
    return BASE.replace("installed:", device)


def test_keys_of_meters_are_read_once_and_never_changed(load):
    """A value accepted a year ago would be refused, or a refused one accepted."""
    first, second = ROW.format(day="2026-01-01", key=KEY), ROW.format(day="2026-06-01", key=KEY)
    stored = load(_keyed(first))
    assert stored.merged.devices["inv"].meter_keys[0].key == KEY
    assert not load(
        _keyed(second, first.upper().replace("FROM", "from").replace("KEY", "key")), stored.merged
    ).refused
    assert load(BASE, stored.merged).merged.devices["inv"].meter_keys  # a file that says nothing
    changed = load(_keyed(second), stored.merged)
    assert "cannot be changed or omitted" in messages(changed)


ARRAY = "dc_power_w: 120000, tilt: 10, azimuth: 180, temperature_coefficient_percent: -0.35, "


def test_modules_of_an_inverter_are_dated_and_never_changed(load):
    """A ratio of last year would change with modules that were added this year."""
    given = BASE.replace("installed:", f"{ARRAY}installed:")
    stored = load(given)
    assert not stored.refused, messages(stored)
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
    assert "cannot be changed or omitted" in messages(load(rewritten, stored.merged))
    exported = document(grown)
    assert exported["dc_power_w"] == 180_000
    assert [a["dc_power_w"] for a in exported["arrays"]] == [120_000, 180_000]
    rows = json.dumps(exported["arrays"], default=float)
    again = BASE.replace("installed:", f"arrays: {rows}, installed:")
    assert [a.dc_power_w for a in load(again).merged.devices["inv"].arrays] == [120_000, 180_000]
