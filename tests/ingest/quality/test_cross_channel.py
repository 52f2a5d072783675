"""Evidence across channels: what two channels cannot both say."""

from __future__ import annotations

import numpy as np
import pytest

from ingest.quality import cross_channel as cross

NAN = float("nan")


def _of(*values):
    return np.array(values, dtype=np.float64)


def test_a_register_that_outruns_its_power_is_marked():
    """A register that somebody turns would earn what no power channel ever showed."""
    register, power = _of(1_000, 1_150, 50, 900), _of(1_000, 1_000, 0, NAN)
    assert cross.register_above_power(register, power, 100).tolist() == [False, False, False, False]
    assert cross.register_above_power(_of(1_250), _of(1_000), 100).tolist() == [True]


def test_no_sun_no_energy():
    """Generation by night, or above the rating of the lit minutes, would be believed."""
    marks = cross.above_sun(_of(27_000, 28_000, 1), _of(100e3, 100e3, 100e3), _of(900, 900, 0))
    assert marks.tolist() == [False, True, True]


def test_an_inverter_gives_out_no_more_than_goes_in():
    """A swapped sensor, or one in another unit, would stay unseen for years."""
    marks = cross.ac_against_dc(_of(98, 110, 30, 1, NAN), _of(100, 100, 100, 0, 100), 10)
    assert marks.tolist() == [False, True, True, False, False]


def test_water_needs_energy():
    """A flow meter that counts a thousandfold would earn a thousandfold."""
    # 100 m3 by 20 m take 5,450 Wh without any loss
    assert cross.flow_above_pumps(_of(100, 100), _of(8_000, 5_000), 20).tolist() == [False, True]


def test_a_charger_that_stands_still_while_its_bus_drives_is_at_fault():
    """A bus earned 1.756 t for 1,949 km at 0 kWh."""
    marks = cross.still_while_serving(_of(0, 0, 300, NAN), _of(1_949, 100, 1_949, 1_949), 250)
    assert marks.tolist() == [True, False, False, False]


def test_a_kilometre_takes_what_its_class_takes():
    """Leaving two of three chargers out turned 16 t into 41.6 t."""
    km = _of(1_000, 1_000, 1_000, 0)
    marks = cross.charging_against_distance(_of(1_200, 400, 0, 5), km, "bus")
    assert marks.tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="'tram'; give one of bus"):
        cross.charging_against_distance(km, km, "tram")


def test_a_mark_has_its_cost():
    """Nobody would know what a flag is worth."""
    assert cross.cost(np.array([5, 7, 11]), np.array([True, False, True])) == 16
