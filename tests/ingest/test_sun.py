"""Metering's sun, compared with pvlib's: it decides whether an interval has light."""

import numpy as np
import pytest

from ingest.classes import QUANTITY_INDEX
from ingest.model import Device, Fleet
from ingest.pipeline import Bounds
from ingest.sun import NIGHT_DEG, above, elevation_deg, lit

# Hai Phong, Golden in Colorado, Tromso, Ushuaia, the equator at the date line
PLACES = [(20.86, 106.68), (39.74, -105.17), (69.65, 18.96), (-54.8, -68.3), (0.0, 180.0)]


def _elevation(times, latitude, longitude):
    from pvlib.solarposition import get_solarposition  # noqa: PLC0415 - for these alone

    return get_solarposition(times, latitude, longitude)["elevation"].to_numpy()


def _times(*words, **named):
    from pandas import date_range  # noqa: PLC0415

    return date_range(*words, **named, tz="UTC")


@pytest.mark.parametrize(("latitude", "longitude"), PLACES)
def test_the_sun_stands_where_pvlib_has_it(latitude, longitude):
    """Energy of a morning would be taken for that of a night."""
    times = _times("2020-01-01", "2040-01-01", freq="61h")
    theirs = _elevation(times, latitude, longitude)
    ours = elevation_deg(times.as_unit("us").asi8, latitude, longitude)
    assert np.abs(ours - theirs).max() < 0.02


def test_quarter_hours_have_light_as_pvlib_has_it():
    """The shortcut around noon, or the edge of twilight, would give wrong hours of light."""
    times = _times("2026-01-01", "2027-01-01", freq="15min")
    start_us = times.as_unit("us").asi8
    middle = times + np.timedelta64(450, "s")
    for latitude, longitude in PLACES:
        height = _elevation(middle, latitude, longitude)
        place = np.full((2, len(times)), [[latitude], [longitude]])
        clear = np.abs(height + 6) > 0.02
        assert np.array_equal(lit(start_us, *place)[clear], height[clear] > -6)


def test_light_of_one_place_is_that_of_many():
    """A plant metered alone would count other 15-minute intervals than in a fleet."""
    fleet_ = Fleet(
        [
            Device(f"d{i}", "s", "pv_inverter", rated_power_w=1000, place=(20.9 + i, 106.6))
            for i in range(2)
        ]
    )
    bounds = Bounds(fleet_)
    quantity = np.int16(QUANTITY_INDEX["energy_export"])
    rng = np.random.default_rng(1)
    for interval in (
        np.arange(1_963_000, 1_963_000 + 400),
        rng.integers(1_900_000, 1_990_000, 300),
        np.arange(0, dtype=np.int64),
    ):
        n = len(interval)
        alone = bounds.light(np.zeros(n, np.int32), np.full(n, quantity), interval)
        device = np.concatenate([np.zeros(n, np.int32), np.ones(n, np.int32)])
        both = bounds.light(device, np.full(2 * n, quantity), np.tile(interval, 2))
        assert alone.tolist() == both[:n].tolist()
        assert n == 0 or (alone.any() and not alone.all())


@pytest.mark.parametrize("least_deg", [NIGHT_DEG, 0.0])
@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_stands_once_has_the_sun_of_one_that_is_repeated(place, least_deg):
    """A verifier would mark other readings than the close did."""
    random = np.random.default_rng(3)
    times = np.sort(random.integers(1_766_000_000, 1_767_500_000, 4_000)) * 1_000_000
    once = [np.broadcast_to(np.float64(one), times.shape) for one in place]
    repeated = [np.full(times.shape, one) for one in place]
    np.testing.assert_array_equal(
        above(times, *once, least_deg), above(times, *repeated, least_deg)
    )
