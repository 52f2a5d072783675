"""A fleet that sends as if it had been running all day."""

import json
from pathlib import Path

from ingest import classes, profiles
from services.simulator.fleet import read_fleet
from services.simulator.flow import NO_FAULTS, fleet_sources, outgoing
from services.simulator.simulated import broken, gauges_only, todays_sources

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog" / "haiphong"
HOUR = 3_600_000_000
MIDNIGHT = 1_795_539_600_000_000  # 2026-11-25T00:00:00 at Hai Phong
NOW = MIDNIGHT + 9 * HOUR + HOUR // 2
# its back office tells a total and nothing else
TICKETS = {"line-tickets"}


def said(now_us, fleet, wrap=list):
    """Return all messages up to a second after now, by device and time."""
    sources, start_ms = todays_sources(fleet, now_us, 1_000_000, 1)
    span = start_ms, now_us // 1_000
    sent = outgoing(wrap(sources), 1, NO_FAULTS, span)
    return {(m.device_id, m.ts_us): json.loads(m.payload)["values"] for m in sent}


def hai_phong():
    return [d for d in read_fleet(CATALOG, 900) if d.longitude > 0]


def test_every_device_has_spoken_since_its_midnight():
    """The demo's overview would call most of the city silent for its first hour."""
    fleet = hai_phong()
    found = said(NOW, fleet)
    assert min(us for _, us in found) == MIDNIGHT
    assert max(us for _, us in found) <= NOW
    for device in fleet:
        own = sorted(us for name, us in found if name == device.id)
        assert own == list(range(MIDNIGHT, NOW + 1, device.cadence_s * 1_000_000)), device.id


def test_a_second_start_on_the_same_day_says_the_same_again():
    """Every start of the demo would leave a dead letter `conflict` for each reading."""
    fleet = hai_phong()[::7]
    first, second = said(NOW, fleet), said(NOW + 5 * HOUR, fleet)
    assert first == {key: second[key] for key in first}
    assert len(second) > len(first)


def test_gauges_only_leaves_out_every_register_and_silences_nobody():
    """A register back after months would make rows for every 15-minute interval between."""
    fleet = hai_phong()
    found = said(NOW, fleet, gauges_only)
    assert {d.id for d in fleet} - {name for name, _ in found} == TICKETS
    for device in fleet:
        channels = classes.load()[device.device_class].channels
        spoken = profiles.load()[device.device_class, device.profile].channels.values()
        registers = {s.path for s in spoken if channels[s.channel].kind == "register"}
        values = [v for (name, _), v in found.items() if name == device.id]
        assert all(values), device.id
        assert not registers & set().union(*values), device.id


def test_registers_go_on_from_what_the_month_before_ended_with():
    """The demo's meters would jump at midnight, and today's tonnes would be a step's worth."""
    fleet, since = hai_phong()[::7], MIDNIGHT - 3 * 24 * HOUR
    sources, start_ms = todays_sources(fleet, NOW, None, 1, since)
    whole = fleet_sources(fleet, since, NOW - since, 1)
    assert start_ms == MIDNIGHT // 1_000
    for today, all_along in zip(sources, whole, strict=True):
        own = [block for block in all_along.blocks() if block.time_ms[0] >= start_ms]
        (first, *_), (same, *_) = [next(today.blocks())], own
        count = len(same.time_ms)
        assert list(first.time_ms[:count]) == list(same.time_ms)
        for name, register in same.registers.items():
            assert list(first.registers[name][:count]) == list(register), name


def test_a_broken_device_falls_silent_or_counts_no_longer():
    """The demo would have no alarm to show, or one of a meter that is well."""
    fleet = [d for d in hai_phong() if d.id in ("hp-charger-3", "hp-chiller-2", "hp-chiller-1")]
    began, breaks = MIDNIGHT - 3 * 24 * HOUR, MIDNIGHT - 36 * HOUR
    sources = broken(
        fleet_sources(fleet, began, MIDNIGHT - began, 1),
        {"hp-chiller-2": breaks},
        {"hp-charger-3": breaks},
    )
    times, counted, power = {}, [], []
    for source in sources:
        for block in source.blocks():
            times.setdefault(source.device.id, []).extend(block.time_ms * 1_000)
            if source.device.id == "hp-charger-3":
                after = block.time_ms * 1_000 >= breaks
                counted.extend(block.registers["energy_import_kwh"][after])
                power.extend(block.gauges["active_power_kw"][after])
    assert max(times["hp-chiller-2"]) < breaks <= max(times["hp-chiller-1"])
    assert len(set(counted)) == 1
    assert len(counted) == 36  # an hour between readings
    assert set(power) == {0.0}


def test_what_broke_before_today_stays_broken():
    """The demo's charger would jump at midnight by all that it did not count."""
    (charger,) = [d for d in hai_phong() if d.id == "hp-charger-3"]
    began, breaks = MIDNIGHT - 3 * 24 * HOUR, MIDNIGHT - 36 * HOUR
    month = broken(fleet_sources([charger], began, MIDNIGHT - began, 1), {}, {charger.id: breaks})
    *_, last = month[0].blocks()
    today, _ = todays_sources([charger], NOW, None, 1, began)
    first = next(broken(today, {}, {charger.id: breaks})[0].blocks())
    assert first.time_ms[0] == MIDNIGHT // 1_000
    assert set(first.registers["energy_import_kwh"]) == {last.registers["energy_import_kwh"][-1]}
