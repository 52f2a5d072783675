"""Every part of `make bench` in its smallest form, and the benches beside it."""

from importlib import import_module
from math import isfinite

import pytest

from tests import browsers
from tests.bench import alarms, dashboards, monitoring, pages, witnessing
from tests.bench.alone import Measured
from tests.bench.parts import PARTS
from tests.fix_pipeline import on_servers
from tests.fix_timescale import Quick
from tests.grafana.fleet import Size
from tests.ports import give_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
_DRAIN = {"drain.DEVICES": 20, "drain.EACH": 2, "drain.TOTAL": 40}
# what makes each part small: constants of its module, or of one that it works with
SMALL = {
    "drain": _DRAIN,
    "drain_kafka": {**_DRAIN, "drain_kafka.DEVICES": 20, "drain_kafka.TOTAL": 40},
    "latency": {"latency.SAMPLES": 2},
    "latency_kafka": {
        "latency_kafka.RATE": 100,
        "latency_kafka.SECONDS": 2,
        "latency_kafka.WARM_S": 0,
        "latency_kafka.DEVICES": 100,
    },
    "memory": {"memory.DEVICES": 20, "memory.EACH": 2},
    "footprint": {
        "footprint.SECONDS": 1.0,
        "footprint.DEVICES": 10,
        "footprint.RATE": 20.0,
        "footprint_servers._IDLE": 20,
    },
    "broker_config": {"broker_config.PRINCIPALS": 2},
    "returning": {"returning.DEVICES": 5, "returning.DAYS": 2, "returning.LIVE": 3},
    "registry_change": {
        "registry_change.DEVICES": 200,
        "registry_change.LIVE": 100,
        "registry_change._PROBE": "bench-00100",
        "registry_change.CADENCE_S": 1,
        "registry_change._BEFORE_S": 4.0,
        "registry_change._AFTER_S": 2.0,
    },
    "growth": {"growth.POINTS": ("10x2d",)},
    "sealing": {"sealing.DEVICES": 100, "sealing.DAYS": 1},
    "steady": {"steady.DEVICES": 50, "steady.SHORT_S": 3.0, "steady.SHORT_RATE": 100.0},
    "broker_queue": {"broker_queue.QUEUE_BYTES": 1 << 18, "broker_queue.SECONDS": 1},
    "identities": {"identities.SHORT": (4, 2.0, 1.0)},
    "verification": {"verification.DEVICES": 1},
    "accounting": {"accounting.OF_PROJECT": 2},
    "codecs": {"codecs.MESSAGES": 20, "codecs.ROUNDS": 1},
    "api": {"api.SECONDS": 0.5, "api.CALLERS": 2},
    "hostile": {"hostile.SECONDS": 0.5, "hostile._CLOSES": 1},
    "console": {"console.SECONDS": 1.0, "console.VIEWERS": 2, "console.DEVICES": 10},
    "archiving": {
        "archiving.CLASSES": ("pv_inverter", "air_station"),
        "archiving.EACH": 1,
        "archiving.FLEET": 2,
        "archiving.YEAR_DAYS": 9,
        "archiving.PACE": 200,
        "archiving.LIVE": 20,
        "archiving.BURST": 200,
        "archiving.TURNS": 1,
    },
    "closing": {"closing.DEVICES": 2},
    "stages": {
        "stages.DEVICES": 20,
        "stages.FRAME": 20,
        "stages.FRAMES": 2,
        "stages.TOTAL": 40,
        "stages_store.DEVICES": 20,
        "stages_store.MANY": 20,
        "stages_store.SMALL": 5,
    },
    "sewers": {"sewers._SIDE": 10, "sewers._WINDOWS": 2, "sewers._TIMES": 2},
    "year": {"year.DAYS": 2},
}


def test_every_part_has_a_small_form():
    """A part that nothing starts fails on the day when somebody wants its figure, as two did."""
    assert SMALL.keys() == PARTS.keys()


@pytest.mark.parametrize("name", PARTS)
def test_a_part_measures(name, migrated_cluster, tmp_path, monkeypatch):
    """A figure that a page of docs promises could not be taken any more."""
    lacking = PARTS[name].lacks()
    if lacking is not None:
        pytest.skip(lacking)
    # commands are forked, as in other tests, but where the processor time of children is read
    monkeypatch.setattr(Measured, "anew", name == "archiving")
    for place, value in SMALL[name].items():
        monkeypatch.setattr(f"tests.bench.{place}", value)
    with on_servers(migrated_cluster, tmp_path, Measured) as pipeline:
        figures = import_module(PARTS[name].module).measure(pipeline)
    assert figures
    assert all(map(isfinite, figures.values()))


@pytest.fixture(scope="module")
def small_city(tmp_path_factory):
    """URL of a database as `tests.bench.dashboards` fills it, with a day of a few devices."""
    with pytest.MonkeyPatch.context() as small:
        small.setattr(dashboards, "YEAR", Size(days=2, minutes=60))
        small.setattr(dashboards, "Postgres", Quick)
        home = give_ports(tmp_path_factory.mktemp("city"), Quick.name)
        with dashboards.filled(home, large=False) as url:
            yield url


def test_benches_of_boards_pages_and_alarms_measure(small_city, tmp_path, monkeypatch):
    """What a page takes with 10,000 devices could not be taken any more."""
    for module in (dashboards, pages):
        monkeypatch.setattr(module, "_TIMES", 1)
    assert len(dashboards.measure(small_city)) > 50
    assert all(map(isfinite, alarms.rounds(small_city).values()))
    if browsers.chromium() is not None:
        assert pages.measure(small_city, tmp_path).keys() == {*pages.PAGES}


def test_benches_of_the_log_measure():
    """How long a witness or a monitor takes is what an operator asks before saying yes."""
    assert witnessing.measure(3)["witness_p50_ms"] > 0
    assert monitoring.measure(20)["catch_up_s"] > 0
