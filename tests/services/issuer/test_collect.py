"""The evidence of a period gives exactly the stored rows, whatever happens at the period's edge."""

from contextlib import contextmanager

import numpy as np
import pytest

from ingest.errors import InputError
from mrv.errors import PeriodError
from mrv.packs.reader import read_pack
from mrv.statement import evidence
from mrv.verify import verify
from services.issuer.collect_evidence import collect
from services.issuer.pack import export
from services.processing import reprocess
from services.store.archive_catalog import snapshot
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

BEGIN, END = plant.us("2026-03-02"), plant.us("2026-03-03")
MINUTE = plant.MINUTE_US


@pytest.fixture
def url(database_url, tmp_path):
    plant.register(database_url, tmp_path)
    return database_url


@contextmanager
def _conn(url):
    with logged.issuer(url) as conn:
        yield conn


def _closed_pack(url, folder):
    """Close, export and verify; return the report and the number of readings."""
    with _conn(url) as conn:
        closed = close_period(conn, "pv", BEGIN, END, "test")
        export(conn, closed.statement, folder / "pack")
    pack = read_pack(folder / "pack")
    report = verify(pack)
    assert report.consistent, report.failure
    tables = (table for found in pack.readings.values() for table in found)
    return closed, sum(len(table.time_us) for table in tables)


def _steady(begin, end, minutes=10, rate=600):
    """Return a register that rises equally with every reading."""
    times = np.arange(begin, end, minutes * MINUTE) + 1
    return times, 1_000_000 + rate * np.arange(len(times), dtype=np.int64)


# in March it sets nowhere near the South Pole
WHERE_THE_SUN_STAYS_UP = ("latitude: 20.9", "latitude: -89.0")


def _between(times, begin, end):
    return (times >= begin) & (times < end)


AROUND = (BEGIN - 6 * 60 * MINUTE, END + 6 * 60 * MINUTE)


def _glitch(times, register):
    register[_between(times, END - 20 * MINUTE, END + 20 * MINUTE)] = 0
    return times, register


def _reset(times, register):
    after = times >= END - 15 * MINUTE
    register[after] -= register[after][0] - 5
    return times, register


def _reset_before(times, register):
    after = times >= BEGIN - 15 * MINUTE
    register[after] -= register[after][0] - 5
    return times, register


def _standstill(times, register):
    still = _between(times, BEGIN - 60 * MINUTE, BEGIN + 60 * MINUTE)
    register[still] = register[still][0]
    return times, register


def _catch_up(times, register):
    still = _between(times, END - 120 * MINUTE, END + 40 * MINUTE)
    register[still] = register[still][0]
    register[times >= END + 40 * MINUTE] += 1_500_000
    return times, register


def _silence(times, register):
    kept = ~_between(times, END - 90 * MINUTE, END + 200 * MINUTE)
    return times[kept], register[kept]


def _nothing_after(times, register):
    kept = times < END - 30 * MINUTE
    return times[kept], register[kept]


def _nothing_before(times, register):
    kept = times >= BEGIN + 30 * MINUTE
    return times[kept], register[kept]


def _on_the_grid(times, register):
    return times - 1, register


@pytest.mark.parametrize(
    "happens",
    [_glitch, _reset, _reset_before, _standstill, _catch_up, _silence, _nothing_after,
     _nothing_before, _on_the_grid],
    ids=lambda f: f.__name__.strip("_"),
)  # fmt: skip
def test_events_at_an_edge(url, tmp_path, happens):
    """
    A pack could not be verified if a gap, reset or late reading
    lies at the edge of its period.
    """
    times, register = happens(*_steady(*AROUND))
    plant.send(url, "inv-1", times, energy_export_wh=register)
    closed, readings = _closed_pack(url, tmp_path)
    assert closed.result.devices[0].metered > 0
    assert readings <= len(times)


def test_evidence_reaches_no_further_than_it_must(url, tmp_path):
    """A day's pack would carry a year of readings."""
    times, register = _steady(BEGIN - 40 * 24 * 60 * MINUTE, END + 40 * 24 * 60 * MINUTE, 60)
    plant.send(url, "inv-1", times, energy_export_wh=register)
    _, readings = _closed_pack(url, tmp_path)
    assert readings == 26


def test_a_device_without_register_is_metered_from_power(url, tmp_path):
    """A meter that sends power alone could not be in a statement."""
    plant.register(url, tmp_path, plant.REGISTRY.replace(*WHERE_THE_SUN_STAYS_UP))
    times, _ = _steady(*AROUND, minutes=5)
    plant.send(url, "inv-1", times, active_power_w=np.full(len(times), 60_000.0))
    closed, _ = _closed_pack(url, tmp_path)
    assert closed.result.devices[0].coverage.estimated_share == "1.000000"
    assert closed.result.devices[0].metered == pytest.approx(24 * 60_000, rel=1e-3)


def test_a_meter_swap_at_the_edge(url, tmp_path):
    """A replaced meter would make the period's edge unverifiable."""
    swap = """    replacements:
      - {channel: energy_export_kwh, at: 2026-03-02T00:00:00+07:00, last: 1021.3, first: 0.04,
         reason: defect}
"""
    text = plant.REGISTRY.replace("    serial: A1\n", "    serial: A1\n" + swap)
    plant.register(url, tmp_path, text.replace(*WHERE_THE_SUN_STAYS_UP))
    times, register = _steady(*AROUND)
    register[times >= BEGIN] -= register[times >= BEGIN][0] - 100
    plant.send(url, "inv-1", times, energy_export_wh=register)
    closed, _ = _closed_pack(url, tmp_path)
    assert closed.result.devices[0].replacements == 1
    assert closed.result.devices[0].coverage.unknown_share == "0.000000"


def test_a_pack_is_made_again_after_the_registry_went_on(url, tmp_path):
    """The evidence of an old statement would change with every new certificate."""
    plant.fill_pv(url, minutes=15)
    with _conn(url) as conn:
        closed = close_period(conn, "pv", BEGIN, END, "test")
        export(conn, closed.statement, tmp_path / "before")
    plant.register(url, tmp_path, plant.REGISTRY.replace("serial: A1", "serial: B2"))
    with _conn(url) as conn:
        export(conn, closed.statement, tmp_path / "after")
        assert close_period(conn, "pv", BEGIN, END, "test").statement != closed.statement
        with pytest.raises(InputError, match="not an empty folder"):
            export(conn, closed.statement, tmp_path / "after")
    for file in (tmp_path / "before").rglob("*.*"):
        other = tmp_path / "after" / file.relative_to(tmp_path / "before")
        assert file.read_bytes() == other.read_bytes()


def test_a_pack_whose_readings_went_on_is_refused(url, tmp_path):
    """A pack would be handed out that fails its verification."""
    plant.fill_pv(url, minutes=15)
    with _conn(url) as conn:
        closed = close_period(conn, "pv", BEGIN, END, "test")
    plant.send(url, "inv-2", [BEGIN + 9 * 60 * MINUTE], active_power_w=[1.0])
    with _conn(url) as conn, pytest.raises(PeriodError, match="inv-2 on 2026-03-02"):
        export(conn, closed.statement, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_what_is_collected_is_what_is_stored(url):
    """A statement would rest on other rows than everyone has seen."""
    plant.fill_pv(url, minutes=15)
    with _conn(url) as conn, snapshot(conn):
        case = collect(conn, "pv", BEGIN, END)
    pairs = evidence.monitored(case.plan.project, case.fleet, case.plan.checks)
    again = evidence.remeter(case.fleet, case.frames, pairs, BEGIN, END)
    assert evidence.same(again, case.rows)
    assert {q for _, q in pairs} == {0}


def test_a_period_whose_intervals_wait_to_be_made_says_so(url, monkeypatch):
    """The operator would be sent to rebuild rows that `tonne run` makes by itself."""
    with monkeypatch.context() as few:
        few.setattr(reprocess, "MAX_ROWS", 100)  # as a month of a gateway that was away
        times, register = _steady(BEGIN - 60 * MINUTE, END + 60 * MINUTE)
        plant.send(url, "inv-1", times, energy_export_wh=register)
    waits = r"^intervals of inv-1 are not calculated yet; close again when `tonne run` has .* them$"
    with _conn(url) as conn, pytest.raises(PeriodError, match=waits):
        close_period(conn, "pv", BEGIN, END, "test")
    plant.derive(url)
    with _conn(url) as conn:
        assert close_period(conn, "pv", BEGIN, END, "test").statement
