"""A fleet that speaks as if it had been there all day."""

import json
from pathlib import Path

from ingest import classes, profiles
from services.simulator.disturb import NO_FAULTS
from services.simulator.fleet import read_fleet
from services.simulator.flow import outgoing
from services.simulator.simulated import gauges_only, todays_sources

CATALOG = Path(__file__).parents[3] / "deploy" / "catalog" / "haiphong"
HOUR = 3_600_000_000
MIDNIGHT = 1_795_539_600_000_000  # 2026-11-25T00:00:00 at Hai Phong
NOW = MIDNIGHT + 9 * HOUR + HOUR // 2
# its back office tells a total and nothing else
TICKETS = {"line-tickets"}


def said(now_us, fleet, wrap=list):
    """Everything up to a second after now: by device and time."""
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
    """A register back after months would make rows for every quarter hour between."""
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
