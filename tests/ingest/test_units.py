"""Wire units to base units, once and exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import units
from ingest.errors import ProfileError
from ingest.pipeline.admit import admit

from .test_decode import FLEET, NOW_US, TOPICS, text


def converted(value, wire, base):
    numerator, denominator, offset = units.factor(wire, base)
    return value * numerator / denominator + offset


@pytest.mark.parametrize(
    ("value", "wire", "base", "wanted"),
    [
        (1.5, "kWh", "Wh", 1_500),
        (1.5, "MWh", "Wh", 1_500_000),
        (7_200_000, "J", "Wh", 2_000),
        (7_200, "kJ", "Wh", 2_000),
        (2.5, "MW", "W", 2_500_000),
        (0.25, "m3", "mL", 250_000),
        (1.25, "L", "mL", 1_250),
        (12.345, "km", "m", 12_345),
        (0.05, "mg/m3", "ug/m3", 50),
        (300, "K", "Cel", 26.85),
        (212, "degF", "Cel", 100),
        (0.5, "1", "%", 50),
        (10, "m/s", "km/h", 36),
        (36, "km/h", "m/s", 10),
        (7, "Wh", "Wh", 7),
    ],
)
def test_conversions(value, wire, base, wanted):
    """A factor that is off by a thousand is a thousand times the tonnes."""
    assert converted(value, wire, base) == pytest.approx(wanted, rel=1e-12)


def test_what_cannot_be_converted_is_refused():
    """A profile that reads kilograms as watt-hours must not load."""
    with pytest.raises(ProfileError, match="kWh"):
        units.factor("kg", "Wh")


@given(st.integers(0, 876_000_000))
def test_a_register_in_kwh_is_exact_to_the_watt_hour(wh):
    """Decimal kilowatt-hours in JSON must come back as the meter's whole watt-hours."""
    payload = text(energy_export_kwh=wh / 1000)
    found = admit(FLEET, lambda _: 1, [TOPICS[1]], [payload], [None], NOW_US)
    assert found.frames[0].columns["energy_export_wh"].tolist() == [wh]
