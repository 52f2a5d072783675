"""Parts of `make bench` in their smallest form: one always, all in `make soak`."""

from importlib import import_module
from math import isfinite

import pytest

from tests import browsers
from tests.bench import dashboards, pages
from tests.bench.alone import Measured
from tests.bench.parts import PARTS
from tests.fix_pipeline import on_servers
from tests.fix_timescale import Quick
from tests.grafana.fleet import Size
from tests.ports import give_ports
from tests.soak import SOAK

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
    "growth": {"growth.POINTS": ("10x2d",)},
    "sealing": {"sealing.DEVICES": 100, "sealing.DAYS": 1},
    "steady": {"steady.DEVICES": 50, "steady.SHORT_S": 3.0, "steady.SHORT_RATE": 100.0},
    "returning": {"returning.DEVICES": 2, "returning.DAYS": 1},
    "verification": {"verification.DEVICES": 1},
    "accounting": {"accounting.OF_PROJECT": 2},
    "codecs": {"codecs.MESSAGES": 20, "codecs.ROUNDS": 1},
    "api": {"api.SECONDS": 0.5, "api.CALLERS": 2},
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
    "year": {"year.DAYS": 2},
}
QUICK = ("closing",)


@pytest.mark.parametrize("name", PARTS if SOAK else QUICK)
def test_a_part_measures(name, migrated_cluster, tmp_path, monkeypatch):
    """A documented benchmark figure could no longer be measured."""
    lacking = PARTS[name].lacks()
    if lacking is not None:
        pytest.skip(lacking)
    monkeypatch.setattr(Measured, "anew", value=False)  # commands are forked, as in other tests
    for place, value in SMALL[name].items():
        monkeypatch.setattr(f"tests.bench.{place}", value)
    with on_servers(migrated_cluster, tmp_path, Measured) as pipeline:
        figures = import_module(PARTS[name].module).measure(pipeline)
    assert figures
    assert all(map(isfinite, figures.values()))


@pytest.mark.skipif(not SOAK, reason="fills a city: `make soak`")
def test_benches_of_boards_and_pages_measure(tmp_path, monkeypatch):
    """The loading times of pages with 10,000 devices could no longer be measured."""
    monkeypatch.setattr(dashboards, "YEAR", Size(days=2, minutes=60))
    monkeypatch.setattr(dashboards, "Postgres", Quick)
    for module in (dashboards, pages):
        monkeypatch.setattr(module, "_TIMES", 1)
    home = give_ports(tmp_path / "city", Quick.name)
    with dashboards.filled(home, large=False) as url:
        assert len(dashboards.measure(url)) > 50
        if browsers.chromium() is not None:
            assert pages.measure(url, tmp_path).keys() == {*pages.PAGES}
