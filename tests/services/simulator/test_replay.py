"""
Recorded data, sent as by a device.

The simulator's solar position equals pvlib's in every bit.
"""

import csv
import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click import BadParameter

from services.cli.local.simulate import Duration
from services.simulator import SimulatorError
from services.simulator.flow import NO_FAULTS, outgoing
from services.simulator.sender import Replayed, read_recording
from services.simulator.sky import erbs, haurwitz, plane, position
from services.simulator.vehicles import ac_w, dc_w, module_c

PLACES = [(20.85, 106.68), (0.0, 0.0), (-33.9, 151.2), (66.6, 25.7), (33.88, -130.9)]
SPANS = [
    ("2022-01-02", "15min"),
    ("2026-01-01", "1h"),
    ("2026-06-21", "5min"),
    ("2040-12-31", "1h"),
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("span", SPANS)
def test_a_day_s_power_is_that_of_pvlib(place, span):
    """A demo that gives other figures than yesterday's cannot be compared with its README."""
    import pandas as pd  # noqa: PLC0415 - these load for a second
    import pvlib  # noqa: PLC0415

    times = pd.date_range(span[0], periods=288, freq=span[1], tz="UTC")
    sun = position(np.array((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta("1s")), *place)
    theirs = pvlib.solarposition.get_solarposition(times, *place)
    assert_same(sun.zenith, theirs["zenith"])
    assert_same(sun.apparent_zenith, theirs["apparent_zenith"])
    assert_same(sun.azimuth, theirs["azimuth"])
    ghi = haurwitz(sun.apparent_zenith) * np.linspace(0.05, 1, 288)
    clear = pvlib.clearsky.haurwitz(theirs["apparent_zenith"])["ghi"] * np.linspace(0.05, 1, 288)
    assert_same(ghi, clear)
    dni, dhi = erbs(ghi, sun.zenith, times.day_of_year.to_numpy().astype(float))
    parts = pvlib.irradiance.erbs(clear, theirs["zenith"], times.day_of_year.to_numpy())
    assert_same(dni, parts["dni"])
    assert_same(dhi, parts["dhi"])
    total = pvlib.irradiance.get_total_irradiance(
        surface_tilt=10.0,
        surface_azimuth=180.0,
        solar_zenith=theirs["apparent_zenith"],
        solar_azimuth=theirs["azimuth"],
        dni=parts["dni"],
        ghi=clear,
        dhi=parts["dhi"],
    )["poa_global"].to_numpy()
    towards = plane(10.0, 180.0, sun, dni, ghi, dhi)
    assert_same(towards, total)
    module = module_c(towards, 25.0, 2.0)
    assert_same(module, pvlib.temperature.faiman(total, 25.0, wind_speed=2.0))
    dc = dc_w(towards, module, 57_500.0, -0.0035)
    assert_same(dc, pvlib.pvsystem.pvwatts_dc(total, module, 57_500.0, -0.0035))
    assert_same(ac_w(dc, 52_083.0, 0.96), pvlib.inverter.pvwatts(dc, 52_083.0, eta_inv_nom=0.96))
    assert (towards > 0).any()


def assert_same(ours, theirs):
    """Check that arrays are equal in every bit."""
    np.testing.assert_array_equal(ours, np.asarray(theirs))


DATA = Path(__file__).parents[3] / "deploy" / "data"
RSF2, SERF = DATA / "nrel_rsf2_inverter_15min.csv", DATA / "nrel_serf_east_1min.csv"


def readings(source):
    return [
        json.loads(message.payload) for message in outgoing([source], 0, NO_FAULTS, source.span_ms)
    ]


def independent_wh(path, column, seconds):
    """Return the energy of a column by the trapezoid, from the file's own decimals."""
    with path.open(encoding="utf-8") as file:
        power = [max(Fraction(row[column]), Fraction(0)) for row in csv.DictReader(file)]
    return sum((a + b) / 2 * seconds / 3600 for a, b in itertools.pairwise(power))


@pytest.mark.parametrize(
    ("path", "column", "seconds", "rise"),
    [(RSF2, "inv2_ac_power_w__1047", 900, 1_455_886), (SERF, "ac_power__752", 60, 69_279)],
)
def test_register_rise_is_the_energy_of_the_recording(path, column, seconds, rise):
    """The kWh and tonnes that the README promises would not be what a reader gets."""
    sent = readings(Replayed(read_recording(path), "inv-001"))
    first, last = (sent[k]["values"]["energy_export_kwh"] for k in (0, -1))
    assert round((last - first) * 1_000) == rise
    assert abs(independent_wh(path, column, seconds) - rise) < 1.1


def test_night_draw_is_import_and_export_never_falls():
    """A meter that counts backward would make every night a reset."""
    values = [reading["values"] for reading in readings(Replayed(read_recording(SERF), "x"))]
    export = [value["energy_export_kwh"] for value in values]
    assert export == sorted(export)
    assert values[0]["active_power_kw"] == pytest.approx(-0.00271, abs=1e-6)
    assert values[-1]["energy_import_kwh"] > 0


def test_companions_and_local_time_come_along():
    """Irradiance would be lost, or noon would be at seven in the evening."""
    sent = readings(Replayed(read_recording(RSF2), "x"))
    assert len(sent) == 480
    assert sent[0]["ts"] == 1_641_099_600_000  # 2022-01-02T00:00-05:00
    noon = sent[56]["values"]
    assert noon["irradiance_w_m2"] == pytest.approx(505.1268)
    assert noon["module_temperature_c"] == pytest.approx(37.1944, abs=1e-3) or noon["dc_power_kw"]
    assert noon["active_power_kw"] == 59.0


def test_site_column_in_kw_without_the_inverters_dc():
    """A site's power would be a thousand times off, with one inverter's DC beside it."""
    recording = read_recording(RSF2, column="ac_power_kw_1137")
    assert recording.unit == "kW"
    assert 150_000 < max(recording.power_w) < 250_000
    assert "dc_power_kw" not in recording.gauges


def test_start_moves_and_duration_cuts():
    """A recording of years ago could not fall into a crediting period of today."""
    start = 1_767_225_600_000
    sent = readings(Replayed(read_recording(RSF2), "x", start, 86_400_000))
    assert (len(sent), sent[0]["ts"]) == (96, start)


def test_a_duration_is_of_several_units():
    """A month and its last reading would be counted in minutes by hand."""
    assert Duration().convert("31d15m", None, None) == (31 * 86_400 + 900) * 1_000_000
    for wrong in ("31d 15m", "15", "d", "0s"):
        with pytest.raises(BadParameter, match="not a duration"):
            Duration().convert(wrong, None, None)


def test_the_autumn_hour_that_comes_twice(tmp_path):
    """A recording across the end of summer time would be refused, or an hour overwritten."""
    path = tmp_path / "dst.csv"
    rows = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    path.write_text("t,ac_power\n" + "".join(f"2022-11-06 {hour},1\n" for hour in rows))
    times = read_recording(path, timezone="America/Denver").time_ms
    assert [b - a for a, b in itertools.pairwise(times)] == [1_800_000] * 5


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("t,p\n2022-01-01,1\n2022-01-02,1\n", {}, "ac_power"),
        ("t,ac_power\n", {}, "no data"),
        ("t,ac_power\n2022-01-01 00:00,1\n2022-01-01 00:01,1\n", {}, "--timezone"),
        ("t,ac_power\nnoon,1\nx,1\n", {}, "line 2: 'noon'"),
        ("t,ac_power\n2022-01-01 00:00Z,1\n2022-01-01 00:01Z,x\n", {}, "line 3: 'x'"),
        ("t,ac_power\n2022-01-01 00:01Z,1\n2022-01-01 00:00Z,1\n", {}, "not later"),
        ("t,ac_power\na,1\nb,1\n", {"column": "q"}, "no column 'q'"),
        ("t,ac_power\na,1\nb,1\n", {"timezone": "Mars/Base"}, "Mars/Base"),
    ],
)
def test_a_wrong_recording_is_refused_with_line_or_column(tmp_path, text, options, says):
    """A user would have to guess which of a million rows is meant."""
    path = tmp_path / "power.csv"
    path.write_text(text)
    with pytest.raises(SimulatorError, match=says):
        read_recording(path, **options)


def test_rows_without_power_are_left_out(tmp_path):
    """An empty cell would count as a reading of zero."""
    path = tmp_path / "gap.csv"
    rows = "2022-01-01 00:00Z,1000\n2022-01-01 01:00Z,\n2022-01-01 02:00Z,1000\n"
    path.write_text("t,ac_power\n" + rows)
    sent = readings(Replayed(read_recording(path), "x"))
    assert [reading["values"]["energy_export_kwh"] for reading in sent] == [0.0, 2.0]
