"""The simulator's sun is pvlib's, to the bit."""

import numpy as np
import pytest

from services.simulator.pv_inverter import ac_w, dc_w, module_c
from services.simulator.sky import erbs, haurwitz, plane, position

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
    """A demo that gives other figures than yesterday's cannot be held against its README."""
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
    """To the last bit, not nearly."""
    np.testing.assert_array_equal(ours, np.asarray(theirs))
