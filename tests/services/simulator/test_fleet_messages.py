"""The messages of a simulated fleet."""

import itertools
import json
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import profiles
from services.simulator import Register, base_per_unit
from services.simulator.fleet import Group
from services.simulator.flow import messages, truth
from services.simulator.simulated import MODELS
from services.simulator.systems import BEHAVIOURS
from tests.every import every

START = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
DAY = 86_400_000_000
CHANNELS = {
    "pv_inverter": "energy_export_kwh energy_import_kwh active_power_kw irradiance_w_m2 "
    "module_temperature_c dc_power_kw state",
    "ev_charger": "energy_import_kwh active_power_kw session_energy_kwh soc_percent "
    "connector_state",
    "vehicle": "odometer_km soc_percent speed_km_h",
    "energy_meter": "energy_import_kwh energy_export_kwh active_power_kw voltage_v frequency_hz",
    "air_station": "pm2_5_ug_m3 pm10_ug_m3 so2_ug_m3 no2_ug_m3 co_ug_m3 o3_ug_m3 temperature_c "
    "humidity_percent wind_speed_m_s",
    "noise_station": "laeq_dba lamax_dba",
    "wastewater_plant": "flow_total_m3 biogas_total_nm3 energy_import_kwh cod_in_mg_l cod_out_mg_l "
    "bod5_mg_l tss_mg_l nh4_n_mg_l tn_mg_l tp_mg_l ph temperature_c ch4_percent"
    " flare_temperature_c",
    **{kind: " ".join(profiles.load()[kind, "generic"].channels) for kind in BEHAVIOURS},
}


def fleet(kind, count=1, cadence_s=300):
    return list(Group(kind, count=count, cadence_s=cadence_s).devices())


def columns(kind, duration=DAY, seed=3, cadence_s=300):
    """Return channels of one device as arrays."""
    found = defaultdict(list)
    for _, _, payload, _ in messages(fleet(kind, cadence_s=cadence_s), START, duration, seed):
        for channel, value in json.loads(payload)["values"].items():
            found[channel].append(value)
    return {channel: np.array(values) for channel, values in found.items()}


def test_speaks_the_generic_profile():
    """A class whose channels are misnamed would be ignored by the pipeline without a message."""

    @every(MODELS)
    def _(kind):
        values = columns(kind)
        assert set(values) == set(CHANNELS[kind].split())
        assert all(len(value) == 288 and np.isfinite(value).all() for value in values.values())


def test_same_seed_same_bytes_and_a_longer_run_repeats_a_shorter():
    """A fault found with a seed could not be found again."""

    @every(MODELS)
    def _(kind):
        short = list(messages(fleet(kind), START, DAY // 3, 5))
        assert list(messages(fleet(kind), START, DAY // 3, 5)) == short
        assert list(messages(fleet(kind, 3), START, DAY, 5)) != short
        alone = [m for m in messages(fleet(kind, 3), START, DAY, 5) if m[0] == short[0][0]]
        assert alone[: len(short)] == short
        if kind != "vehicle":  # a bus sleeps at night whatever the seed
            assert list(messages(fleet(kind), START, DAY // 3, 6)) != short


def test_registers_rise_as_the_truth_says():
    """Tests that compare with the truth would compare with something no one sent."""

    @every(MODELS)
    def _(kind):
        told = truth(fleet(kind), START, DAY, 3)[f"{kind.replace('_', '-')}-001"]
        values = columns(kind)
        assert told.readings == 288
        for channel, register in told.registers.items():
            sent = np.rint(values[channel] * base_per_unit(channel)).astype(np.int64)
            assert (np.diff(sent) >= 0).all()
            assert (sent[0], sent[-1]) == (register.first, register.last)
            assert register.rise == register.last - register.first
        rising = [channel for channel, r in told.registers.items() if r.rise]
        assert rising or not told.registers


@pytest.mark.parametrize(
    ("kind", "channel"),
    [
        ("pv_inverter", "energy_export_kwh"),
        ("ev_charger", "energy_import_kwh"),
        ("energy_meter", "energy_import_kwh"),
    ],
)
def test_register_is_the_integral_of_the_power(kind, channel):
    """Power and register would contradict each other, and quality tests would flag them."""
    values = columns(kind)
    power = np.maximum(values["active_power_kw"], 0)
    energy = np.sum((power[1:] + power[:-1]) / 2) * 300 / 3600
    assert values[channel][-1] - values[channel][0] == pytest.approx(energy, abs=0.002)


def test_pv_follows_the_sun_of_its_place():
    """A PV plant that produces at midnight would teach the operators nothing."""
    values = columns("pv_inverter")
    hour = (np.arange(288) / 12 + 7) % 24
    night = (hour < 5) | (hour > 19.5)
    noon = (hour > 11) & (hour < 13)
    assert (values["active_power_kw"][night] <= 0).all()
    assert values["active_power_kw"][noon].mean() > 5
    assert values["active_power_kw"].max() <= 100


def test_session_energy_is_the_rise_since_plug_in():
    """Session and register would disagree, which in the field means a lost transaction."""
    values = columns("ev_charger")
    charged = values["connector_state"] > 0
    assert charged.any()
    starts = np.flatnonzero(charged & ~np.append(False, charged[:-1]))
    for row in starts[starts > 0]:
        rise = values["energy_import_kwh"][row] - values["energy_import_kwh"][row - 1]
        assert values["session_energy_kwh"][row] == pytest.approx(rise)


@pytest.mark.parametrize("cadence_s", [60, 900, 3_600])
def test_a_bus_drives_as_far_however_seldom_it_sends(cadence_s):
    """An hourly bus would drive 514 km on one day, above its class, and lose these tonnes."""
    odometer = columns("vehicle", 20 * DAY, cadence_s=cadence_s)["odometer_km"]
    a_day = np.diff(odometer[:: 86_400 // cadence_s])
    assert a_day.min() > 200
    assert a_day.max() < 320


def test_messages_come_in_time_order_over_the_fleet():
    """At speed the pipeline would see hours of one device, then hours of the next."""
    two = fleet("noise_station", 2) + fleet("vehicle", 2, cadence_s=600)
    sent = [ts for _, _, _, ts in messages(two, START, DAY // 4)]
    assert len(sent) == 2 * 72 + 2 * 36
    assert all(b - a > -10_000_000 for a, b in itertools.pairwise(sent))


steps = st.lists(
    st.tuples(st.integers(1, 86_400_000), st.integers(-(10**9), 10**13)), min_size=2, max_size=40
)


def exact(time_ms, rate):
    """Return the trapezoid integral of the positive part, in exact fractions of the base unit."""
    total, told = Fraction(0), []
    for k, now in enumerate(time_ms):
        if k:
            mean = Fraction(max(rate[k - 1], 0) + max(rate[k], 0), 2)
            total += mean * (now - time_ms[k - 1]) / (1_000 * 3_600_000)
        told.append(int(total))
    return told


@given(steps, st.data())
def test_counts_exactly_however_it_is_cut(samples, data):
    """Ground truth would drift from the power that made it, and no Wh test could be trusted."""
    time_ms = np.cumsum([step for step, _ in samples])
    rate = np.array([value for _, value in samples])
    cut = data.draw(st.integers(1, len(samples) - 1))
    register = Register(500)
    told = np.concatenate(
        [register.advance(time_ms[:cut], rate[:cut]), register.advance(time_ms[cut:], rate[cut:])]
    )
    assert (told - 500).tolist() == exact(time_ms.tolist(), rate.tolist())


def test_never_counts_backward():
    """A night's negative power would take energy off the register, which no meter does."""
    told = Register(7).advance(np.array([0, 3_600_000, 7_200_000]), np.array([0, -5000, -5000]))
    assert told.tolist() == [7, 7, 7]
